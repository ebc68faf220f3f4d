"""Vacancies, against runs of ASE."""

from __future__ import annotations

import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from gapfit.errors import GapfitError
from gapfit.properties import (
    relaxed,
    supercell,
    vacancy,
)


def test_a_vacancy_costs_what_two_runs_of_ase_say(copper):
    found = vacancy(copper, EMT(), width=7.0)
    bulk_cell = copper * (2, 2, 2)
    assert len(found.bulk) == len(bulk_cell) == 32
    bulk_cell.calc = EMT()
    hole = bulk_cell.copy()
    del hole[17]
    hole.calc = EMT()
    share = 31 / 32 * bulk_cell.get_potential_energy()
    assert found.unrelaxed == pytest.approx(hole.get_potential_energy() - share)
    hole = relaxed(hole, EMT(), cell="fixed", fmax=1e-4)
    expected = hole.get_potential_energy() - share
    assert found.energy == pytest.approx(expected, abs=1e-4)
    assert found.energy < found.unrelaxed - 1e-3
    for is_relaxed, value in ((True, found.energy), (False, found.unrelaxed)):
        parts = found.parts(relaxed=is_relaxed)
        total = sum(w * atoms.get_potential_energy() for w, atoms in parts)
        assert total == pytest.approx(value)
    larger = vacancy(copper, EMT(), width=7.0, extra=1, site=3)
    assert len(larger.bulk) == 108
    assert larger.energy == pytest.approx(found.energy, abs=0.05)


def test_the_site_of_a_vacancy_is_the_one_that_was_asked_for():
    """Two kinds of sites: chosen in a crystal whose layers are stacked ABAC."""
    a, h = 2.55, 2.55 * (2 / 3) ** 0.5
    cell = [[a, 0, 0], [-a / 2, a * 3**0.5 / 2, 0], [0, 0, 4 * h]]
    sites = [[0, 0, 0], [1 / 3, 2 / 3, 1 / 4], [0, 0, 1 / 2], [2 / 3, 1 / 3, 3 / 4]]
    crystal = relaxed(
        Atoms("Cu4", scaled_positions=sites, cell=cell, pbc=True), EMT(), cell="free"
    )
    energies = []
    for site in (0, 1):
        perfect = supercell(crystal, 7.0)
        perfect.calc = EMT()
        share = (len(perfect) - 1) / len(perfect) * perfect.get_potential_energy()
        # That of another image of the same atom.
        hole = perfect[[n for n in range(len(perfect)) if n != site + 4]]
        hole.calc = EMT()
        energies.append(hole.get_potential_energy() - share)
        found = vacancy(crystal, EMT(), width=7.0, site=site)
        assert found.unrelaxed == pytest.approx(energies[-1], abs=1e-9)
    assert abs(energies[0] - energies[1]) > 1e-5


def test_vacancies_that_have_no_energy_are_refused(copper):
    with pytest.raises(GapfitError, match="chemical potentials"):
        vacancy(bulk("NiAl", "cesiumchloride", a=2.9), EMT())
    with pytest.raises(GapfitError, match="site = 4: the crystal has the atoms 0 to 3"):
        vacancy(copper, EMT(), site=4)
