"""What makes properties of a crystal doubtful."""

from __future__ import annotations

from typing import Any

import numpy as np

from gapfit.data.frame import as_frame
from gapfit.data.neighbours import pair_list
from gapfit.model.gap_model import GAPModel
from gapfit.model.provenance import energies_were_fitted
from gapfit.properties.equation_of_state import EquationOfState

__all__ = ["doubts_of_crystal", "doubts_of_curve"]

# Of fits to forces and virials alone.
_NO_ENERGIES = (
    "no energies were fitted: the cohesive energy is left out; energies of vacancies, "
    "surfaces and dimers follow from forces alone, which do not settle them: mistrust them"
)


def doubts_of_crystal(model: GAPModel, crystal: Any) -> list[str]:
    """Return warnings about energies that nothing settles, and atoms that feel no other.

    Parameters
    ----------
    model : GAPModel
        The potential; the range of a baseline's calculator is not known.
    crystal : ase.Atoms
        Relaxed.
    """
    found = [] if energies_were_fitted(model) else [_NO_ENERGIES]
    near = np.unique(pair_list(as_frame(crystal, "crystal"), model.cutoff).i)
    n_alone = len(crystal) - len(near)
    unlimited = model.baseline is not None and model.baseline.calculator is not None
    if n_alone and not unlimited:
        found.append(
            f"structure: {n_alone} of {len(crystal)} atoms have no neighbour within the "
            f"cutoff of the model, {model.cutoff:g} Å: what is computed is no crystal; "
            "start from a smaller lattice constant"
        )
    return found


def doubts_of_curve(found: EquationOfState) -> list[str]:
    """Return warnings about an equation of state that no solid has."""
    if found.bulk_modulus > 0 and found.derivative > 0:
        return []
    return [
        f"eos: unphysical, B = {found.bulk_modulus:.3g} GPa and B' = "
        f"{found.derivative:.3g} where both are positive; the potential extrapolates, or "
        "this is no minimum"
    ]
