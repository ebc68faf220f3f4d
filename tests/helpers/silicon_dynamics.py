"""Dynamics of silicon with a potential, of tests and benchmarks of averages."""

from __future__ import annotations

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.md.langevin import Langevin

import gapfit


def silicon_dynamics(
    model: gapfit.GAPModel, seed: int, steps: int, temperature: float
) -> list[Atoms]:
    """Return every 20th step of Langevin dynamics, after 2 ps that are left out."""
    atoms = bulk("Si", cubic=True, a=5.46) * 2
    atoms.calc = gapfit.GAPCalculator(model, uncertainty=False, n_threads=1)
    rng = np.random.default_rng(seed)
    width = np.sqrt(units.kB * temperature * atoms.get_masses())[:, None]
    atoms.set_momenta(width * rng.standard_normal((len(atoms), 3)))
    run = Langevin(
        atoms,
        2 * units.fs,
        temperature_K=temperature,
        friction=0.01 / units.fs,
        fixcm=False,
        rng=rng,
    )
    run.run(1000)
    frames: list[Atoms] = []
    run.attach(lambda: frames.append(atoms.copy()), interval=20)
    run.run(steps)
    return frames
