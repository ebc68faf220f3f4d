"""Arrays of terms for the LAMMPS plugin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from gapfit.descriptors.ace import Ace
from gapfit.descriptors.angle_3b import Angle3b
from gapfit.descriptors.distance_2b import Distance2b
from gapfit.descriptors.eam_density import EamDensity
from gapfit.descriptors.embedding_table import EmbeddingTable
from gapfit.descriptors.pair_table import PairTable
from gapfit.descriptors.row_points import SparsePoints
from gapfit.descriptors.soap import Soap
from gapfit.descriptors.soap_engine import (
    EnergySum,
    NativeEngine,
    SoapDefinition,
)
from gapfit.descriptors.switch import Switch
from gapfit.lammps.array_file import Value

if TYPE_CHECKING:
    from gapfit.model.terms import FittedTerm

__all__ = [
    "Arrays",
    "ace_arrays",
    "covariance_arrays",
    "embedding_arrays",
    "pair_arrays",
    "point_arrays",
    "same_points",
    "soap_arrays",
    "triplet_arrays",
]

#: Pairs of name and array.
Arrays = Iterator[tuple[str, Value]]


def soap_arrays(soap: Soap, sums: list[EnergySum]) -> Arrays:
    """Yield the arrays of a SOAP term, with the sums of its species."""
    assert isinstance(soap.engine, NativeEngine)
    definition = soap.engine.definition
    yield "cutoff", float(soap.cutoff)
    yield "zeta", float(soap.dot_product.zeta)
    yield "table", definition.table
    # Under another name, plugins that do not know of further tables refuse the file.
    name = "first_table_of" if definition.next else "table_of"
    yield name, np.array(definition.table_of)
    if definition.next:
        yield "next_species", np.array([species for species, _, _ in definition.next])
        yield "next_from", np.array([distance for _, distance, _ in definition.next])
        yield "next_table", np.array([table for _, _, table in definition.next])
    yield "spacing", float(definition.spacing)
    yield "centre", definition.centre
    yield "weighting_function", definition.weighting[0]
    yield "weighting", np.array(definition.weighting[1:], dtype=float)
    yield "channel", np.array(definition.channel)
    yield "species_weight", np.array(definition.species_weight, dtype=float)
    yield from _mixed_channels(definition)
    yield "central_in_all", int(definition.central_in_all)
    yield "blocks", np.array(definition.blocks)
    yield "scale", definition.scale
    for species, choice in enumerate(sums):
        prefix = f"sum{species}/"
        yield prefix + "quadratic", int(choice.quadratic)
        yield prefix + "coefficients", choice.coefficients
        yield from point_arrays(prefix, choice.points)


def _mixed_channels(definition: SoapDefinition) -> Arrays:
    """Yield channels that combine densities, and which of their functions multiply.

    The names ``total`` and ``trivial`` are those that the first plugins know; without
    ``total`` these refuse the file.
    """
    total = np.eye(definition.table.shape[4])
    if len(definition.mixed) == 0 or (
        len(definition.mixed) == 1 and bool((definition.mixing == total).all())
    ):
        yield "total", len(definition.mixed)
    else:
        yield "mixed", np.array(definition.mixed)
        yield "mixing", definition.mixing
    if definition.products == "first":
        yield "trivial", 1
    elif definition.products == "equal":
        yield "products", definition.products


def point_arrays(prefix: str, points: SparsePoints) -> Arrays:
    """Yield sparse points, and their projection if there is one."""
    yield prefix + "points", points.values
    if points.projection is not None:
        yield prefix + "projection", points.projection


def ace_arrays(ace: Ace, coefficients: list[np.ndarray | None]) -> Arrays:
    """Yield the arrays of a cluster expansion."""
    functions, radial = ace.expansion, ace.radial
    yield "cutoff", float(ace.cutoff)
    yield "table", radial.table
    yield "table_of", np.array(radial.table_of)
    yield "spacing", radial.spacing
    yield "channel", np.array(radial.channel)
    yield "n_functions", ace.n_features
    yield "places", functions.coefficients
    yield "products", functions.products
    yield "summands", functions.summands
    yield "factors", functions.factors
    for species, values in enumerate(coefficients):
        if values is not None:
            yield f"coefficients{species}", values


def pair_arrays(table: PairTable) -> Arrays:
    """Yield the arrays of pair potentials."""
    yield "values", table.values
    if table.knots is None:
        yield "start", table.start
        yield "spacing", table.spacing
    else:
        yield "knots", table.knots
    yield "potential", table.potential
    yield "cosine", float(table.cosine)


def embedding_arrays(term: EamDensity, table: EmbeddingTable) -> Arrays:
    """Yield the arrays of energies by the density of neighbours."""
    yield "values", term.table.values
    yield "start", term.table.start
    yield "spacing", term.table.spacing
    yield "cosine", float(term.table.cosine)
    yield "weights", term.weights
    yield "curves", table.values
    yield "curve_spacing", table.spacing
    yield "curve", table.curve


def triplet_arrays(angle: Angle3b, term: FittedTerm) -> Arrays:
    """Yield the arrays of triplet potentials."""
    present = tuple(block for block in angle.blocks if len(term.sparse[block]))
    kernel, grid = angle.kernel_of_g, angle.grid(len(present))
    yield "n_potentials", len(present)
    yield from _triplet_range(angle, present)
    if grid is not None:
        yield "start", np.array(grid.start)
        yield "spacing", np.array(grid.spacing)
    for n, block in enumerate(present):
        points, coefficients = term.sparse[block], term.coefficients[block]
        if grid is not None:
            yield f"potential{n}/table", grid.table(kernel, points, coefficients)
        else:
            yield f"potential{n}/points", points
            yield f"potential{n}/coefficients", coefficients


def _triplet_range(angle: Angle3b, blocks: tuple[int, ...]) -> Arrays:
    kernel = angle.kernel_of_g
    yield "block", angle.choice(blocks)
    yield from _switch(angle.switch)
    yield "delta", float(kernel.delta)
    yield "theta", np.array(kernel.theta, dtype=float)
    yield "permuted", int(angle.permuted)
    if kernel.polynomial:
        yield "polynomial", 1


def _switch(switch: Switch) -> Arrays:
    yield "r_cut", float(switch.r_cut)
    yield "width", float(switch.width)
    yield "cosine", int(switch.form == "cosine")


def same_points(left: SparsePoints, right: SparsePoints) -> bool:
    """Return whether two sums are over the same points within the same projection."""
    if left.projection is None or right.projection is None:
        return left.projection is right.projection and left.values is right.values
    same = np.array_equal(left.projection, right.projection)
    return same and np.array_equal(left.values, right.values)


def covariance_arrays(term: FittedTerm) -> Arrays:
    """Yield the arrays for covariances of local energies with the points of a term."""
    descriptor: Any = term.descriptor
    if isinstance(descriptor, Soap):
        yield "delta", float(descriptor.dot_product.delta)
        for block in descriptor.blocks:
            sparse = SparsePoints(term.sparse[block], descriptor.projections.get(block))
            yield from point_arrays(f"{descriptor.species.index(block)}/", sparse)
        return
    if isinstance(descriptor, Ace):
        yield "delta", float(descriptor.dot_product.delta)
        for species, block in enumerate(descriptor.species):
            if len(term.sparse[block]):
                yield f"scales{species}", descriptor.scales(block)
        return
    if isinstance(descriptor, EamDensity):
        yield "delta", float(descriptor.squared_exponential.delta)
        yield "theta", float(descriptor.squared_exponential.theta)
        for species, block in enumerate(descriptor.blocks):
            yield f"points{species}", term.sparse[block][:, 0]
        return
    yield "n_blocks", len(descriptor.blocks)
    for n, block in enumerate(descriptor.blocks):
        points = term.sparse[block]
        yield f"points{n}", points if isinstance(descriptor, Angle3b) else points[:, 0]
    if isinstance(descriptor, Distance2b):
        kernel = descriptor.kernel_of_g
        yield "block", descriptor.place
        yield from _switch(descriptor.switch)
        yield "delta", float(kernel.delta)
        yield "theta", float(kernel.theta)
    else:
        yield from _triplet_range(descriptor, descriptor.blocks)
