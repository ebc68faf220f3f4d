"""What a data set says about each pair of species: shortest distances and dimers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from gapfit.data.frame import Frame
from gapfit.data.neighbours import pair_list

__all__ = ["PairData", "PairTally", "dimer_distance", "joined_pair_data", "pair_data"]

#: Longest distance searched for pairs in larger structures, Å.
_REACH = 3.5


@dataclass(frozen=True)
class PairData:
    """Pairs of two species in a data set.

    Attributes
    ----------
    species : tuple of int
        Atomic numbers, ascending.
    closest : float or None
        Shortest distance, Å; None if there is none within `reach`.
    n_dimers : int
        Structures of these two atoms alone, within the cutoff of the model.
    reach : float
        Longest distance searched, Å.
    """

    species: tuple[int, int]
    closest: float | None
    n_dimers: int
    reach: float

    @property
    def text(self) -> str:
        """Dimers and shortest distance in words.

        Examples
        --------
        >>> PairData((32, 52), 2.413, 0, 3.5).text
        'no dimer in the data, pairs from 2.41 Å'
        """
        n = self.n_dimers
        dimers = f"{n or 'no'} {'dimers' if n > 1 else 'dimer'} in the data"
        if self.closest is None:
            return f"{dimers}, no pair within {self.reach:g} Å"
        return f"{dimers}, pairs from {self.closest:.2f} Å"


class PairTally:
    """Collects the shortest distances and the dimers of structures.

    Parameters
    ----------
    species : iterable of int
        Atomic numbers of the data.
    cutoff : float
        Cutoff of the model, Å.
    """

    def __init__(self, species: Iterable[int], cutoff: float) -> None:
        self.cutoff = cutoff
        self.reach = min(cutoff, _REACH)
        pairs = list(combinations_with_replacement(sorted(species), 2))
        self._closest = dict.fromkeys(pairs, np.inf)
        self._n_dimers = dict.fromkeys(pairs, 0)

    def add(self, frame: Frame) -> None:
        """Add a structure; it must be of the species of the tally."""
        if dimer_distance(frame, self.cutoff) is not None:
            first, second = sorted(frame.numbers.tolist())
            self._n_dimers[first, second] += 1
        pairs = pair_list(frame, self.reach)
        species = np.sort(frame.numbers[np.stack([pairs.i, pairs.j])], axis=0)
        kinds, which = np.unique(species, axis=1, return_inverse=True)
        least = np.full(kinds.shape[1], np.inf)
        np.minimum.at(least, which.ravel(), np.linalg.norm(pairs.R, axis=1))
        for first, second, distance in zip(
            *kinds.tolist(), least.tolist(), strict=True
        ):
            shortest = min(self._closest[first, second], distance)
            self._closest[first, second] = shortest

    @property
    def pairs(self) -> tuple[PairData, ...]:
        """Data of each pair of species, in order."""
        return tuple(
            PairData(
                pair,
                closest if closest < np.inf else None,
                self._n_dimers[pair],
                self.reach,
            )
            for pair, closest in self._closest.items()
        )


def pair_data(
    frames: Iterable[Frame], species: Iterable[int], cutoff: float
) -> tuple[PairData, ...]:
    """Return what structures say about each pair of species.

    Parameters
    ----------
    frames : iterable of Frame
        Structures.
    species : iterable of int
        Atomic numbers of all their atoms, and of others for which there are no data.
    cutoff : float
        Cutoff of the model, Å.
    """
    tally = PairTally(species, cutoff)
    for frame in frames:
        tally.add(frame)
    return tally.pairs


def joined_pair_data(
    first: Sequence[PairData], second: Sequence[PairData]
) -> tuple[PairData, ...]:
    """Return the pairs of two data sets of the same species together.

    Nothing is known of all data where nothing is known of the first.
    """
    if not first:
        return ()
    return tuple(
        PairData(
            one.species,
            min(
                (d for d in (one.closest, other.closest) if d is not None), default=None
            ),
            one.n_dimers + other.n_dimers,
            one.reach,
        )
        for one, other in zip(first, second, strict=True)
    )


def dimer_distance(frame: Frame, cutoff: float) -> float | None:
    """Return the distance of two atoms alone, Å; None for all other structures.

    Images further away than `cutoff`, Å, do not count.
    """
    if frame.n_atoms != 2:
        return None
    R = pair_list(frame, cutoff).R
    return float(np.linalg.norm(R[0])) if len(R) == 2 else None
