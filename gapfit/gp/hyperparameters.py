"""Deltas and sigmas from Gram matrices: evidence, and errors of held-out frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize

from gapfit.errors import GapfitError
from gapfit.gp.evidence import HeldOut, Scales, held_out, log_evidence
from gapfit.gp.fold_grams import FoldGrams
from gapfit.gp.normal_equations import NormalEquations

__all__ = ["MOST", "N_STEPS", "Choice", "Freedom", "choose", "judge", "score"]

#: Largest change of a delta or of a sigma.
MOST = 1000.0
#: Ratios of sigma.energy: those that are tried in turn, upwards and downwards, each
#: from the deltas and sigmas that suit the one before; then those around the best.
_TRIED = ((1.0, 3.0, 10.0, 30.0), (0.33, 0.1, 0.033))
_AROUND = (0.55, 1.8)
#: How often `choose` reports at most.
N_STEPS = 10


@dataclass(frozen=True)
class Freedom:
    """What may be chosen.

    Attributes
    ----------
    delta : tuple of bool
        By term.
    sigma : tuple of (int or None)
        By group, the number of the parameter that the evidence chooses; groups of one
        number share their factor. None: fixed.
    energy : tuple of bool
        By group, whether errors of held-out frames choose its sigma.
    score : {"both", "energy", "forces", "evidence"}
        Which errors choose them; "evidence" counts as "both".
    """

    delta: tuple[bool, ...]
    sigma: tuple[int | None, ...]
    energy: tuple[bool, ...]
    score: str


@dataclass(frozen=True, eq=False)
class Choice:
    """Deltas and sigmas, and how good they are.

    Attributes
    ----------
    scales : Scales
        Ratios of deltas and sigmas.
    log_marginal_likelihood : float
        There.
    held_out : HeldOut
        Errors of held-out frames there.
    """

    scales: Scales
    log_marginal_likelihood: float
    held_out: HeldOut


def judge(
    grams: FoldGrams, totals: Sequence[NormalEquations], scales: Scales
) -> Choice:
    """Return how good some deltas and sigmas are.

    Raises
    ------
    GapfitError
        The sigmas are too small for the arithmetic.
    """
    try:
        value = log_evidence(totals, grams.columns, scales).value
        return Choice(scales, value, held_out(grams, totals, scales))
    except np.linalg.LinAlgError as error:
        raise GapfitError(
            "the sigmas are so small that the normal equations lose all digits "
            f"({error}); begin with larger sigmas or a larger solver.jitter"
        ) from error


def choose(
    grams: FoldGrams,
    totals: Sequence[NormalEquations],
    freedom: Freedom,
    tick: Callable[[], None] = lambda: None,
) -> Choice:
    """Return the best deltas and sigmas.

    For each of some sigmas of energies, deltas and the sigmas of forces and virials
    maximise the log marginal likelihood; it misjudges sigma_energy where forces are many
    more, so errors of held-out frames choose that one, see `score`.

    Parameters
    ----------
    grams : FoldGrams
        All groups, by fold.
    totals : sequence of NormalEquations
        `FoldGrams.totals` of them.
    freedom : Freedom
        What may be chosen.
    tick : callable
        Called up to `N_STEPS` times.

    Raises
    ------
    GapfitError
        The given sigmas are too small for the arithmetic.
    """
    start = Scales(np.ones(len(grams.columns)), np.ones(len(totals)))
    free = np.array(freedom.energy)
    first = judge(grams, totals, _by_evidence(totals, grams.columns, start, freedom))
    tick()
    if not free.any() or not np.isfinite(score(freedom.score, first.held_out)):
        return first

    def trials(ratios: Sequence[float], origin: Choice) -> Iterator[Choice]:
        """Yield what suits each ratio of sigma_energy, beginning with the last one."""
        scales = origin.scales
        for ratio in ratios:
            scales = replace(scales, sigma=np.where(free, ratio, scales.sigma))
            try:
                scales = _by_evidence(totals, grams.columns, scales, freedom)
                yield judge(grams, totals, scales)
            except GapfitError:
                return
            finally:
                tick()

    up, down = _TRIED
    tried = [first, *trials(up[1:], first), *trials(down, first)]
    best = min(tried, key=lambda trial: score(freedom.score, trial.held_out))
    factor = float(best.scales.sigma[free][0])
    for change in _AROUND:
        tried += trials([factor * change], best)
    return min(tried, key=lambda trial: score(freedom.score, trial.held_out))


def score(kind: str, errors: HeldOut) -> float:
    """Return what choices minimise: an error, or the geometric mean of two.

    Energies may gain a lot from a sigma that costs forces little, in units that cannot
    be compared: their product counts relative gains and losses alike. NaN without any.
    """
    known = {"energy": errors.energy_mae, "forces": errors.forces_rmse}
    wanted = [known[kind]] if kind in known else list(known.values())
    there = np.array([error for error in wanted if not np.isnan(error)])
    return (
        float(np.exp(np.log(np.maximum(there, 1e-12)).mean())) if len(there) else np.nan
    )


def _by_evidence(
    totals: Sequence[NormalEquations],
    columns: Sequence[slice],
    start: Scales,
    freedom: Freedom,
) -> Scales:
    """Maximise the log marginal likelihood over the logarithms of what is free."""
    terms = np.flatnonzero(freedom.delta)
    groups = [
        [g for g, p in enumerate(freedom.sigma) if p == n] for n in _shared(freedom)
    ]
    if not len(terms) and not groups:
        return start
    x0 = np.log([*start.delta[terms], *(start.sigma[own[0]] for own in groups)])

    def moved(x: np.ndarray) -> Scales:
        delta, sigma = start.delta.copy(), start.sigma.copy()
        delta[terms] = np.exp(x[: len(terms)])
        for own, value in zip(groups, x[len(terms) :], strict=True):
            sigma[own] = np.exp(value)
        return Scales(delta, sigma)

    worst = 1e300

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal worst
        try:
            found = log_evidence(totals, columns, moved(x))
        except np.linalg.LinAlgError:  # out of reach of the arithmetic: turn back
            return worst, np.zeros(len(x))
        if worst == 1e300:
            worst = -found.value + abs(found.value) + 1e6
        sigmas = np.array([found.sigma[own].sum() for own in groups])
        return -found.value, -np.concatenate([found.delta[terms], sigmas])

    limit = np.log(MOST)
    best = minimize(
        objective,
        np.clip(x0, -limit, limit),
        jac=True,
        method="L-BFGS-B",
        bounds=[(-limit, limit)] * len(x0),
        options={"maxiter": 60, "ftol": 1e-10, "gtol": 1e-2},
    )
    return moved(best.x)


def _shared(freedom: Freedom) -> list[int]:
    """Return the numbers of the parameters that sigmas share."""
    return sorted({number for number in freedom.sigma if number is not None})
