"""Reports of properties and their error bars."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from helpers.crystals import SMALL

import gapfit
from gapfit.errors import GapfitError, StructureError
from gapfit.model.record import FitRecord, Origin
from gapfit.model.scales import Scale
from gapfit.properties import (
    Settings,
    birch_murnaghan,
    by_calculator,
    by_samples,
    compute,
    elastic_response,
    energy_std,
    prototype,
    relaxed,
    surface,
    vacancy,
)
from gapfit.properties.elastic import cubic_constants


@pytest.fixture(scope="module")
def report(model):
    crystal = prototype("fcc", "Cu", gapfit.GAPCalculator(model, uncertainty=False))
    only = ("eos", "elastic", "vacancy", "surface", "dimer", "nve")
    return compute(model, crystal, only=only, settings=SMALL)


def test_a_fit_has_the_properties_of_what_it_was_fitted_to(report, copper):
    values = {name: own.value for name, own in report.quantities.items()}
    assert values["structure.a"] == pytest.approx(copper.cell[0, 0], abs=0.003)
    C = elastic_response(copper, by_calculator(EMT())).constants[0]
    c11, c12, c44 = cubic_constants(C)
    assert values["elastic.C11"] == pytest.approx(c11, rel=0.05)
    assert values["elastic.C12"] == pytest.approx(c12, rel=0.05)
    assert values["elastic.C44"] == pytest.approx(c44, rel=0.05)
    assert values["eos.bulk_modulus"] == pytest.approx((c11 + 2 * c12) / 3, rel=0.03)
    assert values["elastic.bulk_hill"] == pytest.approx(
        values["eos.bulk_modulus"], rel=0.02
    )
    assert report.facts["elastic.stable"]
    hole = vacancy(copper, EMT(), width=7.0, extra=1)
    assert values["vacancy.energy"] == pytest.approx(hole.energy, abs=0.05)
    assert report.facts["vacancy.n_atoms"] == 108
    for plane in ((1, 0, 0), (1, 1, 0), (1, 1, 1)):
        expected = surface(copper, plane, EMT()).energy
        name = f"surface.{''.join(map(str, plane))}.energy"
        assert values[name] == pytest.approx(expected, rel=0.06), name
    assert abs(values["nve.drift"]) < 20
    assert not [text for text in report.warnings if not text.startswith("dimer")]


def test_error_bars_are_the_spread_of_the_samples(model, report):
    """Each of them taken through its own curve, at the same geometries."""
    samples = model.sample(SMALL.samples, SMALL.seed)
    a = report.crystal.cell[0, 0]
    lattice, modulus = [], []
    for sample in samples:
        cells = [bulk("Cu", a=a * x ** (1 / 3)) for x in np.linspace(0.94, 1.06, 9)]
        energies = [sample.predict(cell).energy for cell in cells]
        eos = birch_murnaghan([cell.get_volume() for cell in cells], energies)
        lattice.append((4 * eos.volume) ** (1 / 3))
        modulus.append(eos.bulk_modulus)
    own = report.quantities
    assert own["eos.bulk_modulus"].std == pytest.approx(
        np.std(modulus, ddof=1), rel=1e-3
    )
    # The strain of the elastic response, and the curve, find the same minimum.
    assert own["structure.a"].std == pytest.approx(np.std(lattice, ddof=1), rel=0.2)
    volume = 3 * own["structure.a"].std / own["structure.a"].value
    assert own["structure.volume"].std == pytest.approx(
        volume * own["structure.volume"].value, rel=0.01
    )


def test_reports_hold_the_error_bars_of_both_geometries(model, report):
    calculator = gapfit.GAPCalculator(model, uncertainty=False)
    hole = vacancy(report.crystal, calculator, width=7.0, extra=1)
    cut = surface(report.crystal, (1, 1, 0), calculator, vacuum=7.0)
    for name, found in (("vacancy", hole), ("surface.110", cut)):
        for kind, is_relaxed in (("energy", True), ("unrelaxed", False)):
            expected = energy_std(model, found.parts(relaxed=is_relaxed))
            own = report.quantities[f"{name}.{kind}"]
            assert own.value == pytest.approx(
                found.energy if is_relaxed else found.unrelaxed, abs=1e-4
            )
            assert own.std == pytest.approx(expected, rel=1e-3)


def test_the_cohesive_energy_is_that_against_single_atoms(model, report):
    crystal = report.crystal.copy()
    whole = model.predict(crystal).energy / len(crystal)
    own = report.quantities["structure.cohesive_energy"]
    assert own.value == pytest.approx(model.predict(Atoms("Cu")).energy - whole)
    factor = model.calibration.scale("energy").factor
    drawn = model.sample(2000, seed=7, scale=factor)
    spread = drawn.predict(Atoms("Cu")).energies
    spread = spread - drawn.predict(crystal).energies / len(crystal)
    assert own.std == pytest.approx(np.std(spread), rel=0.1)


def test_errors_are_of_the_size_of_the_error_bars(report, copper):
    C = elastic_response(copper, by_calculator(EMT())).constants[0]
    known = dict(zip(("C11", "C12", "C44"), cubic_constants(C), strict=True))
    expected = {f"elastic.{name}": value for name, value in known.items()}
    expected["structure.a"] = copper.cell[0, 0]
    expected["vacancy.energy"] = vacancy(copper, EMT(), width=7.0, extra=1).energy
    off = []
    for name, value in expected.items():
        own = report.quantities[name]
        off.append((own.value - value) / own.std)
    assert 0.1 < np.sqrt(np.mean(np.square(off))) < 5


def test_error_bars_of_differences_are_those_of_many_samples(model, copper):
    crystal = relaxed(
        copper, gapfit.GAPCalculator(model, uncertainty=False), cell="free"
    )
    factor = model.calibration.scale("energy").factor
    drawn = model.sample(2000, seed=3, scale=factor)
    calculator = gapfit.GAPCalculator(model, uncertainty=False)
    hole = vacancy(crystal, calculator, width=7.0)
    cut = surface(crystal, (1, 1, 0), calculator, thickness=6.0, vacuum=7.0)
    for parts in (hole.parts(), hole.parts(relaxed=False), cut.parts()):
        energies = sum(w * drawn.predict(atoms).energies for w, atoms in parts)
        expected = np.std(energies)
        assert energy_std(model, parts) == pytest.approx(expected, rel=0.1)
        # The parts alone are far less certain in sum: their errors cancel.
        alone = [abs(w) * np.std(drawn.predict(atoms).energies) for w, atoms in parts]
        assert expected < 0.9 * sum(alone)


@pytest.mark.parametrize(("factor", "expected"), [(3.0, 3.0), (0.1, 1.0)])
def test_error_bars_of_differences_have_the_factor_of_energies(
    model, copper, factor, expected
):
    kinds = dict(model.calibration.kinds)
    kinds["energy"] = replace(kinds["energy"], scale=Scale(factor, 7.0, 1.0))
    scaled = replace(model, calibration=replace(model.calibration, kinds=kinds))
    bare = replace(model, calibration=None)
    parts = [(2.0, copper), (-8.0, Atoms("Cu"))]
    bar = energy_std(bare, parts)
    assert energy_std(scaled, parts) == pytest.approx(expected * bar)


def test_relaxation_changes_the_energy_of_a_sample_to_second_order_only(model, copper):
    """Each sample relaxed by itself: the spread is that at the mean's geometry."""
    crystal = copper.copy()
    calculator = gapfit.GAPCalculator(model, uncertainty=False)
    hole = vacancy(crystal, calculator, width=7.0)
    fixed, free = [], []
    for sample in model.sample(6, seed=4):
        own = gapfit.GAPCalculator(sample)
        energies = []
        for atoms in (hole.defect, relaxed(hole.defect, own, cell="fixed", fmax=5e-3)):
            found = atoms.copy()
            found.calc = own
            perfect = hole.bulk.copy()
            perfect.calc = own
            share = len(found) / len(perfect)
            energies.append(
                found.get_potential_energy() - share * perfect.get_potential_energy()
            )
        fixed.append(energies[0])
        free.append(energies[1])
    assert np.std(free) == pytest.approx(np.std(fixed), rel=0.15)


def test_the_lattice_of_a_sample_is_where_it_relaxes(model, copper):
    """The first-order strain against relaxations of each sample."""
    calculator = gapfit.GAPCalculator(model, uncertainty=False)
    crystal = relaxed(copper, calculator, cell="free")
    samples = model.sample(4, seed=5)
    found = elastic_response(crystal, by_samples(samples))
    a = crystal.cell[0, 0] * (1 + found.strain[:, :3].mean(axis=1))
    moved = []
    for n, sample in enumerate(samples):
        own = relaxed(crystal, gapfit.GAPCalculator(sample), cell="free")
        moved.append(own.cell.lengths().mean())
        single = elastic_response(crystal, by_calculator(gapfit.GAPCalculator(sample)))
        np.testing.assert_allclose(single.constants[0], found.constants[n], atol=1e-4)
    shift = np.array(moved) - crystal.cell[0, 0]
    assert np.abs(shift).max() > 1e-4
    np.testing.assert_allclose(a - crystal.cell[0, 0], shift, rtol=0.1, atol=2e-5)


def test_without_a_posterior_there_are_values_only(model, copper):
    bare = replace(model, posterior=None)
    found = compute(bare, copper, only=("eos", "elastic"), settings=SMALL)
    assert all(own.std is None for own in found.quantities.values())
    assert (
        "no error bars: this model was saved without its posterior" in found.warnings[0]
    )
    none = compute(model, copper, only=("eos",), settings=Settings(samples=0))
    assert none.quantities["eos.volume"].std is None
    assert not none.warnings


def test_models_of_quip_say_why_there_are_no_error_bars(model, copper):
    origin = Origin("gap.xml", "GAP", None, (), ())
    read = replace(model, posterior=None, record=FitRecord(quip=origin))
    (text,) = compute(read, copper, only=()).warnings
    assert text.startswith("no error bars: a model of QUIP contains no posterior")
    assert "store_posterior" not in text


def test_without_energies_in_the_fit_there_is_no_cohesive_energy(model, copper):
    rows = model.record.n_rows | {"energy": 0}
    blind = model.with_record(n_rows=rows)
    for own, known in ((blind, False), (model, True)):
        found = compute(own, copper, only=(), settings=Settings(samples=0))
        assert ("structure.cohesive_energy" in found.quantities) is known
        told = any("no energies were fitted" in text for text in found.warnings)
        assert told is not known
        assert "structure.volume" in found.quantities


def test_atoms_without_neighbours_are_no_crystal(model, copper):
    apart = bulk("Cu", a=30.0, cubic=True)
    found = compute(model, apart, only=(), settings=Settings(samples=0))
    (text,) = found.warnings
    assert "4 of 4 atoms have no neighbour within the cutoff of the model, 5 Å" in text
    assert not compute(model, copper, only=(), settings=Settings(samples=0)).warnings


@pytest.mark.parametrize(("modulus", "derivative"), [(90.0, -1.0), (-2.0, 4.0)])
def test_equations_of_state_of_no_solid_are_told(
    model, copper, monkeypatch, modulus, derivative
):
    from gapfit.properties import EquationOfState

    odd = EquationOfState(11.0, -3.0, modulus, derivative)
    monkeypatch.setattr("gapfit.properties.computation.birch_murnaghan", lambda *_: odd)
    found = compute(model, copper, only=("eos",), settings=Settings(samples=0))
    (text,) = found.warnings
    assert f"eos: unphysical, B = {modulus:g} GPa and B' = {derivative:g}" in text


def test_what_fails_is_a_warning_and_the_rest_is_there(model, copper):
    wrong = replace(SMALL, steps=3)
    found = compute(model, copper, only=("nve", "dimer"), settings=wrong)
    assert any(text.startswith("nve: 3 steps") for text in found.warnings)
    assert "dimer.Cu-Cu.energy" in found.quantities


def test_reports_of_what_is_no_crystal_are_refused(model, copper):
    with pytest.raises(
        GapfitError, match="unknown property 'eso'; known are structure"
    ):
        compute(model, copper, only=("eso",))
    open_cell = copper.copy()
    open_cell.pbc = [True, True, False]
    with pytest.raises(GapfitError, match="periodic in three directions"):
        compute(model, open_cell)
    with pytest.raises(StructureError, match="unknown species Si"):
        compute(model, bulk("Si"))
    with pytest.raises(GapfitError, match="samples = 1: give 0, or at least 2"):
        Settings(samples=1)
    with pytest.raises(GapfitError, match="width = 0 Å"):
        Settings(width=0.0)
