"""Formation energy of a vacancy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gapfit.errors import GapfitError
from gapfit.properties.relax import relaxed, supercell

__all__ = ["Vacancy", "vacancy"]

# Displacement that breaks the symmetry, Å; largest force after relaxation, eV/Å.
_RATTLE, _FMAX = 0.01, 1e-3


@dataclass(frozen=True, eq=False)
class Vacancy:
    """A vacancy in an elemental crystal, at constant volume.

    Attributes
    ----------
    energy : float
        Formation energy E(N - 1) - (N - 1)/N E(N) with relaxed atoms, eV.
    unrelaxed : float
        The same with atoms at their positions in the crystal, eV.
    defect, start, bulk : ase.Atoms
        The supercell with the relaxed vacancy, with the unrelaxed vacancy, and without
        a vacancy; with their calculator.
    """

    energy: float
    unrelaxed: float
    defect: Any
    start: Any
    bulk: Any

    def parts(self, *, relaxed: bool = True) -> list[tuple[float, Any]]:
        """Return weights and structures; the weighted energies sum to `energy`."""
        return _parts(self.defect if relaxed else self.start, self.bulk)


def vacancy(
    crystal: Any,
    calculator: Any,
    *,
    width: float = 10.0,
    extra: int = 0,
    site: int = 0,
) -> Vacancy:
    """Return the formation energy of a vacancy.

    Parameters
    ----------
    crystal : ase.Atoms
        Relaxed crystal of one element.
    calculator : ase.calculators.calculator.Calculator
        A calculator with forces.
    width : float
        Least distance of opposite faces of the supercell, Å.
    extra : int
        Additional repetitions, to see the effect of the size.
    site : int
        Number of the atom of `crystal` to remove.

    Raises
    ------
    GapfitError
        The crystal is a compound, whose vacancies depend on chemical potentials; there
        is no such site; or the relaxation does not converge.
    """
    if len(set(crystal.numbers.tolist())) > 1:
        raise GapfitError(
            f"vacancies of a compound ({crystal.get_chemical_formula()}) depend on "
            "chemical potentials; only those of elements are computed"
        )
    if not 0 <= site < len(crystal):
        raise GapfitError(
            f"site = {site}: the crystal has the atoms 0 to {len(crystal) - 1}"
        )
    bulk = supercell(crystal, width, extra=extra)
    bulk.calc = calculator
    start = bulk.copy()
    del start[site]
    start.calc = calculator
    # Without this, symmetry lets the atoms around it only move in or out.
    defect = start.copy()
    defect.rattle(_RATTLE, seed=0)
    defect = relaxed(defect, calculator, cell="fixed", fmax=_FMAX)
    energy, unrelaxed = (
        sum(
            weight * atoms.get_potential_energy()
            for weight, atoms in _parts(state, bulk)
        )
        for state in (defect, start)
    )
    return Vacancy(energy, unrelaxed, defect, start, bulk)


def _parts(defect: Any, bulk: Any) -> list[tuple[float, Any]]:
    return [(1.0, defect), (-len(defect) / len(bulk), bulk)]
