"""Models as files for the LAMMPS plugin, with the data of predictions."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gapfit.data.neighbours import MIN_DISTANCE
from gapfit.descriptors.ace import Ace
from gapfit.descriptors.angle_3b import Angle3b
from gapfit.descriptors.distance_2b import Distance2b
from gapfit.descriptors.eam_density import EamDensity
from gapfit.descriptors.pair_table import PairTable
from gapfit.descriptors.soap import Soap, projected_forms
from gapfit.descriptors.soap_engine import EnergySum, NativeEngine
from gapfit.errors import GapfitError
from gapfit.lammps.array_file import Value, write_array_file
from gapfit.lammps.commands import has_overlays, require_overlays
from gapfit.lammps.force_std import force_std_arrays
from gapfit.lammps.term_arrays import (
    Arrays,
    ace_arrays,
    covariance_arrays,
    embedding_arrays,
    pair_arrays,
    point_arrays,
    same_points,
    soap_arrays,
    triplet_arrays,
)
from gapfit.model.extrapolation import has_grades
from gapfit.model.force_factor import ForceFactor
from gapfit.model.provenance import why_no_deviations

if TYPE_CHECKING:
    from gapfit.model.gap_model import GAPModel
    from gapfit.model.local_variance import LocalVarianceForm

__all__ = ["export_lammps", "why_without_deviations"]

_logger = logging.getLogger("gapfit")

# Kinds of terms in the file; baselines are among the pairs.
_KINDS = ("soap", "pair", "triplet", "ace", "embedding")


def export_lammps(
    model: GAPModel,
    path: str | Path,
    *,
    std: bool = True,
    force_std: ForceFactor | None = None,
) -> None:
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
    force_std : ForceFactor, optional
        What standard deviations of forces are computed with; see
        `gapfit.model.force_factor.force_factor`.

    Raises
    ------
    GapfitError
        The model needs Python at prediction: a calculator in its baseline,
        ``engine = "dscribe"``, or a descriptor of another package; a functional whose
        dispersion LAMMPS does not know; or `force_std` is that of another model.
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
            arrays |= _named("soap", counts, soap_arrays(descriptor, term.prepared))
        elif isinstance(descriptor, Ace):
            numbers[id(term)] = counts["ace"]
            arrays |= _named("ace", counts, ace_arrays(descriptor, term.prepared))
        elif isinstance(descriptor, EamDensity):
            numbers[id(term)] = counts["embedding"]
            named = embedding_arrays(descriptor, term.prepared)
            arrays |= _named("embedding", counts, named)
        elif isinstance(descriptor, Angle3b):
            arrays |= _named("triplet", counts, triplet_arrays(descriptor, term))
        else:
            tables.append(term.prepared)
    for table in tables:
        arrays |= _named("pair", counts, pair_arrays(table))
    arrays |= {f"n_{kind}": n for kind, n in counts.items()}
    arrays["variance/soap"] = numbers[id(variance.chosen)] if variance else -1
    if variance is not None:
        arrays |= {f"variance/{k}": value for k, value in _variance(variance, numbers)}
        usual = model.record.usual_deviations
        if has_grades(usual, model.species):
            arrays["usual_deviations"] = np.array([usual[z] for z in model.species])
    if force_std is not None:
        arrays |= dict(force_std_arrays(model, force_std))
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


def _variance(variance: LocalVarianceForm, numbers: dict[int, int]) -> Arrays:
    """Yield the arrays from covariances to variances, by species and by other term."""
    assert variance.chosen is not None
    sums: list[EnergySum] = variance.chosen.prepared
    forms = (
        projected_forms(variance.forms, sums) if variance.lossless else variance.forms
    )
    for species, (form, energy_sum) in enumerate(zip(forms, sums, strict=True)):
        prefix = f"{species}/"
        shared = not energy_sum.quadratic and same_points(
            form.points, energy_sum.points
        )
        yield prefix + "shared", int(shared)
        if not shared:
            yield from point_arrays(prefix, form.points)
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
        for name, value in covariance_arrays(term):
            yield prefix + name, value
