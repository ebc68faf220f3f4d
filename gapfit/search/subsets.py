"""Nested parts of a data set, each with all its kinds of frames and all species."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gapfit.data.frame import Frame
from gapfit.data.frame_file import config_types, temporary_frames
from gapfit.fitting.prepare import Prepared

__all__ = ["nested_order", "part_of", "part_sizes"]

#: Fewest frames and atoms of a part, and frames for each config_type; most parts, and by
#: how much each exceeds the one before.
_FEWEST, _ATOMS, _OF_TYPE, _MOST_PARTS, _GROWTH = 20, 1000, 2, 4, (3.0, 9.0)


def part_sizes(n_frames: int, n_atoms: int, n_types: int) -> list[int]:
    """Return the numbers of frames of the parts, ascending; the last is `n_frames`.

    A small or diverse set has no smaller part: that would say little about all of it.

    Parameters
    ----------
    n_frames, n_atoms, n_types : int
        Frames, atoms and config_types of the data.

    Examples
    --------
    >>> part_sizes(214, 13233, 4), part_sizes(213, 900, 50), part_sizes(7367, 123115, 6)
    ([24, 71, 214], [213], [72, 336, 1574, 7367])
    """
    fewest = max(_FEWEST, _OF_TYPE * n_types, _ATOMS * n_frames / n_atoms)
    growth = (max(n_frames / fewest / 1.2, 1.0)) ** (1 / (_MOST_PARTS - 1))
    growth = float(np.clip(growth, *_GROWTH))
    sizes = [round(n_frames / growth**k) for k in range(_MOST_PARTS)]
    return sorted([n_frames, *(n for n in sizes[1:] if n >= fewest)])


def nested_order(frames: Sequence[Frame], seed: int) -> np.ndarray:
    """Return an order whose beginnings are representative, (n_frames,) int64.

    Each config_type is spread evenly over it, in an order of its own that is drawn at
    random (seeded); first come as few frames as hold all species.

    Parameters
    ----------
    frames : sequence of Frame
        All frames.
    seed : int
        Seed of the random numbers.
    """
    rng = np.random.default_rng(seed)
    kinds = np.array(config_types(frames))
    place = np.zeros(len(frames))
    for kind in sorted(set(kinds.tolist())):
        members = rng.permutation(np.flatnonzero(kinds == kind))
        place[members] = (np.arange(len(members)) + rng.uniform()) / len(members)
    order = np.argsort(place, kind="stable").tolist()
    seen: set[int] = set()
    first = []
    for n in order:
        species = set(frames[n].numbers.tolist())
        if not species <= seen:
            seen |= species
            first.append(n)
    others = set(order) - set(first)
    return np.array([*first, *(n for n in order if n in others)], dtype=np.int64)


def part_of(prepared: Prepared, chosen: np.ndarray) -> Prepared:
    """Return prepared data of some frames; energies of isolated atoms stay.

    Parameters
    ----------
    prepared : Prepared
        All data.
    chosen : (n,) int64
        The frames, by their numbers.
    """
    numbers = np.sort(chosen).tolist()

    def pick(frames: Sequence[Frame]) -> Sequence[Frame]:
        return temporary_frames(frames[n] for n in numbers)

    return replace(
        prepared,
        frames=pick(prepared.frames),
        bare=pick(prepared.bare),
        given=pick(prepared.given),
    )
