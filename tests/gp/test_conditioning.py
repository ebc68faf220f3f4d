"""A larger jitter, found from the sums alone, where coefficients cancel each other."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from gapfit.gp.conditioning import MAX_CANCELLATION, cancellation, well_conditioned
from gapfit.gp.raised_jitter import raised_jitter
from gapfit.gp.training_sums import TrainingSums
from gapfit.gp.whitening import Whitening, whiten

N = 30


def kernels() -> tuple[list[np.ndarray], np.ndarray]:
    """Return K_mm of a smooth and of a rough block, and rows of both, (200, 60)."""
    rng = np.random.default_rng(0)
    x, points = rng.uniform(size=200), np.linspace(0, 1, N)
    lengths = (0.5, 0.02)

    def kernel(a, b, length):
        return 9.0 * np.exp(-((a[:, None] - b) ** 2) / (2 * length**2))

    K_mm = [kernel(points, points, length) for length in lengths]
    return K_mm, np.hstack([kernel(x, points, length) for length in lengths])


def sums(method: str, jitter: float, sigma: float) -> TrainingSums:
    K_mm, K = kernels()
    y = 1e3 * np.sin(9 * np.arange(200))
    out = TrainingSums(whiten(K_mm, jitter), method)
    out.add(("energy", ""), K, y, np.full(200, sigma))
    out.add(("forces", ""), K[:20], y[:20], np.full(20, sigma))
    return out


@pytest.mark.parametrize("method", ["cholesky", "qr"])
def test_sums_with_another_jitter_are_those_of_the_data(method):
    found = sums(method, 1e-9, 0.1)
    found.close()
    sharing = TrainingSums(found.whitening, method)
    sharing.groups = dict(found.groups)
    expected = sums(method, 1e-6, 0.1)
    again = found.rewhitened(raised_jitter(found.whitening, (1e-6, 1e-6))).solve()
    solution = expected.solve()
    _, K = kernels()
    values = K @ solution.coefficients
    np.testing.assert_allclose(K @ again.coefficients, values, atol=1e-5)
    assert again.log_marginal_likelihood == pytest.approx(
        solution.log_marginal_likelihood, rel=1e-7
    )
    # Other sums with the same groups stay.
    np.testing.assert_array_equal(
        sharing.solve().coefficients, sums(method, 1e-9, 0.1).solve().coefficients
    )


def test_a_raised_jitter_loses_no_digits():
    (K_mm, _), _ = kernels()
    old = whiten([K_mm], 1e-13)
    raised = raised_jitter(old, (1e-9,))
    (U,), (V,), (T,) = old.cholesky, raised.whitening.cholesky, raised.turns
    np.testing.assert_allclose(T @ V, U, atol=1e-14)
    shift = np.diag(V.T @ V) - np.diag(U.T @ U)
    np.testing.assert_allclose(shift, 9.0 * (1e-9 - 1e-13), atol=1e-14)
    assert (np.diag(V) > 0).all()
    rest = np.linalg.eigvalsh(np.eye(N) - T.T @ T)
    assert -1e-14 < rest.min() < rest.max() < 1


@pytest.mark.parametrize("method", ["cholesky", "qr"])
@pytest.mark.parametrize("n_groups", [1, 4])
def test_a_raised_jitter_takes_no_more_memory_than_is_planned(method, n_groups):
    n = 300
    rng = np.random.default_rng(0)
    x, points = rng.uniform(size=2 * n), np.linspace(0, 1, n)
    K = np.exp(-((np.concatenate([points, x])[:, None] - points) ** 2))
    y = 1e3 * np.sin(9 * np.arange(2 * n))
    tracemalloc.start()
    try:
        given = TrainingSums(whiten([K[:n]], 1e-12), method)
        for group in range(n_groups):
            given.add(group, K[n:], y, np.full(2 * n, 1e-3))
        given.close()
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        raised, _ = well_conditioned(given)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert raised.whitening.jitter[0] > 1e-12
    factors = 3 * Whitening.nbytes([n])
    planned = TrainingSums.solve_nbytes(method, n, n_groups) + factors
    assert peak - before < 1.05 * planned


@pytest.mark.parametrize("method", ["cholesky", "qr"])
def test_only_the_block_that_cancels_gets_a_larger_jitter(method):
    given = sums(method, 1e-12, 1e-3)
    solution = given.solve()
    before = cancellation(given.whitening, solution)
    better, raised = well_conditioned(given)
    after = cancellation(better.whitening, raised)
    assert before[0] > 2 * MAX_CANCELLATION
    assert after[0] < before[0] / 2
    assert better.whitening.jitter[0] > 1e-12
    assert better.whitening.jitter[1] == 1e-12
    assert max(after) <= MAX_CANCELLATION or better.whitening.jitter[0] == 1e-5


def test_ordinary_fits_stay_as_they_are():
    given = sums("cholesky", 1e-8, 1e3)
    same, solution = well_conditioned(given)
    assert max(cancellation(given.whitening, solution)) < MAX_CANCELLATION
    assert same is given


def test_cancellation_is_the_rounding_of_predictions():
    """Kernels with errors of one unit in the last place change predictions by as much."""
    given = sums("cholesky", 1e-12, 0.01)
    solution = given.solve()
    _, K = kernels()
    rng = np.random.default_rng(1)
    ulp = K * (1 + 2.0**-53 * rng.choice([-1, 1], size=K.shape))
    changes = (ulp - K) @ solution.coefficients
    bound = sum(cancellation(given.whitening, solution))
    assert 0.01 * bound < np.sqrt(np.mean(changes**2)) < 3 * bound
