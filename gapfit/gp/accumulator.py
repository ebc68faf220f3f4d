"""Base of the sums over rows: norms and counts."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Self

import numpy as np

from gapfit._support.archive import Writable

__all__ = ["Accumulator"]

_ROWS_AT_ONCE = 128


class Accumulator:
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
            Kernel rows over sigma; whitened for a `NormalEquations`.
        y : (n,) float64
            Targets over sigma.
        sigma : (n,) float64
            Standard deviations in the targets' units.
        """
        self.square += float(y @ y)
        self.n_rows += len(y)
        self.log_sigma += float(np.log(sigma).sum())

    @staticmethod
    def rows_at_once(n_sparse: int) -> int:
        """Return how many rows are worth a pass over the matrix."""
        return _ROWS_AT_ONCE

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
        """Return the sums as arrays for a file."""
        return {"sums": np.array([self.square, self.n_rows, self.log_sigma])}

    def _restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        square, n_rows, log_sigma = arrays["sums"].tolist()
        if not (0 <= n_rows < 2**53 and 0 <= square < np.inf):
            raise ValueError(f"sums over {n_rows} rows with the square {square}")
        self.square, self.n_rows, self.log_sigma = square, int(n_rows), log_sigma
