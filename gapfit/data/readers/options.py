"""What files of other programs leave out, and their users say: elements and units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gapfit.data.extxyz import XyzError
from gapfit.data.extxyz_rows import atomic_numbers

__all__ = ["BOHR", "GPA_PER_KBAR", "HARTREE", "UNITS", "ReadOptions", "Units"]

#: CODATA 2018: Å, eV, eV.
BOHR, HARTREE = 0.529177210903, 27.211386245988
_KCAL_PER_MOL = 0.0433641042
GPA_PER_KBAR = 0.1


class Units(NamedTuple):
    """A system of units: its length in Å, its energy in eV."""

    length: float
    energy: float

    @property
    def force(self) -> float:
        """Its force in eV/Å."""
        return self.energy / self.length


#: Systems of units by the names that LAMMPS gives them.
UNITS = {
    "metal": Units(1.0, 1.0),
    "atomic": Units(BOHR, HARTREE),
    "real": Units(1.0, _KCAL_PER_MOL),
}

_SPECIES = (
    "give them in the order of the types: species = [...] under [data], --species Si,O; "
    "or first `gapfit convert FILE data.extxyz --species Si,O`"
)


@dataclass(frozen=True)
class ReadOptions:
    """What is not in the files.

    Attributes
    ----------
    species : tuple of str
        Chemical symbols of numbered types, in the order of the numbers.
    units : str or None
        A key of `UNITS`, for files that do not name their units.
    """

    species: tuple[str, ...] = ()
    units: str | None = None

    def numbers(self, types: np.ndarray, lowest: int, line: int) -> np.ndarray:
        """Return the atomic numbers of numbered types.

        Parameters
        ----------
        types : (n_atoms,) int64
            The types.
        lowest : int
            Number of the first type: 0 or 1.
        line : int
            Line of the first, for messages.

        Returns
        -------
        (n_atoms,) int64
            Atomic numbers.

        Raises
        ------
        XyzError
            There are no elements for these types.
        """
        if not self.species:
            raise XyzError(
                f"types are numbers, and the file does not name their elements; {_SPECIES}",
                line,
            )
        last = lowest + len(self.species) - 1
        bad = (types < lowest) | (types > last)
        if bad.any():
            n = int(np.argmax(bad))
            raise XyzError(
                f"type {types[n]} has no element: species {', '.join(self.species)} are "
                f"types {lowest} to {last}; {_SPECIES}",
                line + n,
            )
        return atomic_numbers(self.species, line)[types - lowest]
