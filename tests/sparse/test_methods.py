"""Selection of sparse points."""

from __future__ import annotations

import numpy as np
import pytest

from gapfit.sparse.methods import select, select_with_quotas, unique_rows

METHODS = ["cur", "fps", "random"]


def clustered(seed: int = 0) -> np.ndarray:
    """Return 200 points in one dense cloud and 5 far ones (the last)."""
    rng = np.random.default_rng(seed)
    dense = [1.0, 0, 0, 0, 0, 0] + 0.01 * rng.normal(size=(200, 6))
    far = np.eye(6)[1:]
    points = np.vstack([dense, far])
    return points / np.linalg.norm(points, axis=1, keepdims=True)


@pytest.mark.parametrize("method", METHODS)
def test_selection_is_seeded_sorted_and_without_repeats(method):
    X = clustered()
    one = select(X, 20, method, np.random.default_rng(3))
    same = select(X, 20, method, np.random.default_rng(3))
    other = select(X, 20, method, np.random.default_rng(4))
    np.testing.assert_array_equal(one, same)
    assert len(np.unique(one)) == 20
    assert np.all(np.diff(one) > 0)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("method", METHODS)
def test_duplicates_count_once_and_too_many_points_give_all(method):
    X = np.vstack([clustered(), clustered()])
    index = select(X, 10_000, method, np.random.default_rng(0))
    np.testing.assert_array_equal(index, np.arange(205))


@pytest.mark.parametrize("method", ["cur", "fps"])
def test_rare_environments_are_found(method):
    X = clustered()
    hits = [
        np.sum(select(X, 12, method, np.random.default_rng(seed)) >= 200)
        for seed in range(10)
    ]
    # Chance alone would find 12 · 5/205 = 0.3 of them.
    assert np.mean(hits) > 4 if method == "fps" else np.mean(hits) > 1.5


def test_farthest_points_spread_at_least_as_far_as_any_other_choice():
    X = np.random.default_rng(1).normal(size=(300, 4))

    def reach(index):
        chosen = X[index]
        return np.min(np.linalg.norm(X[:, None] - chosen[None], axis=2), axis=1).max()

    rng = np.random.default_rng
    assert reach(select(X, 30, "fps", rng(0))) < reach(select(X, 30, "random", rng(0)))


def test_unique_rows_sees_signed_zeros_as_equal():
    X = np.array([[0.0, 1.0], [-0.0, 1.0], [1e-12, 1.0], [0.5, 1.0]])
    np.testing.assert_array_equal(unique_rows(X), [0, 3])


def test_kmeans_takes_one_point_of_each_cluster():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(12, 5)) * 20
    values = np.concatenate([c + rng.normal(size=(60, 5)) for c in centres])
    index = select(values, 12, "kmeans", np.random.default_rng(1))
    assert sorted(index // 60) == list(range(12))
    inside = [np.linalg.norm(values[i] - centres[i // 60]) for i in index]
    assert max(inside) < 1.5


def test_rows_are_equal_if_their_digits_agree():
    X = np.array([[1.0, 2.0], [1.0004, 2.0], [1.0006, 2.0], [-0.0001, 0], [0.0001, 0]])
    np.testing.assert_array_equal(unique_rows(X, 3), [0, 2, 3])
    np.testing.assert_array_equal(unique_rows(X), range(5))
    wide = np.tile(X, 3)
    np.testing.assert_array_equal(unique_rows(wide, 3), [0, 2, 3])


@pytest.mark.parametrize("n_sparse", [1, 7, 40, 200])
def test_a_regular_grid_gives_one_point_of_each_occupied_cell(n_sparse):
    rng = np.random.default_rng(2)
    X = np.vstack([rng.gamma(4.0, size=(4000, 3)), [[30.0, 1.0, 2.0]]])
    index = select(X, n_sparse, "uniform", rng)
    assert 0.8 * n_sparse <= len(index) <= n_sparse
    if n_sparse >= 40:
        assert 4000 in index  # the lonely row has a cell of its own
    # Cells are cubes of some edge: no two points of neighbouring cells are far closer.
    chosen = X[index]
    gaps = np.linalg.norm(chosen[:, None] - chosen, axis=2) + 99 * np.eye(len(index))
    chance = X[rng.choice(len(X), len(index), replace=False)]
    others = np.linalg.norm(chance[:, None] - chance, axis=2) + 99 * np.eye(len(index))
    assert n_sparse == 1 or np.median(gaps.min(0)) > 1.2 * np.median(others.min(0))


def test_a_grid_of_points_is_found_again():
    axes = np.meshgrid(np.arange(4.0), np.arange(3.0), np.arange(2.0), indexing="ij")
    middles = np.stack([axis.ravel() for axis in axes], axis=1)
    rng = np.random.default_rng(0)
    cloud = middles[:, None] + rng.uniform(-0.5, 0.5, (24, 200, 3))
    # Rows at the corners fix the grid; one row of each cell lies in its middle.
    corners = [[-0.5, -0.5, -0.5], [3.5, 2.5, 1.5]]
    X = np.vstack([cloud.reshape(-1, 3), corners, middles])
    index = select(X, 24, "uniform", rng)
    np.testing.assert_array_equal(index, np.arange(len(X) - 24, len(X)))


def test_features_without_extent_do_not_matter():
    X = np.random.default_rng(0).normal(size=(500, 1))
    flat = np.hstack([X, np.full((500, 2), 7.0)])
    index = select(flat, 10, "uniform", np.random.default_rng(0))
    assert 8 <= len(index) <= 10


def test_quotas_are_kept_and_the_rest_comes_from_other_groups():
    rng = np.random.default_rng(0)
    values, groups = rng.normal(size=(300, 6)), np.repeat([0, 1, 2], 100)
    values[5] = values[250]
    index = select_with_quotas(
        values, groups, {2: 30, 0: 5}, 60, "fps", np.random.default_rng(1)
    )
    assert np.bincount(groups[index]).tolist() == [5, 25, 30]
    assert not {5, 250} <= set(index.tolist())
    few = select_with_quotas(
        values[:120], groups[:120], {1: 50}, 60, "random", np.random.default_rng(1)
    )
    assert np.bincount(groups[few]).tolist() == [40, 20]
