"""An ASE calculator given by its name: created when first needed, never stored."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gapfit._support.caching import WithoutCaches
from gapfit.baseline.harmless_calculators import origin_problem, refusal
from gapfit.data.frame import Frame
from gapfit.descriptors.protocol import LocalPrediction
from gapfit.errors import GapfitError, shortened

#: Environment variable that allows calculators of model files to be imported.
TRUST = "GAPFIT_TRUST_CALCULATORS"


@dataclass(frozen=True, eq=False)
class NamedCalculator(WithoutCaches):
    """A calculator that is imported and created at its first evaluation.

    Attributes
    ----------
    name : str
        ``"package.module:Name"``, a class or function that returns a calculator.
    options : mapping of str to Any
        Its keyword arguments.
    trusted : bool
        Whether the user named it. A calculator named by a model file must be among
        `gapfit.baseline.harmless_calculators.HARMLESS`, unless the environment allows any:
        importing and calling what a file names runs the code of its author. There is no
        default, so that no calculator is trusted by omission.
    table : str
        The table of the configuration that names it.
    """

    name: str
    options: Mapping[str, Any]
    trusted: bool
    table: str = "baseline"

    @property
    def title(self) -> str:
        """Name of the calculator in messages."""
        return f"[{self.table}] calculator {shortened(repr(self.name))}"

    @cached_property
    def calculator(self) -> Any:
        """The calculator.

        Raises
        ------
        GapfitError
            It cannot be imported or created, or is not to be trusted.
        """
        self._require_trust()
        module, _, name = self.name.partition(":")
        try:
            imported = importlib.import_module(module)
        except Exception as error:  # a module may fail in any way as it is imported
            raise GapfitError(
                f"{self.title}: the module {module} cannot be imported "
                f"({_reason(error)}); install the package that contains it"
            ) from error
        if not hasattr(imported, name):
            raise GapfitError(f"{self.title}: the module {module} has no {name}")
        factory = getattr(imported, name)
        try:
            calculator = factory(**self.options)
        except Exception as error:
            shown = shortened(
                ", ".join(f"{k} = {v!r}" for k, v in self.options.items())
            )
            raise GapfitError(
                f"{self.title}: cannot be created with calculator_options "
                f"{shown or '(none)'}: {_reason(error)}"
            ) from error
        if not hasattr(calculator, "get_potential_energy"):
            raise GapfitError(
                f"{self.title}: gives a {type(calculator).__name__}, not an ASE calculator"
            )
        return calculator

    def _require_trust(self) -> None:
        """Refuse an untrusted calculator before anything is imported."""
        if self.trusted or os.environ.get(TRUST) == "1":
            return
        reason = refusal(self.name, self.options) or origin_problem()
        if reason:
            raise GapfitError(
                f"{self.title}: named by a model file and not run: {reason}; if you know "
                "where the model comes from and what this does, allow it with the "
                f"environment variable {TRUST}=1"
            )

    def require(self) -> None:
        """Raise an error if the calculator cannot be imported or created."""
        _ = self.calculator

    def evaluate(self, frame: Frame, *, gradients: bool) -> LocalPrediction:
        """Return energies, forces and virial of one structure.

        The energies are those of the calculator by atom if it gives any, otherwise equal
        shares of the total; they add up to its energy. The virial, (1, 6), is NaN where it
        gives no stress. Without gradients there are neither forces nor virial.

        Raises
        ------
        GapfitError
            The calculator failed, or returned a number that is not finite.
        """
        from ase import Atoms

        calculator = self.calculator
        atoms = Atoms(
            frame.numbers, positions=frame.positions, cell=frame.cell, pbc=frame.pbc
        )
        atoms.calc = calculator
        try:
            energies = self._energies(atoms)
            forces = np.zeros((0, 3))
            virials = np.zeros((0, 6))
            if gradients:
                forces = np.array(atoms.get_forces(), dtype=float)
                stress = np.full(6, np.nan)
                if frame.has_volume:
                    stress = _stress(atoms)
                virials = -stress[None] * frame.volume
        except Exception as error:  # calculators fail in their own ways
            raise GapfitError(
                f"{self.title} failed for {frame.source}: {_reason(error)}"
            ) from error
        if not (np.isfinite(energies).all() and np.isfinite(forces).all()):
            raise GapfitError(
                f"{self.title} gave an energy or a force that is not finite for "
                f"{frame.source}"
            )
        return LocalPrediction(energies, forces, virials, np.zeros((0, 3, 3)))

    def _energies(self, atoms: Any) -> np.ndarray:
        energy, n = float(atoms.get_potential_energy()), len(atoms)
        parts = np.zeros(n)
        if "energies" in getattr(self.calculator, "implemented_properties", ()):
            parts = np.array(atoms.get_potential_energies(), dtype=float)
        return parts + (energy - parts.sum()) / n


def _stress(atoms: Any) -> np.ndarray:
    """Return the stress in Voigt order, eV/Å³; NaN where there is none."""
    from ase.calculators.calculator import PropertyNotImplementedError

    try:
        return np.array(atoms.get_stress(voigt=True), dtype=float)
    except (PropertyNotImplementedError, NotImplementedError):
        return np.full(6, np.nan)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
