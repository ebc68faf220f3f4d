"""Posteriors that rounding of normal equations spoils, and what helps."""

from __future__ import annotations

import numpy as np
import pytest

from gapfit.errors import PosteriorError
from gapfit.gp.sound_posterior import MOST_EXCESS, excess, inverse, ridged
from gapfit.gp.training_sums import TrainingSums
from gapfit.gp.whitening import whiten

N = 40


def sums(method: str, sigma: float) -> TrainingSums:
    """Return sums over rows that leave half of the directions undetermined."""
    rng = np.random.default_rng(0)
    turned, _ = np.linalg.qr(rng.normal(size=(N, N)))
    K = rng.normal(size=(3 * N, N // 2)) @ turned[: N // 2]
    out = TrainingSums(whiten([np.eye(N)], 0.0), method)
    y = K @ np.sin(np.arange(N))
    out.add(("energy", ""), K, y, np.full(len(y), sigma))
    return out


@pytest.mark.parametrize("method", ["cholesky", "qr"])
def test_ordinary_posteriors_are_sound(method):
    assert excess(sums(method, 1e-3).solve().R) == 0.0


def spoilt() -> TrainingSums:
    """Return sums whose rounding is just beyond the tolerance."""
    for sigma in np.geomspace(1e-6, 1e-8, 30):
        found = sums("cholesky", sigma)
        if excess(found.solve().R):
            return found
    raise AssertionError("rounding never spoils the posterior")


def test_tiny_sigmas_spoil_the_normal_equations_alone():
    found = spoilt()
    R = found.solve().R
    upper = np.triu(inverse(R))
    largest = np.linalg.eigvalsh(upper + np.triu(upper, 1).T)[-1]
    assert excess(R) == pytest.approx(max(largest - 1.0, MOST_EXCESS / 2), rel=1e-6)
    (group,) = found.groups.values()
    sigma = np.exp(group.log_sigma / group.n_rows)
    assert excess(sums("qr", sigma).solve().R) == 0.0


def test_a_narrower_prior_covers_the_rounding():
    found = spoilt()
    before = found.solve()
    solution, ridge = ridged(found, excess(before.R))
    assert 0.0 < ridge <= 0.25
    assert excess(solution.R) == 0.0
    # Data determine the values as before.
    (group,) = found.groups.values()
    change = group.length(solution.coefficients - before.coefficients)
    assert change < 1e-4 * group.length(before.coefficients)


def test_a_posterior_that_nothing_helps_is_refused():
    with pytest.raises(PosteriorError, match=r"-5.0e-01.*raise \[sigma\] or lower"):
        ridged(spoilt(), 0.5)
    with pytest.raises(PosteriorError, match="too small"):
        ridged(sums("qr", 1e-3), 0.1)
    with pytest.raises(PosteriorError, match="singular"):
        excess(np.zeros((3, 3)))
