"""Models as files for the LAMMPS plugin, with the data of predictions."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gapfit.data.neighbours import MIN_DISTANCE
from gapfit.descriptors.ace import Ace
from gapfit.descriptors.angle_3b import Angle3b
from gapfit.descriptors.distance_2b import Distance2b
from gapfit.descriptors.eam_density import EamDensity
from gapfit.descriptors.embedding_table import EmbeddingTable
from gapfit.descriptors.pair_table import PairTable
from gapfit.descriptors.soap import Soap, projected_forms
from gapfit.descriptors.soap_engine import (
    EnergySum,
    NativeEngine,
    SoapDefinition,
    SparsePoints,
)
from gapfit.descriptors.switch import Switch
from gapfit.errors import GapfitError
from gapfit.lammps.array_file import Value, write_array_file
from gapfit.lammps.commands import has_overlays, require_overlays
from gapfit.model.extrapolation import has_grades
from gapfit.model.provenance import why_no_deviations

if TYPE_CHECKING:
    from gapfit.model.gap_model import GAPModel
    from gapfit.model.local_variance import LocalVarianceForm
    from gapfit.model.terms import FittedTerm

__all__ = ["export_lammps", "why_without_deviations"]

_logger = logging.getLogger("gapfit")

#: Pairs of name and array.
Arrays = Iterator[tuple[str, Value]]
# Kinds of terms in the file; baselines are among the pairs.
_KINDS = ("soap", "pair", "triplet", "ace", "embedding")


def export_lammps(model: GAPModel, path: str | Path, *, std: bool = True) -> None:
    """Write a model as a file for ``pair_style gapfit``.

    The file contains the sums that `GAPModel.predict` evaluates, including lossless
    projections, so LAMMPS gives the same numbers. Dispersion and point charges of the
    baseline are not in it: LAMMPS must add them, by the lines that `lammps_commands`
    returns. A warning in the log says so.

    Parameters
    ----------
    model : GAPModel
        A model with terms of any type; its baseline may have all but a calculator.
    path : str or Path
        File to write; replaced when the new file is complete.
    std : bool
        Whether to include the factors for standard deviations of atomic energies, if the
        model has them (`why_without_deviations`): 8 bytes times the square of the number
        of sparse points of each species.

    Raises
    ------
    GapfitError
        The model needs Python at prediction: a calculator in its baseline,
        ``engine = "dscribe"``, or a descriptor of another package; or a functional whose
        dispersion LAMMPS does not know.
    """
    _require_native(model)
    require_overlays(model)
    arrays = dict(_general(model))
    tables: list[PairTable] = list(model.baseline.tables) if model.baseline else []
    counts = dict.fromkeys(_KINDS, 0)
    numbers: dict[int, int] = {}  # of terms of their kind, by the identity of the term
    has_deviations = std and why_without_deviations(model) is None
    variance = model.local_variance if has_deviations else None
    for term in model.terms:
        descriptor = term.descriptor
        if isinstance(descriptor, Soap):
            numbers[id(term)] = counts["soap"]
            arrays |= _named("soap", counts, _soap(descriptor, term.prepared))
        elif isinstance(descriptor, Ace):
            numbers[id(term)] = counts["ace"]
            arrays |= _named("ace", counts, _ace(descriptor, term.prepared))
        elif isinstance(descriptor, EamDensity):
            numbers[id(term)] = counts["embedding"]
            arrays |= _named("embedding", counts, _embedding(descriptor, term.prepared))
        elif isinstance(descriptor, Angle3b):
            arrays |= _named("triplet", counts, _triplets(descriptor, term))
        else:
            tables.append(term.prepared)
    for table in tables:
        arrays |= _named("pair", counts, _pairs(table))
    arrays |= {f"n_{kind}": n for kind, n in counts.items()}
    arrays["variance/soap"] = numbers[id(variance.chosen)] if variance else -1
    if variance is not None:
        arrays |= {f"variance/{k}": value for k, value in _variance(variance, numbers)}
        usual = model.record.usual_deviations
        if has_grades(usual, model.species):
            arrays["usual_deviations"] = np.array([usual[z] for z in model.species])
    write_array_file(path, arrays)
    if has_overlays(model):
        _logger.warning(
            "%s lacks the dispersion or charges of the baseline, which LAMMPS must add: "
            "use the lines of gapfit.lammps.lammps_commands(model, file)",
            path,
        )


def why_without_deviations(model: GAPModel) -> str | None:
    """Return why standard deviations cannot be exported, as text; None if they can.

    They need the posterior and a SOAP term, with any number of other terms.
    """
    if not any(isinstance(term.descriptor, Soap) for term in model.terms):
        return "they need a SOAP term"
    return why_no_deviations(model)


def _require_native(model: GAPModel) -> None:
    calculator = model.baseline.calculator if model.baseline else None
    if calculator is not None:
        raise GapfitError(
            f"the baseline of this model calls {calculator.title} in Python, which LAMMPS "
            "cannot do; fit the model without [baseline] calculator, or use gapfit's "
            "ASE calculator"
        )
    for number, term in enumerate(model.terms, start=1):
        descriptor = term.descriptor
        if not isinstance(descriptor, Soap | Distance2b | Angle3b | Ace | EamDensity):
            raise GapfitError(
                f'term {number} has type = "{term.config.type}", which the plugin does not '
                "know; fit the model without it, or use gapfit's ASE calculator"
            )
        if isinstance(descriptor, Soap) and not isinstance(
            descriptor.engine, NativeEngine
        ):
            raise GapfitError(
                f'term {number} has engine = "dscribe", which is Python; fit the model '
                'with engine = "native"'
            )


def _named(kind: str, counts: dict[str, int], arrays: Arrays) -> dict[str, Value]:
    """Return the arrays of one term under its name, and count it."""
    prefix = f"{kind}{counts[kind]}/"
    counts[kind] += 1
    return {prefix + name: value for name, value in arrays}


def _general(model: GAPModel) -> Arrays:
    from importlib.metadata import version

    from ase.data import atomic_masses, chemical_symbols

    facts = {
        "gapfit": version("gapfit"),
        "data_digest": model.record.data_digest,
    }
    yield "info", json.dumps(facts, sort_keys=True)
    yield "symbols", " ".join(chemical_symbols[z] for z in model.species)
    yield "species", np.array(model.species)
    yield "masses", np.array([atomic_masses[z] for z in model.species])
    yield "e0", np.array([model.e0[z] for z in model.species])
    yield "cutoff", float(model.cutoff)
    yield "shortest", MIN_DISTANCE


def _soap(soap: Soap, sums: list[EnergySum]) -> Arrays:
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
        yield from _points(prefix, choice.points)


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


def _points(prefix: str, points: SparsePoints) -> Arrays:
    yield prefix + "points", points.values
    if points.projection is not None:
        yield prefix + "projection", points.projection


def _ace(ace: Ace, coefficients: list[np.ndarray | None]) -> Arrays:
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


def _pairs(table: PairTable) -> Arrays:
    yield "values", table.values
    if table.knots is None:
        yield "start", table.start
        yield "spacing", table.spacing
    else:
        yield "knots", table.knots
    yield "potential", table.potential
    yield "cosine", float(table.cosine)


def _embedding(term: EamDensity, table: EmbeddingTable) -> Arrays:
    yield "values", term.table.values
    yield "start", term.table.start
    yield "spacing", term.table.spacing
    yield "cosine", float(term.table.cosine)
    yield "weights", term.weights
    yield "curves", table.values
    yield "curve_spacing", table.spacing
    yield "curve", table.curve


def _triplets(angle: Angle3b, term: FittedTerm) -> Arrays:
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


def _variance(variance: LocalVarianceForm, numbers: dict[int, int]) -> Arrays:
    """Yield the arrays from covariances to variances, by species and by other term."""
    assert variance.chosen is not None
    sums: list[EnergySum] = variance.chosen.prepared
    forms = (
        projected_forms(variance.forms, sums) if variance.lossless else variance.forms
    )
    for species, (form, energy_sum) in enumerate(zip(forms, sums, strict=True)):
        prefix = f"{species}/"
        shared = not energy_sum.quadratic and _same(form.points, energy_sum.points)
        yield prefix + "shared", int(shared)
        if not shared:
            yield from _points(prefix, form.points)
        yield prefix + "L", form.W.T
        yield prefix + "before", form.before
        yield prefix + "delta", float(form.kernel.delta)
        yield prefix + "columns", variance.columns[species]
    yield "n_others", len(variance.others)
    for n, term in enumerate(variance.others):
        prefix = f"other{n}/"
        yield prefix + "type", term.config.type
        if id(term) in numbers:
            yield prefix + term.config.type, numbers[id(term)]
        for name, value in _covariances(term):
            yield prefix + name, value


def _same(left: SparsePoints, right: SparsePoints) -> bool:
    return left.values is right.values and left.projection is right.projection


def _covariances(term: FittedTerm) -> Arrays:
    """Yield the arrays for covariances of local energies with the points of a term."""
    descriptor: Any = term.descriptor
    if isinstance(descriptor, Soap):
        yield "delta", float(descriptor.dot_product.delta)
        for block in descriptor.blocks:
            sparse = SparsePoints(term.sparse[block], descriptor.projections.get(block))
            yield from _points(f"{descriptor.species.index(block)}/", sparse)
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
