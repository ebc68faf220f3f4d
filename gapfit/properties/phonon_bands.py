"""Phonons by finite displacements, with phonopy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gapfit.errors import GapfitError
from gapfit.properties.relax import supercell

__all__ = ["Phonons", "phonons"]

#: Displacement, Å; points of a path; mesh of the density of states, points × Å.
_DISPLACEMENT, _PATH_POINTS, _MESH_LENGTH = 0.01, 200, 60.0
#: Frequencies above this are imaginary by rounding only, THz.
_IMAGINARY = -0.05


@dataclass(frozen=True, eq=False)
class Phonons:
    """Harmonic vibrations of a crystal; imaginary frequencies are negative.

    Attributes
    ----------
    distances : (n_path,) float64
        Distances along the path through the Brillouin zone, 1/Å.
    bands : (n_path, n_modes) float64
        Frequencies along the path, THz.
    labels : list of (float, str)
        Distance and name of the special points; ``"U|K"`` where the path jumps.
    gamma : (n_modes,) float64
        Frequencies at Γ, ascending, THz.
    frequencies, density : (n,) float64
        Density of states: frequencies, THz, and modes of a primitive cell per THz.
    lowest, highest : float
        Extreme frequencies over the path and a mesh of the Brillouin zone, THz.
    n_atoms : int
        Atoms of the supercell with displacements.
    """

    distances: np.ndarray
    bands: np.ndarray
    labels: list[tuple[float, str]]
    gamma: np.ndarray
    frequencies: np.ndarray
    density: np.ndarray
    lowest: float
    highest: float
    n_atoms: int

    @property
    def is_stable(self) -> bool:
        """Whether no mode is imaginary by more than 0.05 THz."""
        return self.lowest > _IMAGINARY


def phonons(crystal: Any, calculator: Any, *, width: float = 10.0) -> Phonons:
    """Return bands along the usual path, and the density of states.

    Parameters
    ----------
    crystal : ase.Atoms
        Relaxed structure, any cell of the crystal.
    calculator : ase.calculators.calculator.Calculator
        A calculator with forces.
    width : float
        Least distance of opposite faces of the supercell, Å.

    Raises
    ------
    GapfitError
        phonopy is not installed.
    """
    engine = _engine(crystal, width)
    engine.generate_displacements(distance=_DISPLACEMENT)
    engine.forces = [
        _forces(cell, calculator) for cell in engine.supercells_with_displacements
    ]
    engine.produce_force_constants()
    engine.symmetrize_force_constants()
    distances, bands, labels = _bands(engine)
    engine.run_mesh(_MESH_LENGTH)
    mesh = np.asarray(engine.mesh.frequencies)
    engine.run_total_dos()
    gamma = np.sort(_at(engine, np.zeros((1, 3)))[0])
    return Phonons(
        distances,
        bands,
        labels,
        gamma,
        np.asarray(engine.total_dos.frequency_points),
        np.asarray(engine.total_dos.dos),
        float(min(mesh.min(), bands.min())),
        float(max(mesh.max(), bands.max())),
        len(engine.supercell),
    )


def _engine(crystal: Any, width: float) -> Any:
    try:
        from phonopy import Phonopy
        from phonopy.structure.atoms import PhonopyAtoms
        from phonopy.structure.cells import guess_primitive_matrix
    except ImportError as error:
        raise GapfitError(
            f"phonons need phonopy, which cannot be imported ({error}): "
            "pip install 'gapfit[phonons]'"
        ) from error
    unit = PhonopyAtoms(
        numbers=crystal.numbers,
        cell=crystal.cell[:],
        scaled_positions=crystal.get_scaled_positions(),
    )
    large = supercell(crystal, width)
    repeats = np.rint(large.cell.lengths() / crystal.cell.lengths()).astype(int)
    primitive = guess_primitive_matrix(unit)
    return Phonopy(unit, np.diag(repeats), primitive_matrix=primitive, log_level=0)


def _forces(cell: Any, calculator: Any) -> np.ndarray:
    from ase import Atoms

    atoms = Atoms(
        numbers=cell.numbers,
        scaled_positions=cell.scaled_positions,
        cell=cell.cell,
        pbc=True,
        calculator=calculator,
    )
    return np.asarray(atoms.get_forces())


def _bands(engine: Any) -> tuple[np.ndarray, np.ndarray, list[tuple[float, str]]]:
    from ase.cell import Cell

    path = Cell(engine.primitive.cell).bandpath(npoints=_PATH_POINTS)
    distances, ticks, names = path.get_linear_kpoint_axis()
    labels: dict[float, str] = {}
    for x, name in zip(ticks.tolist(), names, strict=True):
        # Where the path jumps, two points are at one distance.
        labels[x] = f"{labels[x]}|{name}" if x in labels else name
    return np.asarray(distances), _at(engine, path.kpts), list(labels.items())


def _at(engine: Any, points: np.ndarray) -> np.ndarray:
    """Return frequencies at reduced points of the primitive cell, THz."""
    engine.run_qpoints(points)
    return np.asarray(engine.qpoints.frequencies)
