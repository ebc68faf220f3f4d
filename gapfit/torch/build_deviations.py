"""What standard deviations and samples of the posterior need, from fitted models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from gapfit.descriptors.distance_2b import Distance2b
from gapfit.descriptors.eam_density import EamDensity
from gapfit.descriptors.soap import Soap, projected_forms
from gapfit.model.provenance import why_no_deviations
from gapfit.model.terms import FittedTerm, coefficient_vector
from gapfit.torch.arrays import optional, reals, whole
from gapfit.torch.deviations import PairCovariances, VarianceForm
from gapfit.torch.embedding import EmbeddingCovariances, NeighbourDensity
from gapfit.torch.hermite import NO_KNOTS, HermiteTable

if TYPE_CHECKING:
    from gapfit.model.gap_model import GAPModel

__all__ = [
    "Sampled",
    "neighbour_density",
    "other_covariances",
    "sampled",
    "variance_forms",
    "why_without_deviations",
]

#: Differences of sampled coefficients from those of the fit, (n_sparse, n_samples), 1/eV,
#: by term and block.
Sampled = dict[tuple[int, int], Tensor]


def why_without_deviations(model: GAPModel) -> str | None:
    """Return why there are no standard deviations in torch, as text; None if there are.

    They need the posterior, one SOAP term, and no others but two-body terms and densities.
    """
    descriptors = [term.descriptor for term in model.terms]
    if sum(isinstance(descriptor, Soap) for descriptor in descriptors) != 1:
        return "they need one SOAP term"
    for term in model.terms:
        if not isinstance(term.descriptor, Soap | Distance2b | EamDensity):
            return f'the model has a term with type = "{term.config.type}"'
    return why_no_deviations(model)


def sampled(model: GAPModel, n: int, seed: int) -> Sampled:
    """Return what `n` samples of the posterior add to the coefficients."""
    mean = coefficient_vector(model.terms)
    drawn = model.sample(n, seed).coefficients - mean if n else np.zeros((0, len(mean)))
    out, first = {}, 0
    for number, term in enumerate(model.terms):
        for block, points in term.sparse.items():
            part = slice(first, first + len(points))
            out[number, block] = reals(drawn[:, part].T)
            first = part.stop
    return out


def variance_forms(model: GAPModel, samples: Sampled) -> tuple[int, list[VarianceForm]]:
    """Return the number of the term that gives variances, and its forms by species."""
    variance = model.local_variance
    assert variance.chosen is not None
    chosen = model.terms.index(variance.chosen)
    forms = variance.forms
    if variance.lossless:
        forms = projected_forms(forms, variance.chosen.prepared)
    # Species without a block of sparse points have nothing to draw.
    nothing = next(iter(samples.values()))[:0]
    return chosen, [
        VarianceForm(
            reals(form.points.values),
            optional(form.points.projection),
            reals(form.W),
            whole(columns),
            form.before,
            float(form.kernel.delta),
            float(form.kernel.zeta),
            samples.get((chosen, z), nothing),
        )
        for z, form, columns in zip(model.species, forms, variance.columns, strict=True)
    ]


def other_covariances(
    term: FittedTerm, number: int, samples: Sampled
) -> PairCovariances | EmbeddingCovariances:
    """Return the covariances with a term of some number that is not SOAP."""
    descriptor = term.descriptor
    if isinstance(descriptor, EamDensity):
        return _embedding_covariances(descriptor, term, number, samples)
    assert isinstance(descriptor, Distance2b)
    return _pair_covariances(descriptor, term, number, samples)


def neighbour_density(eam: EamDensity) -> NeighbourDensity:
    """Return the densities of a term."""
    table = eam.table
    values, place = reals(table.values), (float(table.start), float(table.spacing))
    return NeighbourDensity(
        HermiteTable(values, *place, NO_KNOTS, float(table.cosine)), reals(eam.weights)
    )


def _embedding_covariances(
    eam: EamDensity, term: FittedTerm, number: int, samples: Sampled
) -> EmbeddingCovariances:
    sizes = [len(term.sparse[block]) for block in eam.blocks]
    return EmbeddingCovariances(
        neighbour_density(eam),
        reals(np.concatenate([term.sparse[block][:, 0] for block in eam.blocks])),
        whole(np.repeat(np.arange(len(sizes)), sizes)),
        float(eam.squared_exponential.delta),
        float(eam.squared_exponential.theta),
        torch.cat([samples[number, block] for block in eam.blocks]),
    )


def _pair_covariances(
    descriptor: Distance2b, term: FittedTerm, number: int, samples: Sampled
) -> PairCovariances:
    kernel, switch = descriptor.kernel_of_g, descriptor.switch
    sizes = [len(term.sparse[block]) for block in descriptor.blocks]
    points = np.ones((len(sizes), max(sizes)))
    for row, block, size in zip(points, descriptor.blocks, sizes, strict=True):
        row[:size] = term.sparse[block][:, 0]
    columns = [n * max(sizes) + k for n, size in enumerate(sizes) for k in range(size)]
    return PairCovariances(
        reals(points),
        whole(columns),
        whole(descriptor.place),
        float(kernel.delta),
        float(kernel.theta),
        float(switch.r_cut),
        float(switch.width),
        switch.form == "cosine",
        torch.cat([samples[number, block] for block in descriptor.blocks]),
    )
