"""Derivatives, invariances and smoothness of the fitted potentials."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from builders import STRUCTURES, config, labelled_frames, silicon

import gapfit
from gapfit.testing import (
    FORCE_SLOPE,
    REORDERED_SUMS,
    SAME_POTENTIAL,
    STRESS_SLOPE,
    crossing_jumps,
    forces_error,
    invariance_errors,
    stress_error,
)

PERIODIC = ["silicon", "sheared", "slab", "one_atom", "three_species"]


@pytest.mark.parametrize("name", STRUCTURES)
def test_forces_are_the_gradient_of_the_energy(model_for, name):
    FORCE_SLOPE.check(forces_error(model_for(name), STRUCTURES[name]()))


@pytest.mark.parametrize("name", PERIODIC)
def test_stress_is_the_strain_derivative_of_the_energy(model_for, name):
    STRESS_SLOPE.check(stress_error(model_for(name), STRUCTURES[name]()))


@pytest.mark.parametrize("name", STRUCTURES)
def test_invariance(model_for, name):
    errors = invariance_errors(
        model_for(name), STRUCTURES[name](), np.random.default_rng(5)
    )
    SAME_POTENTIAL.check([*errors.values()])


@pytest.mark.parametrize("name", STRUCTURES)
def test_forces_balance_and_energies_add_up(model_for, name):
    prediction = model_for(name).predict(STRUCTURES[name]())
    REORDERED_SUMS.check(prediction.forces.sum(axis=0))
    assert prediction.energy == pytest.approx(prediction.energies.sum(), abs=1e-12)


def test_slab_in_a_box_equals_slab_without_third_vector(si_model):
    # Silicon is 5.43 Å thick: images along the open direction must not interact.
    boxed = STRUCTURES["slab"]()
    bare = boxed.copy()
    bare.cell[2] = 0
    a, b = si_model.predict(boxed), si_model.predict(bare)
    REORDERED_SUMS.check(a.energy, b.energy)
    REORDERED_SUMS.check(a.forces, b.forces)
    assert a.stress is not None
    assert b.stress is None


def test_smooth_as_an_atom_leaves_the_cutoff(si_model):
    atoms = Atoms("Si3", positions=[[0, 0, 0], [-2.4, 0.3, 0], [9, 0, 0]])
    energy, forces = crossing_jumps(si_model, atoms, 0, si_model.cutoff)
    assert energy < 1e-10
    assert forces < 1e-5


def test_unweighted_soap_jumps_and_says_so(caplog):
    model = gapfit.fit(
        labelled_frames(silicon, 3), config(weighting={"function": "none"})
    )
    atoms = Atoms("Si3", positions=[[0, 0, 0], [-2.4, 0.3, 0], [9, 0, 0]])
    energy, _ = crossing_jumps(model, atoms, 0, model.cutoff)
    assert energy > 1e-7
    assert any("energies jump" in text for text in model.record.warnings)
    assert "energies jump" in caplog.text


def test_an_isolated_atom_far_away_adds_its_own_energy(si_model):
    atoms = silicon()
    atoms.pbc = False
    lone = Atoms("Si", positions=[[100.0, 0, 0]])
    both = si_model.predict(atoms + lone)
    apart = si_model.predict(atoms).energy + si_model.predict(lone).energy
    SAME_POTENTIAL.check(both.energy, apart)
    assert np.abs(both.forces[-1]).max() < 1e-12


def test_a_batch_equals_single_predictions(si_model):
    frames = [STRUCTURES[n]() for n in STRUCTURES if n != "three_species"]
    for one, many in zip(
        [si_model.predict(f, std=True) for f in frames],
        si_model.predict(frames, std=True),
        strict=True,
    ):
        SAME_POTENTIAL.check(one.energy, many.energy)
        SAME_POTENTIAL.check(one.forces, many.forces)
        SAME_POTENTIAL.check(one.energies_std, many.energies_std)
