"""Prototypes of crystals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.morse import MorsePotential

import gapfit
from gapfit.errors import GapfitError
from gapfit.properties import compute, prototype


@pytest.mark.parametrize(
    ("name", "formula", "contact"),
    [("fcc", "Cu", 2**0.5), ("bcc", "Cu", 2 / 3**0.5), ("hcp", "Cu", 1.0)],
)
def test_prototypes_find_their_lattice(name, formula, contact):
    """Copper's nearest neighbours are 2.4 to 2.7 Å apart in all of them."""
    found = prototype(name, formula, EMT())
    assert 2.3 < found.cell.lengths()[0] / contact < 2.8
    given = prototype(name, formula, EMT(), lattice=3.1)
    assert given.cell.lengths()[0] == pytest.approx(3.1)


def test_prototypes_that_cannot_be_are_refused():
    with pytest.raises(
        GapfitError, match="unknown prototype 'dimond'; known are sc, fcc"
    ):
        prototype("dimond", "Cu", EMT())
    with pytest.raises(GapfitError, match="'Cu' cannot be built as rocksalt"):
        prototype("rocksalt", "Cu", EMT())
    with pytest.raises(GapfitError, match="'Xx7' cannot be built as fcc"):
        prototype("fcc", "Xx7", EMT())
    with pytest.raises(GapfitError, match="lattice = -1 Å"):
        prototype("fcc", "Cu", EMT(), lattice=-1.0)
    repulsive = MorsePotential(epsilon=1.0, rho0=1.0, r0=50.0, rcut1=0.1, rcut2=0.12)
    with pytest.raises(
        GapfitError, match=r"no minimum .* give the lattice constant \(--lattice\)"
    ):
        prototype("fcc", "Cu", repulsive)


class TwoMinima(gapfit.GAPCalculator):
    """Two minima of diamond: 5 eV/atom deep at 4.4 Å, `depth` deep at 5.4 Å."""

    depth, std = 1.0, 10.0

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        a = (8 * atoms.get_volume() / len(atoms)) ** (1 / 3)
        wells = 5 * np.exp(-(((a - 4.4) / 0.3) ** 2))
        wells += self.depth * np.exp(-(((a - 5.4) / 0.3) ** 2))
        self.atoms, self.results = atoms.copy(), {"energy": -wells * len(atoms)}
        self._extra = {"energy_std": (self.std if a < 5 else 0.02) * len(atoms)}


def chosen(calculator, formula="Si") -> tuple[float, list[str]]:
    notes: list[str] = []
    found = prototype("diamond", formula, calculator, notes=notes)
    return found.cell.lengths()[0], notes


def test_a_deep_minimum_far_from_the_data_is_passed_over(si_model):
    a, (text,) = chosen(TwoMinima(si_model))
    assert a == pytest.approx(5.4, abs=0.1)
    assert "the deepest minimum, a = 4.4" in text
    assert "± 10.00 eV/atom), is too uncertain" in text
    assert "(-1.00 ± 0.02 eV/atom) is taken" in text


def test_a_deep_minimum_that_is_certain_is_taken(si_model):
    sure = TwoMinima(si_model)
    sure.std = 0.02
    a, notes = chosen(sure)
    assert a == pytest.approx(4.4, abs=0.1)
    assert notes == []


def test_atoms_that_hardly_attract_are_no_crystal(si_model):
    weak = TwoMinima(si_model)
    weak.depth, weak.std = 0.02, 0.9
    assert chosen(weak)[0] == pytest.approx(4.4, abs=0.1)


def test_a_lone_minimum_far_from_all_data_is_refused(si_model):
    lone = TwoMinima(si_model)
    lone.depth, lone.std = 0.0, 15.0
    with pytest.raises(
        GapfitError,
        match=r"diamond Si: the only minimum .* a = 4\.\d+ Å .* ± 15\.00 eV/atom\), is far "
        r"from all data of the model.* properties --lattice\)",
    ):
        chosen(lone)
    lone.std = 0.9
    assert chosen(lone)[0] == pytest.approx(4.4, abs=0.1)


def test_a_lattice_constant_of_the_user_needs_no_scan(si_model):
    lone = TwoMinima(si_model)
    lone.depth, lone.std = 0.0, 15.0
    assert prototype("diamond", "Si", lone, 5.4).cell.lengths()[0] == 5.4


def test_minima_that_are_all_far_from_the_data_are_refused(si_model):
    class Blind(TwoMinima):
        def calculate(self, *args, **keywords):
            super().calculate(*args, **keywords)
            self._extra = {"energy_std": 3.0 * len(self.atoms)}

    with pytest.raises(GapfitError, match=r"the best of 2 minima .* a = 4"):
        chosen(Blind(si_model))


def test_without_energies_in_the_fit_the_error_of_the_energy_refuses_nothing(si_model):
    """Forces say nothing about a constant, and the minimum does not depend on it."""
    rows = si_model.record.n_rows | {"energy": 0}
    lone = TwoMinima(si_model.with_record(n_rows=rows))
    lone.depth, lone.std = 0.0, 15.0
    assert chosen(lone)[0] == pytest.approx(4.4, abs=0.1)


def test_without_error_bars_other_minima_are_named(si_model):
    a, (text,) = chosen(TwoMinima(replace(si_model, posterior=None)))
    assert a == pytest.approx(4.4, abs=0.1)
    assert "the deepest of several minima; others are a = 5.3" in text


def test_a_crystal_far_from_the_data_is_told(si_model):
    """Simple cubic silicon is far from rattled diamond."""
    crystal = prototype("sc", "Si", gapfit.GAPCalculator(si_model))
    near = bulk("Si", cubic=True)
    doubts = [
        compute(si_model, atoms, only=["structure"]).warnings
        for atoms in (crystal, near)
    ]
    assert any("the model does not know this crystal" in text for text in doubts[0])
    # Its data have no isolated atom, which is said of both.
    assert len(doubts[1]) == 1
    assert "the cohesive energy is omitted" in doubts[1][0]
