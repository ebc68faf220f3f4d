"""QUIP's descriptors as terms of gapfit: settings, sparse points and coefficients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from pydantic import ValidationError

from gapfit.config.sections import (
    Angle3bConfig,
    Distance2bConfig,
    SoapConfig,
    TermConfig,
)
from gapfit.config.terms import QuipConfig
from gapfit.descriptors.blocks import pair_key, triplet_key
from gapfit.descriptors.soap_features import Features
from gapfit.errors import GapfitError
from gapfit.quip.gap_fit_options import Options
from gapfit.quip.xml_file import Coordinates

__all__ = [
    "OWN_CHANNEL",
    "WITH_DEGREES",
    "TermPart",
    "named_species",
    "part_of",
    "soap_order",
]

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
        "unique_descriptor_tolerance",
        "unique_hash_tolerance",
        "zeta",
    ]
)
#: From this version on 1/sqrt(2l + 1) is part of the features.
WITH_DEGREES = 1_423_143_769
#: From this version on the central atom has a separate channel.
OWN_CHANNEL = 1_426_512_068
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
    """

    config: TermConfig
    blocks: tuple[int, ...]
    points: np.ndarray
    coefficients: np.ndarray
    cutoffs: np.ndarray
    ignored: tuple[str, ...]


def named_species(source: Coordinates) -> set[int]:
    """Return the atomic numbers in a descriptor's options, without wildcards."""
    from ase.data import chemical_symbols

    options = Options.of(source.descriptor)
    keys = ("Z", "species_Z", "Z1", "Z2")
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
        "soap": _soap,
        "distance_2b": _distance_2b,
        "distance_nb": _distance_nb,
        "angle_3b": _angle_3b,
    }
    if options.name not in readers:
        raise GapfitError(
            f"{source.label}: the descriptor {options.name} is not supported; supported "
            "are soap, distance_2b, distance_Nb and angle_3b"
        )
    if source.mean:
        raise GapfitError(f"{source.label}: f0 = {source.mean:g} eV is not supported")
    try:
        config, blocks, points, scale = readers[options.name](
            source, options, species, version
        )
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        setting = f"{key} = {first['input']}" if key else "a setting"
        reason = first["msg"].removeprefix("Value error, ")
        raise GapfitError(
            f"{source.label}: {setting} is not supported: {reason}"
        ) from error
    options.asked.update(_OF_THE_FIT)
    options.asked.update(k for k in options.values if k.endswith("_parameter_name"))
    coefficients = scale * source.alpha * source.cutoffs
    return TermPart(
        config, blocks, points, coefficients, source.cutoffs, tuple(options.unknown)
    )


_Read = tuple[TermConfig, tuple[int, ...], np.ndarray, float]


def _refuse(options: Options, **only: object) -> None:
    """Refuse options with other values than those supported."""
    for key, value in only.items():
        stored: object
        if isinstance(value, bool):
            stored = options.logical(key, default=value)
        elif isinstance(value, float | int):
            stored = options.real(key, default=float(value))
        else:
            stored = options.text(key, default=str(value))
        if stored != value:
            raise GapfitError(
                f"{options.name}: {key} = {options.values[key.lower()]} is not supported "
                f"(only {value})"
            )


def _require_kernel(source: Coordinates, options: Options, covariance: int) -> None:
    names = {1: "ard_se", 2: "dot_product", 3: "bond_real_space", 4: "pp"}
    if source.covariance != covariance:
        name = names.get(source.covariance, f"number {source.covariance}")
        raise GapfitError(
            f"{source.label}: {options.name} with the kernel {name} is not supported (only "
            f"{names[covariance]})"
        )


def _symbols(numbers: tuple[int, ...] | list[int]) -> list[str]:
    from ase.data import chemical_symbols

    return [chemical_symbols[z] for z in numbers]


def _soap(
    source: Coordinates, options: Options, species: tuple[int, ...], version: int
) -> _Read:
    _require_kernel(source, options, 2)
    _refuse(
        options,
        average=False,
        diagonal_radial=False,
        normalise=True,
        covariance_sigma0=0.0,
        basis_error_exponent=10.0,
        cutoff_dexp=0,
        radial_basis="EQUISPACED_GAUSS",
        nu_R=2,
        nu_S=2,
        Z_mix=False,
        R_mix=False,
        sym_mix=False,
        coupling=True,
        K=0,
        mix_shift=0.0,
    )
    if options.text("Z_map") is not None:
        raise GapfitError("soap: Z_map (compression by elements) is not supported")
    options.text("n_Z")
    channels = options.integers("species_Z") or [0]
    if len(channels) != options.integer("n_species", default=1):
        raise GapfitError(f"soap: n_species does not agree with species_Z = {channels}")
    wildcard = channels == [0]
    everywhere = version < OWN_CHANNEL or options.logical(
        "central_reference_all_species", default=len(channels) == 1
    )
    options.text("central_reference_all_species")
    if source.zeta is None:
        raise GapfitError(f"{source.label}: zeta of the dot product is missing")
    config = SoapConfig(
        rbf="equispaced_gaussians",
        r_cut=options.real("cutoff", default=0.0),
        n_max=options.integer("n_max", default=4),
        l_max=options.integer("l_max", default=4),
        atom_sigma=options.real("atom_sigma", "atom_gaussian_width", default=0.5),
        compression="mu2" if wildcard else "off",
        quip=QuipConfig(
            width=options.real("cutoff_transition_width", default=0.5),
            central_weight=options.real("central_weight", default=1.0),
            central_in_all=everywhere and not wildcard,
            neighbours=[] if wildcard else _symbols(sorted(channels)),
            plain=version < WITH_DEGREES,
        ),
        zeta=source.zeta,
        delta=source.delta,
    )
    centres = tuple(z for z in options.integers("Z") if z) or species
    order = soap_order(channels, config.n_max, config.l_max)
    if source.points.shape[1] != len(order) + 1:
        raise GapfitError(
            f"{source.label}: sparse points have {source.points.shape[1]} numbers, "
            f"but their descriptor has {len(order) + 1}"
        )
    return config, centres, np.ascontiguousarray(source.points[:, order]), 1.0


def soap_order(channels: list[int], n_max: int, l_max: int) -> np.ndarray:
    """Return the index in QUIP's power spectrum of each feature of gapfit.

    QUIP counts radial functions through all its channels, K = 1 ... S n_max, and has
    features (K1, K2 <= K1, l), l running fastest; gapfit has blocks of two channels in
    ascending order of species, and in them l, n, n'.

    Parameters
    ----------
    channels : list of int
        Atomic numbers in QUIP's order; 0 for all species together.
    n_max, l_max : int
        Radial functions; highest angular momentum.
    """
    place = np.argsort(channels)
    a, b, degree, n, k = Features(len(channels), n_max, l_max).labels.T
    first, second = place[a] * n_max + n, place[b] * n_max + k
    larger, smaller = np.maximum(first, second), np.minimum(first, second)
    return (larger * (larger + 1) // 2 + smaller) * (l_max + 1) + degree


def _distance_2b(
    source: Coordinates, options: Options, species: tuple[int, ...], version: int
) -> _Read:
    _require_kernel(source, options, 1)
    _refuse(
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
    return _pairs(source, options, species, ends)


def _pairs(
    source: Coordinates, options: Options, species: tuple[int, ...], ends: list[int]
) -> _Read:
    """Return a pair term; QUIP counts each pair twice, so g = 2 g_QUIP."""
    config = Distance2bConfig(
        r_cut=options.real("cutoff", default=0.0),
        width=options.real("cutoff_transition_width", default=0.5),
        switch="cosine",
        theta=float(source.theta[0]),
        delta=2 * source.delta,
    )
    blocks = sorted({pair_key(a, b) for a, b in product(*_species_of(ends, species))})
    return config, tuple(blocks), source.points, 0.5


def _species_of(
    numbers: list[int], species: tuple[int, ...]
) -> Iterator[tuple[int, ...]]:
    """Yield the species of each number; 0 stands for all."""
    for z in numbers:
        yield (z,) if z else species


def _angle_3b(
    source: Coordinates, options: Options, species: tuple[int, ...], version: int
) -> _Read:
    """Return a three-body term; QUIP counts each pair of neighbours twice."""
    _require_kernel(source, options, 1)
    options.text("n_Z")
    ends = [options.integer(key, default=0) for key in ("Z", "Z1", "Z2")]
    config = Angle3bConfig(
        r_cut=options.real("cutoff", default=0.0),
        width=options.real("cutoff_transition_width", default=0.5),
        switch="cosine",
        theta=[float(length) for length in source.theta],
        delta=2 * source.delta,
    )
    triplets = product(*_species_of(ends, species))
    blocks = sorted({triplet_key(*triplet) for triplet in triplets})
    return config, tuple(blocks), source.points, 0.5


def _distance_nb(
    source: Coordinates, options: Options, species: tuple[int, ...], version: int
) -> _Read:
    order = options.integer("order", default=0)
    if order not in (2, 3):
        raise GapfitError(f"distance_Nb: order = {order} is not supported")
    ends = options.integers("Z") or [0] * order
    options.text("n_Z")
    compact = options.logical("compact_clusters", default=version >= _COMPACT)
    _require_kernel(source, options, 1)
    if len(ends) != order:
        raise GapfitError(
            f"distance_Nb: order = {order} does not agree with Z = {ends}"
        )
    if order == 2:
        return _pairs(source, options, species, ends)
    if not compact:
        raise GapfitError(
            "distance_Nb: order = 3 with compact_clusters = F is not supported"
        )
    if len({z for each in _species_of(ends, species) for z in each}) > 1:
        raise GapfitError(
            "distance_Nb: order = 3 of several species is not supported: in QUIP its "
            "energies depend on the numbering of the atoms"
        )
    return _distance_3b(source, options, next(_species_of(ends, species))[0])


def _distance_3b(source: Coordinates, options: Options, z: int) -> _Read:
    if len(source.permutations) != 6:
        raise GapfitError(
            f"{source.label}: {len(source.permutations)} permutations of the three "
            "distances are not supported (only all six)"
        )
    config = Angle3bConfig(
        coordinates="distances",
        r_cut=options.real("cutoff", default=0.0),
        width=options.real("cutoff_transition_width", default=0.5),
        switch="cosine",
        theta=[float(length) for length in source.theta],
        delta=source.delta,
    )
    return config, (triplet_key(z, z, z),), source.points, 1.0
