"""Pareto fronts, their layers, and the choice of a point."""

from __future__ import annotations

import numpy as np
import pytest

from gapfit.search.front import SLACK, best_within, layers, pareto_front, spread


def dominated(points, n: int) -> bool:
    error, cost = points[n]
    return any(e <= error and c <= cost and (e, c) != (error, cost) for e, c in points)


def test_a_front_holds_the_points_that_none_dominates():
    rng = np.random.default_rng(3)
    points = [tuple(pair) for pair in rng.integers(0, 30, size=(80, 2)).tolist()]
    front = pareto_front(points)
    expected = {points[n] for n in range(80) if not dominated(points, n)}
    assert {points[n] for n in front} == expected
    assert len(front) == len(expected)
    costs = [points[n][1] for n in front]
    assert costs == sorted(costs)


def test_of_equal_points_the_first_is_on_the_front():
    assert pareto_front([(1.0, 2.0), (1.0, 2.0)]) == [0]
    assert pareto_front([]) == []


def test_layers_are_the_fronts_of_what_is_left():
    points = [(1, 3), (3, 1), (2, 4), (4, 2), (5, 5)]
    assert layers(points).tolist() == [0, 0, 1, 1, 2]


def test_a_spread_begins_with_the_most_accurate_and_reaches_the_cheapest():
    points = [(5.0, 1.0), (4.0, 2.0), (3.0, 90.0), (1.0, 100.0)]
    assert spread(points, 2) == [3, 0]
    assert spread(points, 3) == [3, 0, 1]
    assert sorted(spread(points, 9)) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("most", "chosen"), [(None, 2), (99.0, 2), (35.0, 1), (12.0, 0), (5.0, None)]
)
def test_the_choice_is_the_cheapest_that_is_nearly_the_best_within_the_cost(
    most, chosen
):
    nearly = 1.0 + 0.5 * SLACK
    points = [(3.0, 10.0), (2.0, 30.0), (nearly, 50.0), (1.0, 100.0)]
    assert best_within(points, most) == chosen
