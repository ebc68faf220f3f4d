"""Settings and results of stress tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gapfit.errors import GapfitError

__all__ = ["QUICK", "TESTS", "StressReport", "StressSettings", "Verdict", "outcome"]

#: Tests by name, in order, and what each does.
TESTS = {
    "data": "energies and forces of the labelled structures",
    "dimers": "two atoms, from the cutoff to 0.5 Å",
    "trimers": "three atoms, from the cutoff to 0.5 Å",
    "volume": "the crystal from half to twice its volume",
    "defects": "an atom removed, an atom added, relaxed",
    "contacts": "random structures with close contacts, relaxed",
    "hot": "dynamics from 300 K to twice the melting temperature",
    "pressure": "dynamics at -10, 0 and 10 GPa",
    "surfaces": "dynamics of slabs",
    "cluster": "dynamics of a cluster",
}
#: Steps of a quick test.
QUICK = 300
# Fewest steps that say anything about drifts.
_FEWEST_STEPS = 20


@dataclass(frozen=True)
class StressSettings:
    """How hard and how long a potential is tested.

    Attributes
    ----------
    steps : int
        Steps of the hot dynamics; the other tests take parts of it.
    seed : int
        Seed of momenta and random structures.
    temperature : float or None
        Highest temperature, K; by default twice the melting temperature estimated from
        the data.
    below : float
        Energy below that of the crystal that counts as a hole, eV/atom.
    contact : float
        Distance that counts as a collapse, over the shortest in the data.
    alarm : float
        Standard deviation of the energy that counts as a failure, eV/atom.
    n_atoms : int
        Least number of atoms of supercells.
    """

    steps: int = 2000
    seed: int = 0
    temperature: float | None = None
    below: float = 0.5
    contact: float = 0.6
    alarm: float = 0.5
    n_atoms: int = 48

    def __post_init__(self) -> None:
        if self.steps < _FEWEST_STEPS:
            raise GapfitError(
                f"steps = {self.steps}: give at least {_FEWEST_STEPS} steps of dynamics"
            )
        if self.temperature is not None and not 0 < self.temperature < np.inf:
            raise GapfitError(
                f"temperature = {self.temperature:g} K: give a positive one"
            )
        for name in ("below", "contact", "alarm"):
            if not 0 < getattr(self, name) < np.inf:
                raise GapfitError(
                    f"{name} = {getattr(self, name):g}: give a positive number"
                )
        if self.n_atoms < 1:
            raise GapfitError(f"n_atoms = {self.n_atoms}: give a positive number")


@dataclass(frozen=True, eq=False)
class Verdict:
    """Outcome of one test.

    Attributes
    ----------
    name : str
        Name in `TESTS`.
    failure : str or None
        The first failure in plain words; None if the test was passed.
    frame : ase.Atoms or None
        The structure of the failure, with energy and forces where they are finite.
    lowest : float or None
        Lowest energy above that of the crystal, eV/atom.
    closest : float or None
        Shortest distance over the shortest in the data, least of all pairs of species.
    std : float or None
        Largest standard deviation of the energy, eV/atom; None where it was not computed.
    seconds : float
        Time that the test took, s.
    skipped : tuple of str
        Structures that the potential has no energy for, and why; they do not fail a test.
    """

    name: str
    failure: str | None = None
    frame: Any = None
    lowest: float | None = None
    closest: float | None = None
    std: float | None = None
    seconds: float = 0.0
    skipped: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return self.failure is None

    @property
    def applicable(self) -> bool:
        """Whether any structure was tried: False if all were skipped."""
        return not (self.skipped and self.passed and self.lowest is None)

    @property
    def outcome(self) -> str:
        """The verdict in a word or two."""
        return outcome(self.passed, self.applicable)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, without the frame."""
        return {
            "passed": self.passed,
            "applicable": self.applicable,
            "failure": self.failure,
            "lowest": self.lowest,
            "closest": self.closest,
            "std": self.std,
            "seconds": round(self.seconds, 3),
            "skipped": list(self.skipped),
        }


def outcome(passed: bool, applicable: bool) -> str:
    """Return a verdict in a word or two."""
    if not passed:
        return "FAILED"
    return "passed" if applicable else "not applicable"


@dataclass(frozen=True, eq=False)
class StressReport:
    """Verdicts of all tests, and the bounds that they were judged by.

    Attributes
    ----------
    digest : str
        Digest of the model, as `gapfit info` prints it.
    crystals : tuple of str
        Formulas of the crystals that were tested.
    bounds : dict
        Plain data of the bounds.
    verdicts : tuple of Verdict
        By test, in order.
    notes : tuple of str
        What was not tested, and why.
    """

    digest: str
    crystals: tuple[str, ...]
    bounds: dict[str, Any]
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def passed(self) -> bool:
        """Whether all tests were passed."""
        return all(verdict.passed for verdict in self.verdicts)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, without frames."""
        return {
            "passed": self.passed,
            "digest": self.digest,
            "crystals": list(self.crystals),
            "bounds": self.bounds,
            "tests": {verdict.name: verdict.as_dict() for verdict in self.verdicts},
            "notes": list(self.notes),
        }
