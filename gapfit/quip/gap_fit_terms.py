"""Descriptors of a command of gap_fit as terms of a configuration."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from gapfit.errors import GapfitError, shortened
from gapfit.quip.density import density_piece
from gapfit.quip.gap_fit_blocks import every_block, matching_blocks, symbols
from gapfit.quip.gap_fit_descriptors import descriptor_texts, named_numbers
from gapfit.quip.gap_fit_options import Options, entries, repeated
from gapfit.quip.gap_fit_sparse import sparse_settings
from gapfit.quip.gap_fit_turbo import turbo_piece, turbo_remarks
from gapfit.quip.gap_fit_values import (
    LENGTHS,
    integer,
    is_usual,
    length,
    length_factor,
    named_kernel,
    required,
    width,
)
from gapfit.quip.merge_terms import Piece, merged
from gapfit.quip.remarks import Note, Remark, unknown_option
from gapfit.quip.soap_compression import compression_settings

__all__ = ["Ranges", "translate_terms"]

#: Options without influence on the fit.
_SILENT = (
    "mark_sparse_atoms",
    "print_sparse_index",
    "unique_descriptor_tolerance",
    "unique_hash_tolerance",
    "energy_parameter_name",
    "n_Z",
    "n_species",
    "resid_name",
    "tail_range",
)
#: Options with a single supported value in gapfit; None for those without one.
_FIXED: dict[str, str | None] = {
    "average": "F",
    "basis_error_exponent": "10",
    "covariance_sigma0": "0",
    "cutoff_dexp": "0",
    "diagonal_radial": "F",
    "exponents": "1",
    "f0": "0",
    "has_tail": "F",
    "n_exponents": "1",
    "normalise": "T",
    "normalize": "T",
    "only_inter": "F",
    "only_intra": "F",
    "radial_basis": "EQUISPACED_GAUSS",
    "tail_exponent": "0",
    "Z_map": None,
}


#: Function from a table to the ranges of its coordinates, by pair or triplet.
Ranges = Callable[[Mapping[str, Any]], Mapping[str, tuple[float, ...]]]


def translate_terms(
    gap: str,
    species: Collection[int],
    remarks: list[Remark],
    ranges: Ranges | None = None,
) -> list[dict[str, Any]]:
    """Return the terms of ``gap={... : ...}``; descriptors of single species are merged.

    Parameters
    ----------
    gap : str
        Contents of the braces.
    species : collection of int
        Atomic numbers of the data; if empty, those in the descriptors.
    remarks : list of Remark
        Options without counterpart are added to it.
    ranges : callable, optional
        For ``lengthscale_factor``: function from a table to the ranges of coordinates in
        the training data, see `gapfit.quip.gap_fit_ranges.block_ranges`.

    Returns
    -------
    list of dict
        Tables ``[[terms]]``.

    Raises
    ------
    GapfitError
        A descriptor is invalid, or none is supported.
    """
    named = sorted(named_numbers(gap))
    names = ", ".join(symbols(named))
    numbers = species or named
    pieces: list[Piece] = []
    texts = descriptor_texts(gap)
    for number, text in enumerate(texts, 1):
        options = Options.of(text)
        if ":" in options.values:
            raise GapfitError(
                f"gap={{...}}: descriptor {number} has a colon inside its braces, where "
                "it separates nothing"
            )

        def note(
            key: str,
            value: str,
            text: str,
            *,
            changes: bool = False,
            name: str = f"gap {number} ({options.name})",
        ) -> None:
            remarks.append(Remark(f"{name} {key}".rstrip(), value, text, changes))

        for key in repeated([key for key, _ in entries(text)]):
            note(key, "", "given more than once: the last one is used, as in gap_fit")
        piece = _piece(options, numbers, note)
        if piece is not None:
            pieces += _with_lengths(piece, options, note, ranges, numbers)
    if not pieces:
        reasons = "; ".join(map(str, remarks[:3]))
        raise GapfitError(
            f"gap={{...}} has no descriptor that gapfit supports: {reasons}"
        )
    if not species and any(p.blocks and p.settings["type"] != "soap" for p in pieces):
        others = f"pairs and triplets of species in the data other than {names} are"
        remarks.append(Remark("gap", "", f"{others} fitted, too: see --species"))
    remarks += turbo_remarks(texts)
    return merged(pieces, numbers)


def _piece(options: Options, species: Collection[int], note: Note) -> Piece | None:
    kinds = {
        "soap": _soap,
        "soap_turbo": _soap_turbo,
        "distance_2b": _distance_2b,
        "angle_3b": _angle_3b,
        "distance_nb": _distance_nb,
        "eam_density": density_piece,
    }
    if options.name.lower() not in kinds:
        note(
            "",
            "",
            "left out: gapfit has soap, soap_turbo, distance_2b, angle_3b, distance_Nb "
            "and eam_density; fit without it, or add one",
            changes=True,
        )
        return None
    piece = kinds[options.name.lower()](options, species, note)
    if piece is None:
        return None
    for key, usual in _FIXED.items():
        value = options.text(key)
        if value is not None and not is_usual(value, usual):
            note(key, value, "has no counterpart: left out", changes=True)
    for key in _SILENT:
        options.text(key)
    names = sorted(options.asked)
    for key in options.unknown:
        note(key, options.values[key], f"no effect: it is {unknown_option(key, names)}")
    return piece


def _with_lengths(
    piece: Piece,
    options: Options,
    note: Note,
    ranges: Ranges | None,
    species: Collection[int],
) -> Iterator[Piece]:
    """Yield a descriptor with its lengths: one for each block where they need the data."""
    size = {"distance_2b": 2, "angle_3b": 3}.get(piece.settings["type"])
    if size is None or "theta" in piece.settings:
        yield piece
        return
    factor = length_factor(options)
    if ranges is None or factor is None:
        key = next(key for key in LENGTHS if options.text(key))
        text = (
            "depends on the data: gapfit's default is taken; the XML file of a model of "
            "gap_fit has its theta"
        )
        note(key, options.text(key) or "", text, changes=True)
        yield piece
        return
    present = ranges(piece.settings)
    for name in piece.blocks or every_block(size, species):
        if name in present:
            lengths = [factor * span for span in present[name]]
            theta = lengths[0] if size == 2 else lengths
            yield Piece(piece.settings | {"theta": theta}, (name,))


def _replaced(options: Options, note: Note, keys: Collection[str]) -> None:
    """Add remarks about species that gap_fit replaces with all those of the data."""
    for key in keys:
        if (value := options.text(key)) is not None:
            note(key, value, "no effect without add_species=F: replaced by all species")


def _soap(options: Options, species: Collection[int], note: Note) -> Piece:
    _require_dot_product(options, note)
    expand = options.logical("add_species", default=True)
    centres = [z for z in options.integers("Z") if z and not expand]
    named = [z for z in options.integers("species_Z") if z and not expand]
    if expand:
        _replaced(options, note, ("Z", "species_Z"))
    elif len(named) != len(set(named)) or len(named) not in (
        0,
        options.integer("n_species", default=1),
    ):
        raise GapfitError(
            f"gap={{soap ...}}: species_Z = {shortened(options.text('species_Z') or '')} "
            "does not agree with n_species, or names a species twice"
        )
    together = not named and not expand
    quip: dict[str, Any] = {
        "width": width(options, note),
        "central_weight": options.real("central_weight", default=1.0),
        "neighbours": symbols(sorted(named)),
    }
    everywhere = options.logical(
        "central_reference_all_species", default=len(named) == 1
    )
    if everywhere and not together:
        quip["central_in_all"] = True
    if compression := compression_settings(options):
        quip["compression"] = compression
    settings: dict[str, Any] = {
        "type": "soap",
        "rbf": "equispaced_gaussians",
        "r_cut": required(options, "cutoff"),
        "n_max": integer(options, "n_max"),
        "l_max": integer(options, "l_max"),
        "atom_sigma": required(options, "atom_sigma", "atom_gaussian_width"),
        "zeta": required(options, "zeta", "soap_exponent"),
        "delta": required(options, "delta", "energy_scale"),
        "compression": "mu2" if together else "off",
        "quip": quip,
        **sparse_settings(options, note, "soap"),
    }
    if together and not centres:
        note(
            "add_species",
            "F",
            "one species of neighbours, as given; each central species has its own points",
            changes=len(species) != 1,
        )
    return Piece(settings, tuple(symbols(sorted(centres))))


def _soap_turbo(options: Options, species: Collection[int], note: Note) -> Piece:
    _require_dot_product(options, note)
    return turbo_piece(options, species, note)


def _require_dot_product(options: Options, note: Note) -> None:
    named_kernel(options, note, ("dot_product",))
    for key in LENGTHS:
        if (value := options.text(key)) is not None:
            note(key, value, "not for dot products: left out")


def _clusters(options: Options, note: Note, kind: str) -> dict[str, Any]:
    """Return the keys that pairs and triplets have in common."""
    named_kernel(options, note, ("ard_se", "gaussian"))
    for key in ("zeta", "soap_exponent"):
        if (value := options.text(key)) is not None:
            text = "left out: gap_fit refuses it for this kernel"
            note(key, value, text, changes=True)
    return {
        "type": kind,
        "switch": "cosine",
        "r_cut": required(options, "cutoff"),
        "width": width(options, note),
        # QUIP counts pairs, and triplets of angle_3b, twice.
        "delta": 2 * required(options, "delta", "energy_scale"),
        **sparse_settings(options, note, kind),
    }


def _blocks(
    options: Options,
    note: Note,
    keys: Collection[str],
    ends: list[int],
    species: Collection[int],
) -> tuple[str, ...]:
    """Return the pairs or triplets of a descriptor; empty for all of them.

    `ends` are the atomic numbers in the options `keys`.
    """
    if options.logical("add_species", default=True):
        _replaced(options, note, keys)
        return ()
    names = matching_blocks(ends, species)
    if not all(ends) and len(names) != 1:
        which = f" of {', '.join(names)}" if any(ends) else ""
        note(
            "add_species",
            "F",
            f"one potential{which} together: gapfit has a separate one for each",
            changes=True,
        )
    return tuple(names) if any(ends) else ()


def _distance_2b(options: Options, species: Collection[int], note: Note) -> Piece:
    keys = ("Z1", "Z2")
    ends = [options.integer(key, default=0) for key in keys]
    return _pairs(options, note, keys, ends, species)


def _pairs(
    options: Options,
    note: Note,
    keys: Collection[str],
    ends: list[int],
    species: Collection[int],
) -> Piece:
    settings = _clusters(options, note, "distance_2b")
    if (theta := length(options)) is not None:
        settings["theta"] = theta
    return Piece(settings, _blocks(options, note, keys, ends, species))


def _angle_3b(options: Options, species: Collection[int], note: Note) -> Piece:
    keys = ("Z", "Z_center", "Z1", "Z2")
    ends = [
        options.integer(*names, default=0)
        for names in (("Z", "Z_center"), ("Z1",), ("Z2",))
    ]
    settings = _clusters(options, note, "angle_3b")
    if (theta := length(options)) is not None:
        settings["theta"] = [theta] * 3
    return Piece(settings, _blocks(options, note, keys, ends, species))


def _distance_nb(
    options: Options, species: Collection[int], note: Note
) -> Piece | None:
    order = integer(options, "order")
    compact = options.logical("compact_clusters", default=True)
    if order not in (2, 3):
        text = "left out: gapfit has terms of two and three atoms"
        note("order", str(order), text, changes=True)
        return None
    if order == 3 and not compact:
        note(
            "compact_clusters",
            "F",
            "left out: gapfit's triplets have a centre, those of order = 3 with "
            "compact_clusters = F have none; add a term of type angle_3b",
            changes=True,
        )
        return None
    ends = options.integers("Z") or [0] * order
    if len(ends) != order:
        raise GapfitError(
            f"distance_Nb: order = {order} does not agree with Z = "
            f"{shortened(options.text('Z') or '')}"
        )
    if order == 2:
        pairs = _pairs(options, note, ("Z",), ends, species)
        if not compact:  # QUIP then counts each pair once
            pairs.settings["delta"] /= 2
        return pairs
    settings = _clusters(options, note, "angle_3b")
    settings["delta"] /= 2
    note(
        "order",
        "3",
        "taken as angle_3b, which depends on distance and angle in another way: the "
        "prior is similar, not equal",
    )
    if (theta := length(options)) is not None:
        # Lengths of the sum and of the squared difference of two distances.
        settings["theta"] = [2**0.5 * theta, 2 * theta**2, theta]
    return Piece(settings, _blocks(options, note, ("Z",), ends, species))
