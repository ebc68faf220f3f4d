"""Choice of sparse points in passes over environments that do not fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gapfit.sparse.methods import leverage_directions, mixed, row_hashes

__all__ = ["Batch", "RowPool", "Source", "Subset", "cur", "gram", "subset"]

#: Descriptors and number of the config_type of a batch of environments, by block.
Batch = dict[int, tuple[np.ndarray, np.ndarray]]
#: Starts a pass over all environments.
Source = Callable[[], Iterator[Batch]]

#: Weight of rows without leverage, relative to the mean: drawn only after all others.
_LEAST = 1e-12


def gram(source: Source) -> dict[int, np.ndarray]:
    """Return X^T X over all environments of each block, (n_features, n_features)."""
    total: dict[int, np.ndarray] = {}
    for batch in source():
        for block, (values, _) in batch.items():
            total[block] = total.get(block, 0.0) + values.T @ values
    return total


class RowPool:
    """The distinct rows with the smallest keys.

    Equal rows must have equal keys. At most twice `size` rows are in memory, and `size`
    more while the surplus is removed.

    Parameters
    ----------
    size : int
        Number of rows to keep.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.dropped = False
        self._limit = np.inf
        self._held = 0
        self._parts: list[tuple[np.ndarray, ...]] = []

    def add(
        self,
        keys: np.ndarray,
        hashes: np.ndarray,
        values: np.ndarray,
        kinds: np.ndarray,
    ) -> None:
        """Offer rows: keys (n,), hashes (n,), values (n, width) and kinds (n,)."""
        near = keys <= self._limit
        self._parts.append((keys[near], hashes[near], values[near], kinds[near]))
        self._held += int(near.sum())
        if self._held > 2 * self.size:
            self._shrink()

    def _shrink(self) -> None:
        keys, hashes = (
            np.concatenate([part[n] for part in self._parts]) for n in (0, 1)
        )
        kept = np.unique(hashes, return_index=True)[1]
        if len(kept) > self.size:
            self.dropped = True
            kept = kept[np.lexsort([hashes[kept], keys[kept]])[: self.size]]
            self._limit = keys[kept[-1]]
        stay = np.zeros(len(keys), dtype=bool)
        stay[kept] = True
        # Part by part: joining them would copy all rows.
        ends = np.cumsum([len(part[0]) for part in self._parts])[:-1]
        self._parts = [
            tuple(column[mask] for column in part)
            for part, mask in zip(self._parts, np.split(stay, ends), strict=True)
            if mask.any()
        ]
        self._held = len(kept)

    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Return values (n, width) and kinds (n,) in the order of adding."""
        if self._parts:
            self._shrink()
        if not self._parts:
            return np.zeros((0, 1)), np.zeros(0, dtype=np.int64)
        values, kinds = (
            np.concatenate([part[n] for part in self._parts]) for n in (2, 3)
        )
        self._parts = []
        return values, kinds


def _uniform(hashes: np.ndarray, salt: int) -> np.ndarray:
    """Return a number in (0, 1) for each hash, the same for equal ones."""
    bits = mixed(hashes ^ np.uint64(salt)) >> np.uint64(11)
    return (bits.astype(float) + 0.5) * 2.0**-53


def _groups(kinds: np.ndarray, quotas: Mapping[int, int]) -> Iterator[tuple[int, Any]]:
    """Yield kind and indices of each group of rows; kind -1: all without a quota."""
    for kind in quotas:
        yield kind, np.flatnonzero(kinds == kind)
    yield -1, np.flatnonzero(~np.isin(kinds, list(quotas)))


@dataclass(frozen=True, eq=False)
class Subset:
    """Distinct environments of one block.

    Attributes
    ----------
    values : (n, width) float64
        Descriptors.
    kinds : (n,) int64
        Number of the config_type of each.
    n_found : int
        Number of all environments, equal ones included.
    complete : bool
        Whether these are all distinct environments.
    """

    values: np.ndarray
    kinds: np.ndarray
    n_found: int
    complete: bool


def subset(
    source: Source,
    sizes: Mapping[int, int],
    quotas: Mapping[int, int],
    salts: Mapping[int, int],
    *,
    extremes: bool = False,
) -> dict[int, Subset]:
    """Return distinct environments of each block, drawn with equal chances, in one pass.

    Parameters
    ----------
    source : Source
        The environments.
    sizes : mapping of int to int
        Number of environments from each group, by block; a group is a kind that has a
        quota, or all other kinds together.
    quotas : mapping of int to int
        Quotas by kind.
    salts : mapping of int to int
        Seed of the choice by block, 0 to 2^64 - 1.
    extremes : bool
        Whether to add those with the least and the greatest value of each feature.
    """
    pools: dict[tuple[int, int], RowPool] = {}
    ends: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}
    n_found: dict[int, int] = {}
    for batch in source():
        for block, (values, kinds) in batch.items():
            n_found[block] = n_found.get(block, 0) + len(values)
            hashes = row_hashes(values)
            keys = _uniform(hashes, salts[block])
            for kind, index in _groups(kinds, quotas):
                pool = pools.setdefault((block, kind), RowPool(sizes[block]))
                pool.add(keys[index], hashes[index], values[index], kinds[index])
                if extremes and len(index):
                    rows = values[index], kinds[index]
                    ends[block, kind] = _ends(ends.get((block, kind), rows), rows)
    out = {}
    for block, count in n_found.items():
        block_pools = [pool for key, pool in pools.items() if key[0] == block]
        parts = [pool.rows() for pool in block_pools]
        parts += [rows for key, rows in ends.items() if key[0] == block]
        values, kinds = _joined(parts)
        complete = not any(pool.dropped for pool in block_pools)
        out[block] = Subset(values, kinds, count, complete)
    return out


def _ends(
    extremes: tuple[np.ndarray, np.ndarray], rows: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows with the extreme values of each feature, new rows included."""
    values, kinds = _joined([extremes, rows])
    index = np.unique([values.argmin(axis=0), values.argmax(axis=0)])
    return values[index], kinds[index]


def _joined(
    parts: Sequence[tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
    """Return values and kinds of several parts; empty parts may have any width."""
    filled = [part for part in parts if len(part[0])] or [parts[0]]
    values, kinds = map(np.concatenate, zip(*filled, strict=True))
    return values, kinds


class _Seen:
    """Hashes seen so far, in sorted runs of growing length: 8 bytes for each."""

    def __init__(self) -> None:
        self._runs: list[np.ndarray] = []

    def first(self, hashes: np.ndarray) -> np.ndarray:
        """Return the indices of hashes not seen before, ascending, and remember them."""
        unique, index = np.unique(hashes, return_index=True)
        new = np.ones(len(unique), dtype=bool)
        for run in self._runs:
            at = np.minimum(np.searchsorted(run, unique), len(run) - 1)
            new &= run[at] != unique
        if new.any():
            self._runs.append(unique[new])
        while len(self._runs) > 1 and len(self._runs[-2]) < 2 * len(self._runs[-1]):
            newest = self._runs.pop()
            self._runs[-1] = np.sort(np.concatenate([self._runs[-1], newest]))
        return np.sort(index[new])


@dataclass
class _Group:
    """Number of distinct environments of a group, and their X^T X."""

    count: int
    gram: np.ndarray | float


def cur(
    source: Source,
    n_sparse: Mapping[int, int],
    quotas: Mapping[int, int],
    salts: Mapping[int, int],
) -> dict[int, np.ndarray]:
    """Return sparse points drawn by leverage scores, in two passes.

    The distribution is that of `gapfit.sparse.methods.select_with_quotas`: successive draws
    with chances by weight, here as the smallest -log(u)/weight (Efraimidis & Spirakis,
    Inf. Process. Lett. 97, 181 (2006)). Takes 8 bytes for each distinct environment.

    Parameters
    ----------
    source : Source
        The environments.
    n_sparse : mapping of int to int
        Number wanted, by block.
    quotas : mapping of int to int
        Points from each kind that has a quota.
    salts : mapping of int to int
        Seed of the choice by block, 0 to 2^64 - 1.

    Returns
    -------
    dict of int to (m, width) float64
        Points by block; blocks without environments are absent.
    """
    groups: dict[tuple[int, int], _Group] = {}
    for block, kind, _, values, _ in _distinct(source, quotas):
        group = groups.setdefault((block, kind), _Group(0, 0.0))
        group.count += len(values)
        group.gram = group.gram + values.T @ values
    shares = _shares(groups, n_sparse, quotas)
    pools, directions = {}, {}
    for key, share in shares.items():
        pools[key] = RowPool(share)
        directions[key] = leverage_directions(np.asarray(groups[key].gram), share)
    for block, kind, hashes, values, kinds in _distinct(source, quotas):
        key = (block, kind)
        if key not in pools:
            continue
        scores = values @ directions[key]
        least = _LEAST * scores.shape[1] / groups[key].count
        weights = np.einsum("nk,nk->n", scores, scores) + least
        keys = -np.log(_uniform(hashes, salts[block])) / weights
        pools[key].add(keys, hashes, values, kinds)
    blocks = sorted({block for block, _ in pools})
    return {
        b: _joined([p.rows() for k, p in pools.items() if k[0] == b])[0] for b in blocks
    }


def _distinct(
    source: Source, quotas: Mapping[int, int]
) -> Iterator[tuple[int, int, np.ndarray, np.ndarray, np.ndarray]]:
    """Yield block, group, hashes, values and kinds of environments not seen before."""
    seen: dict[int, _Seen] = {}
    for batch in source():
        for block, (values, kinds) in batch.items():
            hashes = row_hashes(values)
            new = seen.setdefault(block, _Seen()).first(hashes)
            for kind, index in _groups(kinds[new], quotas):
                if len(index):
                    rows = new[index]
                    yield block, kind, hashes[rows], values[rows], kinds[rows]


def _shares(
    groups: Mapping[tuple[int, int], _Group],
    n_sparse: Mapping[int, int],
    quotas: Mapping[int, int],
) -> dict[tuple[int, int], int]:
    """Return the number of points from each group; groups without points are absent."""
    shares: dict[tuple[int, int], int] = {}
    for block in {block for block, _ in groups}:
        remaining = n_sparse[block]
        for kind in (*quotas, -1):
            group = groups.get((block, kind))
            wanted = remaining if kind == -1 else min(quotas[kind], remaining)
            share = min(wanted, group.count) if group else 0
            if share:
                shares[block, kind] = share
            remaining -= share
    return shares
