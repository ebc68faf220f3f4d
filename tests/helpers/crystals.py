"""Potentials and labelled structures of silicon and copper."""

from __future__ import annotations

import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.calculators.tersoff import Tersoff, TersoffParameters

from gapfit.properties import (
    Settings,
    slabs,
)

# Phys. Rev. B 39, 5566 (1989), table I.
SILICON = TersoffParameters(
    m=3.0,
    gamma=1.0,
    lambda3=0.0,
    c=1.0039e5,
    d=16.217,
    h=-0.59825,
    n=0.78734,
    beta=1.1e-6,
    lambda2=1.7322,
    B=471.18,
    R=2.85,
    D=0.15,
    lambda1=2.4799,
    A=1830.8,
)


def tersoff() -> Tersoff:
    return Tersoff({("Si", "Si", "Si"): SILICON})


def copper_frames() -> list:
    """Return crystals, some with holes and surfaces, and atoms, labelled by EMT."""
    rng, frames = np.random.default_rng(0), []
    for k in range(40):
        atoms = bulk("Cu", a=3.6, cubic=True) * (2, 2, 2)
        if k % 4 == 1:
            del atoms[0]
        elif k % 4 == 2:
            hkl = [(1, 0, 0), (1, 1, 0), (1, 1, 1)][k // 4 % 3]
            atoms = slabs(bulk("Cu", a=3.6, cubic=True), hkl, thickness=7, vacuum=9)[0]
        strain = rng.normal(scale=0.015, size=(3, 3))
        atoms.set_cell(atoms.cell[:] @ (np.eye(3) + strain), scale_atoms=True)
        atoms.positions += rng.normal(scale=0.06, size=atoms.positions.shape)
        frames.append(labelled(atoms))
    atom = labelled(bulk("Cu", a=20.0, cubic=True)[:1])
    return [*frames, atom]


def labelled(atoms):
    atoms.calc = EMT()
    results = {
        "energy": atoms.get_potential_energy(),
        "forces": atoms.get_forces(),
        "stress": atoms.get_stress(),
    }
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


SMALL = Settings(samples=8, width=7.0, steps=50)
