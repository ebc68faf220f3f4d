"""Keys of blocks of pairs of species."""

from __future__ import annotations

from itertools import combinations_with_replacement

__all__ = [
    "pair_key",
    "species_pairs",
]


def pair_key(a: int, b: int) -> int:
    """Return the key of a pair of atomic numbers, in any order: 1000 × smaller + larger."""
    return 1000 * min(a, b) + max(a, b)


def species_pairs(species: tuple[int, ...]) -> tuple[int, ...]:
    """Return the keys of all pairs of species."""
    return tuple(pair_key(*pair) for pair in combinations_with_replacement(species, 2))
