"""Sums over the data: parts, groups, and memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from helpers.least_squares import GROUP, JITTER, SOLVERS, problem, solve

from gapfit.gp.training_sums import TrainingSums
from gapfit.gp.whitening import whiten
from gapfit.testing import ROUNDING


@pytest.mark.parametrize("name", SOLVERS)
def test_sums_over_parts_of_the_data_add_up(name):
    K_mm, K, y, sigma = problem(5)
    whitening = whiten(K_mm, JITTER)
    parts = []
    for rows in np.split(np.arange(len(y)), (50, 70)):
        part = TrainingSums(whitening, name)
        part.add(GROUP, K[rows], y[rows], sigma[rows])
        parts.append(part)
    first, *others = parts
    for other in others:
        first.merge(other)
    found, expected = first.solve(), solve(name, K_mm, K, y, sigma)
    np.testing.assert_allclose(
        found.coefficients, expected.coefficients, rtol=1e-9, atol=1e-11
    )
    assert found.n_rows == expected.n_rows
    ROUNDING.check(found.log_marginal_likelihood, expected.log_marginal_likelihood)


@pytest.mark.parametrize("name", SOLVERS)
def test_another_sigma_of_a_group_needs_no_rows(name):
    K_mm, K, y, sigma = problem(6)
    scales = {("energy", ""): 3.0, ("forces", "a"): 0.4}
    names = [("energy", ""), ("forces", "a"), ("forces", "b")]
    sums, scaled = (TrainingSums(whiten(K_mm, JITTER), name) for _ in range(2))
    for group, rows in zip(names, np.split(np.arange(len(y)), (30, 80)), strict=True):
        sums.add(group, K[rows], y[rows], sigma[rows])
        new = sigma[rows] * scales.get(group, 1.0)
        scaled.add(group, K[rows], y[rows], new)
    found, expected = sums.scaled(scales).solve(), scaled.solve()
    np.testing.assert_allclose(
        found.coefficients, expected.coefficients, rtol=1e-8, atol=1e-10
    )
    np.testing.assert_allclose(
        np.abs(found.R), np.abs(expected.R), rtol=1e-8, atol=1e-8
    )
    assert found.log_marginal_likelihood == pytest.approx(
        expected.log_marginal_likelihood, rel=1e-10
    )


@pytest.mark.parametrize("name", SOLVERS)
def test_memory_does_not_grow_with_the_rows(name):
    K_mm, K, y, sigma = problem(7, n=400, sizes=(60, 60))

    def peak(n_blocks: int) -> int:
        sums = TrainingSums(whiten(K_mm, JITTER), name)
        tracemalloc.start()
        for _ in range(n_blocks):
            sums.add(GROUP, K, y, sigma)
        sums.solve()
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(1)
    assert peak(20) < 1.05 * peak(2)
    assert peak(20) < 20 * K.nbytes / 4
