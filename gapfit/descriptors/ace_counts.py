"""Numbers of functions of a cluster expansion, by characters of the group O(3).

The invariant polynomials of degree ν in the density coefficients are as many as the mean,
over all rotations and inversions g, of the trace of g on the symmetric products of ν
coefficients. It follows from those of g, g², ..., g^ν on one coefficient by Newton's
identities. No function is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

__all__ = ["largest_n_max", "number_of_functions"]

# Exact for the trigonometric polynomials here, whose degree is at most 4 · 10 + 1. An even
# number: the middle of the interval, where some waves are 0 / 0, is no node.
_N_NODES = 64


@cache
def number_of_functions(n_factors: int, n_max: int, l_max: int, n_channels: int) -> int:
    """Return the number of linearly independent functions of one correlation order.

    Parameters
    ----------
    n_factors : int
        Densities that are multiplied.
    n_max, l_max : int
        Radial functions and highest degree.
    n_channels : int
        Densities, such as one for each species.
    """
    nodes, weights = np.polynomial.legendre.leggauss(_N_NODES)
    angle = 0.5 * np.pi * (nodes + 1)
    measure = 0.5 * weights * (1 - np.cos(angle))
    degrees = np.arange(l_max + 1)[:, None]
    total = 0.0
    for inverted in (False, True):
        traces = []
        for k in range(1, n_factors + 1):
            waves = np.sin((degrees + 0.5) * k * angle) / np.sin(0.5 * k * angle)
            parity = (-1.0) ** degrees if inverted and k % 2 else 1.0
            traces.append(n_channels * n_max * (parity * waves).sum(axis=0))
        total += 0.5 * float(measure @ _symmetric_power(traces))
    return round(total)


def _symmetric_power(traces: Sequence[np.ndarray]) -> np.ndarray:
    """Return traces on the symmetric products of as many factors as there are `traces`.

    Parameters
    ----------
    traces : sequence of (n_angles,) float64
        Traces of the powers g, g², ... on one factor.
    """
    powers = [np.ones_like(traces[0])]
    for k in range(1, len(traces) + 1):
        powers.append(sum(traces[i] * powers[k - 1 - i] for i in range(k)) / k)
    return powers[-1]


def largest_n_max(
    orders: Sequence[tuple[int, int, int]], n_channels: int, most: int
) -> list[int]:
    """Return the largest n_max of each order with which all have few enough functions.

    Parameters
    ----------
    orders : sequence of (n_factors, n_max, l_max)
        Correlation orders; no n_max becomes larger than it is here.
    n_channels : int
        Densities, such as one for each species.
    most : int
        Largest number of functions of all orders together.

    Returns
    -------
    list of int
        Empty if even n_max = 1 has more.
    """

    def count(k: int, n_max: int) -> int:
        n_factors, _, l_max = orders[k]
        return number_of_functions(n_factors, n_max, l_max, n_channels)

    def total(sizes: Sequence[int]) -> int:
        return sum(count(k, n_max) for k, n_max in enumerate(sizes))

    sizes = [n_max for _, n_max, _ in orders]
    while total(sizes) > most:
        reducible = [k for k, n_max in enumerate(sizes) if n_max > 1]
        if not reducible:
            return []
        sizes[max(reducible, key=lambda k: count(k, sizes[k]))] -= 1
    # The last step may have made room for what an earlier one took.
    for k, (_, n_max, _) in enumerate(orders):
        while (
            sizes[k] < n_max
            and total(sizes) - count(k, sizes[k]) + count(k, sizes[k] + 1) <= most
        ):
            sizes[k] += 1
    return sizes
