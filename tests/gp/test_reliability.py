"""Scores of standard deviations against statistics."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from gapfit.gp.reliability import DIAGRAM_LEVELS, rank_correlation, reliability


def test_normal_errors_are_reliable():
    rng, n = np.random.default_rng(8), 40_000
    std = np.exp(rng.normal(size=n))
    found = reliability(std * rng.normal(size=n), std)
    assert found["n"] == n
    for key, p in (("coverage_68", 2 * norm.cdf(1) - 1), ("coverage_95", 0.95)):
        assert abs(found[key] - p) < 4 * np.sqrt(p * (1 - p) / n)
    # Mean distance of a Brownian bridge: sqrt(pi/32) / sqrt(n), and its tails.
    assert found["miscalibration_area"] < 4 * np.sqrt(np.pi / 32 / n)
    assert found["rms_z"] == pytest.approx(1.0, abs=4 / np.sqrt(2 * n))
    assert found["sharpness"] == pytest.approx(np.sqrt(np.mean(std**2)))
    assert len(found["diagram"]) == len(DIAGRAM_LEVELS)
    np.testing.assert_allclose(
        found["diagram"], DIAGRAM_LEVELS, rtol=0, atol=4 * 0.5 / np.sqrt(n)
    )


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_wrong_standard_deviations_have_the_area_they_should(factor):
    """Errors `factor` times the std: the share inside level p is known."""
    n = 20_001
    # Quantiles of the normal distribution instead of random numbers.
    error = factor * norm.ppf((np.arange(n) + 0.5) / n)
    found = reliability(error, np.ones(n))

    def share(p: float) -> float:
        return 2 * norm.cdf(norm.ppf(0.5 + 0.5 * p) / factor) - 1

    area, _ = quad(lambda p: abs(share(p) - p), 0, 1)
    assert area > 0.1
    assert found["miscalibration_area"] == pytest.approx(area, abs=1e-3)
    assert found["coverage_68"] == pytest.approx(2 * norm.cdf(1 / factor) - 1, abs=1e-3)
    assert found["rms_z"] == pytest.approx(factor, rel=1e-3)
    expected = [share(p) for p in DIAGRAM_LEVELS]
    np.testing.assert_allclose(found["diagram"], expected, atol=1e-3)


@pytest.mark.parametrize(("error", "std"), [(0.0, 1.0), (0.7, 0.4), (-3.0, 2.0)])
def test_the_crps_is_its_integral(error, std):
    """∫ (Φ((x - 0) / std) - [x >= e])² dx, of a prediction 0 with an error e."""
    below, _ = quad(lambda x: norm.cdf(x / std) ** 2, -40 * std, -error)
    above, _ = quad(lambda x: norm.sf(x / std) ** 2, -error, 40 * std)
    found = reliability(np.array([error]), np.array([std]))["crps"]
    assert found == pytest.approx(below + above, rel=1e-7)


def test_ranks():
    std = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    assert rank_correlation(-(std**3), std) == pytest.approx(1.0)
    assert rank_correlation(1 / std, std) == pytest.approx(-1.0)
    swapped = np.array([1.0, 2.0, 4.0, 3.0, 5.0])
    # 1 - 6 Σ d² / (n (n² - 1)).
    assert rank_correlation(swapped, std) == pytest.approx(1 - 6 * 2 / (5 * 24))
    assert rank_correlation(std, np.ones(5)) is None
    assert rank_correlation(np.ones(5), std) is None
    assert rank_correlation(std[:2], std[:2]) is None
