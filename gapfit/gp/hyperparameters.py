"""Deltas, powers and sigmas from Gram matrices: evidence, and errors of held-out frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from gapfit.errors import LostDigitsError
from gapfit.gp.columns import Columns
from gapfit.gp.evidence import HeldOut, Scales, held_out, log_evidence
from gapfit.gp.evidence_search import by_evidence, held
from gapfit.gp.fold_grams import FoldGrams
from gapfit.gp.freedom import WIDE, Freedom, Limits
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
        Tried in turn as long as errors fall, each starting from the deltas and sigmas that
        suit the one before.
    around : tuple of float
        Then steps from the best of these, as long as errors fall. Only with such steps is
        little tried of terms whose prior falls with a degree, which doubles the search.
    """

    up: tuple[float, ...]
    down: tuple[float, ...]
    around: tuple[float, ...]


#: Where nothing is known of sigma_energy, where a good value is, and where it stays.
THOROUGH = Ratios((3.0, 10.0, 30.0), (0.33, 0.1, 0.033), (0.55, 1.8))
NEARBY = Ratios((2.0,), (0.5,), ())
SAME = Ratios((), (), ())
#: How often `choose` reports, about: more often where many sigmas are lowered.
N_STEPS = 12
# Steps in one direction.
_MOST_STEPS = 4
# Steps of a delta from its lower limit.
_DELTA_STEP = 2.5


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
    virials maximise the log marginal likelihood. It misjudges the sigmas of energies and
    virials where forces are far more numerous, so errors of held-out frames choose among
    these, see `score`, and refine both. Where all may be multiplied by one factor, which
    changes no prediction, the given scales are among the candidates. So is little of a term
    whose prior falls with a degree.

    Parameters
    ----------
    grams : FoldGrams
        All groups, by fold.
    totals : sequence of NormalEquations
        `FoldGrams.totals` of them.
    freedom : Freedom
        Deltas and sigmas that may be chosen.
    tick : callable
        Called about `N_STEPS` times, and as often again for each term of
        `Freedom.powers`.
    ratios : Ratios
        Those of sigma_energy that are tried.

    Raises
    ------
    LostDigitsError
        The given sigmas are too small for the arithmetic.
    """
    start = Scales(np.ones(len(grams.columns.terms)), np.ones(len(totals)))
    best = _chosen(grams, totals, freedom, tick, ratios, start)
    if not ratios.around or not np.isfinite(score(freedom.score, best.held_out)):
        return best
    for term in freedom.powers:
        with suppress(LostDigitsError):
            less = _nearly_without(grams, totals, freedom, tick, ratios, term)
            best = min(best, less, key=lambda t: score(freedom.score, t.held_out))
    return best


def _chosen(
    grams: FoldGrams,
    totals: Sequence[NormalEquations],
    freedom: Freedom,
    tick: Callable[[], None],
    ratios: Ratios,
    start: Scales,
) -> ScoredScales:
    """Return the best scales of the searches from a start."""
    free = np.array(freedom.energy)
    first = judge(grams, totals, by_evidence(totals, grams.columns, start, freedom))
    tick()
    if not free.any() or not np.isfinite(score(freedom.score, first.held_out)):
        return first

    def error(trial: ScoredScales) -> float:
        return score(freedom.score, trial.held_out)

    def trials(tried: Sequence[float]) -> Iterator[ScoredScales]:
        """Yield the best scales for each ratio, each search starting from the last."""
        scales, least = first.scales, error(first)
        within = [freedom.energy_limits.clipped(ratio) for ratio in tried]
        for ratio in dict.fromkeys(within):
            if ratio == scales.sigma[free][0]:  # tried already, at a limit
                continue
            scales = replace(scales, sigma=np.where(free, ratio, scales.sigma))
            try:
                scales = by_evidence(totals, grams.columns, scales, freedom)
                trial = judge(grams, totals, scales)
            except LostDigitsError:
                return
            finally:
                tick()
            yield trial
            if error(trial) > least:
                return
            least = error(trial)

    tried = [first, *trials(ratios.up), *trials(ratios.down)]
    if freedom.rescales:
        with suppress(LostDigitsError):
            given = _rescaled(totals, grams.columns, start, freedom)
            tried.append(judge(grams, totals, given))
        tick()
    best = min(tried, key=error)
    for walk in _walks(freedom, ratios.around):
        best = _walked(grams, totals, best, freedom.score, walk)
        tick()
    return best


def _nearly_without(
    grams: FoldGrams,
    totals: Sequence[NormalEquations],
    freedom: Freedom,
    tick: Callable[[], None],
    ratios: Ratios,
    term: int,
) -> ScoredScales:
    """Return what suits the other terms, and as much of this one as lowers the errors.

    Many functions of a linear kernel fit a few frames exactly. Where sigmas of some are
    tight, the likelihood then takes more of them than other frames bear.
    """
    limits = freedom.delta[term]
    assert limits is not None
    members = np.arange(len(freedom.delta)) == term
    others = replace(
        freedom,
        delta=tuple(None if n == term else d for n, d in enumerate(freedom.delta)),
        powers={n: own for n, own in freedom.powers.items() if n != term},
        rescales=False,
    )
    start = Scales(np.where(members, limits.low, 1.0), np.ones(len(totals)))
    least = _chosen(grams, totals, others, tick, ratios, start)
    leash = freedom.leash
    if leash is not None:
        sigma = float(least.scales.sigma[leash.group])
        limits = held(freedom.delta, leash, sigma)[term] or limits
    walk = _Walk(True, members, limits, _DELTA_STEP)
    return _walked(grams, totals, least, freedom.score, walk)


def _rescaled(
    totals: Sequence[NormalEquations],
    columns: Columns,
    scales: Scales,
    freedom: Freedom,
) -> Scales:
    """Return the scales times the one factor, within limits, that the evidence asks for.

    With all deltas and sigmas times c the evidence is -½ Q/c² - n log c and a constant,
    and its derivative by log c at c = 1 is Q - n.
    """
    evidence = log_evidence(totals, columns, scales)
    n_rows = sum(gram.n_rows for gram in totals)
    slope = evidence.delta.sum() + evidence.sigma.sum()
    factor = float(np.sqrt(max(1.0 + slope / n_rows, 0.0)))
    moved = [n is not None for n in freedom.sigma] | np.array(freedom.energy)
    limits = [
        *freedom.delta,
        freedom.energy_limits,
        *(freedom.sigma_limits.get(n, WIDE) for n in freedom.sigma if n is not None),
    ]
    for limit in filter(None, limits):
        factor = limit.clipped(factor)
    return replace(
        scales,
        delta=factor * scales.delta,
        sigma=np.where(moved, factor, 1.0) * scales.sigma,
    )


@dataclass(frozen=True, eq=False)
class _Walk:
    """Steps of the ratio of a delta, or of sigmas that take them together.

    Attributes
    ----------
    of_delta : bool
        Whether it is a delta.
    members : (n_terms,) or (n_groups,) bool
        Which of them.
    limits : Limits
        Of the ratio.
    step : float
        Factor of one step.
    """

    of_delta: bool
    members: np.ndarray
    limits: Limits
    step: float

    def ratio(self, scales: Scales) -> float:
        """Return the ratio of the members."""
        values = scales.delta if self.of_delta else scales.sigma
        return float(values[self.members][0])

    def moved(self, scales: Scales, ratio: float) -> Scales:
        """Return the scales with another ratio of the members."""
        if self.of_delta:
            return replace(scales, delta=np.where(self.members, ratio, scales.delta))
        return replace(scales, sigma=np.where(self.members, ratio, scales.sigma))


def _walks(freedom: Freedom, steps: Sequence[float]) -> Iterator[_Walk]:
    """Yield the walks of sigmas.

    Sigmas beside that of energies only fall: errors of virials are not part of the score,
    and those of a potential that may neglect them run away.
    """
    for step in steps:
        yield _Walk(False, np.array(freedom.energy), freedom.energy_limits, step)
    for number in freedom.refined:
        members = np.array([n == number for n in freedom.sigma])
        limits = freedom.sigma_limits.get(number, WIDE)
        for step in steps:
            if step < 1:
                yield _Walk(False, members, limits, step)


def _walked(
    grams: FoldGrams,
    totals: Sequence[NormalEquations],
    best: ScoredScales,
    kind: str,
    walk: _Walk,
) -> ScoredScales:
    """Return where steps of a walk lead while errors fall."""
    for _ in range(_MOST_STEPS):
        before = walk.ratio(best.scales)
        ratio = walk.limits.clipped(walk.step * before)
        if ratio == before:
            break
        try:
            trial = judge(grams, totals, walk.moved(best.scales, ratio))
        except LostDigitsError:
            break
        if score(kind, trial.held_out) >= score(kind, best.held_out):
            break
        best = trial
    return best


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
