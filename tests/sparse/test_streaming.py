"""Sparse points from more environments than fit into memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from helpers.sparse_cases import SALT, source_of

from gapfit.sparse import streaming as sparse_stream
from gapfit.sparse.methods import select, unique_rows


def clouds(n: int = 600, width: int = 12, seed: int = 0) -> np.ndarray:
    """Return unit rows in a dense cloud, some far ones, and repeated ones."""
    rng = np.random.default_rng(seed)
    X = np.eye(width)[0] + 0.03 * rng.normal(size=(n, width))
    X[: n // 20] = rng.normal(size=(n // 20, width))
    X[-n // 4 :] = X[: n // 4]
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def indices(points, X):
    return np.array([int(np.argmin(np.abs(X - p).max(axis=1))) for p in points])


def chances(draw, n: int, repeats: int = 400) -> np.ndarray:
    counts = np.zeros(n)
    for seed in range(repeats):
        counts[draw(seed)] += 1
    return counts / repeats


def test_leverage_scores_in_passes_draw_like_those_in_memory():
    X = clouds(200)
    first = unique_rows(X)

    def passes(seed):
        salts = {14: seed * 7919 + 1}
        points = sparse_stream.cur(source_of(X), {14: 30}, {}, salts)[14]
        assert len(unique_rows(points)) == 30
        return indices(points, X)

    a = chances(passes, len(X))[first]
    b = chances(lambda s: select(X, 30, "cur", np.random.default_rng(s)), len(X))[first]
    # Binomial noise of a difference of 400 draws: 0.035 at most.
    assert np.abs(a - b).max() < 0.15
    assert np.sqrt(np.mean((a - b) ** 2)) < 0.035
    assert a.max() > 3 * a.mean()


def test_a_random_subset_in_one_pass_is_uniform_over_distinct_rows():
    X = clouds(200)
    first = unique_rows(X)

    def draw(seed):
        some = sparse_stream.subset(source_of(X), {14: 30}, {}, {14: seed})[14]
        assert not some.complete
        assert some.n_found == len(X)
        points = some.values
        assert len(unique_rows(points)) == len(points) == 30
        return indices(points, X)

    a = chances(draw, len(X))[first]
    assert a.sum() == pytest.approx(30)
    assert np.abs(a - 30 / len(first)).max() < 0.12


def test_a_subset_that_holds_all_says_so():
    X = clouds(200)
    some = sparse_stream.subset(source_of(X), {14: 500}, {}, SALT)[14]
    assert some.complete
    assert len(some.values) == len(unique_rows(X))


def test_a_subset_may_hold_the_ends_of_all_features():
    X = np.random.default_rng(0).normal(size=(3000, 2))
    kinds = np.arange(3000) % 3
    some = sparse_stream.subset(
        source_of(X, kinds), {14: 20}, {1: 5}, SALT, extremes=True
    )[14]
    for own in (kinds == 1, kinds != 1):
        found = some.values[(some.kinds == 1) == own[1]]
        np.testing.assert_array_equal(found.min(axis=0), X[own].min(axis=0))
        np.testing.assert_array_equal(found.max(axis=0), X[own].max(axis=0))
    assert len(unique_rows(some.values)) <= 2 * 20 + 2 * 4


@pytest.mark.parametrize("few", [False, True])
def test_quotas_in_passes(few):
    X = clouds(400)[:300]
    kinds = np.repeat([0, 1, 2], [8 if few else 100, 100, 192 if few else 100])
    points = sparse_stream.cur(source_of(X, kinds), {14: 50}, {0: 20, 2: 5}, SALT)[14]
    found = np.bincount(kinds[indices(points, X)], minlength=3)
    assert found.tolist() == ([8, 37, 5] if few else [20, 25, 5])


def test_the_memory_of_passes_is_bounded():
    n, width = 60_000, 40

    def source():
        for k in range(n // 500):
            rng = np.random.default_rng(k % 100)  # the last ones repeat the first
            yield {14: (rng.normal(size=(500, width)), np.zeros(500, dtype=np.int64))}

    tracemalloc.start()
    points = sparse_stream.cur(source, {14: 200}, {}, SALT)[14]
    some = sparse_stream.subset(source, {14: 500}, {}, SALT)[14]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(points) == 200
    assert not some.complete
    assert len(unique_rows(some.values)) == 500
    # Hashes of all, and a few batches; the descriptors would take 19 MB.
    assert peak < 5e6
