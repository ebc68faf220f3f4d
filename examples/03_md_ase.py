"""Molecular dynamics in ASE: warm 64 silicon atoms up, then let go of the thermostat.

Prints time, temperature, total energy and the largest standard deviation of an atom's
energy as it goes; at the end how well the energy was kept and how often neighbours were
searched. Writes the trajectory to md.extxyz.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import units
from ase.build import bulk
from ase.io import write
from ase.md.langevin import Langevin
from ase.md.verlet import VelocityVerlet
from common import options, potential, run

import gapfit


def main(arguments: Sequence[str] = ()) -> tuple[np.ndarray, np.ndarray, int]:
    """Return total energies (eV/atom), temperatures (K) and the number of searches."""
    parser = options(__doc__, steps=2000)
    parser.add_argument("--temperature", type=float, default=600.0, help="K")
    given = parser.parse_args(arguments)
    atoms = bulk("Si", a=5.475, cubic=True) * (2, 2, 2)
    atoms.calc = gapfit.GAPCalculator(potential(given.model))
    warm_up = Langevin(
        atoms,
        2 * units.fs,
        temperature_K=given.temperature,
        friction=0.05 / units.fs,
        fixcm=False,
        rng=np.random.default_rng(0),
    )
    warm_up.run(given.steps // 4)
    searched = atoms.calc.pairs.n_searches

    energies, temperatures, frames = [], [], []
    dynamics = VelocityVerlet(atoms, 1 * units.fs)
    print("t / ps   T / K   E, eV/atom   largest std of an atom's energy, eV")
    for _ in dynamics.irun(given.steps):
        energies.append(atoms.get_total_energy() / len(atoms))
        temperatures.append(atoms.get_temperature())
        if dynamics.nsteps % max(given.steps // 10, 1) == 0:
            std = atoms.calc.results["energies_std"].max()
            numbers = f"{temperatures[-1]:8.0f}{energies[-1]:13.5f}{std:12.4f}"
            print(f"{1e-3 * dynamics.nsteps:6.3f}{numbers}")
            frames.append(atoms.copy())
    write("md.extxyz", frames)
    searched = atoms.calc.pairs.n_searches - searched
    spread = 1e3 * np.std(energies)
    print(f"The total energy varies by {spread:.3f} meV/atom (rms)")
    print(f"Neighbours were searched {searched} times in {given.steps} steps")
    return np.array(energies), np.array(temperatures), searched


if __name__ == "__main__":
    run(main)
