"""QUIP's descriptors as terms of gapfit: settings, sparse points and coefficients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
from pydantic import ValidationError

from gapfit.config.sections import Angle3bConfig, Distance2bConfig, TermConfig
from gapfit.descriptors.blocks import pair_key, triplet_key
from gapfit.errors import GapfitError, shortened
from gapfit.quip.density import density_term
from gapfit.quip.gap_fit_options import Options
from gapfit.quip.requirements import TermRead, refuse, require_kernel, require_width
from gapfit.quip.soap import soap_term
from gapfit.quip.soap_turbo import turbo_term
from gapfit.quip.xml_file import Coordinates

__all__ = ["TermPart", "named_species", "part_of"]

#: Options of the fit, which predictions do not need.
_OF_THE_FIT = frozenset(
    [
        "add_species",
        "config_type_n_sparse",
        "covariance_type",
        "delta",
        "energy_scale",
        "f0",
        "mark_sparse_atoms",
        "n_sparse",
        "n_sparseX",
        "print_sparse_index",
        "soap_exponent",
        "sparse_file",
        "sparse_method",
        "theta_fac",
        "theta_file",
        "theta_uniform",
        "lengthscale_factor",
        "lengthscale_file",
        "lengthscale_uniform",
        "unique_descriptor_tolerance",
        "unique_hash_tolerance",
        "zeta",
    ]
)
#: From this version on order 3 means a centre and two neighbours.
_COMPACT = 1_596_837_814


@dataclass(frozen=True, eq=False)
class TermPart:
    """Part of a term: one descriptor of QUIP.

    Attributes
    ----------
    config : TermConfig
        Settings of the term.
    blocks : tuple of int
        Blocks of the term with these points.
    points : (n_sparse, width) float64
        Sparse points, in gapfit's order of features.
    coefficients : (n_sparse,) float64
        Coefficients, 1/eV.
    cutoffs : (n_sparse,) float64
        Cutoff functions of the sparse points, which the coefficients contain.
    ignored : tuple of str
        Options without effect, in QUIP and here.
    counted_once : bool
        Whether QUIP counts each pair once; otherwise twice.
    """

    config: TermConfig
    blocks: tuple[int, ...]
    points: np.ndarray
    coefficients: np.ndarray
    cutoffs: np.ndarray
    ignored: tuple[str, ...]
    counted_once: bool


def named_species(source: Coordinates) -> set[int]:
    """Return the atomic numbers in a descriptor's options, without wildcards."""
    from ase.data import chemical_symbols

    options = Options.of(source.descriptor)
    keys = ("Z", "Z_center", "species_Z", "Z1", "Z2")
    numbers = {z for key in keys for z in options.integers(key)} - {0}
    if unknown := [z for z in numbers if not 0 < z < len(chemical_symbols)]:
        raise GapfitError(f"{source.label}: Z = {unknown[0]} is not an atomic number")
    return numbers


def part_of(source: Coordinates, species: tuple[int, ...], version: int) -> TermPart:
    """Return the term of one descriptor, its points and its coefficients.

    Parameters
    ----------
    source : Coordinates
        The descriptor in the file.
    species : tuple of int
        Atomic numbers of the model, ascending, which wildcards stand for.
    version : int
        ``gap_version`` of the file.

    Raises
    ------
    GapfitError
        An option is not supported; the message names it.
    """
    options = Options.of(source.descriptor)
    readers = {
        "soap": soap_term,
        "soap_turbo": turbo_term,
        "distance_2b": _distance_2b,
        "distance_nb": _distance_nb,
        "angle_3b": _angle_3b,
        "eam_density": density_term,
    }
    if options.name not in readers:
        raise GapfitError(
            f"{source.label}: the descriptor {shortened(options.name)} is not supported; "
            "supported are soap, soap_turbo, distance_2b, distance_Nb, angle_3b and "
            "eam_density"
        )
    if source.mean:
        raise GapfitError(
            f"{source.label}: f0 = {source.mean:g} eV is not supported: it adds a constant "
            "to the covariance, which gapfit's kernels do not have"
        )
    try:
        config, blocks, points, counts = readers[options.name](
            source, options, species, version
        )
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        setting = f"{key} = {shortened(str(first['input']))}" if key else "a setting"
        reason = shortened(first["msg"].removeprefix("Value error, "), 200)
        raise GapfitError(
            f"{source.label}: {setting} is not supported: {reason}"
        ) from error
    options.asked.update(_OF_THE_FIT)
    options.asked.update(k for k in options.values if k.endswith("_parameter_name"))
    # g = counts · g_QUIP: delta is counts · delta_QUIP, which kernels contain squared.
    return TermPart(
        config,
        blocks,
        points,
        source.alpha * source.cutoffs / counts,
        source.cutoffs,
        tuple(map(shortened, options.unknown)),
        counted_once=config.type == "distance_2b" and counts == 1,
    )


def _distance_2b(
    source: Coordinates, options: Options, species: tuple[int, ...], version: int
) -> TermRead:
    require_kernel(source, options, 1, 4)
    refuse(
        options,
        only_intra=False,
        only_inter=False,
        n_exponents=1,
        tail_exponent=0,
        has_tail=False,
    )
    if options.text("exponents", default="1") not in ("1", "1.0"):
        raise GapfitError("distance_2b: exponents are not supported")
    options.asked.update(("resid_name", "tail_range"))
    ends = [options.integer(key, default=0) for key in ("Z1", "Z2")]
    return _pairs(source, options, species, ends, 2)


def _pairs(
    source: Coordinates,
    options: Options,
    species: tuple[int, ...],
    ends: list[int],
    counts: int,
) -> TermRead:
    """Return a pair term; `counts` is how often QUIP counts each pair."""
    require_width(source, 1)
    config = Distance2bConfig(
        r_cut=options.real("cutoff", default=0.0),
        width=options.real("cutoff_transition_width", default=0.5),
        switch="cosine",
        kernel=_kernel(source),
        theta=float(source.theta[0]),
        delta=counts * source.delta,
    )
    blocks = sorted({pair_key(a, b) for a, b in product(*_species_of(ends, species))})
    return config, tuple(blocks), source.points, counts


def _kernel(source: Coordinates) -> Literal["exponential", "polynomial"]:
    return "polynomial" if source.covariance == 4 else "exponential"


def _species_of(
    numbers: list[int], species: tuple[int, ...]
) -> Iterator[tuple[int, ...]]:
    """Yield the species of each number; 0 stands for all."""
    for z in numbers:
        yield (z,) if z else species


def _angle_3b(
    source: Coordinates, options: Options, species: tuple[int, ...], version: int
) -> TermRead:
    """Return a three-body term; QUIP counts each pair of neighbours twice."""
    require_kernel(source, options, 1, 4)
    require_width(source, 3)
    options.text("n_Z")
    ends = [
        options.integer(*names, default=0)
        for names in (("Z", "Z_center"), ("Z1",), ("Z2",))
    ]
    config = Angle3bConfig(
        r_cut=options.real("cutoff", default=0.0),
        width=options.real("cutoff_transition_width", default=0.5),
        switch="cosine",
        kernel=_kernel(source),
        theta=[float(length) for length in source.theta],
        delta=2 * source.delta,
    )
    triplets = product(*_species_of(ends, species))
    blocks = sorted({triplet_key(*triplet) for triplet in triplets})
    return config, tuple(blocks), source.points, 2


def _distance_nb(
    source: Coordinates, options: Options, species: tuple[int, ...], version: int
) -> TermRead:
    order = options.integer("order", default=0)
    if order not in (2, 3):
        raise GapfitError(f"distance_Nb: order = {order} is not supported")
    ends = options.integers("Z") or [0] * order
    options.text("n_Z")
    compact = options.logical("compact_clusters", default=version >= _COMPACT)
    require_kernel(source, options, 1, 4)
    if len(ends) != order:
        raise GapfitError(
            f"distance_Nb: order = {order} does not agree with Z = "
            f"{shortened(options.text('Z') or '')}"
        )
    if order == 2:
        return _pairs(source, options, species, ends, 2 if compact else 1)
    if not compact:
        raise GapfitError(
            "distance_Nb: order = 3 with compact_clusters = F is not supported: such "
            "triplets have no centre, and end with all three sides"
        )
    if len({z for each in _species_of(ends, species) for z in each}) > 1:
        raise GapfitError(
            "distance_Nb: order = 3 of several species is not supported: in QUIP its "
            "energies depend on the numbering of the atoms"
        )
    return _distance_3b(source, options, next(_species_of(ends, species))[0])


def _distance_3b(source: Coordinates, options: Options, z: int) -> TermRead:
    require_width(source, 3)
    if len(source.permutations) != 6:
        raise GapfitError(
            f"{source.label}: {len(source.permutations)} permutations of the three "
            "distances are not supported (only all six)"
        )
    # QUIP takes the mean length of dimensions that permutations exchange.
    length = float(np.mean(source.theta))
    config = Angle3bConfig(
        coordinates="distances",
        r_cut=options.real("cutoff", default=0.0),
        width=options.real("cutoff_transition_width", default=0.5),
        switch="cosine",
        kernel=_kernel(source),
        theta=[length] * 3,
        delta=source.delta,
    )
    return config, (triplet_key(z, z, z),), source.points, 1
