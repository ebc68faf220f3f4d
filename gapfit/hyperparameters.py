"""Deltas and sigmas from Gram matrices: evidence, and held-out energies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize

from gapfit.errors import GapfitError
from gapfit.evidence import HeldOut, Scales, held_out, log_evidence
from gapfit.grams import Gram, GramSet

__all__ = ["N_STEPS", "Choice", "Freedom", "choose", "score"]

#: How often `choose` reports.
N_STEPS = 4

#: Largest change of a delta or sigma in one of the two turns.
_MOST = 30.0
#: Factors on sigma_energy that are tried, then those around the best.
_COARSE = np.geomspace(1 / 32, 32, 11)
_FINE = np.array([0.6, 0.8, 1.0, 1.25, 1.6])


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
        By group, whether the errors of held-out energies choose its sigma.
    score : {"both", "energy", "forces", "evidence"}
        Which errors choose them; "evidence" counts as "both".
    """

    delta: tuple[bool, ...]
    sigma: tuple[int | None, ...]
    energy: tuple[bool, ...]
    score: str


@dataclass(frozen=True, eq=False)
class Choice:
    """What was chosen, and how good it is.

    Attributes
    ----------
    scales : Scales
        Factors on deltas and sigmas.
    log_marginal_likelihood : float
        There.
    held_out : HeldOut
        Errors of held-out frames there.
    """

    scales: Scales
    log_marginal_likelihood: float
    held_out: HeldOut


def choose(
    grams: GramSet, freedom: Freedom, tick: Callable[[], None] = lambda: None
) -> Choice:
    """Return the best deltas and sigmas.

    The log marginal likelihood chooses deltas and the sigmas of forces and virials; it
    misjudges sigma_energy where forces are many more, so that one is chosen by errors of
    held-out frames, see `score`. The two take turns.

    Parameters
    ----------
    grams : GramSet
        All groups, by fold.
    freedom : Freedom
        What may be chosen.
    tick : callable
        Called after each of `N_STEPS` steps.

    Raises
    ------
    GapfitError
        The given sigmas are too small for the arithmetic.
    """
    totals = grams.totals()
    scales = Scales(np.ones(len(grams.columns)), np.ones(len(totals)))
    try:
        for factors in (_COARSE, _FINE):
            scales = _by_evidence(totals, grams.columns, scales, freedom)
            tick()
            if any(freedom.energy):
                scales = _by_held_out(grams, totals, scales, freedom, factors)
            tick()
        value = log_evidence(totals, grams.columns, scales).value
        return Choice(scales, value, held_out(grams, totals, scales))
    except np.linalg.LinAlgError as error:
        raise GapfitError(
            "the given sigmas are so small that the normal equations lose all digits "
            f"({error}); begin with larger sigmas or a larger solver.jitter"
        ) from error


def _by_evidence(
    totals: Sequence[Gram], columns: Sequence[slice], scales: Scales, freedom: Freedom
) -> Scales:
    """Maximise the log marginal likelihood over the logarithms of what is free."""
    terms = np.flatnonzero(freedom.delta)
    n_shared = max((p + 1 for p in freedom.sigma if p is not None), default=0)
    if not len(terms) and not n_shared:
        return scales

    def moved(x: np.ndarray) -> Scales:
        delta, sigma = scales.delta.copy(), scales.sigma.copy()
        delta[terms] *= np.exp(x[: len(terms)])
        for group, shared in enumerate(freedom.sigma):
            if shared is not None:
                sigma[group] *= np.exp(x[len(terms) + shared])
        return Scales(delta, sigma)

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        try:
            found = log_evidence(totals, columns, moved(x))
        except np.linalg.LinAlgError:  # out of reach of the arithmetic: turn back
            return worst, np.zeros(len(x))
        slopes = np.zeros(len(x))
        slopes[: len(terms)] = found.delta[terms]
        for group, shared in enumerate(freedom.sigma):
            if shared is not None:
                slopes[len(terms) + shared] += found.sigma[group]
        return -found.value, -slopes

    start = -log_evidence(totals, columns, scales).value
    worst = start + abs(start) + 1e6
    n = len(terms) + n_shared
    limit = np.log(_MOST)
    best = minimize(
        objective,
        np.zeros(n),
        jac=True,
        method="L-BFGS-B",
        bounds=[(-limit, limit)] * n,
        options={"maxiter": 60, "ftol": 1e-10, "gtol": 1e-2},
    )
    return moved(best.x)


def _by_held_out(
    grams: GramSet,
    totals: Sequence[Gram],
    scales: Scales,
    freedom: Freedom,
    factors: np.ndarray,
) -> Scales:
    """Choose sigma_energy by the errors of held-out frames."""
    free = np.array(freedom.energy)
    trials = [
        replace(scales, sigma=np.where(free, scales.sigma * f, scales.sigma))
        for f in factors
    ]
    scores = [_score(grams, totals, trial, freedom.score) for trial in trials]
    if not np.isfinite(scores).any():
        return scales
    return trials[int(np.argmin(scores))]


def _score(grams: GramSet, totals: Sequence[Gram], scales: Scales, kind: str) -> float:
    try:
        return score(kind, held_out(grams, totals, scales))
    except np.linalg.LinAlgError:  # sigmas out of reach of the arithmetic
        return np.inf


def score(kind: str, errors: HeldOut) -> float:
    """Return what choices minimise: an error, or the geometric mean of two.

    Energies may gain a lot from a sigma that costs forces little, in units that cannot
    be compared: their product counts relative gains and losses alike.
    """
    known = {"energy": errors.energy_mae, "forces": errors.forces_rmse}
    wanted = [known[kind]] if kind in known else list(known.values())
    there = np.array([error for error in wanted if not np.isnan(error)])
    return (
        float(np.exp(np.mean(np.log(np.maximum(there, 1e-12))))) if len(there) else 0.0
    )
