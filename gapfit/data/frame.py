"""One structure with its reference labels, as plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gapfit.errors import GapfitError

__all__ = [
    "GPA",
    "VOIGT",
    "Frame",
    "as_frame",
    "determinant",
    "structure_arrays",
    "to_voigt",
    "voigt_to_matrix",
]

#: 1 eV/Å³ in GPa.
GPA = 160.21766208

#: Row and column of the six Voigt components xx yy zz yz xz xy (ASE's order).
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
#: Least volume that a stress refers to, Å³.
_LEAST_VOLUME = 1e-8
_VOIGT_INDEX = tuple(np.array(VOIGT).T)


@dataclass(frozen=True, eq=False)
class Frame:
    """One structure with its labels; units eV, Å, eV/Å.

    Attributes
    ----------
    numbers : (n_atoms,) int64
        Atomic numbers.
    positions : (n_atoms, 3) float64
        Positions, Å.
    cell : (3, 3) float64
        Lattice vectors as rows, Å; zero rows where there is no periodicity.
    pbc : (3,) bool
        Periodic directions.
    config_type : str
        Kind of frame: groups sigmas and error tables.
    source : str
        Origin, for messages: ``"train.extxyz, frame 12"``.
    energy : float or None
        Total energy, eV.
    forces : (n_atoms, 3) float64 or None
        Forces, eV/Å; NaN marks components that are not fitted.
    virial : (6,) float64 or None
        -stress × volume in Voigt order xx yy zz yz xz xy, eV.
    energy_sigma, virial_sigma : float or None
        Standard deviation of this frame's labels, eV per atom.
    force_sigma : (n_atoms,) float64 or None
        Standard deviation of the force components of each atom, eV/Å.
    """

    numbers: np.ndarray
    positions: np.ndarray
    cell: np.ndarray
    pbc: np.ndarray
    config_type: str = "default"
    source: str = "structure"
    energy: float | None = None
    forces: np.ndarray | None = None
    virial: np.ndarray | None = None
    energy_sigma: float | None = None
    force_sigma: np.ndarray | None = None
    virial_sigma: float | None = None

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.numbers)

    @property
    def volume(self) -> float:
        """Volume of the cell, Å³; 0 without a three-dimensional cell."""
        return abs(determinant(self.cell))

    @property
    def has_volume(self) -> bool:
        """Whether the volume is large enough for a stress."""
        return self.volume > _LEAST_VOLUME

    @property
    def stress(self) -> np.ndarray | None:
        """Stress in ASE's sign and Voigt order, eV/Å³, shape (6,)."""
        return None if self.virial is None else -self.virial / self.volume


def determinant(matrix: np.ndarray) -> float:
    """Return the determinant of lattice vectors, without a warning if they are tiny."""
    with np.errstate(divide="ignore"):
        return float(np.linalg.det(matrix))


def to_voigt(matrix: np.ndarray) -> np.ndarray:
    """Return the six Voigt components of the symmetric part, shape (..., 6)."""
    rows, columns = _VOIGT_INDEX
    # Halved first: the sum of two large components may overflow.
    return 0.5 * matrix[..., rows, columns] + 0.5 * matrix[..., columns, rows]


def voigt_to_matrix(voigt: np.ndarray | Sequence[float]) -> np.ndarray:
    """Return the symmetric (3, 3) matrix of six Voigt components."""
    xx, yy, zz, yz, xz, xy = voigt
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]], dtype=float)


def structure_arrays(atoms: Any, source: str = "structure") -> Frame:
    """Return the structure of an ASE Atoms object without labels, with its source."""
    return Frame(
        numbers=np.asarray(atoms.numbers, dtype=np.int64),
        positions=np.array(atoms.positions, dtype=float),
        cell=np.array(atoms.cell, dtype=float),
        pbc=np.array(atoms.pbc, dtype=bool),
        source=source,
    )


def as_frame(item: Any, source: str) -> Frame:
    """Return a Frame itself, or the bare structure of an ASE Atoms object.

    Raises
    ------
    GapfitError
        It is neither.
    """
    if isinstance(item, Frame):
        return item
    if not hasattr(item, "positions"):
        raise GapfitError(f"cannot predict a {type(item).__name__}; give ase.Atoms")
    return structure_arrays(item, source)
