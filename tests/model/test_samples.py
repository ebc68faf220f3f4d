"""Potentials drawn from the posterior: their statistics, and what each of them is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import config, labelled_frames, silicon
from helpers.error_bars import brute_covariance, frames_of, molecule, salt, settings

import gapfit
from gapfit.errors import GapfitError, StructureError
from gapfit.model.calibration import KindCalibration
from gapfit.model.scales import Scale
from gapfit.testing import (
    FORCE_SLOPE,
    SAME_POTENTIAL,
    STRESS_SLOPE,
    forces_error,
    stress_error,
)

N = 4000
ZBL = {"repulsion": "zbl", "r_cut": 2.2, "width": 0.8}


@pytest.fixture(scope="module")
def model() -> gapfit.GAPModel:
    return gapfit.fit(frames_of(), settings())


@pytest.fixture(scope="module")
def with_baseline() -> gapfit.GAPModel:
    return gapfit.fit(frames_of(), settings(baseline=ZBL, calibration={}))


@pytest.mark.parametrize("scale", [None, 1.7])
def test_samples_have_the_mean_and_covariance_of_the_posterior(model, scale):
    """Within five standard errors of each mean and each covariance."""
    atoms = salt(20)
    found = model.sample(N, seed=1, scale=scale).predict(atoms)
    centre = model.predict(atoms)
    covariances = brute_covariance(model, atoms)
    volume = atoms.get_volume()
    for kind, drawn, mean in (
        ("energy", found.energies[:, None], np.array([centre.energy])),
        ("forces", found.forces.reshape(N, -1), centre.forces.ravel()),
        ("virial", -volume * found.stress, -volume * centre.stress),
    ):
        C = (scale or 1.0) ** 2 * covariances[kind]
        variance = np.diag(C)
        off = drawn.mean(axis=0) - mean
        assert (np.abs(off) < 5 * np.sqrt(variance / N)).all()
        estimate = (drawn - mean).T @ (drawn - mean) / N
        errors = np.sqrt((np.outer(variance, variance) + C**2) / N)
        assert (np.abs(estimate - C) < 5 * errors).all()
        # The diagonal is chi-square: together it tells far smaller mistakes.
        assert np.mean(np.diag(estimate) / variance) == pytest.approx(
            1.0, abs=5 * np.sqrt(2 / N)
        )


def test_the_scale_is_that_of_the_calibration(model, with_baseline):
    factor = with_baseline.calibration.kinds["forces"].scale.factor
    assert with_baseline.sample(2).scale == factor
    assert with_baseline.sample(2, scale=1.0).scale == 1.0
    assert model.sample(2).scale == 1.0
    energy = with_baseline.calibration.kinds["energy"]
    known = replace(with_baseline.calibration, kinds={"energy": energy})
    only = replace(with_baseline, calibration=known)
    assert only.sample(2).scale == energy.scale.factor
    small = KindCalibration(Scale(0.2, 0.1, 1.0))
    alike = replace(with_baseline.calibration, kinds={"forces": small})
    assert replace(with_baseline, calibration=alike).sample(2).scale == 1.0
    # The spread follows the scale, around the same coefficients.
    one, two = (model.sample(3, seed=4, scale=s).coefficients for s in (1.0, 2.0))
    none = model.sample(3, seed=4, scale=0.0).coefficients
    np.testing.assert_allclose(two - none, 2 * (one - none), rtol=1e-9, atol=1e-12)
    assert np.ptp(none, axis=0).max() == 0.0


@pytest.mark.parametrize("build", [salt, molecule])
@pytest.mark.parametrize("name", ["model", "with_baseline"])
def test_each_sample_is_a_model_that_says_the_same(request, name, build):
    model, atoms = request.getfixturevalue(name), build(21)
    samples = model.sample(4, seed=2)
    found = samples.predict(atoms)
    for n, sample in enumerate(samples):
        expected = sample.predict(atoms)
        assert isinstance(sample, gapfit.GAPModel)
        SAME_POTENTIAL.check(found.energies[n], expected.energy)
        SAME_POTENTIAL.check(found.forces[n], expected.forces)
        if expected.stress is None:
            assert found.stress is None
        else:
            SAME_POTENTIAL.check(found.stress[n], expected.stress)


def test_isolated_atoms_and_the_baseline_are_in_all_samples(with_baseline):
    """At short distances the repulsion is most of the energy, and certain."""
    atoms = salt(22)
    atoms.positions[1] = atoms.positions[0] + [1.2, 0.0, 0.0]
    expected = with_baseline.predict(atoms)
    found = with_baseline.sample(2, seed=3, scale=0.0).predict(atoms)
    bare = replace(with_baseline, baseline=None).sample(2, scale=0.0).predict(atoms)
    SAME_POTENTIAL.check(found.energies, expected.energy)
    np.testing.assert_allclose(found.forces[1], expected.forces, rtol=0, atol=1e-8)
    SAME_POTENTIAL.check(found.stress[1], expected.stress)
    assert (found.energies - bare.energies).min() > 5.0


def test_samples_of_projections_and_quadratic_forms_say_the_same():
    """Other coefficients need other projections: none are taken along."""
    wanted = config(n_max=4, l_max=3, n_sparse=20, zeta=2)
    wanted["prediction"] = {"energy_tolerance": 0.01, "forces_tolerance": 0.1}
    model = gapfit.fit(labelled_frames(silicon, 3), wanted)
    assert model.terms[0].lossless or model.terms[0].quadratic
    samples = model.sample(2, seed=5)
    found = samples.predict(silicon(30))
    for n, sample in enumerate(samples):
        expected = sample.predict(silicon(30))
        SAME_POTENTIAL.check(found.energies[n], expected.energy)
        SAME_POTENTIAL.check(found.forces[n], expected.forces)


def test_forces_and_stress_of_samples_are_derivatives(with_baseline):
    for sample in with_baseline.sample(2, seed=6):
        FORCE_SLOPE.check(forces_error(sample, salt(23)))
        STRESS_SLOPE.check(stress_error(sample, salt(23)))


def test_samples_are_a_sequence(model):
    samples, again = model.sample(5, seed=7), model.sample(5, seed=7)
    other = model.sample(5, seed=8)
    np.testing.assert_array_equal(samples.coefficients, again.coefficients)
    assert not np.allclose(samples.coefficients, other.coefficients)
    assert len(samples) == 5
    energies = samples.predict(salt(1)).energies
    assert np.ptp(energies) > 0

    def energy(sample: gapfit.GAPModel) -> float:
        return sample.predict(salt(1)).energy

    SAME_POTENTIAL.check([energy(own) for own in samples], energies)
    SAME_POTENTIAL.check([energy(own) for own in samples[1:4:2]], energies[1:4:2])
    SAME_POTENTIAL.check(energy(samples[-1]), energies[-1])
    with pytest.raises(IndexError):
        samples[5]


def test_a_sample_has_no_uncertainty_of_its_own(tmp_path, with_baseline):
    sample = with_baseline.sample(1)[0]
    with pytest.raises(GapfitError, match="posterior"):
        sample.predict(salt(1), std=True)
    sample.save(tmp_path / "sample.npz")
    loaded = gapfit.load(tmp_path / "sample.npz")
    assert loaded.calibration is None
    assert loaded.predict(salt(1)).energy == sample.predict(salt(1)).energy


@pytest.mark.parametrize("n", [0, -1])
def test_samples_that_are_none_are_refused(model, n):
    with pytest.raises(GapfitError, match=f"n = {n}: give a positive number"):
        model.sample(n)


@pytest.mark.parametrize("scale", [-1.0, np.nan, np.inf])
def test_scales_that_are_none_are_refused(model, scale):
    with pytest.raises(GapfitError, match=rf"scale = {scale}: give"):
        model.sample(2, scale=scale)


def test_unknown_species_of_samples_are_named(model):
    atoms = salt(1)
    atoms.numbers[0] = 6
    with pytest.raises(StructureError, match="unknown species C"):
        model.sample(2).predict(atoms)


def test_the_spread_of_a_difference_has_the_covariances_in_it(model):
    """Of an energy along a short step: the std of the force times its length."""
    a, b, middle = salt(24), salt(24), salt(24)
    b.positions[0, 0] += 0.1
    middle.positions[0, 0] += 0.05
    drawn = model.sample(N, seed=9)
    difference = drawn.predict(b).energies - drawn.predict(a).energies
    std = 0.1 * model.predict(middle, std="forces", observation=False).forces_std[0, 0]
    # The standard error of a standard deviation, and the curvature of the step.
    assert np.std(difference) == pytest.approx(std, rel=5 / np.sqrt(2 * N) + 0.01)
    # Independent errors would add to far more.
    assert std < 0.3 * model.predict(a, std="energy", observation=False).energy_std
