"""DFT single points with GPAW."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import platform
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.cell import Cell

from .plan import Frame
from .settings import BOX_TYPES, CONVERGENCE, Settings


def k_grid(cell: Cell, spacing: float, *, even: bool = False) -> list[int]:
    """Return the numbers of k-points along the reciprocal vectors.

    Parameters
    ----------
    cell : Cell
        Unit cell, Å.
    spacing : float
        Largest spacing, 1/Å including 2π.
    even : bool, default False
        Round numbers above 1 up to even ones.

    Examples
    --------
    >>> k_grid(Cell.new([4.0, 4.0, 20.0]), 0.55, even=True)
    [4, 4, 1]
    """
    lengths = 2 * np.pi * np.linalg.norm(cell.reciprocal(), axis=1)
    n = [int(max(1, np.ceil(x / spacing - 1e-6))) for x in lengths]
    return [k + k % 2 if even and k > 1 else k for k in n]


def k_points(frame: Frame, atoms: Atoms, settings: Settings) -> tuple[list[int], bool]:
    """Return the grid of a frame and whether it is centred on Gamma."""
    if frame.config_type in BOX_TYPES:
        return [1, 1, 1], True
    options = frame.options
    fine = options.get("kgrid") == "fine"
    spacing = settings.k_fine if fine else settings.k_plain
    spacing = options.get("kspacing", spacing)
    return k_grid(options.get("kcell", atoms.cell), spacing, even=not fine), fine


def calculator(
    frame: Frame, atoms: Atoms, settings: Settings, solver: str, log: str | None
) -> Any:
    """Return GPAW as a frame asks for it; the arguments are those of `single_point`."""
    from gpaw import GPAW, PW, FermiDirac

    options = frame.options
    size, gamma = k_points(frame, atoms, settings)
    grid = {"size": size, "gamma": True} if gamma else {"size": size}
    width = options.get("width", settings.width)
    fixed = {"fixmagmom": True} if options.get("fixmagmom") else {}
    symbols = set(atoms.get_chemical_symbols())
    setups = {k: v for k, v in settings.setups.items() if k in symbols}
    return GPAW(
        mode=PW(settings.ecut),
        xc=settings.xc,
        kpts=grid,
        occupations=FermiDirac(width, **fixed),
        eigensolver=solver,
        convergence=CONVERGENCE,
        maxiter=50 if solver == "rmm-diis" else 120,
        txt=log,
        **({"setups": setups} if setups else {}),
    )


def single_point(
    frame: Frame, atoms: Atoms, settings: Settings, solver: str, log: str | None
) -> tuple[Atoms, dict[str, Any]]:
    """Compute one structure.

    Parameters
    ----------
    frame : Frame
        Frame and its options.
    atoms : Atoms
        The structure.
    settings : Settings
        DFT settings.
    solver : {"rmm-diis", "davidson"}
        Eigensolver of GPAW.
    log : str or None
        File for GPAW's text output.

    Returns
    -------
    labelled : Atoms
        Copy with energy (free energy E - TS, eV), forces (eV/Å) and, except for
        box types, stress (eV/Å^3, ASE sign).
    record : dict
        k-points, energy extrapolated to zero smearing (eV), magnetic moment.
    """
    options = frame.options
    size, gamma = k_points(frame, atoms, settings)
    work = atoms.copy()
    if "magmoms" in options:
        work.set_initial_magnetic_moments(options["magmoms"])
    work.calc = calculator(frame, atoms, settings, solver, log)
    results: dict[str, Any] = {
        "energy": float(work.get_potential_energy(force_consistent=True)),
        "forces": np.array(work.get_forces()),
    }
    if frame.config_type not in BOX_TYPES:
        results["stress"] = work.get_stress(voigt=True)
    record: dict[str, Any] = {
        "kpts": [*size, "gamma" if gamma else "mp"],
        "energy_extrapolated": float(work.get_potential_energy()),
        "eigensolver": solver,
    }
    if "magmoms" in options:
        record["magmom"] = float(work.get_magnetic_moment())
    labelled = atoms.copy()
    labelled.info = {"config_type": frame.config_type, "frame_id": frame.frame_id}
    labelled.calc = SinglePointCalculator(labelled, **results)
    return labelled, record


def scf_errors() -> tuple[type[Exception], ...]:
    """Return what GPAW raises where a calculation does not converge."""
    from gpaw import KohnShamConvergenceError

    return KohnShamConvergenceError, ArithmeticError, np.linalg.LinAlgError


def lowest_spin_state(
    frame: Frame, atoms: Atoms, settings: Settings, solver: str, log: str | None
) -> tuple[Atoms, dict[str, Any]]:
    """Compute a frame; with ``magmoms_try``, keep the lowest spin state."""
    if "magmoms_try" not in frame.options:
        return single_point(frame, atoms, settings, solver, log)
    states = {}
    for magmoms in frame.options["magmoms_try"]:
        options = {**frame.options, "magmoms": magmoms}
        state = dataclasses.replace(frame, options=options)
        with contextlib.suppress(*scf_errors()):
            states[str(magmoms)] = single_point(state, atoms, settings, solver, log)
    if not states:
        raise RuntimeError("no spin state converged")
    energies = {k: v[0].get_potential_energy() for k, v in states.items()}
    labelled, record = states[min(energies, key=lambda k: energies[k])]
    return labelled, {**record, "energies_of_spin_states": energies}


def compute(
    frame: Frame, atoms: Atoms, settings: Settings, log: str | None = None
) -> tuple[Atoms, dict[str, Any]]:
    """Compute a frame, with Davidson where RMM-DIIS does not converge.

    The arguments and results are those of `single_point`.
    """
    if settings.rmm_diis and frame.config_type not in BOX_TYPES:
        try:
            return lowest_spin_state(frame, atoms, settings, "rmm-diis", log)
        except scf_errors():
            pass
    return lowest_spin_state(frame, atoms, settings, "davidson", log)


def versions() -> dict[str, str]:
    """Return the versions of the codes."""
    from gpaw import cgpaw

    names = ("gpaw", "gpaw-data", "ase", "numpy", "scipy")
    found = {name: importlib.metadata.version(name) for name in names}
    libxc = str(getattr(cgpaw, "libxc_version", "unknown"))
    return {"python": platform.python_version(), "libxc": libxc, **found}
