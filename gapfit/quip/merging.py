"""Descriptors that gap_fit has one by one for each species as one term."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gapfit.quip.remarks import Remark

__all__ = ["Piece", "merged"]


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


def merged(pieces: list[Piece], remarks: list[Remark]) -> list[dict[str, Any]]:
    """Return terms, one for all pieces that differ in species and numbers only.

    Parameters
    ----------
    pieces : list of Piece
        Descriptors in their order.
    remarks : list of Remark
        Takes what one term for all species cannot have.

    Returns
    -------
    list of dict
        Tables ``[[terms]]``.
    """
    terms: list[Piece] = []
    for piece in pieces:
        free = [term for term in terms if _belongs(piece, term)]
        alike = (term for term in free if _bare(piece) == _bare(term))
        own = next(alike, free[0] if free else None)
        if own is None:
            own = Piece(dict(piece.settings))
            terms.append(own)
        elif piece.settings["type"] != "soap" and _bare(piece) != _bare(own):
            remarks.append(
                Remark(
                    f"gap ({piece.settings['type']}) {' '.join(piece.blocks)}",
                    "",
                    f"has settings of its own, but gapfit has one for all species: those "
                    f"of {next(iter(own.n_sparse), 'the first')} are taken",
                )
            )
        own.blocks += piece.blocks
        own.n_sparse |= dict.fromkeys(piece.blocks, piece.settings["n_sparse"])
    return [_term(own) for own in terms]


def _bare(piece: Piece) -> dict[str, Any]:
    return {key: value for key, value in piece.settings.items() if key != "n_sparse"}


def _belongs(piece: Piece, term: Piece) -> bool:
    """Tell whether a descriptor is another block of a term."""
    if piece.settings["type"] != term.settings["type"]:
        return False
    new = bool(piece.blocks) and not set(piece.blocks) & set(term.blocks)
    if not new or not term.blocks:
        return False
    return piece.settings["type"] != "soap" or _bare(piece) == _bare(term)


def _term(own: Piece) -> dict[str, Any]:
    settings = dict(own.settings)
    if settings["type"] == "soap" and own.blocks:
        settings["centres"] = list(own.blocks)
    if own.n_sparse:
        settings["n_sparse"] = max(own.n_sparse.values())
        fewer = {k: n for k, n in own.n_sparse.items() if n != settings["n_sparse"]}
        if fewer:
            settings["species_n_sparse"] = fewer
    return settings
