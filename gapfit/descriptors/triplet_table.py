"""Functions of triplets as tables of quintic B-splines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gapfit import _core
from gapfit.data.neighbours import MIN_DISTANCE
from gapfit.descriptors.kernels import ProductKernel

__all__ = ["SPARE", "TripletGrid"]

#: Distance of the knots in lengths theta: errors of energies below 1e-8 eV.
_KNOTS_PER_LENGTH = 0.07
# Knots beyond each end, enough for the filter to forget the boundary of the samples.
_MARGIN = 48
# Splines before the first interval that overlap it, and splines that overlap an interval.
_BEFORE, _SPLINES = 2, 6
#: Spare numbers at the end of a row: the core loads some beyond the sixth of a row.
SPARE = 2


@dataclass(frozen=True)
class TripletGrid:
    """Equidistant knots for q = (r_ij + r_ik, (r_ij - r_ik)², r_jk).

    Attributes
    ----------
    start, spacing : tuple of float
        First knot and distance of the knots: Å, Å², Å.
    n_steps : tuple of int
        Intervals between knots.
    """

    start: tuple[float, float, float]
    spacing: tuple[float, float, float]
    n_steps: tuple[int, ...]

    @classmethod
    def for_cutoff(cls, theta: tuple[float, ...], r_cut: float) -> TripletGrid:
        """Return a grid fine enough for lengths `theta` that includes every triplet."""
        shortest = 0.9 * MIN_DISTANCE
        start = (2 * shortest, 0.0, shortest)
        stop = (2 * r_cut, (r_cut - shortest) ** 2, 2 * r_cut)
        a, b, c = (_KNOTS_PER_LENGTH * length for length in theta)
        spacing = (a, b, c)
        n_steps = tuple(
            int(np.ceil((b - a) / h))
            for a, b, h in zip(start, stop, spacing, strict=True)
        )
        return cls(start, spacing, n_steps)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of splines in each direction."""
        return tuple(n + _SPLINES for n in self.n_steps)

    @property
    def n_bytes(self) -> int:
        """Memory of one table, bytes."""
        return 8 * int(np.prod(self.shape))

    def potential(
        self, kernel: ProductKernel, points: np.ndarray, coefficients: np.ndarray
    ) -> Any:
        """Return the table of Σ_s c_s k(q, q_s) as an object of the core; see `table`."""
        return _core.TripletPotential(
            self.table(kernel, points, coefficients), self.start, self.spacing
        )

    def table(
        self, kernel: ProductKernel, points: np.ndarray, coefficients: np.ndarray
    ) -> np.ndarray:
        """Return the spline coefficients of Σ_s c_s k(q, q_s).

        Parameters
        ----------
        kernel : ProductKernel
            Product over the directions, so that splines in each of them are enough.
        points : (n_sparse, 3) float64
            Sparse points in Å, Å², Å.
        coefficients : (n_sparse,) float64
            Coefficients, 1/eV.

        Returns
        -------
        (n0, n1, n2) float64
            Spline coefficients, eV, with two spare numbers at the end of each row.
        """
        weights = kernel.delta**2 * coefficients
        u, v, w = (
            self._splines(d, points[:, d], kernel.theta[d])
            for d in range(len(points.T))
        )
        table = np.zeros((*self.shape[:2], self.shape[2] + SPARE))
        for slab, factor in zip(table, u.T, strict=True):
            slab[:, :-SPARE] = (weights * factor * v.T) @ w
        return table

    def _splines(self, d: int, centres: np.ndarray, theta: float) -> np.ndarray:
        """Return the spline coefficients of Gaussians, (n_sparse, shape[d])."""
        from scipy.ndimage import spline_filter1d

        steps = np.arange(-_MARGIN, self.n_steps[d] + _MARGIN + 1)
        x = self.start[d] + self.spacing[d] * steps
        gaussians = np.exp(-0.5 * ((x - centres[:, None]) / theta) ** 2)
        first = _MARGIN - _BEFORE
        splines: np.ndarray = spline_filter1d(gaussians, order=5, axis=1)
        return splines[:, first : first + self.shape[d]]
