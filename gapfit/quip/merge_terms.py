"""Descriptors that gap_fit lists for each species, merged into terms."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from gapfit.quip.gap_fit_blocks import every_block, symbols

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
        Its species, by symbol or as ``Ge-Te``; empty for all.
    n_sparse : dict of str to int
        Sparse points of each block.
    """

    settings: dict[str, Any]
    blocks: tuple[str, ...] = ()
    n_sparse: dict[str, int] = field(default_factory=dict)


def merged(pieces: list[Piece], species: Collection[int]) -> list[dict[str, Any]]:
    """Return terms, one for all pieces that differ only in species and numbers.

    Parameters
    ----------
    pieces : list of Piece
        Descriptors in their order.
    species : collection of int
        Atomic numbers of the data; pairs and triplets without a piece get no sparse
        points.

    Returns
    -------
    list of dict
        Tables ``[[terms]]``.
    """
    terms: list[Piece] = []
    for piece in pieces:
        term = next((term for term in terms if _belongs(piece, term)), None)
        if term is None:
            term = Piece(dict(piece.settings))
            terms.append(term)
        term.blocks += piece.blocks
        term.n_sparse |= dict.fromkeys(piece.blocks, piece.settings["n_sparse"])
    return [_table(term, species) for term in terms]


def _without_n_sparse(piece: Piece) -> dict[str, Any]:
    return {key: value for key, value in piece.settings.items() if key != "n_sparse"}


def _belongs(piece: Piece, term: Piece) -> bool:
    """Return whether a descriptor is another block of a term."""
    if not piece.blocks or not term.blocks or set(piece.blocks) & set(term.blocks):
        return False
    return _without_n_sparse(piece) == _without_n_sparse(term)


def _table(term: Piece, species: Collection[int]) -> dict[str, Any]:
    settings = dict(term.settings)
    if not term.blocks:
        return settings
    settings["n_sparse"] = max(term.n_sparse.values())
    others = {k: n for k, n in term.n_sparse.items() if n != settings["n_sparse"]}
    if settings["type"] == "soap":
        settings["centres"] = list(term.blocks)
    elif settings["type"] == "eam_density":
        others |= {name: 0 for name in symbols(species) if name not in term.blocks}
    else:
        every = every_block(_SIZES[settings["type"]], species)
        others |= {name: 0 for name in every if name not in term.blocks}
    if others:
        settings["species_n_sparse"] = others
    return settings
