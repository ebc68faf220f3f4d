"""Relaxations and supercells."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from helpers.crystals import tersoff

from gapfit.errors import GapfitError
from gapfit.properties import (
    relaxed,
    supercell,
)


def test_a_relaxed_cell_is_at_the_minimum_of_its_energy(silicon):
    def energy(a: float) -> float:
        atoms = bulk("Si", a=a, cubic=True)
        atoms.calc = tersoff()
        return atoms.get_potential_energy() / 8

    a = silicon.cell[0, 0]
    assert a == pytest.approx(5.432, abs=5e-4)  # Tersoff's table II
    assert energy(a) == pytest.approx(-4.63, abs=5e-3)
    assert min(energy(a - 0.005), energy(a + 0.005)) > energy(a)


def test_a_relaxation_without_an_end_is_refused():
    rattled = bulk("Si", a=5.4, cubic=True)
    rattled.rattle(0.2, seed=1)
    with pytest.raises(GapfitError, match=r"Si8 has a force of .* after 2 steps"):
        relaxed(rattled, tersoff(), cell="free", steps=2)


def test_at_a_fixed_volume_only_the_shape_relaxes():
    atoms = bulk("Cu", a=3.7, cubic=True)
    atoms.set_cell(np.diag([3.5, 3.7, 3.9]), scale_atoms=True)
    found = relaxed(atoms, EMT(), cell="shape", fmax=1e-5)
    assert found.get_volume() == pytest.approx(atoms.get_volume(), rel=1e-9)
    np.testing.assert_allclose(
        found.cell.lengths(), np.cbrt(atoms.get_volume()), rtol=1e-5
    )


@pytest.mark.parametrize("width", [5.0, 10.86, 14.0])
def test_faces_of_supercells_are_far_apart(width):
    primitive = bulk("Si", a=5.43)
    found = supercell(primitive, width)
    heights = 1 / np.linalg.norm(np.linalg.inv(found.cell[:]), axis=0)
    assert heights.min() > width - 1e-4
    step = 1 / np.linalg.norm(np.linalg.inv(primitive.cell[:]), axis=0)
    assert (heights - step).max() < width
    assert len(supercell(bulk("Si", a=5.43, cubic=True), 10.86)) == 64
