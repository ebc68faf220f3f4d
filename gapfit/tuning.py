"""Hyperparameters from the training data: evidence, held-out errors and scans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gapfit.assembly import KINDS
from gapfit.config import FitConfig, OptimizeConfig, SigmaOverride
from gapfit.dataset import Dataset
from gapfit.evidence import HeldOut, Scales
from gapfit.fitting import (
    Progress,
    as_config,
    as_dataset,
    prepare,
    silent,
    sparse_terms,
    whitened,
)
from gapfit.folds import MIN_FRAMES, OWN, POOL, affordable_folds, fill
from gapfit.frame import Frame
from gapfit.grams import GramSet, Group
from gapfit.hyperparameters import N_STEPS, Freedom, choose, score
from gapfit.scan import check_scan, with_settings

__all__ = ["Trial", "Tuning", "format_trials", "tune"]


@dataclass(frozen=True)
class Trial:
    """One candidate with the hyperparameters chosen for it.

    Attributes
    ----------
    settings : dict of str to value
        Scanned keys and the values tried.
    config : FitConfig
        The configuration with all that was chosen, without ``[optimize]``.
    log_marginal_likelihood : float
        At the chosen values.
    held_out : HeldOut
        Errors of frames left out of the fit that predicts them.
    """

    settings: dict[str, Any]
    config: FitConfig
    log_marginal_likelihood: float
    held_out: HeldOut

    def score(self, kind: str) -> float:
        """Return what a scan minimises; see `gapfit.config.OptimizeConfig`."""
        if kind == "evidence":
            return -self.log_marginal_likelihood
        return score(kind, self.held_out)


@dataclass(frozen=True)
class Tuning:
    """Result of `tune`.

    Attributes
    ----------
    config : FitConfig
        The best configuration, without ``[optimize]``: ready to fit.
    best : Trial
        Where it comes from.
    trials : tuple of Trial
        All, in the order in which they were tried.
    warnings : tuple of str
        What the user should know.
    """

    config: FitConfig
    best: Trial
    trials: tuple[Trial, ...]
    warnings: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        """Return the trials as plain data."""
        return {
            "best": self.trials.index(self.best),
            "trials": [_plain(trial) for trial in self.trials],
        }


def _plain(trial: Trial) -> dict[str, Any]:
    return {
        "settings": trial.settings,
        "delta": [term.delta for term in trial.config.terms],
        "sigma": trial.config.sigma.model_dump(mode="json"),
        "log_marginal_likelihood": trial.log_marginal_likelihood,
        "energy_mae": trial.held_out.energy_mae,
        "energy_rmse": trial.held_out.energy_rmse,
        "forces_rmse": trial.held_out.forces_rmse,
    }


def tune(
    frames: Any = None,
    config: FitConfig | Mapping[str, Any] | str | Path | None = None,
    *,
    progress: Progress | None = None,
    base: Path | None = None,
) -> Tuning:
    """Choose deltas, sigmas and scanned values from the training data alone.

    Deltas and the sigmas of forces and virials maximise the log marginal likelihood;
    sigma.energy minimises the errors of held-out frames. Both need one pass over the
    data for each candidate of ``optimize.scan``, none for a sigma or delta.

    Parameters
    ----------
    frames, config, progress, base
        As for `gapfit.fit`. What is chosen stands in ``[optimize]``; without that table
        all sigmas and deltas are.

    Returns
    -------
    Tuning
        The best configuration and all trials. The same input gives the same result.

    Raises
    ------
    ConfigError, DataError
        What is wrong, where, and what to do.
    """
    from threadpoolctl import threadpool_limits

    from gapfit.threads import use_threads

    settings = as_config(config, frames)
    if base is None and isinstance(config, str | Path):
        base = Path(config).parent
    check_scan(settings)
    dataset = as_dataset(frames, settings, base)
    n_threads = settings.run.threads or None
    with threadpool_limits(limits=n_threads), use_threads(n_threads):
        return _Tuner(dataset, settings, progress or silent, base or Path()).run()


class _Tuner:
    """What the trials of one call share."""

    def __init__(
        self, dataset: Dataset, config: FitConfig, progress: Progress, base: Path
    ) -> None:
        self.dataset = dataset
        self.options = config.optimize or OptimizeConfig()
        self.config = config.model_copy(update={"optimize": None})
        self.progress = progress
        self.notes: list[str] = []
        self.prepared = prepare(dataset, self.config, self.notes, progress, base)
        self.trials: dict[tuple[tuple[str, Any], ...], Trial] = {}

    def run(self) -> Tuning:
        """Try all candidates, one key after the other, and keep the best value of each."""
        best = None if self.options.scan else self._trial({})
        for key, values in self.options.scan.items():
            so_far = best.settings if best else {}
            trials = [self._trial({**so_far, key: value}) for value in values]
            best = min(trials, key=lambda trial: trial.score(self.options.score))
        assert best is not None
        warnings = tuple(dict.fromkeys([*self.dataset.warnings, *self.notes]))
        return Tuning(best.config, best, tuple(self.trials.values()), warnings)

    def _trial(self, settings: dict[str, Any]) -> Trial:
        key = tuple(settings.items())
        if key not in self.trials:
            self.trials[key] = self._tried(settings)
        return self.trials[key]

    def _tried(self, settings: dict[str, Any]) -> Trial:
        config = with_settings(self.config, settings)
        frames, notes = self.prepared.frames, self.notes
        terms = sparse_terms(self.prepared, config, notes, self.progress)
        whitening = whitened(terms, config, notes)
        options = self._options(config, whitening.n_sparse)
        grams = fill(self.prepared, terms, whitening, config, options, self.progress)
        steps = iter(range(1, N_STEPS + 1))
        self.progress("hyperparameters", 0, N_STEPS)
        chosen = choose(
            grams,
            _freedom(grams, frames, self.options),
            lambda: self.progress("hyperparameters", next(steps), N_STEPS),
        )
        return Trial(
            settings,
            _tuned(config, grams, chosen.scales),
            chosen.log_marginal_likelihood,
            chosen.held_out,
        )

    def _options(self, config: FitConfig, n_sparse: int) -> OptimizeConfig:
        """Return the options with as many folds as the memory holds."""
        frames, options = self.prepared.frames, self.options
        folds = affordable_folds(frames, config, options, n_sparse)
        if folds < min(options.folds, len(frames)):
            self.notes.append(
                f"{n_sparse} sparse points: {folds} folds instead of {options.folds}, "
                f"for the Gram matrices must fit into run.memory = {config.run.memory}"
            )
        return options.model_copy(update={"folds": folds})


def _freedom(
    grams: GramSet, frames: Sequence[Frame], options: OptimizeConfig
) -> Freedom:
    """Return what may be chosen: one factor for each kind, or for each class."""
    counts = Counter(frame.config_type for frame in frames)
    parameters: dict[Group, int] = {}
    sigma: list[int | None] = []
    for kind, name in grams.groups:
        if name == OWN or kind == "energy" or not getattr(options, kind):
            sigma.append(None)
            continue
        alone = options.by_config_type and counts[name] >= MIN_FRAMES
        shared = (kind, name if alone else POOL)
        sigma.append(parameters.setdefault(shared, len(parameters)))
    energy = [
        kind == "energy" and name != OWN and options.energy
        for kind, name in grams.groups
    ]
    return Freedom(
        (options.delta,) * len(grams.columns),
        tuple(sigma),
        tuple(energy),
        options.score,
    )


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def _tuned(config: FitConfig, grams: GramSet, scales: Scales) -> FitConfig:
    """Return the configuration with deltas and sigmas multiplied by their factors."""
    terms = [
        term.model_copy(update={"delta": _rounded(term.delta * factor)})
        for term, factor in zip(config.terms, scales.delta, strict=True)
    ]
    sigma = config.sigma
    factors = dict(zip(grams.groups, scales.sigma.tolist(), strict=True))
    apart = {name for _, name in factors} - {OWN, POOL}

    def scaled(kind: str, name: str) -> float:
        """Return the sigma of a class, moved as the pool is where it has no rows."""
        override = sigma.config_types.get(name)
        given = getattr(override, kind, None) or getattr(sigma, kind)
        return _rounded(
            given * factors.get((kind, name), factors.get((kind, POOL), 1.0))
        )

    overrides = {
        name: SigmaOverride(**{kind: scaled(kind, name) for kind in KINDS})
        for name in sorted(apart | set(sigma.config_types))
    }
    moved = {kind: scaled(kind, POOL) for kind in KINDS}
    return config.model_copy(
        update={
            "terms": terms,
            "sigma": sigma.model_copy(update={**moved, "config_types": overrides}),
        }
    )


def format_trials(tuning: Tuning) -> str:
    """Return the trials as a table; the best is marked."""
    header = (
        "",
        "settings",
        "log evidence",
        "E, meV/atom",
        "F, eV/Å",
        "sigmas",
        "deltas",
    )
    rows = [header]
    for trial in tuning.trials:
        sigma = trial.config.sigma
        rows.append(
            (
                "*" if trial is tuning.best else "",
                ", ".join(f"{k} = {v}" for k, v in trial.settings.items())
                or "as given",
                f"{trial.log_marginal_likelihood:.1f}",
                f"{1000 * trial.held_out.energy_mae:.2f}",
                f"{trial.held_out.forces_rmse:.4f}",
                f"{sigma.energy:g} / {sigma.forces:g} / {sigma.virial:g}",
                " / ".join(f"{term.delta:g}" for term in trial.config.terms),
            )
        )
    widths = [max(len(row[n]) for row in rows) for n in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    )
