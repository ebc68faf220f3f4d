"""Sums over the sparse points of a SOAP term, in the ways to take them."""

from __future__ import annotations

import numpy as np

from gapfit.descriptors.row_points import SparsePoints
from gapfit.descriptors.soap_engine import EnergySum

__all__ = ["multiplications", "projected", "squared"]


def projected(points: SparsePoints, V: np.ndarray) -> SparsePoints:
    """Return points within the directions V (width, rank)."""
    U = points.projection
    return SparsePoints(
        points.values @ V, np.ascontiguousarray(V if U is None else U @ V)
    )


def squared(choice: EnergySum) -> EnergySum:
    """Return the quadratic form that equals a sum over sparse points with zeta = 2."""
    P = choice.points.values
    A = (P.T * choice.coefficients) @ P
    points = SparsePoints(0.5 * (A + A.T), choice.points.projection)
    return EnergySum(points, np.zeros(0), quadratic=True)


def multiplications(
    n_features: int, n_sparse: int, width: int, *, projected: bool, quadratic: bool
) -> float:
    """Return the number of multiplications for one local energy and its slope.

    Parameters
    ----------
    n_features, n_sparse, width : int
        Length of the power spectrum; number and length of the sparse points.
    projected : bool
        Whether power spectra are projected on `width` directions first.
    quadratic : bool
        Whether a quadratic form replaces the sparse points.
    """
    form = width**2 if quadratic else 2 * n_sparse * width
    return form + (2 * n_features * width if projected else 0)
