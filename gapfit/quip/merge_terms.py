"""Descriptors that gap_fit has one by one for each species as one term."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from gapfit.quip.gap_fit_blocks import every_block

__all__ = ["Piece", "merged"]

_SIZES = {"distance_2b": 2, "angle_3b": 3}


@dataclass
class Piece:
    """One descriptor.

    Attributes
    ----------
    settings : dict
        Table ``[[terms]]``.
    blocks : tuple of str
        Species that it is for, by symbol or as ``Ge-Te``; all without any.
    n_sparse : dict of str to int
        Sparse points of each block.
    """

    settings: dict[str, Any]
    blocks: tuple[str, ...] = ()
    n_sparse: dict[str, int] = field(default_factory=dict)


def merged(pieces: list[Piece], species: Collection[int]) -> list[dict[str, Any]]:
    """Return terms, one for all pieces that differ in species and numbers only.

    Parameters
    ----------
    pieces : list of Piece
        Descriptors in their order.
    species : collection of int
        Atomic numbers of the data: pairs and triplets of them that no piece of a term is
        for get no sparse points.

    Returns
    -------
    list of dict
        Tables ``[[terms]]``.
    """
    terms: list[Piece] = []
    for piece in pieces:
        own = next((term for term in terms if _belongs(piece, term)), None)
        if own is None:
            own = Piece(dict(piece.settings))
            terms.append(own)
        own.blocks += piece.blocks
        own.n_sparse |= dict.fromkeys(piece.blocks, piece.settings["n_sparse"])
    return [_term(own, species) for own in terms]


def _bare(piece: Piece) -> dict[str, Any]:
    return {key: value for key, value in piece.settings.items() if key != "n_sparse"}


def _belongs(piece: Piece, term: Piece) -> bool:
    """Tell whether a descriptor is another block of a term."""
    if not piece.blocks or not term.blocks or set(piece.blocks) & set(term.blocks):
        return False
    return _bare(piece) == _bare(term)


def _term(own: Piece, species: Collection[int]) -> dict[str, Any]:
    settings = dict(own.settings)
    if not own.blocks:
        return settings
    settings["n_sparse"] = max(own.n_sparse.values())
    others = {k: n for k, n in own.n_sparse.items() if n != settings["n_sparse"]}
    if settings["type"] == "soap":
        settings["centres"] = list(own.blocks)
    else:
        every = every_block(_SIZES[settings["type"]], species)
        others |= {name: 0 for name in every if name not in own.blocks}
    if others:
        settings["species_n_sparse"] = others
    return settings
