"""Solutions whose coefficients cancel each other less.

Where sparse points are nearly dependent, coefficients of opposite signs grow, and with
them the rounding of every prediction: eps |c| k for coefficients c and kernels up to k. A
larger jitter on K_mm takes weight from these directions. It acts on the sums: no pass over
the data is needed.
"""

from __future__ import annotations

import numpy as np

from gapfit.gp.raised_jitter import raised_jitter
from gapfit.gp.training_sums import TrainingSums
from gapfit.gp.whitening import Solution, Whitening

__all__ = ["MAX_CANCELLATION", "cancellation", "well_conditioned"]

#: Rounding of the energy of an atom that is accepted, eV.
MAX_CANCELLATION = 5e-10
#: Largest jitter that is tried for it.
_MAX_JITTER = 1e-5
_EPS = 2.0**-53


def well_conditioned(sums: TrainingSums) -> tuple[TrainingSums, Solution]:
    """Return sums with a jitter large enough, and their solution.

    Parameters
    ----------
    sums : TrainingSums
        Sums over the data; returned as they are if nothing needs to change, else used up.

    Raises
    ------
    LostDigitsError, GapfitError
        See `TrainingSums.solve`.
    """
    while True:
        solution = sums.solve()
        whitening = sums.whitening
        jitter = [
            _raised(size, present)
            for size, present in zip(
                cancellation(whitening, solution), whitening.jitter, strict=True
            )
        ]
        if tuple(jitter) == whitening.jitter:
            return sums, solution
        del solution  # memory for the matrices
        sums = sums.rewhitened(raised_jitter(whitening, jitter))


def cancellation(whitening: Whitening, solution: Solution) -> list[float]:
    """Return the rounding of the energy of an atom by the points of each block, eV."""
    return [
        _EPS
        * float(
            np.linalg.norm(solution.coefficients[block]) * np.mean((U**2).sum(axis=0))
        )
        if len(U)
        else 0.0
        for U, block in zip(whitening.cholesky, whitening.blocks, strict=True)
    ]


def _raised(size: float, jitter: float) -> float:
    """Return the jitter that bounds the rounding of a block."""
    if size <= MAX_CANCELLATION or jitter >= _MAX_JITTER:
        return jitter
    # Coefficients fall with the square root of the jitter, roughly; by half decades.
    steps = max(int(np.ceil(4 * np.log10(size / MAX_CANCELLATION))), 1)
    return float(min(max(jitter, 1e-14) * 10.0 ** (steps / 2), _MAX_JITTER))
