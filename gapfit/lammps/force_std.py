"""Arrays for standard deviations of forces in the LAMMPS plugin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, replace
from typing import TYPE_CHECKING

import numpy as np

from gapfit.data.observations import Quantity
from gapfit.descriptors.ace import Ace
from gapfit.descriptors.angle_3b import Angle3b
from gapfit.descriptors.distance_2b import Distance2b
from gapfit.descriptors.eam_density import EamDensity
from gapfit.descriptors.soap import Soap
from gapfit.errors import GapfitError
from gapfit.lammps.term_arrays import (
    Arrays,
    covariance_arrays,
    embedding_arrays,
    point_arrays,
    same_points,
)
from gapfit.model.local_variance import keeps_variances
from gapfit.model.scales import Scale
from gapfit.model.terms import with_coefficients

if TYPE_CHECKING:
    from gapfit.model.force_factor import ForceFactor
    from gapfit.model.gap_model import GAPModel
    from gapfit.model.terms import FittedTerm

__all__ = ["force_scale", "force_std_arrays", "steps_between"]

# What one potential of a factor costs, over energy and forces (1000 sparse points).
_SHARE = 0.5
# What forces and standard deviations together may cost on average, over forces alone.
_MOST = 2.5


def steps_between(rank: int) -> int:
    """Return every how many steps standard deviations of forces may be asked for.

    A run then takes at most 2.5 times as long as without them, with 1000 sparse points.
    """
    return math.ceil(round(_SHARE * rank / (_MOST - 1.0), 6))


def force_scale(model: GAPModel) -> Scale:
    """Return the scale from standard deviations of forces to those of observations.

    It is that of `gapfit.model.calibration.Calibration.observed`, with the noise of
    structures that bring no sigmas of their own.
    """
    calibration = model.calibration
    scale = calibration.scale(Quantity.FORCES) if calibration else None
    if calibration and scale and Quantity.FORCES in calibration.kinds:
        return scale
    return replace(scale or Scale(1.0, 0.0), floor=model.config.sigma.forces)


def force_std_arrays(model: GAPModel, factor: ForceFactor) -> Arrays:
    """Yield the arrays for the potentials of a factor, by term.

    Raises
    ------
    GapfitError
        The factor is that of another model.
    """
    n_sparse = factor.coefficients.shape[1]
    if n_sparse != model.n_sparse:
        raise GapfitError(
            f"force_std has coefficients of {n_sparse} sparse points and the model has "
            f"{model.n_sparse}: call force_factor with this model"
        )
    yield "force_std/rank", factor.rank
    yield "force_std/error", np.array([factor.error, factor.largest_error])
    yield from _scale(force_scale(model))
    yield from _local_scale(model)
    lossless = keeps_variances(model.config.prediction.energy_tolerance)
    columns = _columns(model, factor, lossless)
    counts = dict.fromkeys(("soap", "ace", "pair", "triplet", "embedding"), 0)
    for term, terms in zip(model.terms, zip(*columns, strict=True), strict=True):
        kind, arrays = _term(term, terms)
        prefix = f"force_std/{kind}{counts[kind]}/"
        counts[kind] += 1
        for name, value in arrays:
            yield prefix + name, value
    for kind in ("pair", "triplet", "embedding"):
        yield f"force_std/n_{kind}", counts[kind]


def _scale(scale: Scale) -> Arrays:
    reach = -1.0 if scale.reach is None else scale.reach
    yield "force_std/scale", np.array([scale.factor, scale.floor, reach])
    if scale.tilt is not None:
        yield "force_std/tilt", np.array(astuple(scale.tilt))


def _local_scale(model: GAPModel) -> Arrays:
    """Yield the local scale in the space of whole power spectra."""
    local = model.calibration.local if model.calibration else None
    if local is None:
        return
    soap = model.terms[local.term].descriptor
    before = (term.descriptor for term in model.terms[: local.term])
    yield "force_std/local/soap", sum(isinstance(one, Soap) for one in before)
    for n, species in enumerate(model.species):
        if species not in local.lines:
            continue
        line, prefix = local.lines[species], f"force_std/local/{n}/"
        vector = line.vector
        if species in soap.projections:
            vector = soap.projections[species] @ vector
        yield prefix + "vector", vector
        yield prefix + "numbers", np.array([line.offset, line.least, line.most])


def _columns(
    model: GAPModel, factor: ForceFactor, lossless: bool
) -> list[list[FittedTerm]]:
    """Return the terms of each potential, without quadratic forms."""
    terms = [
        replace(term, quadratic=False, lossless=term.lossless if lossless else {})
        for term in model.terms
    ]
    return [with_coefficients(terms, column) for column in factor.coefficients]


def _term(term: FittedTerm, columns: Sequence[FittedTerm]) -> tuple[str, Arrays]:
    """Return the kind of a term, and the arrays of all its potentials."""
    descriptor = term.descriptor
    if isinstance(descriptor, Soap):
        return "soap", _soap(descriptor, term, columns)
    if isinstance(descriptor, Ace):
        return "ace", _ace(columns)
    if isinstance(descriptor, Distance2b):
        return "pair", _pairs(descriptor, columns)
    if isinstance(descriptor, Angle3b):
        return "triplet", _triplets(descriptor, columns)
    assert isinstance(descriptor, EamDensity)
    tables = [embedding_arrays(descriptor, column.prepared) for column in columns]
    return "embedding", _one_by_one(tables)


def _soap(soap: Soap, term: FittedTerm, columns: Sequence[FittedTerm]) -> Arrays:
    variance = soap.dot_product.delta**2
    prepared = zip(soap.species, term.prepared, columns[0].prepared, strict=True)
    for species, (z, own, of_columns) in enumerate(prepared):
        prefix = f"{species}/"
        shared = not own.quadratic and same_points(of_columns.points, own.points)
        yield prefix + "shared", int(shared)
        if not shared:
            yield from point_arrays(prefix, of_columns.points)
        none = np.zeros(0)
        values = [column.coefficients.get(z, none) for column in columns]
        yield prefix + "coefficients", variance * np.stack(values)


def _ace(columns: Sequence[FittedTerm]) -> Arrays:
    prepared = [column.prepared for column in columns]
    for species, first in enumerate(prepared[0]):
        if first is not None:
            values = [column[species] for column in prepared]
            yield f"coefficients{species}", np.stack(values)


def _pairs(descriptor: Distance2b, columns: Sequence[FittedTerm]) -> Arrays:
    yield from covariance_arrays(columns[0])
    variance = descriptor.kernel_of_g.delta**2
    for n, block in enumerate(descriptor.blocks):
        values = np.stack([column.coefficients[block] for column in columns], axis=1)
        yield f"coefficients{n}", variance * values


def _triplets(descriptor: Angle3b, columns: Sequence[FittedTerm]) -> Arrays:
    yield from covariance_arrays(columns[0])
    values = [
        np.concatenate([column.coefficients[block] for block in descriptor.blocks])
        for column in columns
    ]
    yield "coefficients", np.stack(values, axis=1)


def _one_by_one(columns: Sequence[Arrays]) -> Arrays:
    for n, arrays in enumerate(columns):
        for name, value in arrays:
            yield f"{n}/{name}", value
