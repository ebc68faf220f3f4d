"""Posteriors that rounding has not spoilt.

Data make nothing less certain: no eigenvalue of B^-1, B = I + Φ^T Φ = R^T R, is above 1.
Normal equations are known to within eps |Φ^T Φ|. Where sigmas are tiny or deltas huge, this
is no longer small beside the 1 of directions that the data do not determine, and variances
come out negative. A QR decomposition of the rows has no such error. Without the rows, a
number added to the identity covers it: the prior then is a little narrower. A larger jitter
on K_mm does not help: it leaves |Φ^T Φ| as it is, and the data determine fewer directions.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import LinAlgError, cholesky, eigvalsh, lapack

from gapfit.errors import LostDigitsError, PosteriorError
from gapfit.gp.training_sums import TrainingSums
from gapfit.gp.whitening import Solution

__all__ = ["MOST_EXCESS", "excess", "inverse", "ridged"]

#: Rounding may take an eigenvalue of B^-1 beyond 1 by this much.
MOST_EXCESS = 1e-2
#: Largest number that is added to the identity.
_MOST_RIDGE = 0.25


def inverse(R: np.ndarray) -> np.ndarray:
    """Return the upper triangle of B^-1 = R^-1 R^-T.

    Parameters
    ----------
    R : (n_sparse, n_sparse) float64
        Upper factor of B = I + Φ^T Φ.

    Raises
    ------
    PosteriorError
        R has no inverse.
    """
    upper: np.ndarray
    upper, info = lapack.dpotri(R, lower=0)
    if info:
        raise PosteriorError(
            "the posterior of this model is singular, so it has no standard deviations; "
            'fit it again with solver.method = "qr"'
        )
    return upper


def excess(R: np.ndarray) -> float:
    """Return how far the largest eigenvalue of B^-1 is above 1; 0 within the tolerance.

    The tolerance is half of `MOST_EXCESS`, so that later calculations with these factors,
    which round differently, stay below that.

    Parameters
    ----------
    R : (n_sparse, n_sparse) float64
        Upper factor of B.
    """
    upper = inverse(R)
    remainder = -upper
    remainder[np.diag_indices_from(remainder)] += 1.0 + MOST_EXCESS / 2
    try:
        cholesky(remainder, overwrite_a=True, check_finite=False)
    except LinAlgError:
        last = len(R) - 1
        (largest,) = eigvalsh(upper, lower=False, subset_by_index=[last, last])
        return max(float(largest) - 1.0, MOST_EXCESS / 2)
    return 0.0


def ridged(sums: TrainingSums, size: float) -> tuple[Solution, float]:
    """Return a solution with a sound posterior, and the ridge that makes it so.

    Parameters
    ----------
    sums : TrainingSums
        Sums over the data, whose solution has a spoilt posterior.
    size : float
        Its `excess`.

    Raises
    ------
    PosteriorError
        No ridge up to 0.25 is enough, or the sums are triangles, which take none.
    """
    ridge = size
    while sums.method == "cholesky" and ridge <= _MOST_RIDGE:
        try:
            solution = sums.solve(ridge)
        except LostDigitsError:
            break
        if not excess(solution.R):
            return solution, ridge
        ridge *= 2
    raise PosteriorError(
        "rounding has spoilt the posterior of this fit, so it has no standard "
        f"deviations (I - B^-1 has the eigenvalue {-size:.1e}): the sigmas are too small "
        "or the deltas too large for 16 digits; raise [sigma] or lower delta of the "
        "terms, or set run.store_posterior = false"
    )
