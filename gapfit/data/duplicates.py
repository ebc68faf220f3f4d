"""Search for identical frames, within a set or in two, from a few numbers of each."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np

from gapfit.data.frame import Frame

__all__ = ["Fingerprints", "shared_frames"]

#: Structures whose positions and cells agree to this are the same, Å.
SAME_POSITION = 1e-6
#: Random projections kept of each frame: only frames close in all of them are read again.
_N_PROJECTIONS = 3


class Fingerprints:
    """A hash of the species and projections of the positions of frames."""

    def __init__(self) -> None:
        self._hashes = array("Q")
        self._projections = array("d")
        self._sizes = array("q")
        self._weights = np.zeros((_N_PROJECTIONS, 0))

    def add(self, frame: Frame) -> None:
        """Add the next frame."""
        kept = frame.numbers.tobytes() + frame.pbc.tobytes()
        digest = hashlib.blake2b(kept, digest_size=8).digest()
        row = _row(frame)
        if len(row) > self._weights.shape[1]:
            self._weights = _weights(2 * len(row))
        self._hashes.append(int.from_bytes(digest, "little"))
        self._projections.extend((self._weights[:, : len(row)] @ row).tolist())
        self._sizes.append(len(row))

    def identical(self, frames: Sequence[Frame]) -> Iterator[list[int]]:
        """Yield the indices of frames that are the same to `SAME_POSITION`, ascending.

        Parameters
        ----------
        frames : sequence of Frame
            All frames that were added; those that may be the same are read again.
        """
        hashes = np.array(self._hashes)
        projections = np.array(self._projections).reshape(-1, _N_PROJECTIONS)
        _, first, group = np.unique(hashes, return_index=True, return_inverse=True)
        # Groups in order of their first frames, frames in the order of adding.
        by_group = np.argsort(first[group], kind="stable")
        ends = np.flatnonzero(np.diff(first[group][by_group])) + 1
        for members in np.split(by_group, ends):
            if len(members) > 1:
                reach = SAME_POSITION * np.abs(
                    self._weights[:, : self._sizes[members[0]]]
                ).sum(axis=1)
                yield from _equal(frames, members, projections[members], reach)


def shared_frames(train: Sequence[Frame], test: Sequence[Frame]) -> list[int]:
    """Return the indices of test frames that are training frames, too, ascending."""
    fingerprints = Fingerprints()
    for frame in chain(train, test):
        fingerprints.add(frame)
    groups = fingerprints.identical(_Both(train, test))
    return sorted(
        n - len(train)
        for group in groups
        if group[0] < len(train)
        for n in group
        if n >= len(train)
    )


class _Both(Sequence[Frame]):
    """Frames of two sets, one after the other, not copied."""

    def __init__(self, first: Sequence[Frame], second: Sequence[Frame]) -> None:
        self._first, self._second = first, second

    def __len__(self) -> int:
        return len(self._first) + len(self._second)

    def __getitem__(self, n: Any) -> Any:
        first = len(self._first)
        return self._first[n] if n < first else self._second[n - first]


def _weights(size: int) -> np.ndarray:
    """Return the weights of the projections; longer rows begin with the shorter ones."""
    seeds = range(_N_PROJECTIONS)
    return np.array([np.random.default_rng(k).uniform(-1.0, 1.0, size) for k in seeds])


def _row(frame: Frame) -> np.ndarray:
    return np.concatenate([frame.positions.ravel(), frame.cell.ravel()])


def _equal(
    frames: Sequence[Frame],
    members: np.ndarray,
    projections: np.ndarray,
    reach: np.ndarray,
) -> Iterator[list[int]]:
    """Yield the sets of equal frames among those at indices `members`.

    Sorted by the first projection, equal frames are near neighbours: only those are
    compared.
    """
    order = np.argsort(projections[:, 0], kind="stable")
    along = projections[order, 0]
    stops = np.searchsorted(along, along + reach[0], "right")
    reported: set[int] = set()
    for rank in np.flatnonzero(stops > np.arange(len(order)) + 1):
        reference, candidates = order[rank], order[rank + 1 : stops[rank]]
        if reference in reported:
            continue
        apart = np.abs(projections[candidates] - projections[reference])
        near = [
            i for i in candidates[(apart <= reach).all(axis=1)] if i not in reported
        ]
        if not near:
            continue
        frame = frames[int(members[reference])]
        same = [i for i in near if _same(frame, frames[int(members[i])])]
        if same:
            reported.update(same)
            yield sorted(int(members[i]) for i in (reference, *same))


def _same(first: Frame, second: Frame) -> bool:
    return (
        np.array_equal(first.numbers, second.numbers)
        and np.array_equal(first.pbc, second.pbc)
        and bool(np.abs(_row(first) - _row(second)).max() <= SAME_POSITION)
    )
