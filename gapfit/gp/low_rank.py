"""Few vectors that give the lengths of many rows.

The variance of a quantity is |w|², w being a row of a number for each sparse point (see
`gapfit.gp.posterior`). For a matrix Z with Z Z^T = I on average, |Z^T w|² is an unbiased
estimate of it. Here Z has the directions that most rows share, exactly, and beside them
sums of all other directions with random signs, in the manner of Hutchinson's estimate of
traces: as of Meyer, Musco, Musco & Woodruff, SIAM Symposium on Simplicity in Algorithms,
142 (2021). So the estimate does not become zero for rows unlike all that were known.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh

__all__ = ["best_split", "mixed_directions", "principal_axes"]


def principal_axes(rows: np.ndarray) -> np.ndarray:
    """Return the axes of rows (n, m), (m, m) float64 by column, longest first."""
    _, vectors = eigh(rows.T @ rows, check_finite=False)
    axes: np.ndarray = vectors[:, ::-1]
    return axes


def best_split(squares: np.ndarray, rank: int) -> int:
    """Return how many of `rank` directions are to be exact.

    With q exact ones the relative error of a squared length is expected to be
    (2 / (rank - q))^½ times the share t of the square that they leave out; t² / (rank - q)
    is smallest on average. At most half of the directions are exact: rows unlike all others
    have t = 1, and the error of their lengths is then at most rank^-½.

    Parameters
    ----------
    squares : (n, m) float64
        Squares of the components of rows along the axes, other rows than those that the
        axes were found with.
    rank : int
        Number of directions, less than m.
    """
    left_out = 1.0 - np.cumsum(squares, axis=1) / squares.sum(axis=1, keepdims=True)
    n_exact = np.arange(rank // 2 + 1)
    mean_square = np.ones(len(n_exact))
    mean_square[1:] = np.mean(left_out[:, : rank // 2] ** 2, axis=0)
    return int(np.argmin(mean_square / (rank - n_exact)))


def mixed_directions(n_axes: int, rank: int, n_exact: int, seed: int) -> np.ndarray:
    """Return Z in the coordinates of the axes, (n_axes, rank) float64.

    Parameters
    ----------
    n_axes : int
        Number of axes, m.
    rank : int
        Number of directions; all axes if that is not less than their number.
    n_exact : int
        The first axes, which are directions themselves; fewer than `rank`.
    seed : int
        Seed of the signs.
    """
    if rank >= n_axes:
        return np.eye(n_axes)
    Z = np.zeros((n_axes, rank))
    Z[:n_exact, :n_exact] = np.eye(n_exact)
    n_random = rank - n_exact
    signs = np.random.default_rng(seed).integers(2, size=(n_axes - n_exact, n_random))
    Z[n_exact:, n_exact:] = (2.0 * signs - 1.0) / np.sqrt(n_random)
    return Z
