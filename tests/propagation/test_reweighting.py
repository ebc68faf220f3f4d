"""Reweighted averages against potentials whose averages are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from gapfit.propagation.correlation import standard_error
from gapfit.propagation.reweighting import (
    cumulant,
    direct,
    effective_size,
    plain,
    variance,
)

N = 200_000
BETA, STIFF = 2.0, 3.0


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    """An atom of an Einstein crystal, drawn without noise: quantiles of its Gaussian."""
    return ndtri((np.arange(N) + 0.5) / N) / np.sqrt(BETA * STIFF)


@pytest.mark.parametrize("other", [2.4, 3.0, 4.5])
def test_weights_give_the_averages_of_another_einstein_crystal(x, other):
    """⟨x²⟩ = kT / k_k, ⟨E⟩ = kT / 2 and var(E) = (kT)² / 2 whatever the stiffness."""
    h = 0.5 * BETA * (other - STIFF) * x**2
    own = 0.5 * other * x**2
    A = np.stack([x**2, own], axis=1)
    found = direct(A, h).value
    np.testing.assert_allclose(found, [1 / (BETA * other), 0.5 / BETA], rtol=3e-4)
    spread = variance(direct, own[:, None], h).value
    np.testing.assert_allclose(spread, 0.5 / BETA**2, rtol=3e-3)


@pytest.mark.parametrize("other", [2.4, 3.0, 3.9])
def test_the_expansion_is_the_first_order_of_the_same(x, other):
    """kT / k_k is kT / k (1 - (k_k - k) / k); the third cumulant of E is (kT)³."""
    change = (other - STIFF) / STIFF
    h = 0.5 * BETA * (other - STIFF) * x**2
    found = cumulant((x**2)[:, None], h).value
    np.testing.assert_allclose(found, (1 - change) / (BETA * STIFF), rtol=1e-3)
    own = (0.5 * other * x**2)[:, None]
    spread = variance(cumulant, own, h).value
    expected = (1 + change) ** 2 * (0.5 - change) / BETA**2
    np.testing.assert_allclose(spread, expected, rtol=5e-3)


@pytest.mark.parametrize("estimator", [direct, cumulant])
def test_a_linear_perturbation_is_exact_in_both(x, estimator):
    """V = k x²/2 + f x moves the mean to -f / k and leaves the variance: both Gaussian."""
    force = 0.7
    found = estimator(x[:, None], BETA * force * x)
    np.testing.assert_allclose(found.value, -force / STIFF, rtol=2e-3)
    spread = variance(estimator, x[:, None], BETA * force * x).value
    np.testing.assert_allclose(spread, 1 / (BETA * STIFF), rtol=2e-3)


def test_effective_sizes_are_those_of_log_normal_weights(x):
    """(Σw)² / Σw² / n = exp(-s²) for h of standard deviation s; from 1 to n."""
    unit = x * np.sqrt(BETA * STIFF)
    s = np.array([0.0, 0.5, 1.0])
    np.testing.assert_allclose(
        effective_size(unit[:, None] * s + 1e4) / N, np.exp(-(s**2)), rtol=2e-3
    )
    one = np.zeros((50, 1))
    one[7] = -1000.0
    assert effective_size(one) == pytest.approx(1.0)


@pytest.mark.parametrize("estimator", [plain, direct, cumulant])
@pytest.mark.parametrize("squares", [False, True])
def test_influences_tell_the_scatter_of_estimates(estimator, squares):
    """The error that they give is the scatter over independent trajectories."""
    rng = np.random.default_rng(3)
    values, errors = [], []
    for _ in range(400):
        x = rng.standard_normal(400)
        h = 0.4 * x + 0.2 * x**2 + 0.3 * rng.standard_normal(400)
        A = np.stack([x, np.tanh(x) + x], axis=1)
        found = variance(estimator, A, h) if squares else estimator(A, h)
        np.testing.assert_allclose(found.influence.mean(axis=0), 0.0, atol=1e-12)
        values.append(found.value)
        errors.append(standard_error(found.influence))
    scatter = np.std(values, axis=0, ddof=1)
    np.testing.assert_allclose(np.mean(errors, axis=0), scatter, rtol=0.15)


def test_a_constant_in_h_changes_nothing(x):
    few = x[::1000]
    A, h = few[:, None], few**2
    for estimator in (direct, cumulant):
        one, other = estimator(A, h), estimator(A, h + 1e5)
        np.testing.assert_allclose(one.value, other.value, rtol=0, atol=1e-9)
        np.testing.assert_allclose(one.influence, other.influence, rtol=0, atol=1e-8)
