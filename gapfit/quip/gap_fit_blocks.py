"""Pairs and triplets of species that a descriptor of gap_fit is for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import combinations_with_replacement

from gapfit.errors import GapfitError

__all__ = ["every_block", "matching_blocks", "symbols"]


def symbols(numbers: Iterable[int]) -> list[str]:
    """Return the chemical symbols of atomic numbers.

    Raises
    ------
    GapfitError
        One of them is not an atomic number.
    """
    from ase.data import chemical_symbols

    numbers = list(numbers)
    beyond = [z for z in numbers if not 0 < z < len(chemical_symbols)]
    if beyond:
        raise GapfitError(f"gap={{...}}: Z = {beyond[0]} is not an atomic number")
    return [chemical_symbols[z] for z in numbers]


def every_block(size: int, species: Collection[int]) -> list[str]:
    """Return the names of all pairs (`size` 2) or triplets (3) of species.

    Parameters
    ----------
    size : int
        2 or 3.
    species : collection of int
        Atomic numbers.

    Returns
    -------
    list of str
        Such as ``O-Si``; triplets have their centre first. The last two ascend by atomic
        number.
    """
    return matching_blocks([0] * size, species)


def matching_blocks(ends: Sequence[int], species: Collection[int]) -> list[str]:
    """Return the names of pairs or triplets that atomic numbers select.

    Parameters
    ----------
    ends : sequence of int
        Both ends of a pair, or the centre of a triplet and its ends; 0 for any species.
    species : collection of int
        Atomic numbers that 0 stands for.
    """
    *centre, a, b = ends
    every = sorted({*species, *ends} - {0})
    pairs = [
        pair
        for pair in combinations_with_replacement(every, 2)
        if _fit((a, b), pair) or _fit((b, a), pair)
    ]
    centres = [(z,) for z in every if centre[0] in (0, z)] if centre else [()]
    return ["-".join(symbols([*z, *pair])) for z in centres for pair in pairs]


def _fit(ends: tuple[int, int], pair: tuple[int, int]) -> bool:
    return all(end in (0, z) for end, z in zip(ends, pair, strict=True))
