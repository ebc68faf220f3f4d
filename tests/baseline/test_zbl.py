"""The screened nuclear repulsion as a baseline."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from builders import STRUCTURES, config, labelled_frames, silicon

import gapfit
from gapfit.baseline.zbl import pair_baseline, zbl
from gapfit.config.sections import BaselineConfig
from gapfit.data.frame import structure_arrays
from gapfit.data.neighbours import pair_list
from gapfit.testing import (
    FORCE_SLOPE,
    SAME_POTENTIAL,
    STRESS_SLOPE,
    forces_error,
    invariance_errors,
    stress_error,
)

pytestmark = pytest.mark.core

ZBL = {"baseline": {"repulsion": "zbl", "r_cut": 2.6, "width": 1.2}}


def test_values_are_those_of_the_published_formula():
    """Carbon on silicon, term by term with other numbers for the constants."""
    r = np.array([0.5, 1.0, 2.0])
    x = r / (0.46850 / (6**0.23 + 14**0.23))
    screening = (
        0.18175 * np.exp(-3.1998 * x)
        + 0.50986 * np.exp(-0.94229 * x)
        + 0.28022 * np.exp(-0.4029 * x)
        + 0.02817 * np.exp(-0.20162 * x)
    )
    expected = 14.39964 * 6 * 14 / r * screening
    np.testing.assert_allclose(zbl(r, 6, 14)[0], expected, rtol=5e-4)


def test_derivatives_equal_finite_differences():
    r, h = np.linspace(0.4, 3.0, 20), 1e-4
    v = zbl(r, 32, 52)
    up, down = zbl(r + h, 32, 52), zbl(r - h, 32, 52)
    np.testing.assert_allclose((up[0] - down[0]) / (2 * h), v[1], rtol=1e-5)
    np.testing.assert_allclose((up[1] - down[1]) / (2 * h), v[2], rtol=1e-5)


def test_the_table_equals_the_formula():
    table = pair_baseline(
        BaselineConfig(repulsion="zbl", r_cut=2.6, width=1.2), (14, 32)
    )
    for r in np.linspace(0.31, 2.7, 500):
        pair = structure_arrays(Atoms("SiGe", [[0, 0, 0], [r, 0, 0]]))
        found = table.evaluate(pair_list(pair, 3.0), gradients=True)
        t = np.clip((r - 1.4) / 1.2, 0, 1)
        s = 1 - 10 * t**3 + 15 * t**4 - 6 * t**5
        expected = s * zbl(np.array([r]), 14, 32)[0, 0]
        assert found.energies.sum() == pytest.approx(expected, rel=1e-8, abs=1e-9)


def test_data_that_are_nothing_but_the_baseline_leave_nothing_to_fit():
    table = pair_baseline(BaselineConfig(**ZBL["baseline"]), (14,))
    frames = []
    for seed in range(3):
        atoms = silicon(seed)
        found = table.evaluate(pair_list(structure_arrays(atoms), 3.0), gradients=True)
        atoms.calc = SinglePointCalculator(
            atoms,
            energy=found.energies.sum(),
            forces=found.forces,
            stress=-found.virials[0] / atoms.get_volume(),
        )
        frames.append(atoms)
    model = gapfit.fit(frames, config() | ZBL | {"e0": {"Si": 0.0}})
    assert max(np.abs(c).max() for c in model.terms[0].coefficients.values()) < 1e-9
    prediction = model.predict(frames[0])
    SAME_POTENTIAL.check(prediction.forces, frames[0].get_forces())
    SAME_POTENTIAL.check(prediction.stress, frames[0].get_stress())
    SAME_POTENTIAL.check(prediction.energy, frames[0].get_potential_energy())


@pytest.mark.parametrize("name", ["silicon", "one_atom", "three_species"])
def test_derivatives_and_invariances_with_all_parts(name):
    terms = [{"type": "distance_2b", "r_cut": 4.5}, config()["terms"][0]]
    frames = labelled_frames(STRUCTURES[name], 3)
    model = gapfit.fit(frames, config() | ZBL | {"terms": terms})
    FORCE_SLOPE.check(forces_error(model, frames[0]))
    STRESS_SLOPE.check(stress_error(model, frames[0]))
    errors = invariance_errors(model, frames[0], np.random.default_rng(2))
    SAME_POTENTIAL.check([*errors.values()])


def test_the_baseline_survives_the_model_file(tmp_path):
    frames = labelled_frames(silicon, 3)
    model = gapfit.fit(frames, config() | ZBL)
    model.save(tmp_path / "m.npz")
    close = Atoms("Si2", [[0, 0, 0], [0.9, 0, 0]])
    a, b = model.predict(close), gapfit.load(tmp_path / "m.npz").predict(close)
    assert a.energy == b.energy
    np.testing.assert_array_equal(a.forces, b.forces)


def test_atoms_pushed_together_repel_ever_more():
    frames = labelled_frames(silicon, 4)
    model = gapfit.fit(frames, config() | ZBL)
    r = np.arange(0.4, 1.3, 0.02)
    forces = [
        model.predict(Atoms("Si2", [[0, 0, 0], [x, 0, 0]])).forces[1, 0] for x in r
    ]
    assert np.all(np.array(forces) > 5)
    assert np.all(np.diff(forces) < 0)
