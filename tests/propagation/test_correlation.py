"""Standard errors of series whose correlations are known."""

from __future__ import annotations

import numpy as np
import pytest

from gapfit.propagation.correlation import inefficiency, standard_error


def chain(phi: float, n: int, seed: int) -> np.ndarray:
    """x(t) = φ x(t-1) + noise has g = (1 + φ) / (1 - φ) and the variance 1."""
    rng = np.random.default_rng(seed)
    noise = np.sqrt(1 - phi**2) * rng.standard_normal(n)
    x = np.empty(n)
    x[0] = rng.standard_normal()
    for t in range(1, n):
        x[t] = phi * x[t - 1] + noise[t]
    return x


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
def test_inefficiencies_of_autoregressive_series(phi):
    g = inefficiency(chain(phi, 60_000, 1)[:, None])[0]
    assert g == pytest.approx((1 + phi) / (1 - phi), rel=0.1)


def test_standard_errors_are_the_scatter_of_means():
    series = np.stack([chain(0.8, 1000, seed) for seed in range(100)], axis=1)
    scatter = series.mean(axis=0).std(ddof=1)
    assert np.mean(standard_error(series)) == pytest.approx(scatter, rel=0.2)


def test_columns_are_independent_and_constants_have_no_error():
    series = np.stack([chain(0.9, 500, 2), np.full(500, -163.3)], axis=1)
    together = standard_error(series)
    assert together[1] == pytest.approx(0.0, abs=1e-12)
    assert inefficiency(series)[1] == 1.0
    np.testing.assert_allclose(together[:1], standard_error(series[:, :1]), rtol=1e-12)


def test_anticorrelated_frames_count_as_independent():
    assert inefficiency(chain(-0.8, 2000, 4)[:, None])[0] == 1.0
