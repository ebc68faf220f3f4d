"""Warnings about doubtful properties of a crystal."""

from __future__ import annotations

from typing import Any

import numpy as np

from gapfit.data.frame import as_frame
from gapfit.data.neighbours import pair_list
from gapfit.model.gap_model import GAPModel
from gapfit.model.provenance import energies_were_fitted
from gapfit.properties.equation_of_state import EquationOfState

__all__ = ["doubts_of_crystal", "doubts_of_curve"]

# Warning about fits to forces and virials alone.
_NO_ENERGIES = (
    "no energies were fitted: the cohesive energy is omitted; energies of vacancies, "
    "surfaces and dimers follow from forces alone, which do not determine them: do not "
    "rely on them"
)


def doubts_of_crystal(model: GAPModel, crystal: Any) -> list[str]:
    """Return warnings about undetermined energies and atoms without neighbours.

    Parameters
    ----------
    model : GAPModel
        The potential; atoms without neighbours are not reported if its baseline has a
        calculator, whose range is not known.
    crystal : ase.Atoms
        Relaxed structure.
    """
    warnings = [] if energies_were_fitted(model) else [_NO_ENERGIES]
    near = np.unique(pair_list(as_frame(crystal, "crystal"), model.cutoff).i)
    n_alone = len(crystal) - len(near)
    unlimited = model.baseline is not None and model.baseline.calculator is not None
    if n_alone and not unlimited:
        warnings.append(
            f"structure: {n_alone} of {len(crystal)} atoms have no neighbour within the "
            f"cutoff of the model, {model.cutoff:g} Å: this is not a crystal; "
            "start from a smaller lattice constant"
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
