"""Deltas, powers and sigmas from Gram matrices: evidence, and errors of held-out frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from gapfit.errors import LostDigitsError
from gapfit.gp.evidence import HeldOut, Scales, held_out, log_evidence
from gapfit.gp.evidence_search import by_evidence
from gapfit.gp.fold_grams import FoldGrams
from gapfit.gp.freedom import Freedom
from gapfit.gp.normal_equations import NormalEquations

__all__ = [
    "NEARBY",
    "N_STEPS",
    "SAME",
    "THOROUGH",
    "Ratios",
    "ScoredScales",
    "choose",
    "judge",
    "score",
]


class Ratios(NamedTuple):
    """Ratios of sigma_energy that are tried, beside 1.

    Attributes
    ----------
    up, down : tuple of float
        Tried in turn, each starting from the deltas and sigmas that suit the one before.
    around : tuple of float
        Then ratios to the best of these.
    """

    up: tuple[float, ...]
    down: tuple[float, ...]
    around: tuple[float, ...]


#: Where nothing is known of sigma_energy, where a good value is, and where it stays.
THOROUGH = Ratios((3.0, 10.0, 30.0), (0.33, 0.1, 0.033), (0.55, 1.8))
NEARBY = Ratios((2.0,), (0.5,), ())
SAME = Ratios((), (), ())
#: How often `choose` reports at most.
N_STEPS = 10


@dataclass(frozen=True, eq=False)
class ScoredScales:
    """Deltas and sigmas, with their evidence and held-out errors.

    Attributes
    ----------
    scales : Scales
        Ratios of deltas and sigmas.
    log_marginal_likelihood : float
        That of the targets with these deltas and sigmas.
    held_out : HeldOut
        Errors of held-out frames with these.
    """

    scales: Scales
    log_marginal_likelihood: float
    held_out: HeldOut


def judge(
    grams: FoldGrams, totals: Sequence[NormalEquations], scales: Scales
) -> ScoredScales:
    """Return the evidence and the held-out errors of deltas and sigmas.

    Raises
    ------
    LostDigitsError
        The sigmas are too small for the arithmetic.
    """
    value = log_evidence(totals, grams.columns, scales).value
    return ScoredScales(scales, value, held_out(grams, totals, scales))


def choose(
    grams: FoldGrams,
    totals: Sequence[NormalEquations],
    freedom: Freedom,
    tick: Callable[[], None] = lambda: None,
    ratios: Ratios = THOROUGH,
) -> ScoredScales:
    """Return the best deltas, powers and sigmas.

    For each of several sigmas of energies, deltas, powers and the sigmas of forces and
    virials maximise the log marginal likelihood. It misjudges sigma_energy where forces
    are far more numerous, so errors of held-out frames choose that one, see `score`.

    Parameters
    ----------
    grams : FoldGrams
        All groups, by fold.
    totals : sequence of NormalEquations
        `FoldGrams.totals` of them.
    freedom : Freedom
        Deltas and sigmas that may be chosen.
    tick : callable
        Called up to `N_STEPS` times.
    ratios : Ratios
        Those of sigma_energy that are tried.

    Raises
    ------
    LostDigitsError
        The given sigmas are too small for the arithmetic.
    """
    start = Scales(np.ones(len(grams.columns.terms)), np.ones(len(totals)))
    free = np.array(freedom.energy)
    first = judge(grams, totals, by_evidence(totals, grams.columns, start, freedom))
    tick()
    if not free.any() or not np.isfinite(score(freedom.score, first.held_out)):
        return first

    def trials(tried: Sequence[float], origin: ScoredScales) -> Iterator[ScoredScales]:
        """Yield the best scales for each ratio, each search starting from the last."""
        scales = origin.scales
        within = [freedom.energy_limits.clipped(ratio) for ratio in tried]
        for ratio in dict.fromkeys(within):
            if ratio == scales.sigma[free][0]:  # tried already, at a limit
                continue
            scales = replace(scales, sigma=np.where(free, ratio, scales.sigma))
            try:
                scales = by_evidence(totals, grams.columns, scales, freedom)
                yield judge(grams, totals, scales)
            except LostDigitsError:
                return
            finally:
                tick()

    tried = [first, *trials(ratios.up, first), *trials(ratios.down, first)]
    best = min(tried, key=lambda trial: score(freedom.score, trial.held_out))
    factor = float(best.scales.sigma[free][0])
    for change in ratios.around:
        tried += trials([factor * change], best)
    return min(tried, key=lambda trial: score(freedom.score, trial.held_out))


def score(kind: str, errors: HeldOut) -> float:
    """Return the number that choices minimise: an error, or the geometric mean of two.

    Energies may gain a lot from a sigma that costs forces little, in units that cannot
    be compared: their product counts relative gains and losses alike. NaN without errors.
    """
    by_kind = {"energy": errors.energy_mae, "forces": errors.forces_rmse}
    counted = [by_kind[kind]] if kind in by_kind else list(by_kind.values())
    values = np.array([error for error in counted if not np.isnan(error)])
    if not len(values):
        return np.nan
    return float(np.exp(np.log(np.maximum(values, 1e-12)).mean()))
