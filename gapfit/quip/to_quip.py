"""Terms of gapfit as descriptors of QUIP, and reasons why some cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from gapfit.baseline.baseline import Baseline
from gapfit.config.sections import (
    Angle3bConfig,
    Distance2bConfig,
    EamDensityConfig,
    SoapConfig,
    TermConfig,
)
from gapfit.config.turbo import TURBO_BASES
from gapfit.descriptors.blocks import species_of_pair, species_of_triplet
from gapfit.descriptors.quip_features import QuipFeatures
from gapfit.descriptors.turbo_build import turbo_atom
from gapfit.model.gap_model import GAPModel
from gapfit.model.terms import FittedTerm
from gapfit.quip.density import density_options
from gapfit.quip.soap_compression import compression_options, soap_order
from gapfit.quip.soap_turbo import shared_basis, turbo_options, turbo_order

__all__ = [
    "Expressed",
    "against_baseline",
    "cautions",
    "expressed",
    "is_plain",
    "obstacles",
]

#: Largest difference of a slope of a pair potential from its spline's, eV/Å.
_SAME_SLOPE = 1e-8


@dataclass(frozen=True, eq=False)
class Expressed:
    """One descriptor of QUIP.

    Attributes
    ----------
    options : str
        Its string of options.
    kernel : {1, 2, 4}
        1: squared exponential, 2: dot product, 4: piecewise polynomial.
    delta : float
        Scale of the kernel, eV.
    zeta : float or None
        Power of the dot product.
    theta : tuple of float
        Lengths of the squared exponential.
    orders : tuple of tuples of int
        Permutations of the coordinates, from 0.
    alpha : (n_sparse,) float64
        Coefficients, 1/eV.
    cutoffs : (n_sparse,) float64
        Cutoff functions of the sparse points, which multiply the coefficients.
    points : (n_sparse, n_dimensions) float64
        Sparse points.
    """

    options: str
    kernel: int
    delta: float
    zeta: float | None
    theta: tuple[float, ...]
    orders: tuple[tuple[int, ...], ...]
    alpha: np.ndarray
    cutoffs: np.ndarray
    points: np.ndarray


def is_plain(model: GAPModel) -> bool:
    """Return whether features lack the factor 1/sqrt(2l + 1), as before 2015."""
    return any(
        term.config.quip.plain
        for term in model.terms
        if isinstance(term.config, SoapConfig)
    )


def obstacles(model: GAPModel) -> list[str]:
    """Return why QUIP cannot express a model, and what to do; empty if it can.

    Parameters
    ----------
    model : GAPModel
        Any model.
    """
    plain = is_plain(model)
    reasons = []
    for number, term in enumerate(model.terms, 1):
        name = f"[[terms]] {number} ({term.config.type})"
        reasons += [f"{name}: {reason}" for reason in _against(term, plain)]
    if model.baseline is not None:
        reasons += against_baseline(model, model.baseline)
    if not model.n_sparse:
        reasons.append("no term has sparse points; fit one")
    if not reasons:
        confused = shared_basis(part.options for part in expressed(model))
        reasons += [f"{confused}: change n_max of one"] if confused else []
    return reasons


def cautions(model: GAPModel) -> list[str]:
    """Return what QUIP must have for a model without `obstacles`, for a warning."""
    if any(isinstance(term.config, EamDensityConfig) for term in model.terms):
        return [
            "eam_density is in QUIP's version for tabGAP, not in its release (quippy 0.10)"
        ]
    return []


def _against(term: FittedTerm, plain: bool) -> Iterator[str]:
    config = term.config
    if isinstance(config, SoapConfig):
        yield from _against_soap(term, config, plain)
        return
    if isinstance(config, EamDensityConfig):
        if density_options(config, term.species) is None:
            yield "species_weights are not those of a mode of QUIP: fit without them"
        return
    if not isinstance(config, Distance2bConfig | Angle3bConfig):
        yield "QUIP has no such descriptor: leave the term out"
        return
    if config.switch != "cosine":
        yield f'switch = "{config.switch}": fit with switch = "cosine"'
    if isinstance(config, Distance2bConfig):
        if config.f0:
            yield f"f0 = {config.f0:g} eV: fit with f0 = 0"
    elif config.coordinates == "distances":
        mixed = [
            term.descriptor.label(block)
            for block, points in term.sparse.items()
            if len(points) and len(set(species_of_triplet(block))) > 1
        ]
        if mixed:
            yield (
                f"three distances of several species ({', '.join(mixed)}), whose energies "
                'depend on the numbering of atoms in QUIP: fit with coordinates = "angle"'
            )


def _against_soap(term: FittedTerm, config: SoapConfig, plain: bool) -> Iterator[str]:
    if config.rbf not in ("equispaced_gaussians", *TURBO_BASES):
        yield (
            f'rbf = "{config.rbf}" is no basis of QUIP: fit with rbf = '
            '"equispaced_gaussians", "poly3" or "poly3gauss"'
        )
        return
    if term.projections:
        yield f'components = {config.components!r}: fit with components = "all"'
    if config.rbf in TURBO_BASES:
        yield from _against_turbo(term, config)
        return
    quip = config.quip
    together = config.compression == "mu2"
    if together and quip.neighbours:
        yield 'compression = "mu2" with quip.neighbours: leave out one of them'
    if plain and not quip.plain:
        yield "quip.plain = false, but true in another term: set all to the same"
    channels = len(quip.neighbours) or len(term.species)
    if plain and not (together or quip.central_in_all or channels == 1):
        yield "quip.plain without quip.central_in_all: QUIP never had this; set both"


def _against_turbo(term: FittedTerm, config: SoapConfig) -> Iterator[str]:
    from ase.data import chemical_symbols

    channels = config.turbo.neighbours or [chemical_symbols[z] for z in term.species]
    labels = [
        term.descriptor.label(z) for z, points in term.sparse.items() if len(points)
    ]
    if outside := [symbol for symbol in labels if symbol not in channels]:
        yield (
            f"turbo.neighbours without the central species {', '.join(outside)}, which "
            "QUIP always has: add them"
        )
    if len(channels) == 1 and turbo_atom(config, channels[0]).central_weight != 1:
        yield "turbo.central_weight of a single species is 1 in QUIP: fit with 1"


def against_baseline(model: GAPModel, baseline: Baseline) -> Iterator[str]:
    """Yield why a baseline is no Glue of QUIP, which is splines of pairs alone."""
    named = model.config.baseline
    advice = "fit without it, with a 2-body term and dimers in the data instead"
    if named.repulsion != "none":
        yield f'[baseline] repulsion = "{named.repulsion}": {advice}'
    for potential in baseline.of_structures:
        yield f"{potential.title}: {advice}"
    if any(not _is_glue(points) for points in baseline.points.values()):
        yield f"[baseline] table = {named.table!r}: {advice}"


def _is_glue(points: np.ndarray) -> bool:
    """Return whether a potential is a Glue of QUIP: a spline with slopes at both ends."""
    from scipy.interpolate import CubicSpline

    if points.shape[1] != 3:
        return False
    r, energy, slope = points.T
    spline = CubicSpline(r, energy, bc_type=((1, slope[0]), (1, slope[-1])))
    return bool(np.allclose(spline(r, 1), slope, rtol=1e-10, atol=_SAME_SLOPE))


def expressed(model: GAPModel) -> list[Expressed]:
    """Return the descriptors of a model without `obstacles`, one for each block.

    Cutoff functions of sparse points are 1, except in models that were read from QUIP,
    whose variances depend on them.
    """
    origin = model.record.quip
    n_terms = len(model.terms)
    stored = origin.sparse_cutoffs if origin else [{}] * n_terms
    counted_once = origin.counted_once if origin else [False] * n_terms
    return [
        _expressed(
            term, block, np.array(cutoffs.get(str(block), np.ones(len(points)))), once
        )
        for term, cutoffs, once in zip(model.terms, stored, counted_once, strict=True)
        for block, points in term.sparse.items()
        if len(points)
    ]


def _expressed(
    term: FittedTerm, block: int, cutoffs: np.ndarray, once: bool
) -> Expressed:
    config = term.config
    if isinstance(config, SoapConfig):
        form = _soap(config, term.species, block)
    elif isinstance(config, EamDensityConfig):
        form = _density(config, term.species, block)
    else:
        assert isinstance(config, Distance2bConfig | Angle3bConfig)
        form = _of_sides(config, block, once)
    points, coefficients = term.sparse[block], term.coefficients[block]
    quip_points = np.zeros((len(points), form.width))
    quip_points[:, form.order] = points[:, form.features]
    alpha = np.zeros(len(points))
    np.divide(form.counts * coefficients, cutoffs, out=alpha, where=cutoffs > 0)
    delta = config.delta / form.counts
    return Expressed(
        options=f"{form.options} delta={delta!r} n_sparse={len(points)}",
        kernel=_kernel(config),
        delta=delta,
        zeta=config.zeta if isinstance(config, SoapConfig) else None,
        theta=form.theta,
        orders=form.orders,
        alpha=alpha,
        cutoffs=cutoffs,
        points=quip_points,
    )


def _kernel(config: TermConfig) -> int:
    if isinstance(config, SoapConfig):
        return 2
    return (
        4 if isinstance(config, Angle3bConfig) and config.kernel != "exponential" else 1
    )


@dataclass(frozen=True, eq=False)
class _Form:
    """Properties of a type of descriptor.

    QUIP counts most pairs, and triplets of angle_3b, twice. With g = counts · g_QUIP,
    delta and the coefficients, of which the energy is delta² c k, are
    delta_QUIP = delta / counts and alpha = counts · c.
    """

    options: str
    counts: int
    theta: tuple[float, ...]
    orders: tuple[tuple[int, ...], ...]
    order: np.ndarray
    width: int
    features: np.ndarray


def _of_sides(
    config: Distance2bConfig | Angle3bConfig, block: int, once: bool
) -> _Form:
    covariance = "pp" if _kernel(config) == 4 else "ard_se"
    ends = (
        f"cutoff={config.r_cut!r} cutoff_transition_width={config.width!r} "
        f"covariance_type={covariance}"
    )
    theta = config.theta
    lengths = (theta,) if isinstance(theta, float) else tuple(theta)
    n = len(lengths)
    orders: tuple[tuple[int, ...], ...] = (tuple(range(n)),)
    counts = 2
    if isinstance(config, Distance2bConfig):
        a, b = species_of_pair(block)
        options = f"distance_2b {ends} Z1={a} Z2={b}"
        if once:
            options = f"distance_Nb order=2 compact_clusters=F {ends} Z={{{a} {b}}}"
            counts = 1
    else:
        z, a, b = species_of_triplet(block)
        options = f"angle_3b {ends} Z={z} Z1={a} Z2={b}"
        if config.coordinates == "distances":
            options = f"distance_Nb order=3 compact_clusters=T {ends} Z={{{z} {a} {b}}}"
            orders, counts = tuple(permutations(range(n))), 1
    return _Form(options, counts, lengths, orders, np.arange(n), n, np.arange(n))


def _density(config: EamDensityConfig, species: tuple[int, ...], centre: int) -> _Form:
    density = density_options(config, species)
    options = f"eam_density {density} covariance_type=ard_se Z={centre}"
    return _Form(options, 1, (config.theta,), ((0,),), np.arange(1), 1, np.arange(1))


def _soap(config: SoapConfig, species: tuple[int, ...], centre: int) -> _Form:
    from ase.data import atomic_numbers

    quip = config.quip
    named = quip.neighbours or config.turbo.neighbours
    channels = sorted(atomic_numbers[s] for s in named) or list(species)
    if config.rbf in TURBO_BASES:
        known = turbo_order(config, channels)
        return _Form(
            turbo_options(config, channels, centre),
            1,
            (),
            (tuple(range(known.width)),),
            known.places,
            known.width,
            known.features,
        )
    if config.compression == "mu2":
        channels = [0]
    everywhere = "T" if quip.central_in_all or channels == [0] else "F"
    options = (
        f"soap cutoff={config.r_cut!r} cutoff_transition_width={quip.width!r} "
        f"n_max={config.n_max} l_max={config.l_max} atom_sigma={config.atom_sigma!r} "
        f"central_weight={quip.central_weight!r} "
        f"central_reference_all_species={everywhere} covariance_type=dot_product "
        f"zeta={config.zeta!r} n_species={len(channels)} Z={centre} "
        f"species_Z={{{' '.join(map(str, channels))}}}"
        f"{compression_options(quip.compression)}"
    )
    features = QuipFeatures(
        tuple(channels), config.n_max, config.l_max, channels == [0], quip.compression
    )
    order = soap_order(features, channels)
    # The last element is the square root of a constant in all dot products: 0.
    width = len(order) + 1
    every = np.arange(len(order))
    return _Form(options, 1, (), (tuple(range(width)),), order, width, every)
