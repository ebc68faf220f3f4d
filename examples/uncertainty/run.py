"""How uncertain are properties of silicon? Lattice and elastic constants with error bars.

Potentials drawn from the posterior of the fit give each property many times.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk

import gapfit
from gapfit.frame import GPA
from gapfit.properties import birch_murnaghan
from gapfit.sampling import Samples

FIT = Path(__file__).parent.parent / "silicon" / "fit.toml"
STRAIN = 0.005


def lattice(samples: Samples, around: float) -> tuple[np.ndarray, np.ndarray]:
    """Return lattice constants (Å) and bulk moduli (GPa) of diamond, one of each sample."""
    cells = [bulk("Si", "diamond", a) for a in around * np.linspace(0.98, 1.02, 9)]
    volumes = [cell.get_volume() for cell in cells]
    energies = np.array([samples.predict(cell).energies for cell in cells])
    curves = [birch_murnaghan(volumes, own) for own in energies.T]
    a = np.array([(4 * curve.volume) ** (1 / 3) for curve in curves])
    return a, np.array([curve.bulk_modulus for curve in curves])


def stress(samples: Samples, cell: Atoms, strain: np.ndarray) -> np.ndarray:
    """Return stresses (GPa) of a strained cell, its two atoms relaxed, (n_samples, 6)."""
    strained = cell.copy()
    strained.set_cell(cell.cell[:] @ (np.eye(3) + strain), scale_atoms=True)
    here = samples.predict(strained)
    moved, h = [], 0.01
    for x in range(3):
        other = strained.copy()
        other.positions[1, x] += h
        moved.append(samples.predict(other))
    out = np.empty((len(samples), 6))
    for n in range(len(samples)):
        # One step of Newton's method to where the forces vanish, and the stress there.
        rigidity = np.array([(here.forces[n, 1] - m.forces[n, 1]) / h for m in moved])
        shift = np.linalg.solve(rigidity.T, here.forces[n, 1])
        slopes = np.array([(m.stress[n] - here.stress[n]) / h for m in moved])
        out[n] = GPA * (here.stress[n] + shift @ slopes)
    return out


def elastic(samples: Samples, a: float) -> dict[str, np.ndarray]:
    """Return C11, C12 and C44 (GPa), one of each sample."""
    cell, e = bulk("Si", "diamond", a), np.zeros((3, 3))
    e[0, 0] = STRAIN
    along = (stress(samples, cell, e) - stress(samples, cell, -e)) / (2 * STRAIN)
    e = np.zeros((3, 3))
    e[1, 2] = e[2, 1] = STRAIN / 2
    shear = (stress(samples, cell, e) - stress(samples, cell, -e)) / (2 * STRAIN)
    return {"C11": along[:, 0], "C12": along[:, 1], "C44": shear[:, 3]}


def main(n_samples: int = 30) -> dict[str, tuple[float, float]]:
    """Print and return the mean and standard deviation of each property."""
    model = gapfit.fit(config=FIT)
    samples = model.sample(n_samples, seed=1)
    a, modulus = lattice(samples, 5.47)
    found = {"a": a, "B": modulus, **elastic(samples, float(a.mean()))}
    units = {"a": "Å"}
    for name, values in found.items():
        print(
            f"{name:4} {values.mean():8.3f} ± {values.std():.3f} {units.get(name, 'GPa')}"
        )
    return {name: (float(v.mean()), float(v.std())) for name, v in found.items()}


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
