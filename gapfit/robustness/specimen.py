"""A crystal under test, with its supercell and what the tests compare with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gapfit.calculator import GAPCalculator
from gapfit.model.gap_model import GAPModel
from gapfit.robustness.bounds import Bounds
from gapfit.robustness.cells import grown
from gapfit.robustness.results import StressSettings
from gapfit.robustness.watch import Watch

__all__ = ["Specimen"]

# A step moves the fastest atoms of the hottest dynamics by this far, Å, within limits, fs.
_PATH, _STEP_LIMITS = 0.03, (0.25, 4.0)


@dataclass(frozen=True, eq=False)
class Specimen:
    """One crystal under test.

    Attributes
    ----------
    model : GAPModel
        The potential.
    crystal : ase.Atoms
        The cell as given.
    bounds : Bounds
        Bounds of the data.
    settings : StressSettings
        How the potential is tested.
    seed : int
        Seed of this test of this crystal.
    """

    model: GAPModel
    crystal: Any
    bounds: Bounds
    settings: StressSettings
    seed: int = 0

    @cached_property
    def energy(self) -> float:
        """Energy of the crystal by the potential, eV/atom."""
        predicted = self.model.predict(self.crystal, forces=False, stress=False)
        return float(predicted.energy / len(self.crystal))

    @cached_property
    def supercell(self) -> Any:
        """The crystal, repeated to the number of atoms asked for."""
        return grown(self.crystal, self.settings.n_atoms)

    @property
    def random(self) -> np.random.Generator:
        """Random numbers, the same at every call."""
        return np.random.default_rng(self.seed)

    @property
    def hottest(self) -> float:
        """Highest temperature of dynamics, K."""
        given = self.settings.temperature
        return 2 * self.bounds.melting if given is None else given

    @property
    def timestep(self) -> float:
        """Step of dynamics, fs: short enough for the lightest atom at its hottest."""
        from ase import units

        lightest = float(self.crystal.get_masses().min())
        speed = units.fs * np.sqrt(3 * units.kB * self.hottest / lightest)
        return float(np.clip(_PATH / speed, *_STEP_LIMITS))

    def calculator(self) -> GAPCalculator:
        """Return a new calculator without standard deviations."""
        return GAPCalculator(self.model, uncertainty=False)

    def watch(self, *, alarmed: bool = False) -> Watch:
        """Return what looks at the structures of one test; see `Watch` for `alarmed`."""
        return Watch(
            self.model,
            self.bounds,
            self.settings,
            self.crystal.numbers,
            self.energy,
            alarmed=alarmed,
        )
