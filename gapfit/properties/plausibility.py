"""Warnings about doubtful properties of a crystal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gapfit.data.frame import as_frame
from gapfit.data.neighbours import pair_list
from gapfit.model.gap_model import GAPModel
from gapfit.model.provenance import energies_were_fitted
from gapfit.properties.dimer import DimerCurve
from gapfit.properties.equation_of_state import EquationOfState

__all__ = [
    "UNKNOWN",
    "UNSURE",
    "doubts_of_crystal",
    "doubts_of_curve",
    "doubts_of_dimers",
]

#: Standard deviation of the energy beyond which a crystal is far from the data, eV/atom.
UNSURE = 0.1
#: Standard deviation of the energy beyond which a minimum may be an artefact, eV/atom:
#: crystals of one composition differ by less.
UNKNOWN = 1.0
#: Largest relative change of the volume that a good start of a relaxation needs.
_LARGE_CHANGE = 0.25
# Largest number of pairs of species in a warning.
_MOST_PAIRS = 6

# Warning about fits to forces and virials alone.
_NO_ENERGIES = (
    "no energies were fitted: the cohesive energy is omitted; energies of vacancies, "
    "surfaces and dimers follow from forces alone, which do not determine them: do not "
    "rely on them"
)


def doubts_of_crystal(model: GAPModel, start: Any, crystal: Any) -> list[str]:
    """Return warnings about energies that the data do not determine, and lost crystals.

    Parameters
    ----------
    model : GAPModel
        The potential; atoms without neighbours are not reported if its baseline has
        potentials of whole structures, whose range is not known.
    start, crystal : ase.Atoms
        The structure before and after its relaxation.
    """
    warnings = [] if energies_were_fitted(model) else [_NO_ENERGIES]
    if model.record.without_atom:
        warnings.append(_no_atoms(model.record.without_atom))
    near = np.unique(pair_list(as_frame(crystal, "crystal"), model.cutoff).i)
    n_alone = len(crystal) - len(near)
    unlimited = model.baseline is not None and bool(model.baseline.of_structures)
    if n_alone and not unlimited:
        warnings.append(
            f"structure: {n_alone} of {len(crystal)} atoms have no neighbour within the "
            f"cutoff of the model, {model.cutoff:g} Å: this is not a crystal; "
            "start from a smaller lattice constant"
        )
    return warnings + _far_away(model, start, crystal)


def _no_atoms(species: Sequence[int]) -> str:
    from ase.data import chemical_symbols

    names = ", ".join(str(chemical_symbols[z]) for z in species)
    return (
        f"the data have no isolated atom of {names}: the cohesive energy is omitted, and "
        "energies of separated atoms, such as dimers pulled apart, have no meaning; fit "
        "with the isolated atom among the data, or its energy under [e0]"
    )


def _far_away(model: GAPModel, start: Any, crystal: Any) -> list[str]:
    """Return a warning about a crystal far from the data, or far from its start."""
    warnings, n = [], len(crystal)
    before, after = (atoms.get_volume() / n for atoms in (start, crystal))
    moved = f"from {before:.2f} to {after:.2f} Å³/atom"
    if model.posterior is not None:
        predictions = model.predict([start, crystal], std="energy", observation=False)
        first, last = (float(p.energy_std or 0.0) / n for p in predictions)
        if last > UNSURE:
            warnings.append(
                f"structure: the model does not know this crystal: its energy has a "
                f"standard deviation of {last:.3g} eV/atom ({first:.3g} before the "
                f"relaxation, {moved}); it is far from the data, and nothing in this "
                "report can be relied on: start elsewhere, or add such structures"
            )
    if not warnings and abs(after / before - 1) > _LARGE_CHANGE:
        warnings.append(
            f"structure: the relaxation changed the volume {moved}: make sure that this "
            "is the crystal you mean"
        )
    return warnings


def doubts_of_curve(curve: EquationOfState) -> list[str]:
    """Return warnings about an equation of state that no solid has."""
    if curve.bulk_modulus > 0 and curve.derivative > 0:
        return []
    return [
        f"eos: unphysical, B = {curve.bulk_modulus:.3g} GPa and B' = "
        f"{curve.derivative:.3g} where both should be positive; the potential "
        "extrapolates, or this is not a minimum"
    ]


def doubts_of_dimers(curves: Mapping[str, DimerCurve]) -> list[str]:
    """Return warnings about pairs of atoms that collapse, or without data.

    Parameters
    ----------
    curves : mapping of str to DimerCurve
        By pair of species.
    """
    warnings = [
        f"dimer: {name} attracts at some distance below its lowest energy, at "
        f"{curve.distances[curve.lowest]:.2f} Å; hot atoms may collapse"
        for name, curve in curves.items()
        if not curve.is_repulsive
    ]
    unknown = {
        name: curve.data
        for name, curve in curves.items()
        if curve.data is not None and not curve.data.n_dimers
    }
    if unknown:
        texts = [f"{name} ({data.text})" for name, data in unknown.items()]
        if len(texts) > _MOST_PAIRS:
            texts = [*texts[:_MOST_PAIRS], f"and {len(texts) - _MOST_PAIRS} more pairs"]
        warnings.append(
            "dimer: these curves extrapolate from pairs in larger structures: "
            f"{'; '.join(texts)}"
        )
    return warnings
