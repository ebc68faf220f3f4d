"""Functions of a calculator, with error bars."""

from __future__ import annotations

import json

import numpy as np
import pytest
from builders import silicon
from scipy.stats import t

import gapfit
from gapfit.errors import GapfitError


def energy(calculator: gapfit.GAPCalculator) -> float:
    atoms = silicon()
    atoms.calc = calculator
    return atoms.get_potential_energy()


def forces(calculator: gapfit.GAPCalculator) -> np.ndarray:
    atoms = silicon()
    atoms.calc = calculator
    return atoms.get_forces()


def test_the_spread_is_that_of_the_samples(si_model):
    found = gapfit.propagate(si_model, energy, samples=6, seed=3)
    drawn = si_model.sample(6, seed=3).predict(silicon())
    assert found.value == pytest.approx(si_model.predict(silicon()).energy)
    np.testing.assert_allclose(found.samples, drawn.energies, rtol=0, atol=1e-9)
    assert found.std == pytest.approx(drawn.energies.std(ddof=1), rel=1e-6)
    assert found.mean == pytest.approx(drawn.energies.mean())
    low, high = found.interval(0.9)
    half = t.ppf(0.95, 5) * np.sqrt(1 + 1 / 6) * found.std
    assert found.summary().startswith(f"{found.value:.6g} ± {found.std:.2g}, 95%")
    np.testing.assert_allclose([low, high], found.mean + np.array([-half, half]))


def test_many_samples_have_the_standard_deviation_of_the_prediction(si_model):
    """Of a function that is linear in the coefficients: within a few standard errors."""
    found = gapfit.propagate(si_model, energy, samples=200, scale=1.0)
    std = si_model.predict(
        silicon(), std="energy", calibrated=False, observation=False
    ).energy_std
    assert found.std == pytest.approx(std, rel=4 / np.sqrt(2 * 200))


def test_arrays_keep_their_shape_and_are_written(si_model):
    calls = []
    found = gapfit.propagate(
        si_model, forces, samples=3, progress=lambda *call: calls.append(call)
    )
    assert found.value.shape == found.std.shape == (8, 3)
    assert found.samples.shape == (3, 8, 3)
    assert calls[-1] == ("samples", 4, 4)
    stored = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    np.testing.assert_allclose(stored["std"], found.std)


def test_given_samples_are_used(si_model):
    samples = si_model.sample(3, seed=9, scale=2.0)
    found = gapfit.propagate(si_model, energy, samples=samples)
    assert found.scale == 2.0
    np.testing.assert_allclose(
        found.samples, samples.predict(silicon()).energies, rtol=0, atol=1e-9
    )


def test_what_goes_wrong_is_told_with_the_sample(si_model, gst_model):
    for n in (0, 1):
        with pytest.raises(GapfitError, match=f"samples = {n}: give 2 or more"):
            gapfit.propagate(si_model, energy, samples=n)
    with pytest.raises(GapfitError, match="another model"):
        gapfit.propagate(si_model, energy, samples=gst_model.sample(2))
    with pytest.raises(GapfitError, match="the mean potential: the function returned"):
        gapfit.propagate(si_model, lambda _: np.inf)
    shapes = iter([(1,), (1,), (2,)])
    with pytest.raises(GapfitError, match=r"sample 1: .* shape \(2,\), and \(1,\)"):
        gapfit.propagate(si_model, lambda _: np.zeros(next(shapes)))

    def fails(calculator):
        if calculator.model.posterior is None:
            raise RuntimeError("no convergence")
        return 1.0

    with pytest.raises(RuntimeError) as caught:
        gapfit.propagate(si_model, fails)
    assert caught.value.__notes__ == ["gapfit.propagate: this happened with sample 0"]
    with pytest.raises(GapfitError, match="level = 1:"):
        gapfit.propagate(si_model, energy, samples=2).interval(1.0)
