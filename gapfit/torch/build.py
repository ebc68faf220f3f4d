"""Modules from fitted models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from gapfit.descriptors.ace import Ace
from gapfit.descriptors.angle_3b import Angle3b
from gapfit.descriptors.distance_2b import Distance2b
from gapfit.descriptors.eam_density import EamDensity
from gapfit.descriptors.embedding_table import EmbeddingTable
from gapfit.descriptors.pair_table import PairTable
from gapfit.descriptors.soap import Soap
from gapfit.descriptors.soap_engine import EnergySum, NativeEngine, SoapDefinition
from gapfit.descriptors.triplet_table import SPARE
from gapfit.errors import GapfitError
from gapfit.torch.ace import AceTerm
from gapfit.torch.arrays import optional, reals, whole
from gapfit.torch.build_uncertainty import (
    neighbour_density,
    term_kernels,
    uncertainty,
    why_without_deviations,
)
from gapfit.torch.density import Density
from gapfit.torch.embedding import EmbeddingTerm
from gapfit.torch.hermite import NO_KNOTS, HermiteTable
from gapfit.torch.kernel import KernelSum
from gapfit.torch.pair_potential import PairTerm
from gapfit.torch.potential import Potential
from gapfit.torch.soap import SoapTerm
from gapfit.torch.term import Term
from gapfit.torch.triplets import TripletSums, TripletTable, TripletTerm

if TYPE_CHECKING:
    from gapfit.model.gap_model import GAPModel
    from gapfit.model.terms import FittedTerm

__all__ = ["ace_term", "soap_term", "torch_model", "triplet_sums", "triplet_term"]


def torch_model(
    model: GAPModel,
    *,
    std: bool = False,
    novelty: bool = False,
    samples: int = 0,
    seed: int = 0,
    chunk_bytes: int = 0,
) -> Potential:
    """Return a model as a torch module, with the numbers of `GAPModel.predict`.

    It is float64 on the CPU; ``.to("cuda")`` moves it. In float32 (``.float()``) sums over
    sparse points remain float64.

    Parameters
    ----------
    model : GAPModel
        Its baseline may have pair potentials.
    std : bool
        Whether to include the factors for standard deviations of the energies of atoms:
        8 bytes times the square of the number of sparse points of each species.
    novelty : bool
        Whether to include the factors for the novelty of atoms, of the same size. With
        them or samples, kernels of SOAP are those of all features, also for standard
        deviations, which changes these by less than 1e-3.
    samples : int
        How many potentials drawn from the posterior to include, those of
        `GAPModel.sample` with the same `seed`.
    seed : int
        Seed of the samples.
    chunk_bytes : int
        About how much memory atoms may take that are handled together; 0: what suits the
        device. What is needed in all grows with the number of pairs, 300 bytes each.

    Raises
    ------
    GapfitError
        The model has a term without a torch module: SOAP with ``engine = "dscribe"``, or a
        descriptor of another package; or a baseline with a calculator, dispersion or
        charges; or what is asked for needs a posterior (`why_without_deviations`).
    """
    if model.baseline and model.baseline.of_structures:
        raise GapfitError(
            f"torch cannot compute {model.baseline.of_structures[0].title} of this model's "
            "baseline; fit the model without it, or use gapfit's ASE calculator"
        )
    uncertain = std or novelty or samples != 0
    if uncertain and (reason := why_without_deviations(model)):
        raise GapfitError(f"there are no standard deviations in torch: {reason}")
    tables = model.baseline.tables if model.baseline else ()
    terms = [_term(term, number) for number, term in enumerate(model.terms, start=1)]
    if uncertain:
        variance = None if novelty or samples else model.local_variance
        for module, term in zip(terms, model.terms, strict=True):
            module.with_kernels(term_kernels(term, variance))
    terms += [_pairs(table) for table in tables]
    for module in terms:
        module.chunk_bytes = chunk_bytes
    return Potential(
        terms,
        list(model.species),
        [float(model.e0[z]) for z in model.species],
        float(model.cutoff),
        uncertainty(
            model,
            std=std,
            novelty=novelty,
            samples=samples,
            seed=seed,
            chunk_bytes=chunk_bytes,
        ),
    )


def _term(term: FittedTerm, number: int) -> Term:
    descriptor = term.descriptor
    if isinstance(descriptor, Soap) and isinstance(descriptor.engine, NativeEngine):
        return soap_term(descriptor, descriptor.engine, term.prepared)
    if isinstance(descriptor, Ace):
        return ace_term(descriptor, term.prepared)
    if isinstance(descriptor, Angle3b):
        return _triplets(descriptor, term)
    if isinstance(descriptor, Distance2b):
        return _pairs(term.prepared)
    if isinstance(descriptor, EamDensity):
        return _embedding(descriptor, term.prepared)
    named = (
        'engine = "dscribe"'
        if isinstance(descriptor, Soap)
        else (f'type = "{term.config.type}"')
    )
    raise GapfitError(
        f"term {number} has {named}, which has no torch module; fit the model without "
        "it, or use gapfit's ASE calculator"
    )


def soap_term(soap: Soap, engine: NativeEngine, sums: list[EnergySum]) -> SoapTerm:
    """Return the module of a SOAP term with sums over sparse points, by species."""
    definition = engine.definition
    n_functions = (max(definition.channel) + 1) * definition.table.shape[4]
    mixing = definition.mixing.transpose(0, 3, 1, 2).reshape(-1, n_functions)
    function, *parameters = definition.weighting
    density = Density(
        reals(definition.table),
        float(definition.spacing),
        whole(definition.table_of),
        whole(definition.channel),
        reals(definition.species_weight),
        (function, [float(x) for x in parameters]),
        [(int(z), float(r), int(table)) for z, r, table in definition.next],
    )
    return SoapTerm(
        density,
        [_kernel_sum(own, soap.dot_product.zeta) for own in sums],
        float(soap.cutoff),
        reals(_central(definition)),
        reals(mixing),
        whole(engine.features.labels),
        reals(definition.scale),
    )


def _central(definition: SoapDefinition) -> np.ndarray:
    """Return what central atoms add to c_n00, (n_species, n_channels, n_max)."""
    n_channels = max(definition.channel) + 1
    out = np.zeros((len(definition.channel), n_channels, definition.centre.shape[1]))
    for species, channel in enumerate(definition.channel):
        own = definition.centre[definition.table_of[species]]
        if definition.central_in_all:
            out[species] = own
        else:
            out[species, channel] = definition.species_weight[species] * own
    return out


def _kernel_sum(own: EnergySum, zeta: float) -> KernelSum:
    return KernelSum(
        reals(own.points.values),
        reals(own.coefficients),
        optional(own.points.projection),
        float(zeta),
        bool(own.quadratic),
    )


def ace_term(ace: Ace, coefficients: Sequence[np.ndarray | None]) -> AceTerm:
    """Return the module of a cluster expansion with coefficients of its functions, eV.

    Species without coefficients have no energies of this term.
    """
    functions, radial = ace.expansion, ace.radial
    n_species = len(ace.species)
    density = Density(
        reals(radial.table),
        float(radial.spacing),
        whole(radial.table_of),
        whole(radial.channel),
        torch.ones(n_species, dtype=torch.float64),
        ("none", [1.0, 1.0, 1.0, 1.0]),
        [],
    )
    weights = np.zeros((n_species, len(functions.products)))
    polynomial, product = functions.summands.T
    for own, c in zip(weights, coefficients, strict=True):
        if c is not None:
            np.add.at(own, product, functions.factors * c[polynomial])
    return AceTerm(
        density,
        float(ace.cutoff),
        whole(functions.coefficients),
        whole(functions.products),
        reals(weights),
        [c is not None for c in coefficients],
    )


def _pairs(table: PairTable) -> PairTerm:
    return PairTerm(
        reals(table.values),
        float(table.start),
        float(table.spacing),
        NO_KNOTS if table.knots is None else reals(table.knots),
        whole(table.potential),
        float(table.cosine),
    )


def _embedding(eam: EamDensity, energies: EmbeddingTable) -> EmbeddingTerm:
    return EmbeddingTerm(
        neighbour_density(eam),
        HermiteTable(
            reals(energies.values), 0.0, float(energies.spacing), NO_KNOTS, 0.0
        ),
        whole(energies.curve),
    )


def _triplets(angle: Angle3b, term: FittedTerm) -> TripletTerm:
    present = tuple(block for block in angle.blocks if len(term.sparse[block]))
    kernel, grid = angle.kernel_of_g, angle.grid(len(present))
    if grid is None:
        return triplet_term(angle, present, triplet_sums(angle, term, present))
    tables = [grid.table(kernel, term.sparse[b], term.coefficients[b]) for b in present]
    table = TripletTable(reals(tables), list(grid.start), list(grid.spacing), SPARE)
    return triplet_term(angle, present, table)


def triplet_term(
    angle: Angle3b, present: tuple[int, ...], potentials: nn.Module
) -> TripletTerm:
    """Return the module of a three-body term with the functions of some blocks."""
    switch = angle.switch
    return TripletTerm(
        potentials,
        whole(angle.choice(present)),
        float(switch.r_cut),
        float(switch.width),
        switch.form == "cosine",
    )


def triplet_sums(
    angle: Angle3b, term: FittedTerm, present: tuple[int, ...]
) -> TripletSums:
    """Return the functions of some blocks of a three-body term as sums over points."""
    most = max((len(term.sparse[block]) for block in present), default=0)
    points = np.ones((len(present), most, 3))
    coefficients = np.zeros((len(present), most))
    for n, block in enumerate(present):
        size = len(term.sparse[block])
        points[n, :size] = term.sparse[block]
        coefficients[n, :size] = term.coefficients[block]
    kernel = angle.kernel_of_g
    return TripletSums(
        reals(points),
        reals(coefficients),
        float(kernel.delta),
        [float(x) for x in kernel.theta],
        bool(angle.permuted),
        bool(kernel.polynomial),
    )
