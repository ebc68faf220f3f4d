"""Error bars rise before errors do, whichever way the bonds of a crystal are scanned."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

import gapfit

SETTINGS = {
    "terms": [
        {"type": "distance_2b", "r_cut": 5.0},
        {"type": "soap", "r_cut": 5.0, "n_sparse": 200, "n_max": 6, "l_max": 4},
    ],
    "sigma": {"energy": 0.001, "forces": 0.02, "virial": 0.02},
    "e0": {"method": "least_squares"},
}
SHARES = np.array([0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.05, 1.1, 1.2, 1.3, 1.4, 1.6])


def copper() -> Atoms:
    return bulk("Cu", cubic=True, a=3.6) * (2, 2, 2)


def labelled(atoms: Atoms) -> Atoms:
    atoms.calc = EMT()
    atoms.calc = SinglePointCalculator(
        atoms,
        energy=atoms.get_potential_energy(),
        forces=atoms.get_forces(),
        stress=atoms.get_stress(),
    )
    return atoms


def warm(seed: int) -> Atoms:
    """Return a rattled and strained crystal: bonds of 0.8 to 1.2 of their length."""
    rng = np.random.default_rng(seed)
    atoms = copper()
    strain = np.eye(3) + 0.02 * rng.normal(size=(3, 3))
    atoms.set_cell(atoms.cell @ strain, scale_atoms=True)
    atoms.rattle(0.08 + 0.04 * (seed % 3), rng=rng)
    return labelled(atoms)


def moved(direction: tuple[float, ...], share: float) -> Atoms:
    """Return the crystal with one atom moved, a bond along a direction being scaled."""
    atoms, length = copper(), 3.6 / np.sqrt(2)
    unit = np.array(direction) / np.linalg.norm(direction)
    atoms.positions[0] += (1 - share) * length * unit
    return labelled(atoms)


def scaled(share: float) -> Atoms:
    """Return the crystal with all of its bonds scaled, one atom beside its place."""
    atoms = copper()
    atoms.set_cell(share * atoms.cell, scale_atoms=True)
    atoms.positions[0] += [0.05, 0.03, 0.0]
    return labelled(atoms)


@pytest.fixture(scope="module", params=["gto", "bessel"])
def model(request) -> gapfit.GAPModel:
    pair, soap = SETTINGS["terms"]
    terms = [pair, soap | {"rbf": request.param}]
    return gapfit.fit([warm(seed) for seed in range(12)], SETTINGS | {"terms": terms})


@pytest.fixture(scope="module")
def usual(model: gapfit.GAPModel) -> tuple[float, float]:
    """Force error and its standard deviation on structures like the data, eV/Å."""
    frames = [warm(100 + seed) for seed in range(4)]
    found = model.predict(frames, std="forces")
    errors = [p.forces - f.get_forces() for p, f in zip(found, frames, strict=True)]
    deviations = np.concatenate([p.forces_std for p in found])
    return float(np.sqrt(np.mean(np.square(errors)))), float(
        np.sqrt(np.mean(deviations**2))
    )


def scan(name: str) -> list[Atoms]:
    if name == "all bonds":
        return [scaled(share) for share in SHARES]
    direction = tuple(float(digit) for digit in name)
    return [moved(direction, share) for share in SHARES]


def compared(
    model: gapfit.GAPModel, usual: tuple[float, float], name: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return largest error and bar of each structure over usual ones, and its grade."""
    frames, (error, deviation) = scan(name), usual
    found = model.predict(frames, std=("forces", "energies"))
    errors = [
        np.abs(p.forces - f.get_forces()).max()
        for p, f in zip(found, frames, strict=True)
    ]
    bars = [prediction.forces_std.max() for prediction in found]
    grades = [prediction.extrapolation.max() for prediction in found]
    return np.array(errors) / error, np.array(bars) / deviation, np.array(grades)


@pytest.mark.parametrize("name", ["110", "100", "111", "211", "321"])
def test_the_bar_rises_before_the_error(model, usual, name):
    """No error above three times the usual one, where the bar is not twice its own."""
    errors, bars, _ = compared(model, usual, name)
    assert (errors > 3).any()
    assert not (errors > 3)[np.abs(SHARES - 1) < 0.06].any()
    assert (bars > 2)[errors > 3].all()


def test_the_alarm_sees_all_bonds_stretched(model, usual):
    """Where atoms hardly feel each other any more, forces are small and so is their bar."""
    errors, bars, grades = compared(model, usual, "all bonds")
    assert (errors > 3).any()
    assert ((bars > 1.5) & (grades > 2))[errors > 3].all()
    assert (grades < 2)[np.abs(SHARES - 1) < 0.06].all()
