"""Pair potentials of a baseline as core potentials of TurboGAP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gapfit.baseline.baseline import Baseline
from gapfit.data.neighbours import MIN_DISTANCE
from gapfit.descriptors.blocks import pair_label, species_of_pair, species_pairs
from gapfit.descriptors.pair_table import PairTable
from gapfit.model.gap_model import GAPModel
from gapfit.quip.to_quip import against_baseline

__all__ = ["against_core_potentials", "core_potentials"]

#: Distance of the points of potentials that are no cubic splines, Å.
_SPACING = 0.005
#: Step of the slope at the first point, Å.
_STEP = 1e-5
#: Largest jumps at the end of a sampled potential, eV, and of its slope, eV/Å: splines
#: oscillate around them.
_JUMPS = (1e-6, 1e-3)


def against_core_potentials(model: GAPModel) -> Iterator[str]:
    """Yield why core potentials cannot be those underneath a model, and what to do."""
    baseline = model.baseline
    if baseline is None or _is_spline(model, baseline):
        return
    for key, points in baseline.points.items():
        # Those without slopes are switched off smoothly.
        if points.shape[1] == 3 and np.any(np.abs(points[-1, 1:]) > _JUMPS):
            r, energy, slope = points[-1]
            yield (
                f"[baseline] table: {pair_label(key)} ends with {energy:.3g} eV and "
                f"{slope:.3g} eV/Å at {r:g} Å: let it end with zeros, or fit "
                "without its slopes"
            )


def core_potentials(model: GAPModel) -> dict[int, np.ndarray]:
    """Return the pair potentials underneath a model.

    Splines that were read from a file of QUIP or TurboGAP are given by their own points;
    all others, and sums, are sampled.

    Parameters
    ----------
    model : GAPModel
        Without potentials of structures in its baseline.

    Returns
    -------
    dict of int to (n, 3) float64
        r (Å), φ (eV), φ' (eV/Å) by `gapfit.descriptors.blocks.pair_key`. Slopes of all but
        the first and last points may be NaN.
    """
    baseline = model.baseline
    if baseline is None:
        return {}
    if _is_spline(model, baseline):
        return baseline.points
    return dict(_sampled(model.species, baseline.tables))


def _is_spline(model: GAPModel, baseline: Baseline) -> bool:
    whole = len(baseline.tables) == 1 and bool(baseline.points)
    return whole and not any(against_baseline(model, baseline))


def _sampled(
    species: tuple[int, ...], tables: Sequence[PairTable]
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the sum of tables at equidistant points, for each pair that has any."""
    end = max(table.cutoff for table in tables)
    n_points = int(np.ceil((end - MIN_DISTANCE) / _SPACING)) + 1
    r = np.linspace(MIN_DISTANCE, end, n_points)
    around = MIN_DISTANCE + _STEP * np.array([-1.0, 1.0])
    for key in species_pairs(species):
        ends = species_of_pair(key)
        energy, near = (
            np.sum([table.between(*ends, x) for table in tables], axis=0)
            for x in (r, around)
        )
        if np.any(energy):
            slopes = np.full(n_points, np.nan)
            slopes[[0, -1]] = (near[1] - near[0]) / (2 * _STEP), 0.0
            yield key, np.column_stack([r, energy, slopes])
