"""Reference calculations: a calculator that is asked, and its answer as a structure."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from gapfit.errors import GapfitError

__all__ = ["Reference", "single_point"]

#: How often a calculation is tried.
_TRIES = 2


class Reference:
    """Gives energy, forces and, where it can, stress.

    Parameters
    ----------
    calculator : callable
        Makes the ASE calculator; called when first needed.
    title : str
        What messages call it.
    """

    def __init__(self, calculator: Callable[[], Any], title: str) -> None:
        self._make = calculator
        self._made: Any = None
        self.title = title

    def require(self) -> None:
        """Raise the error of a calculator that cannot be made."""
        if self._made is None:
            self._made = self._make()

    def label(
        self, atoms: Any, where: str, failed: Callable[[str], None]
    ) -> dict[str, Any]:
        """Return energy (eV), forces (eV/Å) and stress (eV/Å³) of a structure.

        Forces are those of all atoms, whatever is held by constraints.

        Parameters
        ----------
        atoms : ase.Atoms
            The structure; it is not changed.
        where : str
            What messages call it.
        failed : callable
            Told the reason of each failure.

        Raises
        ------
        GapfitError
            It failed twice, or gave numbers that are not finite.
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
            # Results of the failure must not be taken for those of the next try.
            if hasattr(self._made, "reset"):
                self._made.reset()
        raise GapfitError(
            f"{self.title} failed for {where}, {_TRIES} times: {reasons[-1]}; all "
            "calculations before it are saved: mend the cause, and go on by --resume"
        )


def _results(atoms: Any, calculator: Any) -> dict[str, Any]:
    from ase.calculators.calculator import PropertyNotImplementedError

    asked = atoms.copy()
    asked.set_constraint()
    asked.calc = calculator
    found: dict[str, Any] = {
        "energy": float(asked.get_potential_energy()),
        "forces": np.array(asked.get_forces(), dtype=float),
    }
    if asked.pbc.all():
        with suppress(PropertyNotImplementedError, NotImplementedError):
            found["stress"] = np.array(asked.get_stress(voigt=True), dtype=float)
    for name, value in found.items():
        if not np.isfinite(value).all():
            raise GapfitError(f"it gave {name} that are not finite")
    return found


def single_point(
    atoms: Any,
    results: dict[str, Any],
    info: dict[str, Any] | None = None,
    arrays: dict[str, np.ndarray] | None = None,
) -> Any:
    """Return a structure with labels, and what else is known about it and its atoms."""
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
