"""Relaxation with a look at each step."""

from __future__ import annotations

from typing import Any

from gapfit.errors import GapfitError
from gapfit.robustness.specimen import Specimen
from gapfit.robustness.watch import FailureError, Watch

__all__ = ["relax"]

# Steps of a relaxation, and between measurements of distances; longest move, Å.
_STEPS, _OFTEN, _MOVE = 100, 10, 0.1
_FORCE = 0.05  # eV/Å


def relax(specimen: Specimen, atoms: Any, watch: Watch, name: str) -> None:
    """Follow the forces for a while, and look at each step."""
    from ase.optimize import FIRE

    watch.distances(atoms, name)
    atoms.calc = specimen.calculator()
    # ASE's hints forbid the None that it documents.
    optimizer: Any = FIRE
    moves = optimizer(atoms, logfile=None, maxstep=_MOVE).irun(
        fmax=_FORCE, steps=_STEPS
    )
    step = 0
    while True:
        when = f"{name} after {step} steps"
        try:
            next(moves)
            energy = atoms.get_potential_energy()
        except StopIteration:
            break
        except GapfitError as error:
            raise FailureError(f"{when}: {error}", atoms) from None
        watch.energy(atoms, energy, when)
        if step % _OFTEN == _OFTEN - 1:
            watch.distances(atoms, when)
        step += 1
    watch.distances(atoms, name)
    watch.deviation(atoms, name)
