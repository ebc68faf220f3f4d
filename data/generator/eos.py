"""Lattice constant and bulk modulus from the bulk_eos frames of a set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray
from scipy.optimize import curve_fit

#: Atoms in the conventional cubic cell of the ground-state crystal.
CUBE_ATOMS: Final = {"Si": 8, "C": 8, "W": 2}


@dataclass(frozen=True)
class EquationOfState:
    """Result of a Birch-Murnaghan fit.

    Parameters
    ----------
    a0 : float
        Lattice constant of the cubic cell, Å.
    bulk_modulus : float
        Bulk modulus, GPa.
    derivative : float
        Pressure derivative of the bulk modulus.
    rms : float
        Root mean square residual, meV/atom.
    """

    a0: float
    bulk_modulus: float
    derivative: float
    rms: float


def birch_murnaghan(
    volume: NDArray[np.float64], e0: float, v0: float, b0: float, b1: float
) -> NDArray[np.float64]:
    """Return energies (eV) of the third-order Birch-Murnaghan equation.

    Parameters
    ----------
    volume : (n,) float64
        Volumes, Å^3.
    e0, v0, b0, b1 : float
        Energy (eV), volume (Å^3) and bulk modulus (eV/Å^3) at equilibrium, and
        the pressure derivative of the latter.

    References
    ----------
    F. Birch, Phys. Rev. 71, 809 (1947), doi:10.1103/PhysRev.71.809.
    """
    x = (v0 / volume) ** (2 / 3) - 1
    return e0 + 9 / 16 * v0 * b0 * x**2 * (2 + b1 * x - 4 * x)


def fit_eos(frames: Sequence[Atoms]) -> EquationOfState:
    """Fit the bulk_eos frames of a set, energies of all volumes alike."""
    scan = [atoms for atoms in frames if atoms.info["config_type"] == "bulk_eos"]
    volume = np.array([atoms.get_volume() / len(atoms) for atoms in scan])
    energy = np.array([atoms.get_potential_energy() / len(atoms) for atoms in scan])
    lowest = int(energy.argmin())
    guess = (energy[lowest], volume[lowest], 1.0, 4.0)
    parameters, _ = curve_fit(birch_murnaghan, volume, energy, guess)
    residual = energy - birch_murnaghan(volume, *parameters)
    _, v0, b0, b1 = parameters
    n_cube = CUBE_ATOMS[scan[0].get_chemical_symbols()[0]]
    return EquationOfState(
        a0=float((n_cube * v0) ** (1 / 3)),
        bulk_modulus=float(b0 / units.GPa),
        derivative=float(b1),
        rms=float(1000 * np.sqrt(np.mean(residual**2))),
    )
