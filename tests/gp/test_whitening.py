"""Solutions of both solvers, against dense linear algebra."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.least_squares import JITTER, SOLVERS, problem, solve
from scipy.stats import multivariate_normal

from gapfit.errors import GapfitError
from gapfit.gp.whitening import whiten


def dense_blocks(K_mm) -> np.ndarray:
    total = sum(len(K) for K in K_mm)
    full, first = np.zeros((total, total)), 0
    for K in K_mm:
        shift = JITTER * np.mean(np.diag(K))
        full[first : first + len(K), first : first + len(K)] = K + shift * np.eye(
            len(K)
        )
        first += len(K)
    return full


@pytest.mark.parametrize("name", SOLVERS)
def test_coefficients_solve_the_normal_equations(name):
    K_mm, K, y, sigma = problem()
    weighted = K / sigma[:, None]
    expected = np.linalg.solve(
        dense_blocks(K_mm) + weighted.T @ weighted, weighted.T @ (y / sigma)
    )
    found = solve(name, K_mm, K, y, sigma).coefficients
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", SOLVERS)
def test_factor_and_evidence(name):
    K_mm, K, y, sigma = problem()
    full = dense_blocks(K_mm)
    solution = solve(name, K_mm, K, y, sigma)
    phi = np.linalg.solve(np.linalg.cholesky(full), K.T).T / sigma[:, None]
    np.testing.assert_allclose(
        solution.R.T @ solution.R, np.eye(len(full)) + phi.T @ phi, rtol=1e-7, atol=1e-7
    )
    covariance = K @ np.linalg.solve(full, K.T) + np.diag(sigma**2)
    expected = multivariate_normal.logpdf(y, cov=covariance)
    assert solution.log_marginal_likelihood == pytest.approx(expected, abs=1e-6)
    assert solution.n_rows == len(y)


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("splits", [(), (1, 2, 3), tuple(range(1, 120))])
def test_result_does_not_depend_on_the_blocks(name, splits):
    K_mm, K, y, sigma = problem(3)
    one = solve(name, K_mm, K, y, sigma, splits=(60,))
    other = solve(name, K_mm, K, y, sigma, splits=splits)
    np.testing.assert_allclose(
        one.coefficients, other.coefficients, rtol=1e-9, atol=1e-11
    )


@pytest.mark.parametrize("name", SOLVERS)
def test_empty_blocks_change_nothing(name):
    K_mm, K, y, sigma = problem(4)
    one = solve(name, K_mm, K, y, sigma, splits=(60,))
    other = solve(name, K_mm, K, y, sigma, splits=(0, 60, 60))
    np.testing.assert_array_equal(one.coefficients, other.coefficients)


def test_jitter_is_raised_only_as_far_as_needed_and_reported():
    K = np.ones((4, 4))
    assert whiten([np.eye(3)], 0.0).jitter == (0.0,)
    (used,) = whiten([K], 0.0).jitter
    assert 0 < used < 1e-10
    with pytest.raises(GapfitError, match=r"2 sparse points is not positive.*fewer"):
        whiten([np.array([[1.0, 3.0], [3.0, 1.0]])], 1e-8)


def test_whitening_is_the_inverse_factor():
    K_mm, K, _, _ = problem(6)
    whitening = whiten(K_mm, JITTER)
    full = dense_blocks(K_mm)
    phi = whitening.apply(K)
    np.testing.assert_allclose(phi @ phi.T, K @ np.linalg.solve(full, K.T), rtol=1e-7)
    z = np.arange(len(full), dtype=float)
    np.testing.assert_allclose(whitening.apply(K) @ z, K @ whitening.undo(z), rtol=1e-7)
