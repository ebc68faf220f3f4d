"""Reference calculations, and their results as labelled structures."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from gapfit.errors import GapfitError

__all__ = ["Reference", "label_errors", "single_point"]

#: Number of attempts per calculation.
_TRIES = 2


class Reference:
    """Computes energy, forces and, if available, stress.

    Parameters
    ----------
    calculator : callable
        Returns the ASE calculator; called when first needed.
    title : str
        Its name in messages.
    """

    def __init__(self, calculator: Callable[[], Any], title: str) -> None:
        self._make = calculator
        self._made: Any = None
        self.title = title

    def require(self) -> None:
        """Make the calculator; raise its error if that fails."""
        if self._made is None:
            self._made = self._make()

    def label(
        self, atoms: Any, where: str, failed: Callable[[str], None]
    ) -> dict[str, Any]:
        """Return energy (eV), forces (eV/Å) and stress (eV/Å³) of a structure.

        Forces are those of all atoms; constraints are ignored.

        Parameters
        ----------
        atoms : ase.Atoms
            The structure; it is not changed.
        where : str
            Name of the structure in messages.
        failed : callable
            Called with the reason of each failure.

        Raises
        ------
        GapfitError
            It failed twice, or returned numbers that are not finite.
        """
        reasons = []
        for _ in range(_TRIES):
            try:
                self.require()
                return _results(atoms, self._made)
            except GapfitError as error:
                reason = str(error)
            except Exception as error:  # calculators fail in their own ways
                reason = f"{type(error).__name__}: {error}"
            reasons.append(reason)
            failed(reason)
            # The next attempt must not reuse results of this one.
            if hasattr(self._made, "reset"):
                self._made.reset()
        raise GapfitError(
            f"{self.title} failed for {where}, {_TRIES} times: {reasons[-1]}; all "
            "calculations before it are saved: fix the cause and continue with --resume"
        )


def _results(atoms: Any, calculator: Any) -> dict[str, Any]:
    from ase.calculators.calculator import PropertyNotImplementedError

    structure = atoms.copy()
    structure.set_constraint()
    structure.calc = calculator
    results: dict[str, Any] = {
        "energy": float(structure.get_potential_energy()),
        "forces": np.array(structure.get_forces(), dtype=float),
    }
    if structure.pbc.all():
        with suppress(PropertyNotImplementedError, NotImplementedError):
            results["stress"] = np.array(structure.get_stress(voigt=True), dtype=float)
    for name, value in results.items():
        if not np.isfinite(value).all():
            raise GapfitError(f"values of {name} are not finite")
    return results


def single_point(
    atoms: Any,
    results: dict[str, Any],
    info: dict[str, Any] | None = None,
    arrays: dict[str, np.ndarray] | None = None,
) -> Any:
    """Return a copy of a structure with results, info and arrays."""
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator

    out = Atoms(
        atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc
    )
    out.calc = SinglePointCalculator(out, **results)
    out.info.update(info or {})
    for name, array in (arrays or {}).items():
        out.new_array(name, array)
    return out


def label_errors(label: Any) -> dict[str, float]:
    """Return the errors of the model before it learned a structure, eV/atom and eV/Å."""
    forces = label.arrays["gap_forces"] - label.calc.results["forces"]
    energy = label.info["gap_energy"] - label.calc.results["energy"]
    return {
        "energy_error": float(energy / len(label)),
        "forces_rmse": float(np.sqrt(np.mean(forces**2))),
        "forces_largest_error": float(np.abs(forces).max()),
    }
