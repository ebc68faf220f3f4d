"""What a data set holds, group by group: ranges that show mistakes at a glance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from gapfit.frame import Frame
from gapfit.neighbours import pair_list

__all__ = ["Range", "TypeSummary", "element_counts", "summarise"]

#: Distances beyond this are not looked for, Å.
_REACH = 4.0


@dataclass(frozen=True)
class Range:
    """Smallest and largest of some numbers."""

    low: float
    high: float


@dataclass(frozen=True)
class TypeSummary:
    """Frames of one config_type, or ``"all"``.

    Attributes
    ----------
    name : str
        The config_type.
    n_frames, n_atoms : int
        How many.
    energy : Range or None
        Energy per atom, eV; None without energies.
    max_force : float or None
        Length of the largest force, eV/Å; None without forces.
    volume : Range or None
        Volume per atom of frames periodic in three directions, Å³.
    min_distance : float or None
        Shortest distance between atoms, Å; None when all are further than 4 Å apart.
    """

    name: str
    n_frames: int
    n_atoms: int
    energy: Range | None
    max_force: float | None
    volume: Range | None
    min_distance: float | None


def element_counts(frames: Iterable[Frame]) -> dict[str, int]:
    """Return the number of atoms of each element, by chemical symbol."""
    from ase.data import chemical_symbols

    numbers = np.concatenate([frame.numbers for frame in frames])
    species, counts = np.unique(numbers, return_counts=True)
    return {
        str(chemical_symbols[z]): int(n) for z, n in zip(species, counts, strict=True)
    }


def summarise(frames: Sequence[Frame]) -> list[TypeSummary]:
    """Return a summary of each config_type in the order of their names, "all" first."""
    distances = {id(frame): _min_distance(frame) for frame in frames}
    groups: dict[str, list[Frame]] = {"all": list(frames)}
    for name in sorted({frame.config_type for frame in frames} - {"all"}):
        groups[name] = [frame for frame in frames if frame.config_type == name]
    return [_summary(name, group, distances) for name, group in groups.items()]


def _summary(
    name: str, frames: Sequence[Frame], distances: dict[int, float | None]
) -> TypeSummary:
    close = [d for frame in frames if (d := distances[id(frame)]) is not None]
    return TypeSummary(
        name,
        len(frames),
        sum(frame.n_atoms for frame in frames),
        _range(f.energy / f.n_atoms for f in frames if f.energy is not None),
        _largest(_max_force(f.forces) for f in frames if f.forces is not None),
        _range(frame.volume / frame.n_atoms for frame in frames if frame.pbc.all()),
        min(close, default=None),
    )


def _range(values: Iterable[float]) -> Range | None:
    known = list(values)
    return Range(float(min(known)), float(max(known))) if known else None


def _largest(values: Iterable[float]) -> float | None:
    return max(values, default=None)


def _max_force(forces: np.ndarray) -> float:
    return float(np.nan_to_num(np.linalg.norm(forces, axis=1)).max(initial=0.0))


def _min_distance(frame: Frame) -> float | None:
    R = pair_list(frame, _REACH).R
    return float(np.linalg.norm(R, axis=1).min()) if len(R) else None
