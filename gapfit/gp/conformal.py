"""Intervals that contain new observations with a guaranteed probability."""

from __future__ import annotations

import numpy as np

__all__ = ["HIGHEST", "conformal_quantiles", "quantile"]

_LEVELS = np.arange(1, 100) / 100
#: The highest level that is computed, however many structures there are.
HIGHEST = float(_LEVELS[-1])


def conformal_quantiles(
    scores: np.ndarray, structure: np.ndarray
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return levels and quantiles of scores |error| / std, for observations in groups.

    An observation drawn at random among all those of new structures, which are
    exchangeable with those here, has a score of at most the quantile with at least the
    probability level, whatever the errors' distribution: structures are drawn with
    weights that are their numbers of observations, and a new one, which counts as
    infinite, weighs no more than the largest here (weighted conformal prediction:
    Tibshirani, Barber, Candès & Ramdas, NeurIPS 32 (2019)).

    Parameters
    ----------
    scores : (n,) float64
        Not negative.
    structure : (n,) int64
        Structure that each belongs to.

    Returns
    -------
    levels, quantiles : tuple of float
        0.01, 0.02 ... as far as these structures suffice, and the quantile of each.
    """
    _, counts = np.unique(structure, return_counts=True)
    reached = np.arange(1, len(scores) + 1) / (len(scores) + counts.max(initial=0))
    # Shares differ from their level by rounding.
    at = np.searchsorted(reached, _LEVELS - 1e-9)
    reachable = at < len(scores)
    levels, quantiles = _LEVELS[reachable], np.sort(scores)[at[reachable]]
    return tuple(levels.tolist()), tuple(quantiles.tolist())


def quantile(
    levels: tuple[float, ...], quantiles: tuple[float, ...], level: float
) -> float | None:
    """Return the quantile of the lowest level not below `level`, None if there is none."""
    at = int(np.searchsorted(levels, level - 1e-9))
    return quantiles[at] if at < len(quantiles) else None
