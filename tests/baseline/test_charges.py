"""Point charges as a baseline: what is added, stored and refused."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.singlepoint import SinglePointCalculator
from builders import config, labelled_frames, three_species

import gapfit
from gapfit.baseline.charges import point_charges
from gapfit.baseline.ewald import COULOMB
from gapfit.data.frame import structure_arrays
from gapfit.errors import ConfigError, DataError, GapfitError, StructureError
from gapfit.testing import (
    FORCE_SLOPE,
    SAME_POTENTIAL,
    STRESS_SLOPE,
    forces_error,
    invariance_errors,
    stress_error,
)

CHARGES = {"Ge": 0.4, "Sb": 0.4, "Te": -0.4}
SPECIES = (32, 51, 52)


@pytest.fixture(scope="module")
def model():
    frames = labelled_frames(three_species, 4)
    return gapfit.fit(frames, config(n_sparse=15) | {"baseline": {"charges": CHARGES}})


def test_charges_alone_leave_nothing_to_fit(tmp_path):
    potential = point_charges(CHARGES, SPECIES)
    frames = []
    for seed in range(3):
        atoms = three_species()
        atoms.rattle(0.1, seed=seed)
        found = potential.evaluate(structure_arrays(atoms), gradients=True)
        atoms.calc = SinglePointCalculator(
            atoms,
            energy=found.energies.sum(),
            forces=found.forces,
            stress=-found.virials[0] / atoms.get_volume(),
        )
        frames.append(atoms)
    e0 = {"e0": dict.fromkeys(CHARGES, 0.0)}
    settings = config(n_sparse=15) | e0 | {"baseline": {"charges": CHARGES}}
    gapfit.fit(frames, settings).save(tmp_path / "m.npz")
    model = gapfit.load(tmp_path / "m.npz")
    assert max(np.abs(c).max() for c in model.terms[0].coefficients.values()) < 1e-9
    perfect = bulk("GeTe", "rocksalt", a=6.0, cubic=True)
    found = model.predict(perfect)
    madelung = -COULOMB * 1.747564594633182 * 0.16 / 3.0
    assert found.energy == pytest.approx(4 * madelung, abs=1e-8)
    SAME_POTENTIAL.check(found.energies, madelung / 2)


def test_the_model_is_its_terms_and_charges(model):
    atoms = three_species()
    alone = model.without_terms().predict(atoms)
    charges = point_charges(CHARGES, SPECIES)
    wanted = charges.evaluate(structure_arrays(atoms), gradients=True)
    e0 = np.array([model.e0[z] for z in atoms.numbers])
    SAME_POTENTIAL.check(alone.energies - e0, wanted.energies)
    SAME_POTENTIAL.check(alone.forces, wanted.forces)
    SAME_POTENTIAL.check(-alone.stress * atoms.get_volume(), wanted.virials[0])
    assert "baseline charges" in repr(model)


def test_derivatives_and_invariances(model):
    atoms = three_species()
    FORCE_SLOPE.check(forces_error(model, atoms))
    STRESS_SLOPE.check(stress_error(model, atoms))
    errors = invariance_errors(model, atoms, np.random.default_rng(2))
    SAME_POTENTIAL.check([*errors.values()])


def test_a_molecule_has_the_energy_of_its_pairs(model):
    molecule = Atoms("GeTe", [[0, 0, 0], [0, 0, 2.5]])
    charges = point_charges(CHARGES, SPECIES)
    found = charges.evaluate(structure_arrays(molecule), gradients=True)
    assert found.energies.sum() == pytest.approx(-COULOMB * 0.16 / 2.5)
    assert found.forces[0, 2] == pytest.approx(COULOMB * 0.16 / 2.5**2)
    # Ions pulled apart are no error.
    ion = charges.evaluate(
        structure_arrays(Atoms("Ge2", [[0, 0, 0], [0, 9, 0]])), gradients=False
    )
    assert ion.energies.sum() == pytest.approx(COULOMB * 0.16 / 9)
    FORCE_SLOPE.check(forces_error(model, molecule))


@pytest.mark.parametrize("pbc", [True, False])
def test_an_isolated_atom_is_neutral(model, pbc):
    atom = Atoms("Ge", cell=[12, 12, 12], pbc=pbc)
    assert model.without_terms().predict(atom).energy == pytest.approx(model.e0[32])


def test_structures_without_an_energy_are_refused(model):
    ions = three_species()
    ions.numbers[0] = 52
    with pytest.raises(StructureError, match=r"add up to -0.8 e.*must be neutral"):
        model.predict(ions)
    slab = three_species()
    slab.pbc = [True, True, False]
    with pytest.raises(StructureError, match="periodic along 2 of 3 directions"):
        model.predict(slab)


@pytest.mark.parametrize("call", [gapfit.check, gapfit.fit])
def test_all_frames_that_cannot_be_fitted_are_listed(call):
    good, ions, slab = three_species(), three_species(), three_species()
    ions.numbers[0], slab.pbc = 52, [True, True, False]
    frames = [labelled_frames(kind.copy, 1)[0] for kind in (good, ions, good, slab)]
    with pytest.raises(DataError) as error:
        call(frames, config() | {"baseline": {"charges": CHARGES}})
    head, second, fourth = str(error.value).splitlines()
    assert head == "2 problems in the data:"
    assert "frame 1: the charges of [baseline.charges] add up to -0.8 e" in second
    assert "set pbc = False if it is a dimer or a cluster in a box" in second
    assert "frame 3: periodic along 2 of 3 directions" in fourth


def test_clusters_of_any_charge_can_be_fitted():
    frames = labelled_frames(three_species, 2)
    cluster = frames[0].copy()
    cluster.numbers[0], cluster.pbc = 52, False
    known = frames[0].calc.results
    cluster.calc = SinglePointCalculator(
        cluster, energy=known["energy"], forces=known["forces"]
    )
    settings = config() | {"baseline": {"charges": CHARGES}}
    assert gapfit.check([*frames, cluster], settings).dataset.frames
    assert point_charges(CHARGES, SPECIES).refusal(structure_arrays(cluster)) is None


def test_molecules_with_atoms_at_one_place_are_refused():
    charges = point_charges(CHARGES, SPECIES)
    pair = Atoms("GeTe", [[0, 0, 0], [0, 0, 0.1]])
    with pytest.raises(StructureError, match="apart"):
        charges.evaluate(structure_arrays(pair), gradients=True)


@pytest.mark.parametrize(
    ("charges", "words"),
    [
        ({"Ge": 0.4, "Te": -0.4}, "there is no charge of Sb.*such as Sb = 0.0"),
        ({"Xx": 0.4}, "not a chemical symbol: Xx"),
        ({"Ge": "a"}, "Ge"),
        ({"Ge": 30.0}, "Ge"),
    ],
)
def test_impossible_charges(charges, words):
    with pytest.raises(ConfigError, match=words):
        gapfit.fit(
            labelled_frames(three_species, 1),
            config() | {"baseline": {"charges": charges}},
        )


def test_stress_of_atoms_is_refused(model):
    atoms = three_species()
    atoms.calc = gapfit.GAPCalculator(model)
    SAME_POTENTIAL.check(atoms.get_forces(), model.predict(atoms).forces)
    SAME_POTENTIAL.check(atoms.get_stress(), model.predict(atoms).stress)
    with pytest.raises(PropertyNotImplementedError, match=r"\[baseline.charges\]"):
        atoms.get_stresses()
    with pytest.raises(GapfitError, match="gives no virials of atoms"):
        model.predict(atoms, atom_virials=True)
