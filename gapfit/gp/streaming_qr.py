"""Sums over rows kept as a triangle, updated by QR."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np
from scipy.linalg import lapack

from gapfit._support.archive import Packed, Writable, unpacked
from gapfit.gp.accumulator import Accumulator

__all__ = ["StreamingQR", "triangular"]


class StreamingQR(Accumulator):
    """Factor R of the QR decomposition of the rows [K_nm | y] over sigma.

    Attributes
    ----------
    R : (n_sparse + 1, n_sparse + 1) float64
        Upper triangle; R^T R is the matrix of the rows' normal equations.
    """

    def __init__(self, n_sparse: int) -> None:
        super().__init__()
        self.R = np.zeros((n_sparse + 1, n_sparse + 1))

    @staticmethod
    def rows_at_once(n_sparse: int) -> int:
        """Return how many rows are worth a sweep over the triangle."""
        return n_sparse + 1

    def add(self, rows: np.ndarray, y: np.ndarray, sigma: np.ndarray) -> None:
        """Add observations; see `Accumulator.add`."""
        super().add(rows, y, sigma)
        self.R = triangular([self.R, np.column_stack([rows, y])])

    @staticmethod
    def nbytes(n_sparse: int, n_rows: int) -> int:
        """Return the memory of the triangle, bytes, for any number of rows."""
        return 8 * n_sparse**2

    @staticmethod
    def merge_nbytes(n_sparse: int) -> int:
        """Return the temporary memory of a merge, bytes: two triangles, and the result."""
        return 3 * 8 * n_sparse**2

    @staticmethod
    def solve_nbytes(n_sparse: int, n_groups: int) -> int:
        """Return the temporary memory of a solution, bytes: all triangles and the prior."""
        return (n_groups + 3) * 8 * n_sparse**2

    def merge(self, other: Self) -> None:
        """Add the sums over other observations of the group."""
        super().merge(other)
        self.R = triangular([self.R, other.R])

    def length(self, c: np.ndarray) -> float:
        """Return the norm of all rows times coefficients (n_sparse,)."""
        return float(np.linalg.norm(self.R @ np.append(c, 0.0)))

    def misfit(self, c: np.ndarray) -> float:
        """Return |ỹ - K_nm c|² over sigma for coefficients (n_sparse,)."""
        return float(np.sum((self.R @ np.append(c, -1.0)) ** 2))

    def scaled(self, factor: float) -> Self:
        """Return the sums of the same observations with `factor` times their sigmas."""
        out = super().scaled(factor)
        out.R = self.R / factor
        return out

    def widened(self, weights: np.ndarray) -> StreamingQR:
        """Return the sums over rows with other columns, K_nm `weights`.

        Parameters
        ----------
        weights : (n_sparse, n) float64
            The `n` new columns, at least as many as before, by the present ones.
        """
        out = StreamingQR(weights.shape[1])
        Accumulator.merge(out, self)
        rows = out.R[: len(self.R)]
        rows[:, :-1], rows[:, -1] = self.R[:, :-1] @ weights, self.R[:, -1]
        out.R = triangular([out.R])
        return out

    def arrays(self) -> dict[str, Writable]:
        """Return the sums as arrays for a file."""
        return {**super().arrays(), "R": Packed(self.R)}

    @classmethod
    def of_triangle(cls, counts: np.ndarray, R: np.ndarray) -> StreamingQR:
        """Return sums that were computed elsewhere.

        Parameters
        ----------
        counts : (3,) float64
            Square, number of rows and sum of log sigma; see `Accumulator`.
        R : (n_sparse + 1, n_sparse + 1) float64
            The triangle.
        """
        out = cls.__new__(cls)
        out._restore({"sums": counts})
        out.R = R
        return out

    @classmethod
    def from_arrays(
        cls, n_sparse: int, arrays: Mapping[str, np.ndarray]
    ) -> StreamingQR:
        """Return the sums that `arrays` describes."""
        out = cls.__new__(cls)
        out._restore(arrays)
        out.R = unpacked(arrays["R"], n_sparse + 1)
        return out


def triangular(parts: list[np.ndarray]) -> np.ndarray:
    """Return the factor R of the QR decomposition of matrices on top of each other."""
    stacked = np.empty((sum(map(len, parts)), parts[0].shape[1]), order="F")
    np.concatenate(parts, out=stacked)
    # Less workspace than this would keep LAPACK from working in blocks.
    workspace = 64 * stacked.shape[1]
    factored, _, _, _ = lapack.dgeqrf(stacked, lwork=workspace, overwrite_a=True)
    return np.triu(factored[: stacked.shape[1]])
