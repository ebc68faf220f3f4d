"""A descriptor soap_turbo of a command of gap_fit as a term."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from gapfit.errors import GapfitError, shortened
from gapfit.quip.gap_fit_blocks import symbols
from gapfit.quip.gap_fit_options import Options
from gapfit.quip.gap_fit_sparse import sparse_settings
from gapfit.quip.gap_fit_values import required
from gapfit.quip.merge_terms import Piece
from gapfit.quip.remarks import Note, Remark
from gapfit.quip.soap_turbo import shared_basis, turbo_centre, turbo_settings

__all__ = ["turbo_piece", "turbo_remarks"]


def turbo_piece(options: Options, species: Collection[int], note: Note) -> Piece:
    """Return the term of one descriptor.

    Parameters
    ----------
    options : Options
        Options of ``soap_turbo``.
    species : collection of int
        Atomic numbers of the data.
    note : Note
        Called with options that have no exact counterpart.

    Raises
    ------
    GapfitError
        An option is missing or not supported; or gap_fit would fail with the species.
    """
    settings = turbo_settings(options) | {
        "zeta": required(options, "zeta", "soap_exponent"),
        "delta": required(options, "delta", "energy_scale"),
        **sparse_settings(options, note, "soap"),
    }
    named = options.integers("species_Z")
    if len(named) == 1 and (weight := options.text("central_weight")) is not None:
        note("central_weight", weight, "no effect in QUIP with a single species")
    if not options.logical("add_species", default=True):
        return Piece(settings, tuple(symbols([turbo_centre(options)])))
    if set(named) != set(species):
        raise GapfitError(
            f"gap={{soap_turbo ...}}: species_Z = "
            f"{shortened(options.text('species_Z') or '')} are not the species of the "
            f"data, {', '.join(symbols(sorted(species)))}, which gap_fit replaces them "
            "by: add add_species=F, and a descriptor for each central_index"
        )
    if (index := options.text("central_index")) is not None:
        text = "no effect without add_species=F: one descriptor for each species"
        note("central_index", index, text)
    if settings["turbo"]["species"]:
        note(
            "add_species",
            "T",
            "gap_fit puts the species in the order of the data, but not the lists of "
            "their values; here they belong to species_Z as given: add add_species=F, "
            "and a descriptor for each central_index",
            changes=True,
        )
    return Piece(settings)


def turbo_remarks(descriptors: Iterable[str]) -> list[Remark]:
    """Return that gap_fit confuses descriptors of a command, if it does."""
    confused = shared_basis(descriptors)
    if confused is None:
        return []
    return [Remark("gap", "", f"{confused}; change one alpha_max", changes=True)]
