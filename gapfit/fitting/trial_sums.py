"""Sums of one trial configuration, and the deltas and sigmas that suit it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gapfit._support.progress import Progress
from gapfit.config.sections import FitConfig, SigmaOverride, TuneConfig
from gapfit.data.observations import Quantity
from gapfit.fitting.folds import affordable_folds, fill
from gapfit.fitting.prepare import Prepared, sparse_terms, whitened
from gapfit.fitting.tune_limits import FIXED, freedom_of, limit_notes
from gapfit.gp.evidence import Scales
from gapfit.gp.fold_grams import FoldGrams
from gapfit.gp.followed_jitter import FollowedJitter
from gapfit.gp.hyperparameters import N_STEPS, THOROUGH, Ratios, ScoredScales
from gapfit.model.observation_groups import DEFAULT
from gapfit.model.terms import FittedTerm

__all__ = ["TrialSums"]


class TrialSums:
    """The sums of a configuration by group and fold, from which its scales are chosen.

    Parameters
    ----------
    prepared : Prepared
        Frames and baselines.
    config : FitConfig
        The configuration, without ``[tune]``.
    options : TuneConfig
        What is chosen, and the folds.
    notes : list of str
        Warnings are added to it.
    progress : callable
        Called as ``progress(stage, done, total)``.

    Attributes
    ----------
    terms : list of FittedTerm
        With sparse points, without coefficients.
    trials : FollowedJitter
        The sums, with the jitter of the last trial.
    """

    def __init__(
        self,
        prepared: Prepared,
        config: FitConfig,
        options: TuneConfig,
        notes: list[str],
        progress: Progress,
    ) -> None:
        self.config, self.options = config, options
        self._notes, self._progress = notes, progress
        self.terms: Sequence[FittedTerm] = sparse_terms(
            prepared, config, notes, progress
        )
        whitening = whitened(self.terms, config, notes)
        fewer = self._affordable(prepared, whitening.n_sparse)
        grams = fill(prepared, self.terms, whitening, config, fewer, progress)
        self.trials = FollowedJitter(grams)

    def chosen(self, ratios: Ratios = THOROUGH) -> tuple[FitConfig, ScoredScales]:
        """Return the configuration with the best deltas and sigmas, and what they give.

        Parameters
        ----------
        ratios : Ratios
            Those of sigma.energy that are tried.
        """
        trials, progress = self.trials, self._progress
        freedom = freedom_of(self.config, self.options, trials.grams, trials.totals)
        n_steps = N_STEPS * (1 + len(freedom.powers))
        steps = iter(range(1, n_steps + 1))
        progress("hyperparameters", 0, n_steps)

        def tick() -> None:
            progress("hyperparameters", next(steps, n_steps), n_steps)

        choice = trials.chosen(freedom, tick, ratios)
        progress("hyperparameters", n_steps, n_steps)
        grams = trials.grams
        self._notes += limit_notes(self.config, freedom, choice.scales, grams)
        return _tuned(self.config, grams, choice.scales), choice

    def _affordable(self, prepared: Prepared, n_sparse: int) -> TuneConfig:
        """Return the options with as many folds as fit into memory."""
        options = self.options
        folds = affordable_folds(prepared, self.config, options, n_sparse)
        if folds < min(options.folds, len(prepared.frames)):
            self._notes.append(
                f"{n_sparse} sparse points: {folds} folds instead of {options.folds}, "
                "because the Gram matrices must fit into run.memory = "
                f"{self.config.run.memory}"
            )
        return options.model_copy(update={"folds": folds})


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def _tuned(config: FitConfig, grams: FoldGrams, scales: Scales) -> FitConfig:
    """Return the configuration with deltas and sigmas multiplied by their ratios.

    Powers by which priors fall are the smoothness of their terms. The fractions of forces
    and energies that sigmas grow by are parts of these.
    """
    falling = {part.term: part.power for part in grams.columns.falling}
    terms = []
    for n, (term, factor) in enumerate(zip(config.terms, scales.delta, strict=True)):
        changed = {"delta": _rounded(term.delta * factor)}
        if n in falling:
            power = falling[n] + scales.powers.get(n, 0.0)
            changed["smoothness"] = _rounded(power)
        terms.append(term.model_copy(update=changed))
    sigma = config.sigma
    ratios = dict(zip(grams.groups, scales.sigma.tolist(), strict=True))
    moved = {q: ratios.get((q, DEFAULT), 1.0) for q in Quantity}
    names = set(sigma.config_types) | {name for _, name in ratios} - {
        DEFAULT,
        *FIXED,
    }
    overrides = {}
    for name in sorted(names):
        given = sigma.config_types.get(name, SigmaOverride())
        values = {}
        for quantity in Quantity:
            override = getattr(given, quantity)
            factor = ratios.get((quantity, name), moved[quantity])
            if override is not None or factor != moved[quantity]:
                old = override or getattr(sigma, quantity)
                values[str(quantity)] = _rounded(old * factor)
        if values:
            overrides[name] = SigmaOverride(**values)
    update: dict[str, Any] = {
        str(q): _rounded(getattr(sigma, q) * moved[q]) for q in Quantity
    }
    for quantity in (Quantity.ENERGY, Quantity.FORCES):
        name = f"{quantity}_relative"
        update[name] = min(_rounded(getattr(sigma, name) * moved[quantity]), 1.0)
    update["config_types"] = overrides
    return config.model_copy(
        update={"terms": terms, "sigma": sigma.model_copy(update=update)}
    )
