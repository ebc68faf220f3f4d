"""Intervals that hold new observations with a guaranteed probability."""

from __future__ import annotations

import numpy as np

__all__ = ["HIGHEST", "conformal_quantiles", "quantile"]

_LEVELS = np.arange(1, 100) / 100
#: The highest level that any number of structures is asked for.
HIGHEST = float(_LEVELS[-1])


def conformal_quantiles(
    scores: np.ndarray, structure: np.ndarray
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return levels and quantiles of scores |error| / std, for observations in groups.

    An observation drawn at random from a new structure, exchangeable with those here, has
    a score of at most the quantile with at least the probability level, whatever the
    errors' distribution: each of K structures has the weight 1 / (K + 1), shared evenly
    by its observations, and the rest counts as infinite (split conformal prediction for
    hierarchical data: Lee, Barber & Willett, arXiv:2306.06342 (2023)).

    Parameters
    ----------
    scores : (n,) float64
        Not negative.
    structure : (n,) int64
        Structure each belongs to.

    Returns
    -------
    levels, quantiles : tuple of float
        0.01, 0.02 ... as far as K structures can tell, and the quantile of each.
    """
    _, where, counts = np.unique(structure, return_inverse=True, return_counts=True)
    order = np.argsort(scores, kind="stable")
    share = 1.0 / ((len(counts) + 1) * counts[where])
    reached = np.cumsum(share[order])
    # Sums of many shares miss the level they stand for by rounding.
    at = np.searchsorted(reached, _LEVELS - 1e-9)
    known = at < len(scores)
    levels, found = _LEVELS[known], scores[order][at[known]]
    return tuple(levels.tolist()), tuple(found.tolist())


def quantile(
    levels: tuple[float, ...], quantiles: tuple[float, ...], level: float
) -> float | None:
    """Return the quantile of the least known level not below `level`, None if none is."""
    at = int(np.searchsorted(levels, level - 1e-9))
    return quantiles[at] if at < len(quantiles) else None
