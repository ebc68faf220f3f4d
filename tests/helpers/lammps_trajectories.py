"""Molecular dynamics of the same structure by LAMMPS and by ASE."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.md.verlet import VelocityVerlet

import gapfit
from helpers.lammps_runs import ATOMIC_MASS, PICOSECOND, run, standard


@dataclass(frozen=True)
class Trajectory:
    """Of every step, the start included."""

    positions: np.ndarray  # (n_steps + 1, n_atoms, 3), not wrapped
    energies: np.ndarray  # total, eV
    kinetic: np.ndarray  # eV


def start(atoms: Atoms, temperature: float) -> Atoms:
    """Return a moving structure whose atoms weigh what LAMMPS thinks they do."""
    atoms = standard(atoms)
    atoms.set_masses(atoms.get_masses() * ATOMIC_MASS * PICOSECOND**2)
    widths = np.sqrt(units.kB * temperature * atoms.get_masses())
    p = widths[:, None] * np.random.default_rng(3).normal(size=(len(atoms), 3))
    atoms.set_momenta(p - p.mean(axis=0))
    return atoms


def by_ase(model: gapfit.GAPModel, atoms: Atoms, step: float, n: int) -> Trajectory:
    atoms = atoms.copy()
    atoms.calc = gapfit.GAPCalculator(model, uncertainty=False)
    found = []
    dynamics = VelocityVerlet(atoms, step * PICOSECOND)

    def record() -> None:
        kinetic = atoms.get_kinetic_energy()
        total = atoms.get_potential_energy() + kinetic
        found.append((atoms.get_positions(), total, kinetic))

    dynamics.attach(record)
    dynamics.run(n)
    return Trajectory(*map(np.array, zip(*found, strict=True)))


def by_lammps(
    plugin: Path,
    model: gapfit.GAPModel,
    atoms: Atoms,
    folder: Path,
    step: float,
    n: int,
    *,
    ranks: int = 1,
    newton: str = "on",
) -> Trajectory:
    shown = run(
        plugin,
        model,
        atoms,
        folder,
        f"timestep {step!r}\nfix move all nve\nthermo 1\nthermo_style custom etotal ke\n"
        "thermo_modify norm no format float %.17g\n"
        "dump d all custom 1 dump.txt xu yu zu\n"
        f"dump_modify d sort id format float %.17g\nrun {n}\n",
        ranks=ranks,
        newton=newton,
    )
    lines = [line.split() for line in shown.splitlines()]
    first = lines.index(["TotEng", "KinEng"]) + 1
    energies = np.array(lines[first : first + n + 1], dtype=float)
    rows = (folder / "dump.txt").read_text().splitlines()
    blocks = np.array(rows).reshape(n + 1, 9 + len(atoms))[:, 9:]
    positions = np.array([[row.split() for row in block] for block in blocks])
    return Trajectory(positions.astype(float), energies[:, 0], energies[:, 1])
