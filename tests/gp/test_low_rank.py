"""Few directions: unbiased for every row, exact for those that lead."""

from __future__ import annotations

import numpy as np
import pytest

from gapfit.gp.low_rank import best_split, mixed_directions, principal_axes


def decaying(n: int, m: int, seed: int) -> np.ndarray:
    """Return rows whose components shrink, in directions of their own."""
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(np.random.default_rng(7).normal(size=(m, m)))
    return rng.normal(size=(n, m)) * 0.8 ** np.arange(m) @ turn


def test_axes_are_orthonormal_and_the_longest_come_first():
    axes = principal_axes(decaying(200, 12, 0))
    np.testing.assert_allclose(axes.T @ axes, np.eye(12), atol=1e-12)
    lengths = np.sum((decaying(200, 12, 0) @ axes) ** 2, axis=0)
    assert np.all(np.diff(lengths) < 0)


@pytest.mark.parametrize("n_exact", [0, 3])
def test_estimates_are_unbiased_with_the_variance_that_is_stated(n_exact):
    """E |Z^T w|² = |w|² for one row of any kind; the spread is that of random signs."""
    rank, n_axes = 8, 20
    w = np.random.default_rng(3).normal(size=n_axes)
    draws = [mixed_directions(n_axes, rank, n_exact, seed) for seed in range(4000)]
    found = np.array([np.sum((w @ Z) ** 2) for Z in draws])
    rest = w[n_exact:] ** 2
    spread = np.sqrt(2 / (rank - n_exact) * (rest.sum() ** 2 - np.sum(rest**2)))
    assert abs(found.mean() - w @ w) < 4 * spread / np.sqrt(len(draws))
    assert found.std() == pytest.approx(spread, rel=0.06)


def test_rows_along_exact_directions_have_no_error():
    Z = mixed_directions(20, 8, 3, seed=0)
    row = np.zeros(20)
    row[:3] = [1.0, -2.0, 0.5]
    assert np.sum((row @ Z) ** 2) == pytest.approx(row @ row, rel=1e-14)


def test_as_many_directions_as_axes_are_exact():
    np.testing.assert_array_equal(mixed_directions(5, 9, 2, seed=0), np.eye(5))


def test_the_split_has_the_least_expected_error():
    rows = decaying(400, 30, 1)
    squares = (rows @ principal_axes(decaying(400, 30, 2))) ** 2
    rank = 10
    tails = [
        np.mean((squares[:, q:].sum(axis=1) / squares.sum(axis=1)) ** 2) / (rank - q)
        for q in range(rank // 2 + 1)
    ]
    assert best_split(squares, rank) == int(np.argmin(tails))
    assert best_split(squares, rank) == rank // 2
    flat = np.random.default_rng(5).normal(size=(500, 40)) ** 2
    flat[:, 0] *= 10
    assert best_split(flat, rank) == 1


def test_rows_without_leading_axes_are_estimated_by_signs_alone():
    squares = np.random.default_rng(0).normal(size=(500, 300)) ** 2
    assert best_split(squares, 8) == 0
