"""The largest log marginal likelihood, over deltas, powers and sigmas within limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import minimize

from gapfit.errors import LostDigitsError
from gapfit.gp.columns import Columns
from gapfit.gp.evidence import Evidence, Scales, log_evidence
from gapfit.gp.freedom import WIDE, Freedom, Leash, Limits
from gapfit.gp.normal_equations import NormalEquations

__all__ = ["by_evidence", "held"]

# How often deltas are held, and the change of the sigma of their leash that ends this.
_ROUNDS, _NEAR = 5, 0.02
# Relative gain of a step that ends the search: a thousandth of what tells models apart.
_FLAT = 1e-6


def by_evidence(
    totals: Sequence[NormalEquations],
    columns: Columns,
    start: Scales,
    freedom: Freedom,
) -> Scales:
    """Return the scales that maximise the log marginal likelihood.

    Deltas are held to what the sigma of their leash allows, and all else is chosen; with
    the new sigma once more, until that stays.

    Parameters
    ----------
    totals : sequence of NormalEquations
        Sums over the data, one for each group.
    columns : Columns
        Columns of each term.
    start : Scales
        Where the search begins; what is not free stays.
    freedom : Freedom
        Deltas, powers and sigmas that may be chosen.

    Raises
    ------
    LostDigitsError
        The sigmas at the start are too small for the arithmetic.
    """
    leash = freedom.leash
    if leash is None:
        return _maximised(totals, columns, start, freedom)
    best, sigma = start, float(start.sigma[leash.group])
    for _ in range(_ROUNDS):
        within = replace(freedom, delta=held(freedom.delta, leash, sigma))
        best = _maximised(totals, columns, best, within)
        before, sigma = sigma, float(best.sigma[leash.group])
        ratios = best.delta / (np.array(leash.most) * min(before, sigma))
        free = [limits is not None for limits in freedom.delta]
        is_held = bool((ratios[free] > 1 - _NEAR).any())
        if not is_held or abs(sigma / before - 1) < _NEAR:
            break
    return best


def held(
    deltas: Sequence[Limits | None], leash: Leash, sigma: float
) -> tuple[Limits | None, ...]:
    """Return the limits of deltas where the sigma of their leash has this ratio."""
    return tuple(
        limits and Limits(min(limits.low, most * sigma), min(limits.high, most * sigma))
        for limits, most in zip(deltas, leash.most, strict=True)
    )


def _maximised(
    totals: Sequence[NormalEquations],
    columns: Columns,
    start: Scales,
    freedom: Freedom,
) -> Scales:
    parameters = _Parameters(start, freedom)
    if not len(parameters.bounds):
        return start
    worst = 1e300

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal worst
        try:
            evidence = log_evidence(totals, columns, parameters.scales(x))
        except LostDigitsError:  # out of reach of the arithmetic: turn back
            return worst, np.zeros(len(x))
        if worst == 1e300:
            worst = -evidence.value + abs(evidence.value) + 1e6
        return -evidence.value, -parameters.slopes(evidence)

    best = minimize(
        objective,
        np.clip(parameters.start, *np.transpose(parameters.bounds)),
        jac=True,
        method="L-BFGS-B",
        bounds=parameters.bounds,
        options={"maxiter": 60, "ftol": _FLAT, "gtol": 1e-2},
    )
    return parameters.scales(best.x)


class _Parameters:
    """Free parameters as a vector.

    Logarithms of ratios of deltas, changes of powers, logarithms of ratios of sigmas.

    Attributes
    ----------
    start : (n,) float64
        Their first values.
    bounds : (n, 2) float64
        Least and largest of each.
    """

    def __init__(self, first: Scales, freedom: Freedom) -> None:
        self.first = first
        self.terms = [n for n, limits in enumerate(freedom.delta) if limits]
        self.powers = sorted(freedom.powers)
        numbers = sorted({n for n in freedom.sigma if n is not None})
        self.groups = [
            [g for g, shared in enumerate(freedom.sigma) if shared == n]
            for n in numbers
        ]
        self.start = np.concatenate(
            [
                np.log(first.delta[self.terms]),
                [first.powers.get(n, 0.0) for n in self.powers],
                np.log([first.sigma[members[0]] for members in self.groups]),
            ]
        )
        deltas = [limits for limits in freedom.delta if limits]
        sigmas = [freedom.sigma_limits.get(n, WIDE) for n in numbers]
        self.bounds = np.concatenate(
            [
                np.log(deltas).reshape(-1, 2),
                np.array([freedom.powers[n] for n in self.powers]).reshape(-1, 2),
                np.log(sigmas).reshape(-1, 2),
            ]
        )

    def scales(self, x: np.ndarray) -> Scales:
        """Return the scales of a vector."""
        delta, sigma = self.first.delta.copy(), self.first.sigma.copy()
        deltas, powers, sigmas = np.split(
            x, np.cumsum([len(self.terms), len(self.powers)])
        )
        delta[self.terms] = np.exp(deltas)
        for members, value in zip(self.groups, sigmas, strict=True):
            sigma[members] = np.exp(value)
        changes = dict(zip(self.powers, powers.tolist(), strict=True))
        return Scales(delta, sigma, {**self.first.powers, **changes})

    def slopes(self, evidence: Evidence) -> np.ndarray:
        """Return the derivatives of the evidence by the vector, (n,)."""
        return np.concatenate(
            [
                evidence.delta[self.terms],
                [evidence.powers[n] for n in self.powers],
                [evidence.sigma[members].sum() for members in self.groups],
            ]
        )
