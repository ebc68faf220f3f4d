"""Keys of blocks made of species: 1000 · a + b for pairs, 10⁶ · centre + pair."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np

__all__ = [
    "pair_key",
    "pair_keys",
    "pair_label",
    "species_label",
    "species_of_pair",
    "species_of_triplet",
    "species_pairs",
    "triplet_key",
    "triplet_keys",
    "triplet_label",
]

_PAIR, _TRIPLET = 1000, 1_000_000


def pair_key(a: int, b: int) -> int:
    """Return the key of a pair of atomic numbers, in any order: 1000 × smaller + larger."""
    return _PAIR * min(a, b) + max(a, b)


def pair_keys(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the keys of pairs of atomic numbers, (n,), (n,) int64 -> (n,) int64."""
    keys: np.ndarray = _PAIR * np.minimum(a, b) + np.maximum(a, b)
    return keys


def species_of_pair(key: int) -> tuple[int, int]:
    """Return the atomic numbers of a pair, the smaller first."""
    return divmod(key, _PAIR)


def pair_label(key: int) -> str:
    """Return the symbols of a pair of species: ``Ge-Te``."""
    return species_label(*species_of_pair(key))


def species_pairs(species: tuple[int, ...]) -> tuple[int, ...]:
    """Return the keys of all pairs of species."""
    return tuple(pair_key(*pair) for pair in combinations_with_replacement(species, 2))


def triplet_key(centre: int, a: int, b: int) -> int:
    """Return the key of a central atom and two neighbours, in any order: Z·10⁶ + pair."""
    return _TRIPLET * centre + pair_key(a, b)


def triplet_keys(centres: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the keys of triplets, (n,) int64 of each -> (n,) int64."""
    keys: np.ndarray = _TRIPLET * centres + pair_keys(a, b)
    return keys


def species_of_triplet(key: int) -> tuple[int, int, int]:
    """Return the atomic numbers of a centre and of its neighbours, the smaller first."""
    centre, pair = divmod(key, _TRIPLET)
    return (centre, *species_of_pair(pair))


def triplet_label(key: int) -> str:
    """Return the symbols of centre and neighbours: ``Si-Ge-Te`` has Si as centre."""
    return species_label(*species_of_triplet(key))


def species_label(*numbers: int) -> str:
    """Return the symbols of atomic numbers, joined by hyphens: ``Ge-Te``."""
    from ase.data import chemical_symbols

    return "-".join(chemical_symbols[z] for z in numbers)
