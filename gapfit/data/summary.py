"""What a data set holds, group by group: ranges that show mistakes at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gapfit.data.frame import Frame
from gapfit.data.frame_file import species_counts
from gapfit.data.neighbours import pair_list

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


def element_counts(frames: Sequence[Frame]) -> dict[str, int]:
    """Return the number of atoms of each element, by chemical symbol."""
    from ase.data import chemical_symbols

    return {str(chemical_symbols[z]): n for z, n in species_counts(frames).items()}


def summarise(frames: Sequence[Frame]) -> list[TypeSummary]:
    """Return a summary of each config_type in the order of their names, "all" first."""
    everything = TypeSummary("all", 0, 0, None, None, None, None)
    groups: dict[str, TypeSummary] = {}
    for frame in frames:
        own, name = _summary(frame), frame.config_type
        everything = _joined(everything, own)
        groups[name] = _joined(groups[name], own) if name in groups else own
    groups.pop("all", None)
    return [everything, *(groups[name] for name in sorted(groups))]


def _summary(frame: Frame) -> TypeSummary:
    n = frame.n_atoms
    return TypeSummary(
        frame.config_type,
        1,
        n,
        None if frame.energy is None else _point(frame.energy / n),
        None if frame.forces is None else _max_force(frame.forces),
        _point(frame.volume / n) if frame.pbc.all() else None,
        _min_distance(frame),
    )


def _joined(one: TypeSummary, other: TypeSummary) -> TypeSummary:
    """Return the summary of two groups, under the name of the first."""
    return TypeSummary(
        one.name,
        one.n_frames + other.n_frames,
        one.n_atoms + other.n_atoms,
        _hull(one.energy, other.energy),
        max(_known(one.max_force, other.max_force), default=None),
        _hull(one.volume, other.volume),
        min(_known(one.min_distance, other.min_distance), default=None),
    )


def _known(*values: float | None) -> list[float]:
    return [value for value in values if value is not None]


def _point(value: float) -> Range:
    return Range(float(value), float(value))


def _hull(one: Range | None, other: Range | None) -> Range | None:
    """Return the range that holds both."""
    if one is None or other is None:
        return one or other
    return Range(min(one.low, other.low), max(one.high, other.high))


def _max_force(forces: np.ndarray) -> float:
    return float(np.nan_to_num(np.linalg.norm(forces, axis=1)).max(initial=0.0))


def _min_distance(frame: Frame) -> float | None:
    R = pair_list(frame, _REACH).R
    return float(np.linalg.norm(R, axis=1).min()) if len(R) else None
