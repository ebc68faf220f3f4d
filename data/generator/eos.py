"""Equilibrium volumes and bulk moduli from the volume scans of a set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray
from scipy.optimize import curve_fit

#: Fewer volumes than this do not determine the four parameters and a residual.
MIN_VOLUMES: Final = 5

#: Primitive cells in the conventional cube.
CUBIC: Final = {"CUB": 1, "BCC": 2, "FCC": 4}


@dataclass(frozen=True)
class EquationOfState:
    """Result of a Birch-Murnaghan fit.

    Parameters
    ----------
    volume : float
        Volume at equilibrium, Å^3/atom.
    a0 : float or None
        Lattice constant of the conventional cube, Å; None if the cell is not cubic.
    bulk_modulus : float
        Bulk modulus, GPa; at fixed shape and scaled positions.
    derivative : float
        Pressure derivative of the bulk modulus.
    rms : float
        Root mean square residual, meV/atom.
    n_volumes : int
        Number of volumes.
    """

    volume: float
    a0: float | None
    bulk_modulus: float
    derivative: float
    rms: float
    n_volumes: int


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


def scans(frames: Sequence[Atoms]) -> dict[str, list[Atoms]]:
    """Return the volume scans with enough volumes, by the name of the phase.

    Config types of scans end in ``_eos``; their labels are ``<phase>-v<factor>``.
    """
    found: dict[str, list[Atoms]] = {}
    for atoms in frames:
        _, config_type, label = atoms.info["frame_id"].split(":", 2)
        if config_type.endswith("_eos"):
            found.setdefault(label.rpartition("-v")[0], []).append(atoms)
    return {name: scan for name, scan in found.items() if len(scan) >= MIN_VOLUMES}


def cube_edge(atoms: Atoms, volume: float) -> float | None:
    """Return the edge (Å) of the conventional cube at a volume per atom (Å^3)."""
    cells = CUBIC.get(atoms.cell.get_bravais_lattice().name)
    return None if cells is None else float((cells * len(atoms) * volume) ** (1 / 3))


def fit_eos(scan: Sequence[Atoms]) -> EquationOfState:
    """Fit one volume scan, energies of all volumes alike."""
    volume = np.array([atoms.get_volume() / len(atoms) for atoms in scan])
    energy = np.array([atoms.get_potential_energy() / len(atoms) for atoms in scan])
    lowest = int(energy.argmin())
    guess = (energy[lowest], volume[lowest], 1.0, 4.0)
    parameters, _ = curve_fit(birch_murnaghan, volume, energy, guess)
    residual = energy - birch_murnaghan(volume, *parameters)
    _, v0, b0, b1 = parameters
    return EquationOfState(
        volume=float(v0),
        a0=cube_edge(scan[lowest], v0),
        bulk_modulus=float(b0 / units.GPa),
        derivative=float(b1),
        rms=float(1000 * np.sqrt(np.mean(residual**2))),
        n_volumes=len(scan),
    )
