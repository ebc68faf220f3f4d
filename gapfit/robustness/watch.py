"""What is wrong with a structure: energy, distances, lost atoms, standard deviation."""

from __future__ import annotations

from typing import Any

import numpy as np

from gapfit.data.frame import structure_arrays
from gapfit.data.neighbours import pair_list
from gapfit.errors import GapfitError
from gapfit.model.gap_model import GAPModel
from gapfit.model.provenance import why_no_deviations
from gapfit.robustness.bounds import Bounds
from gapfit.robustness.results import StressSettings

__all__ = ["FailureError", "Watch", "saved"]


class FailureError(Exception):
    """The first failure of a test.

    Parameters
    ----------
    reason : str
        What went wrong, in plain words.
    frame : ase.Atoms
        The structure.
    """

    def __init__(self, reason: str, frame: Any) -> None:
        super().__init__(reason)
        self.reason = reason
        self.frame = frame


class Watch:
    """Looks at the structures of one test, and keeps the extremes that it saw.

    Parameters
    ----------
    model : GAPModel
        The potential.
    bounds : Bounds
        Shortest distances and lowest energy of the data.
    settings : StressSettings
        How far these may be exceeded.
    numbers : (n,) int
        Atoms of the crystal.
    energy : float
        Its energy by the potential, eV/atom.
    alarmed : bool
        Whether a large standard deviation fails the test. Far from crystals it only says
        that the potential does not know, and is kept.

    Attributes
    ----------
    lowest, closest, std : float or None
        As in `Verdict`.
    skipped : list of str
        As in `Verdict`.
    """

    def __init__(
        self,
        model: GAPModel,
        bounds: Bounds,
        settings: StressSettings,
        numbers: np.ndarray,
        energy: float,
        *,
        alarmed: bool,
    ) -> None:
        self.model, self.bounds, self.settings = model, bounds, settings
        self.lowest: float | None = None
        self.closest: float | None = None
        self.std: float | None = None
        self.skipped: list[str] = []
        self._shares = _shares(numbers)
        self._energy, self._alarmed = energy, alarmed
        self._has_std = why_no_deviations(model) is None
        self._reach = max(bounds.closest.values())

    def has_energy(self, atoms: Any, name: str) -> bool:
        """Return whether the charges of the potential have an energy for a structure.

        If not, such as for a charged cell, it is skipped: that says nothing about holes.
        """
        charges = self.model.baseline.charges if self.model.baseline else None
        refusal = charges.refusal(structure_arrays(atoms)) if charges else None
        if refusal:
            self.skipped.append(f"{name}: {refusal.reason}")
        return refusal is None

    def energy(self, atoms: Any, energy: float, when: str) -> None:
        """Fail if the energy, eV, is not finite or far below that of the crystal.

        Structures of another composition are compared with the strongest bound of the
        data, relative to isolated atoms.
        """
        if not np.isfinite(energy):
            raise FailureError(f"{when}: the energy is not finite", atoms)
        numbers = atoms.numbers
        level, name = self._energy, "that of the crystal"
        if _shares(numbers) != self._shares:
            level = self._isolated(numbers) + self.bounds.lowest
            name = "all structures of the data, relative to isolated atoms"
        above = energy / len(atoms) - level
        self.lowest = above if self.lowest is None else min(self.lowest, above)
        if above < -self.settings.below:
            raise FailureError(
                f"{when}: the energy is {-above:.2f} eV/atom below {name}: a hole",
                atoms,
            )

    def distances(self, atoms: Any, when: str) -> None:
        """Fail if atoms are closer than the bound of their species."""
        from ase.data import chemical_symbols

        pairs = pair_list(structure_arrays(atoms), self._reach)
        if not pairs.n_pairs:
            return
        lengths = np.linalg.norm(pairs.R, axis=1)
        kinds = np.sort(atoms.numbers[np.stack([pairs.i, pairs.j])], axis=0)
        shortest = np.array([self.bounds.closest[a, b] for a, b in kinds.T.tolist()])
        least = int(np.argmin(lengths / shortest))
        ratio = float(lengths[least] / shortest[least])
        self.closest = ratio if self.closest is None else min(self.closest, ratio)
        if ratio < self.settings.contact:
            a, b = (chemical_symbols[z] for z in kinds[:, least])
            raise FailureError(
                f"{when}: {a} and {b} are {lengths[least]:.2f} Å apart, "
                f"{ratio:.2f} of the shortest distance in the data",
                atoms,
            )

    def lost(self, atoms: Any, when: str) -> None:
        """Fail if an atom has no neighbour within the cutoff."""
        pairs = pair_list(structure_arrays(atoms), self.model.cutoff)
        alone = np.flatnonzero(np.bincount(pairs.i, minlength=len(atoms)) == 0)
        if len(alone):
            raise FailureError(
                f"{when}: {atoms.symbols[alone[0]]} atom {alone[0] + 1} is lost, without "
                f"a neighbour within {self.model.cutoff:g} Å",
                atoms,
            )

    def deviation(self, atoms: Any, when: str) -> None:
        """Fail if the standard deviation of the energy is beyond its alarm."""
        if not self._has_std:
            return
        predicted = self.model.predict(
            atoms, forces=False, stress=False, std="energy", observation=False
        )
        assert predicted.energy_std is not None
        std = predicted.energy_std / len(atoms)
        self.std = std if self.std is None else max(self.std, std)
        if self._alarmed and std > self.settings.alarm:
            raise FailureError(
                f"{when}: the standard deviation of the energy is {std:.2f} eV/atom",
                atoms,
            )

    def _isolated(self, numbers: np.ndarray) -> float:
        """Return the mean energy of isolated atoms, eV/atom."""
        return sum(self.model.e0[z] for z in numbers.tolist()) / len(numbers)


def saved(model: GAPModel, failure: FailureError) -> Any:
    """Return the structure of a failure with its energy, forces and the reason."""
    from ase.calculators.singlepoint import SinglePointCalculator

    atoms = failure.frame.copy()
    atoms.info["failure"] = failure.reason
    try:
        predicted = model.predict(atoms, stress=False)
    except GapfitError:
        return atoms
    atoms.calc = SinglePointCalculator(
        atoms, energy=predicted.energy, forces=predicted.forces
    )
    return atoms


def _shares(numbers: np.ndarray) -> tuple[tuple[int, int], ...]:
    """Return the reduced composition."""
    kinds, counts = np.unique(numbers, return_counts=True)
    divisor = int(np.gcd.reduce(counts))
    return tuple(zip(kinds.tolist(), (counts // divisor).tolist(), strict=True))
