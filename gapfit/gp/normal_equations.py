"""Sums over the rows of a least-squares problem: O(n_sparse²) numbers for any of them.

Rows are taken block by block, and sums can be added to each other, so parts of the data
may be summed anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.linalg.blas import dsymv, dsyrk

from gapfit._support.archive import Packed, Writable, unpacked
from gapfit.errors import LostDigitsError
from gapfit.gp.accumulator import Accumulator

__all__ = ["NormalEquations", "NormalSolution", "kept_rows", "solve_normal"]


class NormalEquations(Accumulator):
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
        """Add observations; see `Accumulator.add`."""
        super().add(rows, y, sigma)
        self.b += rows.T @ y
        self._add_rows(rows)

    @staticmethod
    def nbytes(n_sparse: int, n_rows: int) -> int:
        """Return the memory of the sums over `n_rows` rows, bytes."""
        return 8 * n_sparse * (n_rows if n_rows <= kept_rows(n_sparse) else n_sparse)

    @staticmethod
    def merge_nbytes(n_sparse: int) -> int:
        """Return the temporary memory of a merge, bytes: it adds in place."""
        return 0

    @staticmethod
    def solve_nbytes(n_sparse: int, n_groups: int) -> int:
        """Return the temporary memory of a solution, and of a `transformed`, bytes."""
        return int(2.5 * 8 * n_sparse**2)

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
            # Products of rows in another memory order would round differently.
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

    def misfit(self, z: np.ndarray) -> float:
        """Return |ỹ - Φ z|² of whitened coefficients, (n_sparse,)."""
        return float(max(self.square - 2 * z @ self.b + z @ self.times(z), 0.0))

    def scaled(self, factor: float) -> Self:
        """Return the sums of the same observations with `factor` times their sigmas."""
        out = super().scaled(factor)
        out.b = self.b / factor**2
        out._G = None if self._G is None else self._G / factor**2
        out._rows = [rows / factor for rows in self._rows]
        return out

    def transformed(
        self, transform: Callable[[np.ndarray], np.ndarray]
    ) -> NormalEquations:
        """Return the sums over rows Φ T.

        Parameters
        ----------
        transform : callable
            Returns rows (n, n_sparse) times T.
        """
        out = NormalEquations(len(self.b))
        Accumulator.merge(out, self)
        out.b = transform(self.b[None])[0]
        out._rows = [np.ascontiguousarray(transform(rows)) for rows in self._rows]
        if self._G is not None:
            # One name, so that at most two matrices exist besides the given one.
            G = self._G.copy()
            G += np.triu(G, 1).T
            G = transform(G)
            G = np.ascontiguousarray(G.T)
            G = transform(G)
            G = np.triu(G)
            out._G = np.asfortranarray(G)
        return out

    def widened(self, columns: np.ndarray, n_sparse: int) -> NormalEquations:
        """Return the sums over rows with more columns, which are zero.

        Parameters
        ----------
        columns : (n,) int64
            Positions of the present columns among the `n_sparse`, ascending.
        n_sparse : int
            Number of columns of the result.
        """
        out = NormalEquations(n_sparse)
        Accumulator.merge(out, self)
        out.b[columns] = self.b
        for rows in self._rows:
            wide = np.zeros((len(rows), n_sparse))
            wide[:, columns] = rows
            out._rows.append(wide)
        if self._G is not None:
            out.G[np.ix_(columns, columns)] = self._G
        return out

    def arrays(self) -> dict[str, Writable]:
        """Return the sums as arrays for a file."""
        shared: dict[str, Writable] = {**super().arrays(), "b": self.b}
        if self._G is not None:
            return {**shared, "G": Packed(self._G)}
        empty = np.zeros((0, len(self.b)))
        return {**shared, "rows": np.concatenate([empty, *self._rows]).ravel()}

    @classmethod
    def of_products(cls, G: np.ndarray, b: np.ndarray) -> NormalEquations:
        """Return sums with these products alone, Φ^T Φ (upper triangle) and Φ^T ỹ."""
        out = cls(0)
        out.b, out._G = b, G
        return out

    @classmethod
    def of_sums(
        cls, counts: np.ndarray, b: np.ndarray, products: np.ndarray, *, summed: bool
    ) -> NormalEquations:
        """Return sums that were computed elsewhere.

        Parameters
        ----------
        counts : (3,) float64
            Square, number of rows and sum of log sigma; see `Accumulator`.
        b : (n_sparse,) float64
            Φ^T ỹ.
        products : (n, n_sparse) float64
            Φ^T Φ, of which the upper triangle counts, or Φ.
        summed : bool
            Whether it is Φ^T Φ.
        """
        out = cls(0)
        out._restore({"sums": counts})
        out.b = b
        if summed:
            out._G = np.asfortranarray(np.triu(products))
        else:
            out._rows = [products]
        return out

    @classmethod
    def from_arrays(
        cls, n_sparse: int, arrays: Mapping[str, np.ndarray]
    ) -> NormalEquations:
        """Return the sums that `arrays` describes."""
        out = cls.__new__(cls)
        out._restore(arrays)
        if arrays["b"].shape != (n_sparse,):
            raise ValueError(
                f"sums of {arrays['b'].shape} for {n_sparse} sparse points"
            )
        out.b, out._G, out._rows = arrays["b"], None, []
        if "G" in arrays:
            out._G = unpacked(arrays["G"], n_sparse)
        else:
            out._rows = [arrays["rows"].reshape(-1, n_sparse)]
        return out


def kept_rows(n_sparse: int) -> int:
    """Return how many rows of a group are kept before their products replace them."""
    return n_sparse // 4


def add_products(G: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return G + rows^T rows; upper triangles in Fortran's order, G is overwritten."""
    products: np.ndarray = dsyrk(1.0, rows.T, beta=1.0, c=G, overwrite_c=True)
    return products


@dataclass(frozen=True, eq=False)
class NormalSolution:
    """Solution of B z = b, with B = R^T R.

    Attributes
    ----------
    R : (n_sparse, n_sparse) float64
        Upper Cholesky factor.
    half : (n_sparse,) float64
        R^-T b.
    z : (n_sparse,) float64
        B^-1 b.
    """

    R: np.ndarray
    half: np.ndarray
    z: np.ndarray

    @property
    def log_det(self) -> float:
        """log|B|."""
        return 2 * float(np.log(np.diag(self.R)).sum())


def solve_normal(B: np.ndarray, b: np.ndarray) -> NormalSolution:
    """Solve B z = b; the upper triangle of B is overwritten.

    Raises
    ------
    LostDigitsError
        B is not positive definite to working precision.
    """
    try:
        R = cholesky(B, overwrite_a=True, check_finite=False)
    except np.linalg.LinAlgError as error:
        raise LostDigitsError(
            "the sigmas are so small that the normal equations lose all digits "
            f'({error}); raise [sigma] or solver.jitter, or set solver.method = "qr"'
        ) from error
    half = solve_triangular(R, b, trans="T", check_finite=False)
    return NormalSolution(R, half, solve_triangular(R, half, check_finite=False))
