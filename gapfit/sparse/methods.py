"""Methods that choose sparse points from descriptors: arrays in, indices out."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

__all__ = [
    "directions_of",
    "leverage_directions",
    "mixed",
    "principal_directions",
    "row_hashes",
    "select",
    "select_with_quotas",
    "unique_rows",
]

_LLOYD_STEPS = 10
# Rows hashed together: their copies stay in the cache.
_HASH_ROWS = 512
# Steps to the number of cells of a grid.
_BISECTIONS = 40


def principal_directions(values: np.ndarray, components: float) -> np.ndarray:
    """Return the leading right singular vectors of the rows, without centring.

    Parameters
    ----------
    values : (n, n_features) float64
        Descriptors of all environments of one block.
    components : int or float
        Number of directions; or, below 1, smallest singular value relative to the
        largest.

    Returns
    -------
    (n_features, width) float64
        Orthonormal columns, by decreasing singular value.
    """
    return directions_of(values.T @ values, components)


def directions_of(gram: np.ndarray, components: float) -> np.ndarray:
    """Return the same as `principal_directions`, from X^T X of the rows X."""
    eigenvalues, vectors = np.linalg.eigh(gram)
    order = np.argsort(eigenvalues)[::-1]
    if components >= 1:
        width = min(int(components), len(order))
    else:
        limit = components**2 * eigenvalues[order[0]]
        width = max(int((eigenvalues >= limit).sum()), 1)
    return np.ascontiguousarray(vectors[:, order[:width]])


def unique_rows(values: np.ndarray, decimals: int = 10) -> np.ndarray:
    """Return the indices of the first of each set of equal rows, ascending.

    Parameters
    ----------
    values : (n, n_features) float64
        Descriptors; compared after rounding.
    decimals : int
        Digits that must agree.
    """
    hashes = row_hashes(values, decimals)
    return np.sort(np.unique(hashes, return_index=True)[1])


def row_hashes(values: np.ndarray, decimals: int = 10) -> np.ndarray:
    """Return 64 bits for each row, the same for rows that are equal after rounding.

    Two different rows have the same bits with a probability of 2^-64.

    Parameters
    ----------
    values : (n, n_features) float64
        Descriptors; absolute values below 10^(18 - decimals).
    decimals : int
        Digits that must agree.

    Returns
    -------
    (n,) uint64
    """
    bits = np.random.default_rng(0).integers(2**64, size=values.shape[1], dtype="u8")
    weights = bits | np.uint64(1)
    hashes = np.empty(len(values), dtype=np.uint64)
    for first in range(0, len(values), _HASH_ROWS):
        part = slice(first, first + _HASH_ROWS)
        rounded = np.rint(values[part] * 10.0**decimals).astype(np.int64)
        hashes[part] = (rounded.view(np.uint64) * weights).sum(axis=1)
    return mixed(hashes)


def mixed(bits: np.ndarray) -> np.ndarray:
    """Return 64-bit numbers mixed one to one: each bit depends on all (splitmix64)."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def select(
    values: np.ndarray, n_sparse: int, method: str, rng: np.random.Generator
) -> np.ndarray:
    """Return the indices of the sparse points, ascending; duplicates never count twice.

    Parameters
    ----------
    values : (n, n_features) float64
        Descriptors of all environments of one block.
    n_sparse : int
        Number wanted; fewer are returned when there are fewer distinct environments.
    method : {"cur", "fps", "kmeans", "random", "uniform"}
        Sampling by leverage scores, farthest points, those nearest to the centres of
        clusters, equal chances for all, or one from each cell of a regular grid (few
        features only).
    rng : numpy.random.Generator
        Source of randomness.
    """
    distinct = unique_rows(values)
    if len(distinct) <= n_sparse:
        return distinct
    methods = {
        "cur": _cur,
        "fps": _fps,
        "kmeans": _kmeans,
        "random": _random,
        "uniform": _uniform,
    }
    return np.sort(distinct[methods[method](values[distinct], n_sparse, rng)])


def select_with_quotas(
    values: np.ndarray,
    groups: np.ndarray,
    quotas: Mapping[int, int],
    n_sparse: int,
    method: str,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the indices of sparse points with fixed numbers from certain groups.

    Parameters
    ----------
    values : (n, n_features) float64
        Descriptors of all environments of one block.
    groups : (n,) int64
        Group of each row.
    quotas : mapping of int to int
        Points wanted from each group; a smaller group gives all its rows. The remainder of
        `n_sparse` comes from the rows of all other groups.
    n_sparse : int
        Total number wanted, at least the sum of the quotas.
    method : str
        As in `select`.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    (m,) int64
        Indices, ascending; equal rows never count twice.
    """
    first = unique_rows(values)
    chosen = np.zeros(0, dtype=np.int64)

    def add(rows: np.ndarray, share: int) -> np.ndarray:
        if share <= 0 or not len(rows):
            return chosen
        return np.concatenate([chosen, rows[select(values[rows], share, method, rng)]])

    for group, quota in quotas.items():
        share = min(quota, n_sparse - len(chosen))
        chosen = add(first[groups[first] == group], share)
    ungrouped = first[~np.isin(groups[first], list(quotas))]
    return np.sort(add(ungrouped, n_sparse - len(chosen)))


def _kmeans(values: np.ndarray, n_sparse: int, rng: np.random.Generator) -> np.ndarray:
    """Take the row nearest to the centre of each cluster (Lloyd's algorithm).

    Clusters start from farthest points; empty ones give no point.
    """
    from scipy.cluster.vq import kmeans2, vq

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        start = values[_fps(values, n_sparse, rng)]
        centres, _ = kmeans2(values, start, iter=_LLOYD_STEPS, minit="matrix")
    cluster, distance = vq(values, centres)
    order = np.lexsort([distance, cluster])
    return order[np.unique(cluster[order], return_index=True)[1]]


def _uniform(values: np.ndarray, n_sparse: int, rng: np.random.Generator) -> np.ndarray:
    """Take the row nearest to the middle of each occupied cell of a grid.

    A single feature gets `n_sparse` intervals; several get nearly cubic cells, as small as
    possible with at most `n_sparse` of them occupied.
    """
    fewest, most, best = 1.0, 2.0**20, 1.0
    if values.shape[1] == 1:
        return _nearest_to_middles(*_grid(values, n_sparse))
    for _ in range(_BISECTIONS):
        along = np.sqrt(fewest * most)
        if len(np.unique(_grid(values, along)[0])) <= n_sparse:
            fewest = best = along
        else:
            most = along
    return _nearest_to_middles(*_grid(values, best))


def _grid(values: np.ndarray, along: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the cell of each row and its distance from the middle, in cells.

    `along` is the number of cells along the longest side of the grid.
    """
    lowest, sides = values.min(axis=0), np.ptp(values, axis=0)
    longest = max(sides.max(), 1e-12)
    n_cells = np.maximum(np.ceil(along * sides / longest - 1e-9), 1.0)
    place = (values - lowest) * (n_cells / np.maximum(sides, 1e-12))
    inside = np.minimum(np.floor(place), n_cells - 1)
    cells = np.ravel_multi_index(
        tuple(inside.T.astype(np.int64)), tuple(n_cells.astype(np.int64))
    )
    return cells, np.linalg.norm(place - inside - 0.5, axis=1)


def _nearest_to_middles(cells: np.ndarray, distances: np.ndarray) -> np.ndarray:
    order = np.lexsort([distances, cells])
    return order[np.unique(cells[order], return_index=True)[1]]


def _random(values: np.ndarray, n_sparse: int, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(len(values), n_sparse, replace=False)


def _cur(values: np.ndarray, n_sparse: int, rng: np.random.Generator) -> np.ndarray:
    """Sample without replacement, weighted by the statistical leverage of the rows.

    Leverage: squared row norms of the leading left singular vectors (Mahoney &
    Drineas, PNAS 106, 697 (2009)), here from the smaller Gram matrix of the features.
    """
    scores = values @ leverage_directions(values.T @ values, n_sparse)
    leverage = np.einsum("nk,nk->n", scores, scores)
    # Rows without leverage can still be drawn after all others.
    weights = leverage + 1e-12 * leverage.max()
    return rng.choice(len(values), n_sparse, replace=False, p=weights / weights.sum())


def leverage_directions(gram: np.ndarray, n_sparse: int) -> np.ndarray:
    """Return the matrix V that gives the leverage |x V|² of a row x.

    Parameters
    ----------
    gram : (n_features, n_features) float64
        X^T X of the rows X.
    n_sparse : int
        Number of rows to draw.

    Returns
    -------
    (n_features, n_directions) float64
        Leading right singular vectors of X over their singular values.
    """
    eigenvalues, vectors = np.linalg.eigh(gram)
    order = np.argsort(eigenvalues)[::-1]
    rank = int((eigenvalues > 1e-14 * eigenvalues[order[0]]).sum())
    kept = order[: max(1, min(n_sparse, rank // 2))]
    return vectors[:, kept] / np.sqrt(eigenvalues[kept])


def _fps(values: np.ndarray, n_sparse: int, rng: np.random.Generator) -> np.ndarray:
    """Take the row farthest from those taken, one after the other."""
    chosen = np.empty(n_sparse, dtype=np.int64)
    chosen[0] = rng.integers(len(values))
    squares = np.einsum("nf,nf->n", values, values)
    distance = np.full(len(values), np.inf)
    for n in range(1, n_sparse):
        latest = values[chosen[n - 1]]
        to_latest = squares + squares[chosen[n - 1]] - 2 * (values @ latest)
        np.minimum(distance, to_latest, out=distance)
        distance[chosen[:n]] = -1.0
        chosen[n] = int(np.argmax(distance))
    return chosen
