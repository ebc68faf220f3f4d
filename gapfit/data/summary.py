"""Summary of a data set by config_type: ranges that show mistakes at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gapfit.data.frame import Frame
from gapfit.data.frame_file import species_counts
from gapfit.data.neighbours import pair_list
from gapfit.data.places import TOTAL, group_name

__all__ = ["Range", "TypeSummary", "element_counts", "summarise"]

#: Longest distance searched, Å.
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
        Numbers of frames and atoms.
    energy : Range or None
        Energy per atom, eV; None without energies.
    max_force : float or None
        Length of the largest force, eV/Å; None without forces.
    volume : Range or None
        Volume per atom of frames periodic in three directions, Å³.
    min_distance : float or None
        Shortest distance between atoms, Å; None when all are more than 4 Å apart.
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
    everything = TypeSummary(TOTAL, 0, 0, None, None, None, None)
    groups: dict[str, TypeSummary] = {}
    for frame in frames:
        summary = _summary(frame)
        name = summary.name
        everything = _joined(everything, summary)
        groups[name] = _joined(groups[name], summary) if name in groups else summary
    return [everything, *(groups[name] for name in sorted(groups))]


def _summary(frame: Frame) -> TypeSummary:
    n = frame.n_atoms
    return TypeSummary(
        group_name(frame.config_type),
        1,
        n,
        None if frame.energy is None else _point(frame.energy / n),
        None if frame.forces is None else _max_force(frame.forces),
        _point(frame.volume / n) if frame.pbc.all() else None,
        _min_distance(frame),
    )


def _joined(first: TypeSummary, second: TypeSummary) -> TypeSummary:
    """Return the summary of two groups, under the name of the first."""
    return TypeSummary(
        first.name,
        first.n_frames + second.n_frames,
        first.n_atoms + second.n_atoms,
        _hull(first.energy, second.energy),
        max(_present(first.max_force, second.max_force), default=None),
        _hull(first.volume, second.volume),
        min(_present(first.min_distance, second.min_distance), default=None),
    )


def _present(*values: float | None) -> list[float]:
    return [value for value in values if value is not None]


def _point(value: float) -> Range:
    return Range(float(value), float(value))


def _hull(first: Range | None, second: Range | None) -> Range | None:
    """Return the smallest range that contains both."""
    if first is None or second is None:
        return first or second
    return Range(min(first.low, second.low), max(first.high, second.high))


def _max_force(forces: np.ndarray) -> float:
    return float(np.nan_to_num(np.linalg.norm(forces, axis=1)).max(initial=0.0))


def _min_distance(frame: Frame) -> float | None:
    R = pair_list(frame, _REACH).R
    return float(np.linalg.norm(R, axis=1).min()) if len(R) else None
