"""A larger jitter for kernels that are factorised already.

With U^T U = K and V^T V = K + j, the QR decomposition of U on top of √j is Q V: the upper
half of Q is T = U V^-1, and whitened rows become Φ T, without a division by small numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr

from gapfit.gp.whitening import Whitening

__all__ = ["RaisedJitter", "raised_jitter"]


@dataclass(frozen=True, eq=False)
class RaisedJitter:
    """Factors of K_mm with a larger jitter, and the way to them.

    Attributes
    ----------
    whitening : Whitening
        The new factors V.
    turns : tuple of ((m, m) float64 or None)
        T = U V^-1 of each block; None where the jitter stays.
    """

    whitening: Whitening
    turns: tuple[np.ndarray | None, ...]

    def apply(self, rows: np.ndarray) -> np.ndarray:
        """Return Φ T, (n, n_sparse): rows that were whitened by U, whitened by V."""
        out = np.empty_like(rows)
        for T, block in zip(self.turns, self.whitening.blocks, strict=True):
            if T is None:
                out[:, block] = rows[:, block]
            else:
                np.matmul(rows[:, block], T, out=out[:, block])
        return out


def raised_jitter(whitening: Whitening, jitter: Sequence[float]) -> RaisedJitter:
    """Return the factors of the same kernels with a larger jitter.

    Parameters
    ----------
    whitening : Whitening
        Present factors.
    jitter : sequence of float
        Number added to the diagonal of each block, relative to its mean, at least the
        present one.
    """
    factors, turns = [], list[np.ndarray | None]()
    for U, present, wanted in zip(
        whitening.cholesky, whitening.jitter, jitter, strict=True
    ):
        V, T = (U, None) if wanted == present else _raised(U, present, wanted)
        factors.append(V)
        turns.append(T)
    return RaisedJitter(Whitening(tuple(factors), tuple(jitter)), tuple(turns))


def _raised(
    U: np.ndarray, present: float, wanted: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return V and T of one block."""
    m = len(U)
    scale = np.mean((U**2).sum(axis=0)) / (1.0 + present)
    stacked = np.zeros((2 * m, m), order="F")
    stacked[:m] = U
    stacked[np.arange(m, 2 * m), np.arange(m)] = np.sqrt((wanted - present) * scale)
    Q, V = qr(stacked, overwrite_a=True, mode="economic", check_finite=False)
    signs = np.where(np.diag(V) < 0, -1.0, 1.0)
    V *= signs[:, None]
    return V, signs * Q[:m]
