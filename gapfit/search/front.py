"""Pareto fronts of two numbers to minimise: an error and a cost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["SLACK", "best_within", "layers", "pareto_front", "spread"]

#: Errors within this share of the smallest count as equal to it.
SLACK = 0.02


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the points that no other is better than in both error and cost.

    Parameters
    ----------
    points : sequence of (error, cost)
        Of equal points the first counts.

    Returns
    -------
    list of int
        Their indices, the cheapest first: errors fall along it.
    """
    order = sorted(range(len(points)), key=lambda n: (points[n][1], points[n][0], n))
    front: list[int] = []
    for n in order:
        if not front or points[n][0] < points[front[-1]][0]:
            front.append(n)
    return front


def layers(points: Sequence[tuple[float, float]]) -> np.ndarray:
    """Return the number of the front of each point, (n,) int64.

    0 on the front, 1 on that of the others, and so on.
    """
    out = np.zeros(len(points), dtype=np.int64)
    left, layer = list(range(len(points))), 0
    while left:
        front = {left[n] for n in pareto_front([points[n] for n in left])}
        out[sorted(front)] = layer
        left = [n for n in left if n not in front]
        layer += 1
    return out


def spread(points: Sequence[tuple[float, float]], n_wanted: int) -> list[int]:
    """Return the most accurate point and others whose costs differ most from it.

    Each further one has the largest ratio of costs to the nearest before it.

    Parameters
    ----------
    points : sequence of (error, cost)
        Points of a front.
    n_wanted : int
        How many to return, if there are as many.
    """
    left = sorted(range(len(points)), key=lambda n: (points[n][0], points[n][1], n))
    costs = np.log([max(cost, 1e-300) for _, cost in points])
    taken = left[:1]
    del left[:1]
    while left and len(taken) < n_wanted:
        gaps = [min(abs(costs[n] - costs[m]) for m in taken) for n in left]
        taken.append(left.pop(int(np.argmax(gaps))))
    return taken


def best_within(
    points: Sequence[tuple[float, float]], most: float | None = None
) -> int | None:
    """Return the cheapest point whose error is within `SLACK` of the smallest.

    Parameters
    ----------
    points : sequence of (error, cost)
        Points, on a front or not.
    most : float, optional
        Largest cost; points beyond do not count.

    Returns
    -------
    int or None
        Its index; None if no point costs as little.
    """
    within = [n for n, (_, cost) in enumerate(points) if most is None or cost <= most]
    if not within:
        return None
    least = min(points[n][0] for n in within)
    good = [n for n in within if points[n][0] <= (1 + SLACK) * least]
    return min(good, key=lambda n: (points[n][1], points[n][0], n))
