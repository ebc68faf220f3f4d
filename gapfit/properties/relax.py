"""Relaxed structures and supercells."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from gapfit.errors import GapfitError

__all__ = ["relaxed", "supercell"]


def relaxed(
    atoms: Any,
    calculator: Any,
    *,
    cell: Literal["free", "shape", "fixed"],
    fmax: float = 1e-4,
    steps: int = 500,
) -> Any:
    """Return a structure relaxed to its nearest minimum of the energy.

    Parameters
    ----------
    atoms : ase.Atoms
        Where to start; not changed.
    calculator : ase.calculators.calculator.Calculator
        A calculator with forces, and with stresses if the cell moves.
    cell : {"free", "shape", "fixed"}
        Whether the cell follows its stress, does so at constant volume, or stays fixed.
    fmax : float
        Largest force on an atom at the end, eV/Å; of the cell, stress × volume, eV.
    steps : int
        Largest number of steps.

    Returns
    -------
    ase.Atoms
        The relaxed structure, with the calculator attached.

    Raises
    ------
    GapfitError
        The forces do not fall below `fmax`.
    """
    from ase.filters import FrechetCellFilter
    from ase.optimize import LBFGS

    structure = atoms.copy()
    structure.calc = calculator
    moved = structure
    if cell != "fixed":
        moved = FrechetCellFilter(structure, constant_volume=cell == "shape")
    # ASE's hints forbid the None that it documents.
    optimizer: Any = LBFGS
    if not optimizer(moved, logfile=None).run(fmax=fmax, steps=steps):
        force = float(np.linalg.norm(moved.get_forces(), axis=1).max())
        raise GapfitError(
            f"the relaxation of {atoms.get_chemical_formula()} has a force of {force:.3g} "
            f"eV/Å after {steps} steps, more than {fmax:g}; the potential may have no "
            "minimum near this structure"
        )
    return structure


def supercell(crystal: Any, width: float, *, extra: int = 0) -> Any:
    """Return the smallest supercell whose opposite faces are far apart.

    Parameters
    ----------
    crystal : ase.Atoms
        A structure periodic in three directions.
    width : float
        Least distance of opposite faces, Å.
    extra : int
        Additional repetitions along each lattice vector.

    Examples
    --------
    >>> from ase.build import bulk
    >>> len(supercell(bulk("Si", cubic=True), 10.0))
    64
    """
    heights = 1 / np.linalg.norm(np.linalg.inv(crystal.cell[:]), axis=0)
    # Rounding errors must not repeat a cell of exactly this width.
    repeats = np.ceil(width / heights - 1e-6).astype(int) + extra
    return crystal.repeat(np.maximum(repeats, 1).tolist())
