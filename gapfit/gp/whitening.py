"""Cholesky factors of K_mm, and what solving a fit gives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from gapfit.errors import GapfitError

__all__ = ["Solution", "Whitening", "whiten"]

_MAX_JITTER = 1e-2


@dataclass(frozen=True, eq=False)
class Whitening:
    """Cholesky factors of the diagonal blocks of K_mm + jitter.

    Attributes
    ----------
    cholesky : tuple of (m, m) float64
        Upper factors U, U^T U = K_mm + jitter, one per block.
    jitter : tuple of float
        What was added to each block, relative to its mean diagonal.
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

    def apply(self, K: np.ndarray, *, overwrite: bool = False) -> np.ndarray:
        """Return K U^-1, (n, n_sparse); in the place of `K` if it may be overwritten."""
        out = K if overwrite else K.copy()
        for U, block in zip(self.cholesky, self.blocks, strict=True):
            out[:, block] = solve_triangular(
                U, out[:, block].T, trans="T", check_finite=False, overwrite_b=True
            ).T
        return out

    def redo(self, c: np.ndarray) -> np.ndarray:
        """Return U c, (n_sparse,)."""
        return np.concatenate(
            [U @ c[block] for U, block in zip(self.cholesky, self.blocks, strict=True)]
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
        Added to the diagonal, relative to its mean; raised tenfold as often as the
        factorisation needs it.

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
        Of the targets under the subset-of-regressors prior.
    n_rows : int
        Number of observations.
    """

    coefficients: np.ndarray
    R: np.ndarray
    log_marginal_likelihood: float
    n_rows: int
