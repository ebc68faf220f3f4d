"""Molecular dynamics in ASE: warm 64 silicon atoms up, then run at constant energy.

Usage: python 03_md_ase.py [STEPS] [--model MODEL.npz] [--temperature K]
Prints time, temperature, total energy and the largest standard deviation of an atom's
energy during the run. Writes the trajectory to md.extxyz.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import units
from ase.build import bulk
from ase.io import write
from ase.md.langevin import Langevin
from ase.md.verlet import VelocityVerlet

import gapfit

SILICON = Path(__file__).parent / "silicon" / "fit.toml"


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("steps", type=int, nargs="?", default=2000)
    parser.add_argument("--model", type=Path, help="default: --config is fitted first")
    parser.add_argument("--config", type=Path, default=SILICON)
    parser.add_argument("--temperature", type=float, default=600.0, help="K")
    given = parser.parse_args(words)
    model = gapfit.load(given.model) if given.model else gapfit.fit(config=given.config)

    atoms = bulk("Si", a=5.475, cubic=True) * (2, 2, 2)
    atoms.calc = gapfit.GAPCalculator(model)
    thermostat = Langevin(
        atoms,
        2 * units.fs,
        temperature_K=given.temperature,
        friction=0.05 / units.fs,
        fixcm=False,
        rng=np.random.default_rng(0),
    )
    thermostat.run(given.steps // 4)

    energies, frames = [], []
    searches_before = atoms.calc.pairs.n_searches
    dynamics = VelocityVerlet(atoms, 1 * units.fs)
    print("t / ps   T / K   E, eV/atom   largest std of an atom's energy, eV")
    for _ in dynamics.irun(given.steps):
        energies.append(atoms.get_total_energy() / len(atoms))
        if dynamics.nsteps % max(given.steps // 10, 1) == 0:
            row = f"{1e-3 * dynamics.nsteps:6.3f}{atoms.get_temperature():8.0f}"
            std = atoms.calc.extra_results["energies_std"].max()
            print(f"{row}{energies[-1]:13.5f}{std:12.4f}")
            frames.append(atoms.copy())
    write("md.extxyz", frames)
    searches = atoms.calc.pairs.n_searches - searches_before
    print(f"The total energy varies by {1e3 * np.std(energies):.3f} meV/atom (rms)")
    print(f"Neighbours were searched {searches} times in {given.steps} steps")


if __name__ == "__main__":
    main()
