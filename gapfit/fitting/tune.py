"""Hyperparameters from the training data: evidence, held-out errors and scans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gapfit._support.progress import Progress, silent
from gapfit.config.sections import FitConfig, TuneConfig
from gapfit.config.toml import as_config
from gapfit.data.dataset import as_dataset
from gapfit.data.observations import Quantity
from gapfit.errors import GapfitError
from gapfit.fitting.fewer_points import refined, with_fewer_points
from gapfit.fitting.prepare import Prepared
from gapfit.fitting.review import review
from gapfit.fitting.scan import check_scan, with_settings
from gapfit.fitting.trial_sums import TrialSums
from gapfit.fitting.trials import Trial, Tuning
from gapfit.gp.evidence import HeldOut, Scales
from gapfit.gp.followed_jitter import FollowedJitter
from gapfit.gp.hyperparameters import ScoredScales, score
from gapfit.model.observation_groups import FRAME_SIGMA, class_of
from gapfit.threads import limited

__all__ = ["tune", "tune_prepared"]

# Fewer sparse points than this are all taken.
_FEW_POINTS = 200


def tune(
    frames: Any = None,
    config: FitConfig | Mapping[str, Any] | str | Path | None = None,
    *,
    progress: Progress | None = None,
    base: Path | None = None,
) -> Tuning:
    """Choose deltas, sigmas and scanned values from the training data alone.

    Deltas, powers by which priors fall and the sigmas of forces and virials maximise the
    log marginal likelihood; sigma.energy minimises the errors of held-out frames. They
    stay within limits (`gapfit.fitting.tune_limits`), and need one pass over the
    data for each candidate of ``tune.scan``, none for a sigma or delta. Half of the
    sparse points are taken (``tune.share``).

    Parameters
    ----------
    frames, config, progress, base
        As for `gapfit.fit`. ``[tune]`` says what is chosen; without that table, all
        sigmas and deltas are.

    Returns
    -------
    Tuning
        The best configuration and all trials. The same input gives the same result.

    Raises
    ------
    ConfigError, DataError
        Mistakes in the configuration or the data, with their places.
    """
    settings = as_config(config, frames)
    if base is None:
        base = Path(config).parent if isinstance(config, str | Path) else Path()
    check_scan(settings)
    dataset = as_dataset(frames, settings, base)
    notes = list(dataset.warnings)
    with limited(settings.run.threads or None):
        report = progress or silent
        prepared = review(dataset, settings, notes, base=base, progress=report)
        result = tune_prepared(prepared, settings, report)
    warnings = tuple(dict.fromkeys([*notes, *result.warnings]))
    return replace(result, warnings=warnings)


def tune_prepared(prepared: Prepared, config: FitConfig, progress: Progress) -> Tuning:
    """Choose deltas, sigmas and scanned values from prepared data; see `tune`.

    Parameters
    ----------
    prepared : Prepared
        From `gapfit.fitting.review`.
    config : FitConfig
        With ``[tune]``, or without: then all sigmas and deltas are chosen.
    progress : callable
        Called as ``progress(stage, done, total)``.
    """
    check_scan(config)
    if len(prepared.frames) < 2:
        raise GapfitError("tuning needs at least two frames: one is held out")
    return _Tuner(prepared, config, progress).run()


class _Tuner:
    """The trials of one call, and the data and options they share."""

    def __init__(
        self, prepared: Prepared, config: FitConfig, progress: Progress
    ) -> None:
        self.prepared = prepared
        self.options = config.tune or TuneConfig()
        self.config = config.model_copy(update={"tune": None})
        self.progress = progress
        self.notes: list[str] = []
        self.trials: dict[str, Trial] = {}
        self.given: Trial | None = None

    def run(self) -> Tuning:
        """Try all candidates, one key after the other, and keep the best so far."""
        kind = self.options.score
        best = self._trial({})
        for key, values in self.options.scan.items():
            settings = [{**best.settings, key: value} for value in values]
            trials = [best, *filter(None, map(self._candidate, settings))]
            best = min(trials, key=lambda trial: trial.score(kind))
        given = self.given
        assert given is not None
        if best.score(kind) > given.score(kind):
            self.note(
                "held-out errors are larger than with the given sigmas and deltas: the "
                "likelihood disagrees with them; look at both before you use the result"
            )
        warnings = tuple(dict.fromkeys(self.notes))
        return Tuning(best.config, given, best, tuple(self.trials.values()), warnings)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def _candidate(self, settings: dict[str, Any]) -> Trial | None:
        """Return the trial of some settings; None, and a note, if it cannot be made."""
        try:
            return self._trial(settings)
        except GapfitError as error:
            words = ", ".join(f"{key} = {value}" for key, value in settings.items())
            self.note(f"{words} could not be tried: {error}")
            return None

    def _trial(self, settings: dict[str, Any]) -> Trial:
        config = with_settings(self.config, settings)
        key = config.model_dump_json()
        if key not in self.trials:
            self.trials[key] = self._tried(settings, config)
        return self.trials[key]

    def _tried(self, settings: dict[str, Any], config: FitConfig) -> Trial:
        # Numbers of points that are scanned are tried as they are.
        scanned = any(key.endswith("n_sparse") for key in self.options.scan)
        share = 1.0 if scanned else self.options.share
        fewer = with_fewer_points(config, share, _FEW_POINTS)
        sums = TrialSums(self.prepared, fewer, self.options, self.notes, self.progress)
        trials = sums.trials
        ones = Scales(np.ones(len(sums.terms)), np.ones(len(trials.totals)))
        # The choice comes before trials that change the jitter.
        if self.given is None and trials.suits(ones):
            self._judge_given(trials, ones)
        tuned, chosen = sums.chosen()
        if self.given is None:
            self._judge_given(trials, ones)
        return _as_trial(settings, refined(config, tuned), chosen)

    def _judge_given(self, trials: FollowedJitter, ones: Scales) -> None:
        self.given = _as_trial({}, self.config, trials.judged(ones))
        self._check_targets(self.given.held_out)

    def _check_targets(self, errors: HeldOut) -> None:
        """Refuse a score without targets; note the sigmas that are not tuned."""
        kind = self.options.score
        if kind != "evidence" and np.isnan(score(kind, errors)):
            raise GapfitError(
                f'[tune] score = "{kind}": the data have no such targets to hold out; '
                "choose another score"
            )
        fixed = Counter(
            quantity
            for frame in self.prepared.given
            for quantity in Quantity
            if class_of(frame, quantity, set()) == FRAME_SIGMA
        )
        for quantity in Quantity:
            if fixed[quantity]:
                self.note(
                    f"{fixed[quantity]} of {len(self.prepared.given)} frames bring a sigma "
                    f"of the {quantity}: these sigmas stay"
                )


def _as_trial(
    settings: dict[str, Any], config: FitConfig, choice: ScoredScales
) -> Trial:
    value, errors = choice.log_marginal_likelihood, choice.held_out
    return Trial(settings, config, value, errors)
