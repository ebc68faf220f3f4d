"""Settings and results of the computation of crystal properties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from gapfit.errors import GapfitError
from gapfit.properties.dimer import DimerCurve
from gapfit.properties.equation_of_state import EquationOfState
from gapfit.properties.phonon_bands import Phonons
from gapfit.properties.quantities import CrystalQuantity

__all__ = ["PROPERTIES", "Curves", "Report", "Settings"]

#: Properties that can be computed; the structure always is.
PROPERTIES = (
    "structure",
    "eos",
    "elastic",
    "vacancy",
    "surface",
    "dimer",
    "phonon",
    "nve",
)


@dataclass(frozen=True)
class Settings:
    """How properties are computed.

    Attributes
    ----------
    samples : int
        Potentials drawn from the posterior for error bars; 0 for no error bars.
    seed : int
        Seed of the samples and of the momenta.
    width : float
        Least distance of opposite faces of supercells, Å.
    planes : sequence of (int, int, int), optional
        Surfaces; by default 100, 110 and 111 of cubic cells, the faces of others.
    temperature, timestep, steps : float, float, int
        Dynamics at constant energy: temperature, K; time step, fs; number of steps.
    elastic_atoms : int
        Atoms up to which lattice and elasticity have error bars: each sample needs
        (3 n_atoms)² force constants.
    """

    samples: int = 30
    seed: int = 0
    width: float = 10.0
    planes: Sequence[tuple[int, int, int]] | None = None
    temperature: float = 300.0
    timestep: float = 1.0
    steps: int = 2000
    elastic_atoms: int = 100

    def __post_init__(self) -> None:
        if self.samples < 0 or self.samples == 1:
            raise GapfitError(f"samples = {self.samples}: give 0, or at least 2")
        if not 0 < self.width < np.inf:
            raise GapfitError(f"width = {self.width:g} Å: give a positive length")


@dataclass(eq=False)
class Curves:
    """Curves for plots; None or empty where they were not computed.

    Attributes
    ----------
    volumes, energies : (n,) float64 or None
        Equation of state, Å³/atom and eV/atom.
    energies_std : (n,) float64 or None
        Standard deviation of energies relative to the lowest, eV/atom.
    fitted : EquationOfState or None
        Curve through them.
    dimers : dict of str to DimerCurve
        By pair of species: ``"Ga-As"``.
    phonons : Phonons or None
        Bands and density of states.
    """

    volumes: np.ndarray | None = None
    energies: np.ndarray | None = None
    energies_std: np.ndarray | None = None
    fitted: EquationOfState | None = None
    dimers: dict[str, DimerCurve] = field(default_factory=dict)
    phonons: Phonons | None = None


@dataclass(eq=False)
class Report:
    """Properties of one crystal.

    Attributes
    ----------
    crystal : ase.Atoms
        The relaxed structure.
    quantities : dict of str to CrystalQuantity
        By name: ``"elastic.C11"``.
    facts : dict of str to bool or int
        ``"elastic.stable"`` (Born), ``"phonon.stable"``, ``"dimer.Si-Si.repulsive"``,
        ``"dimer.Si-Si.n_dimers"`` (in the data of the fit), ``"vacancy.n_atoms"`` (of
        the larger supercell).
    curves : Curves
        Curves for plots.
    warnings : list of str
        Properties that could not be computed, and doubtful ones.
    """

    crystal: Any
    quantities: dict[str, CrystalQuantity] = field(default_factory=dict)
    facts: dict[str, bool | int] = field(default_factory=dict)
    curves: Curves = field(default_factory=Curves)
    warnings: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, with all curves."""
        return {
            "crystal": {
                "symbols": self.crystal.get_chemical_symbols(),
                "cell": self.crystal.cell[:].tolist(),
                "positions": self.crystal.positions.tolist(),
            },
            "quantities": {
                name: quantity.as_dict() for name, quantity in self.quantities.items()
            },
            "facts": self.facts,
            "curves": _plain(asdict(self.curves)),
            "warnings": self.warnings,
        }


def _plain(value: Any) -> Any:
    """Return nested data with its arrays as lists."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.tolist() if isinstance(value, np.ndarray) else value
