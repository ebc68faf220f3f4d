"""What a least-squares problem keeps of its rows: O(n_sparse²), however many they are.

`Gram` holds the normal equations of whitened rows, `Triangle` the factor of a QR
decomposition. Both take rows block by block and can be added to each other, so parts of
the data may be summed anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Self

import numpy as np
from scipy.linalg import lapack
from scipy.linalg.blas import dsymv, dsyrk

from gapfit.archive import Packed, Writable, unpacked

__all__ = ["Gram", "Sums", "Triangle", "kept_rows"]


class Sums:
    """Rows of one group of observations, summed up.

    Attributes
    ----------
    square : float
        |ỹ|², ỹ = y / sigma.
    n_rows : int
        Number of observations.
    log_sigma : float
        Sum of log sigma over them.
    """

    def __init__(self) -> None:
        self.square = 0.0
        self.n_rows = 0
        self.log_sigma = 0.0

    def add(self, rows: np.ndarray, y: np.ndarray, sigma: np.ndarray) -> None:
        """Add observations.

        Parameters
        ----------
        rows : (n, n_sparse) float64
            Kernel rows over sigma; whitened for a `Gram`.
        y : (n,) float64
            Targets over sigma.
        sigma : (n,) float64
            Standard deviations in the targets' units.
        """
        self.square += float(y @ y)
        self.n_rows += len(y)
        self.log_sigma += float(np.log(sigma).sum())

    def merge(self, other: Self) -> None:
        """Add the sums over other observations of the group."""
        self.square += other.square
        self.n_rows += other.n_rows
        self.log_sigma += other.log_sigma

    def scaled(self, factor: float) -> Self:
        """Return the sums of the same observations with `factor` times their sigmas."""
        out = copy(self)
        out.square /= factor**2
        out.log_sigma += self.n_rows * float(np.log(factor))
        return out

    def arrays(self) -> dict[str, Writable]:
        """Return all of it as arrays for a file."""
        return {"sums": np.array([self.square, self.n_rows, self.log_sigma])}

    def _restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        square, n_rows, log_sigma = arrays["sums"].tolist()
        self.square, self.n_rows, self.log_sigma = square, int(n_rows), log_sigma


class Gram(Sums):
    """Normal equations of whitened rows Φ = Λ^-1/2 K_nm U^-1.

    Few rows are kept as they are: their products would take more memory.

    Attributes
    ----------
    b : (n_sparse,) float64
        Φ^T ỹ.
    """

    def __init__(self, n_sparse: int) -> None:
        super().__init__()
        self.b = np.zeros(n_sparse)
        self._G: np.ndarray | None = None
        self._rows: list[np.ndarray] = []

    @property
    def G(self) -> np.ndarray:  # noqa: N802
        """Φ^T Φ, upper triangle, zero below, (n_sparse, n_sparse) float64."""
        if self._G is None:
            n_sparse = len(self.b)
            self._G = np.zeros((n_sparse, n_sparse), order="F")
            rows, self._rows = self._rows, []
            if rows:
                self._G = add_products(self._G, np.concatenate(rows))
        return self._G

    def add(self, rows: np.ndarray, y: np.ndarray, sigma: np.ndarray) -> None:
        """Add observations; see `Sums.add`."""
        super().add(rows, y, sigma)
        self.b += rows.T @ y
        self._add_rows(rows)

    def merge(self, other: Self) -> None:
        """Add the sums over other observations of the group."""
        super().merge(other)
        self.b += other.b
        if other._G is None:
            if other._rows:
                self._add_rows(np.concatenate(other._rows))
        else:
            self._G = self.G + other._G if self._rows else self._plus(other._G)

    def _plus(self, G: np.ndarray) -> np.ndarray:
        """Return the sum of this matrix, changed in place, and another."""
        if self._G is None:
            return G.copy(order="F")
        self._G += G
        return self._G

    def _add_rows(self, rows: np.ndarray) -> None:
        n_rows = len(rows) + sum(map(len, self._rows))
        if self._G is None and n_rows <= kept_rows(len(self.b)):
            # Products of rows in another order of memory would round in another way.
            self._rows.append(np.ascontiguousarray(rows))
        else:
            self._G = add_products(self.G, rows)

    def added_to(self, B: np.ndarray) -> np.ndarray:
        """Return B + Φ^T Φ; upper triangles in Fortran's order, B is overwritten."""
        if self._G is not None:
            B += self._G
            return B
        return add_products(B, np.concatenate(self._rows)) if self._rows else B

    def times(self, z: np.ndarray) -> np.ndarray:
        """Return Φ^T Φ z of whitened coefficients, (n_sparse,) float64."""
        if self._G is not None:
            return np.asarray(dsymv(1.0, self._G, z))
        return sum((rows.T @ (rows @ z) for rows in self._rows), np.zeros(len(z)))

    def length(self, z: np.ndarray) -> float:
        """Return |Φ z| of whitened coefficients, (n_sparse,)."""
        return float(np.sqrt(max(z @ self.times(z), 0.0)))

    def scaled(self, factor: float) -> Self:
        """Return the sums of the same observations with `factor` times their sigmas."""
        out = super().scaled(factor)
        out.b = self.b / factor**2
        out._G = None if self._G is None else self._G / factor**2
        out._rows = [rows / factor for rows in self._rows]
        return out

    def widened(self, columns: np.ndarray, n_sparse: int) -> Gram:
        """Return the sums over rows with more columns, which are zero.

        Parameters
        ----------
        columns : (n,) int64
            Where the columns of this are among the `n_sparse`, ascending.
        n_sparse : int
            How many there are in all.
        """
        out = Gram(n_sparse)
        Sums.merge(out, self)
        out.b[columns] = self.b
        for rows in self._rows:
            wide = np.zeros((len(rows), n_sparse))
            wide[:, columns] = rows
            out._rows.append(wide)
        if self._G is not None:
            out.G[np.ix_(columns, columns)] = self._G
        return out

    def arrays(self) -> dict[str, Writable]:
        """Return all of it as arrays for a file."""
        own: dict[str, Writable] = {**super().arrays(), "b": self.b}
        if self._G is not None:
            return {**own, "G": Packed(self._G)}
        empty = np.zeros((0, len(self.b)))
        return {**own, "rows": np.concatenate([empty, *self._rows]).ravel()}

    @classmethod
    def from_arrays(cls, n_sparse: int, arrays: Mapping[str, np.ndarray]) -> Gram:
        """Return what `arrays` gave."""
        out = cls.__new__(cls)
        out._restore(arrays)
        out.b, out._G, out._rows = arrays["b"], None, []
        if "G" in arrays:
            out._G = unpacked(arrays["G"], n_sparse)
        else:
            out._rows = [arrays["rows"].reshape(-1, n_sparse)]
        return out


def kept_rows(n_sparse: int) -> int:
    """Return how many rows of a group are kept before their products take their place."""
    return n_sparse // 4


def add_products(G: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return G + rows^T rows; upper triangles in Fortran's order, G is overwritten."""
    return dsyrk(1.0, rows.T, beta=1.0, c=G, overwrite_c=True)


class Triangle(Sums):
    """Factor R of the QR decomposition of the rows [K_nm | y] over sigma.

    Attributes
    ----------
    R : (n_sparse + 1, n_sparse + 1) float64
        Upper triangle; R^T R is what the rows' normal equations would be.
    """

    def __init__(self, n_sparse: int) -> None:
        super().__init__()
        self.R = np.zeros((n_sparse + 1, n_sparse + 1))
        self._waiting: list[np.ndarray] = []

    def add(self, rows: np.ndarray, y: np.ndarray, sigma: np.ndarray) -> None:
        """Add observations; see `Sums.add`."""
        super().add(rows, y, sigma)
        self._waiting.append(np.column_stack([rows, y]))
        # Rows are gathered so that the triangle is not swept for every small block.
        if sum(map(len, self._waiting)) >= len(self.R):
            self.close()

    def close(self) -> None:
        """Absorb the rows that wait for more."""
        if self._waiting:
            self.R, self._waiting = triangular([self.R, *self._waiting]), []

    def merge(self, other: Self) -> None:
        """Add the sums over other observations of the group."""
        super().merge(other)
        self.close()
        other.close()
        self.R = triangular([self.R, other.R])

    def length(self, c: np.ndarray) -> float:
        """Return the length of what coefficients (n_sparse,) give for all rows."""
        self.close()
        return float(np.linalg.norm(self.R @ np.append(c, 0.0)))

    def scaled(self, factor: float) -> Self:
        """Return the sums of the same observations with `factor` times their sigmas."""
        self.close()
        out = super().scaled(factor)
        out.R = self.R / factor
        return out

    def widened(self, weights: np.ndarray) -> Triangle:
        """Return the sums over rows whose columns are others, K_nm `weights`.

        Parameters
        ----------
        weights : (n_sparse, n) float64
            How the `n` columns, at least as many as before, come from those of this.
        """
        self.close()
        out = Triangle(weights.shape[1])
        Sums.merge(out, self)
        rows = out.R[: len(self.R)]
        rows[:, :-1], rows[:, -1] = self.R[:, :-1] @ weights, self.R[:, -1]
        out.R = triangular([out.R])
        return out

    def arrays(self) -> dict[str, Writable]:
        """Return all of it as arrays for a file."""
        self.close()
        return {**super().arrays(), "R": Packed(self.R)}

    @classmethod
    def from_arrays(cls, n_sparse: int, arrays: Mapping[str, np.ndarray]) -> Triangle:
        """Return what `arrays` gave."""
        out = cls.__new__(cls)
        out._restore(arrays)
        out.R, out._waiting = unpacked(arrays["R"], n_sparse + 1), []
        return out


def triangular(parts: list[np.ndarray]) -> np.ndarray:
    """Return the factor R of the QR decomposition of matrices on top of each other."""
    stacked = np.empty((sum(map(len, parts)), parts[0].shape[1]), order="F")
    np.concatenate(parts, out=stacked)
    # Less workspace than this would keep LAPACK from working in blocks.
    workspace = 64 * stacked.shape[1]
    factored, _, _, _ = lapack.dgeqrf(stacked, lwork=workspace, overwrite_a=True)
    return np.triu(factored[: stacked.shape[1]])
