"""What standard deviations, novelty and samples need, from fitted models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from gapfit.descriptors.ace import Ace
from gapfit.descriptors.angle_3b import Angle3b
from gapfit.descriptors.distance_2b import Distance2b
from gapfit.descriptors.eam_density import EamDensity
from gapfit.descriptors.soap import Soap
from gapfit.errors import PosteriorError
from gapfit.model.local_variance import LocalVarianceForm
from gapfit.model.provenance import why_no_deviations
from gapfit.model.terms import FittedTerm, coefficient_vector
from gapfit.threads import one_thread
from gapfit.torch.ace import AceKernel
from gapfit.torch.arrays import optional, reals, whole
from gapfit.torch.embedding import EmbeddingKernel, NeighbourDensity
from gapfit.torch.hermite import NO_KNOTS, HermiteTable
from gapfit.torch.kernel import PointKernel
from gapfit.torch.pair_kernel import PairKernel
from gapfit.torch.triplet_kernel import TripletKernel
from gapfit.torch.uncertainty import ExplainedVariance, SpeciesFactor, Uncertainty

if TYPE_CHECKING:
    from gapfit.model.gap_model import GAPModel

__all__ = ["neighbour_density", "term_kernels", "uncertainty", "why_without_deviations"]


def why_without_deviations(model: GAPModel) -> str | None:
    """Return why there are no standard deviations in torch, as text; None if there are.

    They need the posterior. So do the novelty and samples.
    """
    if reason := why_no_deviations(model):
        return reason
    try:
        _factors(model.local_variance)
    except PosteriorError as error:
        return str(error)
    return None


def uncertainty(
    model: GAPModel,
    *,
    std: bool,
    novelty: bool,
    samples: int,
    seed: int,
    chunk_bytes: int,
) -> Uncertainty:
    """Return standard deviations, novelty and samples, as far as they are asked for.

    Parameters are those of `gapfit.torch.torch_model`.
    """
    usual = model.record.usual_deviations if std else {}
    grades = [usual.get(z, np.nan) for z in model.species] if usual else []
    drawn = np.zeros((0, model.n_sparse))
    if samples:
        mean = coefficient_vector(model.terms)
        drawn = model.sample(samples, seed).coefficients - mean
    return Uncertainty(
        ExplainedVariance(_factors(model.local_variance) if std else []),
        ExplainedVariance(_factors(model.local_unexplained) if novelty else []),
        reals(grades),
        reals(drawn.T),
        model.n_sparse,
        chunk_bytes,
    )


def _factors(form: LocalVarianceForm) -> list[SpeciesFactor]:
    """Return the factors of a form by species."""
    with one_thread():
        factors = form.factors
    return [SpeciesFactor(whole(columns), reals(W)) for columns, W in factors]


def term_kernels(
    term: FittedTerm, variance: LocalVarianceForm | None
) -> list[nn.Module]:
    """Return what gives covariances with the sparse points of a term.

    Parameters
    ----------
    term : FittedTerm
        A term of the model.
    variance : LocalVarianceForm or None
        Says whether kernels may be taken within the lossless projections; None: no.
    """
    descriptor = term.descriptor
    if isinstance(descriptor, Soap):
        within = variance and variance.lossless and variance.chosen is term
        return list(_point_kernels(descriptor, term, lossless=bool(within)))
    if isinstance(descriptor, Ace):
        return list(_ace_kernels(descriptor, term))
    if isinstance(descriptor, EamDensity):
        return [_embedding_kernel(descriptor, term)]
    if isinstance(descriptor, Angle3b):
        return [_triplet_kernel(descriptor, term)]
    assert isinstance(descriptor, Distance2b)
    return [_pair_kernel(descriptor, term)]


def neighbour_density(eam: EamDensity) -> NeighbourDensity:
    """Return the densities of a term."""
    table = eam.table
    values, place = reals(table.values), (float(table.start), float(table.spacing))
    return NeighbourDensity(
        HermiteTable(values, *place, NO_KNOTS, float(table.cosine)), reals(eam.weights)
    )


def _point_kernels(
    soap: Soap, term: FittedTerm, *, lossless: bool
) -> Iterator[PointKernel]:
    """Yield the kernels of SOAP by central species."""
    for z, energy_sum in zip(soap.species, term.prepared, strict=True):
        points = soap.points_of(z, term.sparse)
        if lossless and not energy_sum.quadratic:
            points = energy_sum.points
        yield PointKernel(
            reals(points.values),
            optional(points.projection),
            float(soap.dot_product.delta) if z in soap.blocks else 0.0,
            float(soap.dot_product.zeta),
        )


def _ace_kernels(ace: Ace, term: FittedTerm) -> Iterator[AceKernel]:
    """Yield the kernels of a cluster expansion by central species."""
    function, product = ace.expansion.summands.T
    for z in ace.species:
        yield AceKernel(
            whole(function),
            whole(product),
            reals(ace.expansion.factors),
            reals(ace.scales(z)),
            float(ace.dot_product.delta),
            len(term.sparse[z]) > 0,
        )


def _embedding_kernel(eam: EamDensity, term: FittedTerm) -> EmbeddingKernel:
    sizes = [len(term.sparse[block]) for block in eam.blocks]
    return EmbeddingKernel(
        neighbour_density(eam),
        reals(np.concatenate([term.sparse[block][:, 0] for block in eam.blocks])),
        whole(np.repeat(np.arange(len(sizes)), sizes)),
        float(eam.squared_exponential.delta),
        float(eam.squared_exponential.theta),
    )


def _triplet_kernel(angle: Angle3b, term: FittedTerm) -> TripletKernel:
    kernel = angle.kernel_of_g
    return TripletKernel(
        [reals(term.sparse[block]) for block in angle.blocks],
        whole(angle.choice(angle.blocks)),
        float(kernel.delta),
        [float(x) for x in kernel.theta],
    )


def _pair_kernel(descriptor: Distance2b, term: FittedTerm) -> PairKernel:
    kernel, switch = descriptor.kernel_of_g, descriptor.switch
    sizes = [len(term.sparse[block]) for block in descriptor.blocks]
    points = np.ones((len(sizes), max(sizes)))
    for row, block, size in zip(points, descriptor.blocks, sizes, strict=True):
        row[:size] = term.sparse[block][:, 0]
    columns = [n * max(sizes) + k for n, size in enumerate(sizes) for k in range(size)]
    return PairKernel(
        reals(points),
        whole(columns),
        whole(descriptor.place),
        float(kernel.delta),
        float(kernel.theta),
        float(switch.r_cut),
        float(switch.width),
        switch.form == "cosine",
    )
