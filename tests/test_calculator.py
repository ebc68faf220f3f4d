"""The ASE calculator."""

from __future__ import annotations

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from ase.md.verlet import VelocityVerlet
from builders import STRUCTURES, config, labelled_frames, silicon
from helpers.error_bars import frames_of, molecule, salt, settings

import gapfit
from gapfit.errors import GapfitError, StructureError
from gapfit.model.provenance import model_digest
from gapfit.testing import ROUNDING


@pytest.mark.parametrize("source", ["model", "path"])
def test_results_are_the_models_predictions(tmp_path, si_model, source):
    si_model.save(tmp_path / "model.npz")
    atoms = silicon()
    atoms.calc = gapfit.GAPCalculator(
        si_model if source == "model" else tmp_path / "model.npz"
    )
    expected = si_model.predict(atoms, std=True)
    assert atoms.get_potential_energy() == expected.energy
    assert atoms.get_potential_energy(force_consistent=True) == expected.energy
    np.testing.assert_array_equal(atoms.get_forces(), expected.forces)
    np.testing.assert_array_equal(atoms.get_stress(), expected.stress)
    np.testing.assert_array_equal(atoms.get_potential_energies(), expected.energies)
    np.testing.assert_array_equal(
        atoms.calc.extra_results["energies_std"], expected.energies_std
    )
    assert np.all(expected.energies_std > 0)


def test_uncertainty_can_be_left_out(si_model):
    atoms = silicon()
    atoms.calc = gapfit.GAPCalculator(si_model, uncertainty=False)
    atoms.get_forces()
    assert "energies_std" not in atoms.calc.extra_results
    std = atoms.calc.get_property("energies_std", atoms)
    np.testing.assert_array_equal(std, si_model.predict(atoms, std=True).energies_std)


def test_model_without_posterior_still_runs():
    settings = config() | {"run": {"store_posterior": False}}
    atoms = silicon()
    atoms.calc = gapfit.GAPCalculator(gapfit.fit(labelled_frames(silicon, 2), settings))
    assert np.isfinite(atoms.get_potential_energy())


def test_unknown_species_is_an_error(si_model):
    atoms = silicon()
    atoms.numbers[0] = 32
    atoms.calc = gapfit.GAPCalculator(si_model)
    with pytest.raises(StructureError, match="unknown species Ge: this model knows Si"):
        atoms.get_potential_energy()


def test_overlapping_atoms_are_an_error(si_model):
    atoms = silicon()
    atoms.positions[1] = atoms.positions[0] + [0.0, 0.1, 0.0]
    atoms.calc = gapfit.GAPCalculator(si_model)
    with pytest.raises(StructureError, match=r"atoms 0 and 1 are 0\.100 Å apart"):
        atoms.get_potential_energy()


def test_an_atom_on_its_own_image_is_an_error(si_model):
    atoms = Atoms("Si", cell=[0.2, 5, 5], pbc=True)
    with pytest.raises(StructureError, match=r"the cell repeats every 0\.2 Å"):
        si_model.predict(atoms)


def test_nan_positions_are_an_error(si_model):
    atoms = silicon()
    atoms.positions[2, 1] = np.nan
    with pytest.raises(StructureError, match="NaN"):
        si_model.predict(atoms)


def test_periodic_without_a_cell_is_an_error(si_model):
    atoms = Atoms("Si2", positions=[[0, 0, 0], [0, 0, 2.3]], pbc=[True, False, False])
    with pytest.raises(StructureError, match="periodic along a but that cell vector"):
        si_model.predict(atoms)


def test_stress_of_a_molecule_is_refused(si_model):
    atoms = STRUCTURES["cluster"]()
    atoms.calc = gapfit.GAPCalculator(si_model)
    assert np.isfinite(atoms.get_potential_energy())
    with pytest.raises(PropertyNotImplementedError, match="volume"):
        atoms.get_stress()


def test_energy_is_conserved_in_dynamics(si_model):
    atoms = silicon()
    atoms.calc = gapfit.GAPCalculator(si_model, uncertainty=False)
    spread = np.sqrt(atoms.get_masses()[:, None] * units.kB * 300)
    atoms.set_momenta(spread * np.random.default_rng(0).normal(size=(8, 3)))
    dynamics = VelocityVerlet(atoms, 0.5 * units.fs)
    energies = []
    for _ in range(40):
        dynamics.run(2)
        energies.append(atoms.get_total_energy() / len(atoms))
    exchanged = np.ptp([atoms.get_kinetic_energy() / len(atoms), 0.0])
    assert np.ptp(energies) < 0.02 * exchanged


def test_stresses_of_atoms_add_up_to_the_stress(si_model):
    atoms = silicon()
    atoms.calc = gapfit.GAPCalculator(si_model, uncertainty=False, n_threads=1)
    assert "stresses" not in atoms.calc.results
    stresses = atoms.get_stresses()
    assert stresses.shape == (8, 6)
    np.testing.assert_allclose(stresses.sum(axis=0), atoms.get_stress(), atol=1e-12)


@pytest.mark.parametrize(
    ("wrong", "near"),
    [({"uncertanty": False}, "uncertainty"), ({"skinn": 1.0}, "skin")],
)
def test_unknown_keywords_are_refused(si_model, wrong, near):
    with pytest.raises(
        GapfitError, match=rf"no keyword '{next(iter(wrong))}'.*'{near}'"
    ):
        gapfit.GAPCalculator(si_model, **wrong)
    with pytest.raises(GapfitError, match=f"nearest is '{near}'"):
        gapfit.GAPCalculator(si_model).set(**wrong)


def test_keywords_of_ase_are_taken(si_model, tmp_path):
    atoms = silicon()
    made = gapfit.GAPCalculator(si_model, atoms=atoms, directory=tmp_path, label="a")
    assert atoms.calc is made
    assert (str(made.directory), made.label) == (str(tmp_path), f"{tmp_path}/a")


STD = ("energy_std", "energies_std", "forces_std", "stress_std")


@pytest.fixture(scope="module")
def model() -> gapfit.GAPModel:
    return gapfit.fit(frames_of(12), settings(calibration={}))


@pytest.mark.parametrize(
    ("uncertainty", "names"),
    [
        (None, {"energies_std", "extrapolation"}),
        (False, set()),
        ((), set()),
        (True, {*STD, "extrapolation", "novelty"}),
        (("novelty", "forces"), {"novelty", "forces_std"}),
        ("forces", {"forces_std"}),
        (("energy", "stress"), {"energy_std", "stress_std"}),
    ],
)
def test_results_hold_the_standard_deviations_asked_for(model, uncertainty, names):
    atoms = salt(30)
    atoms.calc = gapfit.GAPCalculator(model, uncertainty=uncertainty)
    atoms.get_forces()
    bare = {"energy", "free_energy", "energies", "forces", "stress"}
    assert set(atoms.calc.results) == bare
    assert set(atoms.calc.extra_results) == names
    expected = model.predict(atoms, std=True, novelty=True)
    for name in names:
        found = atoms.calc.extra_results[name]
        # Beside energies the novelty is computed another way.
        rtol = 1e-6 if name == "novelty" else 1e-12
        np.testing.assert_allclose(found, getattr(expected, name), rtol=rtol)


@pytest.mark.parametrize("name", STD)
def test_standard_deviations_on_demand(model, name):
    atoms = salt(31)
    atoms.calc = gapfit.GAPCalculator(model, uncertainty=False)
    energy = atoms.get_potential_energy()
    found = atoms.calc.get_property(name, atoms)
    expected = model.predict(atoms, std=True)
    ROUNDING.check(found, getattr(expected, name))
    assert atoms.get_potential_energy() == energy
    # They belong to these positions: others have their own.
    atoms.positions[0] += [0.3, 0.2, 0.0]
    assert atoms.calc.get_property(name, atoms, allow_calculation=False) is None
    moved = atoms.calc.get_property(name, atoms)
    expected = model.predict(atoms, std=True)
    ROUNDING.check(moved, getattr(expected, name))
    assert not np.allclose(moved, found, rtol=1e-5)


def test_a_molecule_has_no_std_of_its_stress(model):
    atoms = molecule(9)
    atoms.calc = gapfit.GAPCalculator(model, uncertainty=True)
    atoms.get_forces()
    assert "stress_std" not in atoms.calc.extra_results
    with pytest.raises(PropertyNotImplementedError, match="volume"):
        atoms.calc.get_property("stress_std", atoms)


def test_a_calculator_refuses_what_its_model_does_not_know(model):
    with pytest.raises(GapfitError, match="std = 'force': there is no such"):
        gapfit.GAPCalculator(model, uncertainty="force")
    bare = gapfit.fit(frames_of(1), settings(run={"store_posterior": False}))
    atoms = salt(1)
    atoms.calc = gapfit.GAPCalculator(bare)
    atoms.get_forces()
    assert not atoms.calc.extra_results
    with pytest.raises(GapfitError, match="store_posterior = true"):
        atoms.calc.get_property("forces_std", atoms)


def test_extra_results_belong_to_one_structure(model):
    atoms = salt(31)
    calculator = atoms.calc = gapfit.GAPCalculator(model)
    assert calculator.extra_results == {}
    atoms.get_forces()
    assert not calculator.calculation_required(atoms, ["forces", "energies_std"])
    assert calculator.calculation_required(atoms, ["forces_std"])
    calculator.get_property("energies_std", atoms)[:] = 0.0  # a copy
    assert np.all(calculator.get_property("energies_std") > 0)
    atoms.rattle(0.1, seed=1)
    assert (
        calculator.get_property("energies_std", atoms, allow_calculation=False) is None
    )
    assert calculator.extra_results == {}
    with pytest.raises(PropertyNotImplementedError, match="dipole"):
        calculator.get_property("dipole", atoms)


def labelled_by(calculator):
    atoms = salt(32)
    atoms.calc = calculator
    atoms.get_forces()
    return atoms


@pytest.mark.parametrize("uncertainty", [None, True, False])
def test_ase_takes_all_results(model, tmp_path, uncertainty):
    """Single points, files, databases: whatever standard deviations are there."""
    atoms = labelled_by(gapfit.GAPCalculator(model, uncertainty=uncertainty))
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    properties = atoms.get_properties(["energy", "forces", "stress"])
    np.testing.assert_array_equal(properties["forces"], forces)
    copied = atoms.copy()
    copied.calc = SinglePointCalculator(copied, **atoms.calc.results)
    assert copied.get_potential_energy() == energy
    for file in ("a.extxyz", "a.traj", "a.json"):
        ase.io.write(tmp_path / file, atoms)
        found = ase.io.read(tmp_path / file)
        assert found.get_potential_energy() == pytest.approx(energy)
        np.testing.assert_allclose(found.get_forces(), forces, atol=1e-7)
    with connect(tmp_path / "a.db") as database:
        database.write(atoms)
    assert connect(tmp_path / "a.db").get(1).energy == energy


def test_trajectories_name_the_potential(model, tmp_path):
    model.save(tmp_path / "model.npz")
    atoms = labelled_by(gapfit.GAPCalculator(tmp_path / "model.npz"))
    digest = model_digest(model)
    expected = {"model": str(tmp_path / "model.npz"), "digest": digest}
    assert atoms.calc.todict() == expected
    ase.io.write(tmp_path / "a.traj", atoms)
    found = ase.io.read(tmp_path / "a.traj").calc
    assert (found.name, found.parameters) == ("gapfit", expected)
    assert gapfit.GAPCalculator(model).todict() == {"digest": digest}
    other = model.without_terms()
    assert gapfit.GAPCalculator(other, uncertainty=False).todict()["digest"] != digest
    assert model_digest(model.without_projections()) == digest
