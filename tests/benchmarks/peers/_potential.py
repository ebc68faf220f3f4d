"""What the comparison asks of a potential: fit, predict, and one timed turn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms

#: Energy, eV, and forces, eV/Å, of one structure.
Labels = tuple[float, np.ndarray]


@dataclass(frozen=True)
class Data:
    """One set: what is fitted, what is predicted, and what is timed.

    Attributes
    ----------
    name : str
        Of the folder.
    train, test : list of ase.Atoms
        With energies and forces.
    timed : ase.Atoms
        Structure that all potentials are timed on.
    """

    name: str
    train: list[Atoms]
    test: list[Atoms]
    timed: Atoms

    @property
    def species(self) -> list[str]:
        """Return the symbols of all elements, by atomic number."""
        pairs = {
            (int(z), symbol)
            for atoms in self.train
            for z, symbol in zip(
                atoms.numbers, atoms.get_chemical_symbols(), strict=True
            )
        }
        return [symbol for _, symbol in sorted(pairs)]


class Potential(ABC):
    """One row of the comparison.

    Attributes
    ----------
    label : str
        Program and settings.
    engine : str
        What a turn is a time of.
    uncertainty : bool
        Whether predictions come with error bars.
    size : str
        Number of functions or points, known after the fit.
    tune_cpu : float or None
        CPU seconds of choosing settings by `fit`, where it tells them apart.
    """

    label: str
    engine: str
    uncertainty: bool = False
    size: str = "-"
    tune_cpu: float | None = None

    @abstractmethod
    def fit(self, data: Data, folder: Path) -> bool:
        """Fit to the training structures; return whether there was anything to fit."""

    @abstractmethod
    def predict(self, frames: list[Atoms]) -> list[Labels]:
        """Return total energies and forces."""

    @abstractmethod
    def turn(self, atoms: Atoms) -> Callable[[], float]:
        """Return a call that measures CPU seconds of a step on one thread."""


def energy_and_forces(atoms: Atoms) -> Labels:
    """Return the labels of a structure."""
    return atoms.get_potential_energy(), atoms.get_forces()
