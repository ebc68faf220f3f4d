"""The sparse Gaussian process as a least-squares problem, accumulated block by block.

With K_mm + jitter = U^T U, whitened rows Φ = Λ^-1/2 K_nm U^-1 and ỹ = Λ^-1/2 y:
minimise |Φ z - ỹ|² + |z|², then c = U^-1 z. Whitening keeps the normal equations safe
(Foster et al., JMLR 10, 857 (2009)); memory is O(M²) however many rows there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
from scipy.linalg import cholesky, lapack, solve_triangular
from scipy.linalg.blas import dsyrk

from gapfit.errors import GapfitError

__all__ = ["CholeskySolver", "QRSolver", "Solution", "Solver", "Whitening", "whiten"]

_MAX_JITTER = 1e-2


@dataclass(frozen=True, eq=False)
class Whitening:
    """Cholesky factors of the diagonal blocks of K_mm + jitter.

    Attributes
    ----------
    factors : tuple of (m, m) float64
        Upper factors U, U^T U = K_mm + jitter, one per block.
    jitter : tuple of float
        What was added to each block, relative to its mean diagonal.
    """

    factors: tuple[np.ndarray, ...]
    jitter: tuple[float, ...]

    @property
    def n_sparse(self) -> int:
        """Number of sparse points."""
        return sum(len(U) for U in self.factors)

    @property
    def blocks(self) -> list[slice]:
        """Columns of each block."""
        ends = np.cumsum([0] + [len(U) for U in self.factors])
        return [slice(int(a), int(b)) for a, b in pairwise(ends)]

    def apply(self, K: np.ndarray) -> np.ndarray:
        """Return K U^-1, (n, n_sparse); `K` is overwritten where that saves memory."""
        out = np.empty_like(K)
        for U, block in zip(self.factors, self.blocks, strict=True):
            out[:, block] = solve_triangular(
                U, K[:, block].T, trans="T", check_finite=False
            ).T
        return out

    def undo(self, z: np.ndarray) -> np.ndarray:
        """Return U^-1 z, (n_sparse,)."""
        return np.concatenate(
            [
                solve_triangular(U, z[block], check_finite=False)
                for U, block in zip(self.factors, self.blocks, strict=True)
            ]
        )


def whiten(K_mm: Sequence[np.ndarray], jitter: float) -> Whitening:
    """Return the Cholesky factors of the blocks of K_mm.

    Parameters
    ----------
    K_mm : sequence of (m, m) float64
        Kernel matrices of the blocks, eV².
    jitter : float
        Added to the diagonal, relative to its mean; raised tenfold as often as the
        factorisation needs it.

    Raises
    ------
    GapfitError
        Even a jitter of 1e-2 is not enough.
    """
    factors, used = [], []
    for K in K_mm:
        U, needed = _jittered_cholesky(K, jitter)
        factors.append(U)
        used.append(needed)
    return Whitening(tuple(factors), tuple(used))


def _jittered_cholesky(K: np.ndarray, jitter: float) -> tuple[np.ndarray, float]:
    scale = float(np.mean(np.diag(K))) if len(K) else 1.0
    first = jitter
    while True:
        try:
            shifted = K + jitter * scale * np.eye(len(K))
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


class Solver(Protocol):
    """Takes blocks of rows, then solves."""

    def add(self, K: np.ndarray, y: np.ndarray, sigma: np.ndarray) -> None:
        """Add observations: kernel rows (n, n_sparse), targets and sigmas (n,)."""

    def solve(self) -> Solution:
        """Return coefficients and factor."""


class _Evidence:
    """Running sums for the log marginal likelihood."""

    def __init__(self) -> None:
        self.n_rows = 0
        self.log_sigma = 0.0

    def add(self, sigma: np.ndarray) -> None:
        self.n_rows += len(sigma)
        self.log_sigma += float(np.log(sigma).sum())

    def value(self, misfit: float, R: np.ndarray) -> float:
        """Return log p(y) from |ỹ|² - |R^-T Φ^T ỹ|² and log|I + Φ^T Φ|."""
        log_det = 2 * float(np.log(np.abs(np.diag(R))).sum())
        constant = self.n_rows * np.log(2 * np.pi)
        return -0.5 * (misfit + log_det + constant) - self.log_sigma


class CholeskySolver:
    """Whitened normal equations: B = I + Φ^T Φ, one Cholesky factorisation."""

    def __init__(self, whitening: Whitening) -> None:
        m = whitening.n_sparse
        self._whitening = whitening
        self._B = np.eye(m, order="F")
        self._b = np.zeros(m)
        self._square = 0.0
        self._evidence = _Evidence()

    def add(self, K: np.ndarray, y: np.ndarray, sigma: np.ndarray) -> None:
        """Add observations: kernel rows (n, n_sparse), targets and sigmas (n,)."""
        if not len(y):
            return
        phi = self._whitening.apply(K / sigma[:, None])
        target = y / sigma
        self._B = dsyrk(1.0, phi.T, beta=1.0, c=self._B, overwrite_c=True)
        self._b += phi.T @ target
        self._square += float(target @ target)
        self._evidence.add(sigma)

    def solve(self) -> Solution:
        """Return coefficients and factor."""
        try:
            R = cholesky(self._B, check_finite=False)
        except np.linalg.LinAlgError as error:
            raise GapfitError(
                "the sigmas are so small that the normal equations lose all digits "
                f'({error}); raise [sigma], or set solver.method = "qr"'
            ) from error
        half = solve_triangular(R, self._b, trans="T", check_finite=False)
        z = solve_triangular(R, half, check_finite=False)
        misfit = self._square - float(half @ half)
        return Solution(
            coefficients=self._whitening.undo(z),
            R=R,
            log_marginal_likelihood=self._evidence.value(misfit, R),
            n_rows=self._evidence.n_rows,
        )


class QRSolver:
    """Streaming QR: R <- qr([R; Λ^-1/2 (K_nm | y)]), starting from [U | 0]."""

    def __init__(self, whitening: Whitening) -> None:
        m = whitening.n_sparse
        self._whitening = whitening
        self._R = np.zeros((m + 1, m + 1))
        for U, block in zip(whitening.factors, whitening.blocks, strict=True):
            self._R[block, block] = U
        self._waiting: list[np.ndarray] = []
        self._evidence = _Evidence()

    def add(self, K: np.ndarray, y: np.ndarray, sigma: np.ndarray) -> None:
        """Add observations: kernel rows (n, n_sparse), targets and sigmas (n,)."""
        if not len(y):
            return
        self._waiting.append(np.column_stack([K, y]) / sigma[:, None])
        self._evidence.add(sigma)
        # Rows are gathered so that the triangle is not swept for every small block.
        if sum(len(rows) for rows in self._waiting) >= len(self._R):
            self._absorb()

    def _absorb(self) -> None:
        stacked = np.asfortranarray(np.vstack([self._R, *self._waiting]))
        self._waiting = []
        factored, _, _, _ = lapack.dgeqrf(stacked, overwrite_a=True)
        self._R = np.triu(factored[: self._R.shape[0]])

    def solve(self) -> Solution:
        """Return coefficients and factor."""
        if self._waiting:
            self._absorb()
        R, d = self._R[:-1, :-1], self._R[:-1, -1]
        coefficients = solve_triangular(R, d, check_finite=False)
        whitened = self._whitening.apply(R)
        # The last entry holds the norm of the whole least-squares residual.
        misfit = float(self._R[-1, -1] ** 2)
        return Solution(
            coefficients=coefficients,
            R=whitened,
            log_marginal_likelihood=self._evidence.value(misfit, whitened),
            n_rows=self._evidence.n_rows,
        )
