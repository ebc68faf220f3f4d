"""Quantities that are observed, and their numbers of observations."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np

from gapfit.data.frame import Frame

__all__ = [
    "Quantity",
    "count_rows",
    "labelled_forces",
    "row_counts",
]


class Quantity(StrEnum):
    """Quantity that is observed and fitted, in the order of the groups of rows.

    The values name fields of `Frame`, keys of ``[sigma]`` and entries of files.
    """

    ENERGY = "energy"
    FORCES = "forces"
    VIRIAL = "virial"

    @property
    def position(self) -> int:
        """Position of its rows among the groups of rows: 0, 1 or 2."""
        return tuple(Quantity).index(self)

    @property
    def reported(self) -> str:
        """Name in predictions and errors, which report the virial as a stress."""
        return "stress" if self is Quantity.VIRIAL else str(self)

    @property
    def error_unit(self) -> str:
        """Unit in which errors are reported: per atom, or of a component."""
        return _ERROR_UNITS[self]


_ERROR_UNITS = {
    Quantity.ENERGY: "meV/atom",
    Quantity.FORCES: "eV/Å",
    Quantity.VIRIAL: "GPa",
}


def row_counts(frames: Sequence[Frame]) -> np.ndarray:
    """Return the number of observations of each quantity by frame, (n_frames, 3) int64."""
    counts = np.zeros((len(frames), len(Quantity)), dtype=np.int64)
    for n, frame in enumerate(frames):
        n_components = 0 if frame.forces is None else np.isfinite(frame.forces).sum()
        counts[n] = (
            frame.energy is not None,
            n_components,
            6 * (frame.virial is not None),
        )
    return counts


def count_rows(frames: Sequence[Frame]) -> dict[str, int]:
    """Return the number of observations of each quantity in all frames, as plain data."""
    counts = row_counts(frames).sum(axis=0).tolist()
    return dict(zip(map(str, Quantity), counts, strict=True))


def labelled_forces(frame: Frame) -> np.ndarray:
    """Return which force components have labels, (3 n_atoms,) bool."""
    if frame.forces is None:
        return np.zeros(3 * frame.n_atoms, dtype=bool)
    return np.isfinite(frame.forces).ravel()
