"""Cholesky factors of K_mm (Eq. 6), and the solution of a fit (Eq. 7)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from gapfit.errors import GapfitError

__all__ = ["Solution", "Whitening", "whiten", "whiten_nbytes"]

_MAX_JITTER = 1e-2


@dataclass(frozen=True, eq=False)
class Whitening:
    """Cholesky factors of the diagonal blocks of K_mm + jitter.

    Attributes
    ----------
    cholesky : tuple of (m, m) float64
        Upper factors U, U^T U = K_mm + jitter, one per block.
    jitter : tuple of float
        Number added to the diagonal of each block, relative to its mean.
    """

    cholesky: tuple[np.ndarray, ...]
    jitter: tuple[float, ...]

    @property
    def n_sparse(self) -> int:
        """Number of sparse points."""
        return sum(len(U) for U in self.cholesky)

    @property
    def blocks(self) -> list[slice]:
        """Columns of each block."""
        ends = np.cumsum([0] + [len(U) for U in self.cholesky])
        return [slice(int(a), int(b)) for a, b in pairwise(ends)]

    @staticmethod
    def nbytes(blocks: Sequence[int]) -> int:
        """Return the memory of the factors of blocks of these sizes, bytes."""
        return sum(8 * m**2 for m in blocks)

    def apply(self, K: np.ndarray, *, overwrite: bool = False) -> np.ndarray:
        """Return K U^-1, (n, n_sparse); in the place of `K` if it may be overwritten."""
        out = K if overwrite else K.copy()
        for U, block in zip(self.cholesky, self.blocks, strict=True):
            out[:, block] = solve_triangular(
                U, out[:, block].T, trans="T", check_finite=False, overwrite_b=True
            ).T
        return out

    def scaled(self, d: np.ndarray) -> Whitening:
        """Return the factors U D of kernels that `d` (n_sparse,) multiplies, D K_mm D."""
        factors = zip(self.cholesky, self.blocks, strict=True)
        return Whitening(tuple(U * d[block] for U, block in factors), self.jitter)

    def redo(self, c: np.ndarray) -> np.ndarray:
        """Return U c, (n_sparse,)."""
        return np.concatenate(
            [U @ c[block] for U, block in zip(self.cholesky, self.blocks, strict=True)]
        )

    def at_points(self, z: np.ndarray) -> np.ndarray:
        """Return U^T z, the local energies that U c = z gives at the sparse points, eV."""
        return np.concatenate(
            [
                U.T @ z[block]
                for U, block in zip(self.cholesky, self.blocks, strict=True)
            ]
        )

    def undo(self, z: np.ndarray) -> np.ndarray:
        """Return U^-1 z, (n_sparse,)."""
        return np.concatenate(
            [
                solve_triangular(U, z[block], check_finite=False)
                for U, block in zip(self.cholesky, self.blocks, strict=True)
            ]
        )


def whiten(K_mm: Iterable[np.ndarray], jitter: float) -> Whitening:
    """Return the Cholesky factors of the blocks of K_mm.

    Parameters
    ----------
    K_mm : iterable of (m, m) float64
        Kernel matrices of the blocks, eV²; taken one at a time.
    jitter : float
        Number added to the diagonal, relative to its mean; raised tenfold until the
        factorisation succeeds.

    Raises
    ------
    GapfitError
        Even a jitter of 1e-2 is not enough.
    """
    cholesky, used = [], []
    for K in K_mm:
        U, needed = _jittered_cholesky(K, jitter)
        cholesky.append(U)
        used.append(needed)
    return Whitening(tuple(cholesky), tuple(used))


def whiten_nbytes(blocks: Sequence[int]) -> int:
    """Return the temporary memory of `whiten`, bytes: kernel, shifted copy and factor."""
    return 3 * 8 * max(blocks, default=0) ** 2


def _jittered_cholesky(K: np.ndarray, jitter: float) -> tuple[np.ndarray, float]:
    scale = float(np.mean(np.diag(K))) if len(K) else 1.0
    first = jitter
    while True:
        try:
            shifted = np.array(K, order="F")
            shifted[np.diag_indices(len(K))] += jitter * scale
            return cholesky(shifted, overwrite_a=True, check_finite=False), jitter
        except np.linalg.LinAlgError:
            jitter = max(10 * jitter, 1e-14)
        if jitter > _MAX_JITTER:
            raise GapfitError(
                f"the kernel matrix of {len(K)} sparse points is not positive definite "
                f"(solver.jitter = {first:g}, tried up to {_MAX_JITTER:g}); "
                "use fewer sparse points or a smaller zeta"
            )


@dataclass(frozen=True, eq=False)
class Solution:
    """Result of a fit.

    Attributes
    ----------
    coefficients : (n_sparse,) float64
        c, 1/eV.
    R : (n_sparse, n_sparse) float64
        Upper factor of I + Φ^T Φ: the covariance of c is U^-1 R^-1 R^-T U^-T.
    log_marginal_likelihood : float
        That of the targets under the subset-of-regressors prior.
    n_rows : int
        Number of observations.
    """

    coefficients: np.ndarray
    R: np.ndarray
    log_marginal_likelihood: float
    n_rows: int
