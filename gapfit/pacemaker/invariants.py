"""Energies that are sums over products of densities as sums over gapfit's functions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import isqrt

import numpy as np

from gapfit.descriptors.ace_functions import Factor, Function, Place
from gapfit.errors import GapfitError
from gapfit.pacemaker.complex_products import ComplexPlace, real_products

__all__ = ["function_coefficients"]

#: Largest part of the products of some factors that no function describes, relative.
_NOT_INVARIANT = 1e-9

_Polynomial = dict[tuple[Place, ...], float]
_Factors = tuple[Factor, ...]


def function_coefficients(
    functions: Sequence[Function], energy: Mapping[tuple[ComplexPlace, ...], float]
) -> np.ndarray:
    """Return coefficients (n_functions,) with which functions sum up to an energy, eV.

    Parameters
    ----------
    functions : sequence of Function
        All of the factors that occur.
    energy : mapping of tuple of ComplexPlace to float
        Coefficients of products, eV.

    Raises
    ------
    GapfitError
        The energy is not invariant under rotation and inversion.
    """
    numbers: dict[_Factors, list[int]] = defaultdict(list)
    for n, function in enumerate(functions):
        numbers[function.factors].append(n)
    groups: dict[_Factors, _Polynomial] = defaultdict(dict)
    for places, value in real_products(energy).items():
        groups[_factors(places)][places] = value
    out = np.zeros(len(functions))
    for factors, polynomial in groups.items():
        members = numbers.get(factors, [])
        out[members] = _solved([functions[n].products for n in members], polynomial)
    return out


def _factors(places: tuple[Place, ...]) -> _Factors:
    """Return degree, channel and n of the factors of a product, in order."""
    return tuple(sorted(Factor(isqrt(lm), channel, n) for channel, lm, n in places))


def _solved(functions: Sequence[_Polynomial], polynomial: _Polynomial) -> np.ndarray:
    """Return the coefficients of functions that sum up to a polynomial."""
    places = sorted({*polynomial}.union(*functions))
    target = np.array([polynomial.get(place, 0.0) for place in places])
    matrix = np.array(
        [[function.get(place, 0.0) for place in places] for function in functions]
    ).reshape(len(functions), len(places))
    solution: np.ndarray = np.linalg.lstsq(matrix.T, target)[0]
    rest = np.abs(target - solution @ matrix).max()
    if rest > _NOT_INVARIANT * np.abs(target).max():
        listed = ", ".join(f"l = {isqrt(lm)}, n = {n + 1}" for _, lm, n in places[0])
        raise GapfitError(
            f"the function with {listed} is not invariant under rotation and inversion"
        )
    return solution
