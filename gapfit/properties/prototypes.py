"""Crystals by name, with a lattice constant that suits the potential."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gapfit._support.progress import note
from gapfit.calculator import GAPCalculator
from gapfit.errors import GapfitError
from gapfit.model.provenance import energies_were_fitted
from gapfit.properties.plausibility import UNKNOWN, UNSURE

__all__ = ["PROTOTYPES", "check_prototype", "prototype"]

#: Names of crystals, and whether their conventional cell is a cube.
PROTOTYPES = {
    "sc": True,
    "fcc": True,
    "bcc": True,
    "diamond": True,
    "hcp": False,
    "rocksalt": True,
    "zincblende": True,
    "cesiumchloride": True,
    "fluorite": True,
    "wurtzite": False,
}
# Example formulas of compounds; all other prototypes are elements.
_COMPOUNDS = {
    "rocksalt": "NaCl",
    "zincblende": "GaAs",
    "cesiumchloride": "CsCl",
    "fluorite": "CaF2",
    "wurtzite": "ZnS",
}

# Nearest neighbours in units of the covalent diameter: from compressed metals to crystals
# of noble gases.
_SHORTEST, _LONGEST, _TRIED = 0.75, 1.9, 70


#: Least energy by which the atoms of a crystal are bound, eV/atom.
_BOUND = 0.05
#: Standard deviations by which an energy may be worse than predicted.
_CAUTION = 2.0


class _Minimum(NamedTuple):
    """A minimum of the scan: lattice constant, Å; energy and its std, eV/atom."""

    a: float
    energy: float
    std: float

    def __str__(self) -> str:
        std = f" ± {self.std:.2f}" if self.std else ""
        return f"a = {self.a:.2f} Å ({self.energy:.2f}{std} eV/atom)"


def prototype(
    name: str,
    formula: str,
    calculator: Any,
    lattice: float | None = None,
    *,
    notes: list[str] | None = None,
) -> Any:
    """Return the conventional cell of a crystal, not relaxed.

    Parameters
    ----------
    name : str
        One of `PROTOTYPES`.
    formula : str
        ``"Si"``, or ``"NaCl"`` for a compound.
    calculator : ase.calculators.calculator.Calculator
        Calculator that determines the lattice constant: the deepest minimum of a coarse
        scan around the sum of covalent radii. For a `GAPCalculator` with error bars, two
        standard deviations are added to energies: far from its data a potential may have
        false minima.
    lattice : float, optional
        Lattice constant a, Å, instead of the scan; c/a is ideal.
    notes : list of str, optional
        A warning is added where other minima are as deep or deeper.

    Raises
    ------
    GapfitError
        The prototype is unknown or does not fit the formula, or the scan has no
        minimum, or none whose energy has a standard deviation below 1 eV/atom.
    """
    if lattice is not None:
        if not 0 < lattice < np.inf:
            raise GapfitError(f"lattice = {lattice:g} Å: give a positive length")
        return _built(name, formula, lattice)
    unit = _built(name, formula, 1.0)
    tried = np.geomspace(_SHORTEST, _LONGEST, _TRIED) * _contact(unit)
    energies = []
    for a in tried:
        atoms = _built(name, formula, float(a))
        atoms.calc = calculator
        energies.append(atoms.get_potential_energy())
    middle = np.array(energies[1:-1])
    places = np.flatnonzero((middle < energies[:-2]) & (middle < energies[2:]))
    if not len(places):
        raise GapfitError(
            f"{name} {formula}: the potential has no minimum of the energy at lattice "
            f"constants between {tried[0]:.2f} and {tried[-1]:.2f} Å; give "
            "the lattice constant (--lattice)"
        )
    minima = []
    for a, energy in zip(tried[1 + places], middle[places], strict=True):
        atoms = _built(name, formula, float(a))
        std = _energy_std(atoms, calculator) / len(atoms)
        minima.append(_Minimum(float(a), energy / len(atoms), std))
    # Far apart the atoms of a crystal are hardly bound any more.
    bound = [m for m in minima if m.energy < energies[-1] / len(unit) - _BOUND]
    best, doubt = _best(bound or minima)
    if best.std > UNKNOWN:
        raise GapfitError(_unknown(f"{name} {formula}", best, len(minima)))
    if doubt and notes is None:
        note([], f"{name} {formula}: {doubt}")
    elif doubt and notes is not None:
        notes.append(f"{name} {formula}: {doubt}")
    return _built(name, formula, best.a)


def _best(minima: Sequence[_Minimum]) -> tuple[_Minimum, str]:
    """Return the minimum that is deepest for certain, and what speaks against it."""
    best = min(minima, key=lambda minimum: minimum.energy + _CAUTION * minimum.std)
    deepest = min(minima, key=lambda minimum: minimum.energy)
    if deepest is not best:
        return best, (
            f"the deepest minimum, {deepest}, is too uncertain to be taken: it is far from "
            f"the data; {best} is taken (--lattice for another)"
        )
    others = ", ".join(str(minimum) for minimum in minima if minimum is not best)
    if others and (not best.std or best.std > UNSURE):
        return best, (
            f"{best} is taken, the deepest of several minima; others are {others}: compare "
            "with the data, and choose with --lattice"
        )
    return best, ""


def _unknown(crystal: str, best: _Minimum, n_minima: int) -> str:
    """Return why the most certain of the minima is refused."""
    which = "the only minimum" if n_minima == 1 else f"the best of {n_minima} minima"
    return (
        f"{crystal}: {which} of the energy, {best}, is far from all data of the model: "
        f"with a standard deviation above {UNKNOWN:g} eV/atom it may not exist; add such "
        "structures to the data, or start from a lattice constant that you know (gapfit "
        "properties --lattice)"
    )


def check_prototype(name: str, formula: str) -> None:
    """Refuse an unknown prototype, or a formula that does not fit it.

    Parameters
    ----------
    name, formula : str
        Arguments of `prototype`.

    Raises
    ------
    GapfitError
        The message says what is wrong, and gives an example.
    """
    if name not in PROTOTYPES:
        raise GapfitError(
            f"unknown prototype {name!r}; known are {', '.join(PROTOTYPES)}; give any "
            "other crystal as a file"
        )
    counts = _counts(formula)
    example = _COMPOUNDS.get(name)
    expected = _counts(example or "Si") or {}
    # The order of the elements is that of the sites in the cell.
    if counts is None or list(counts.values()) != list(expected.values()):
        advice = (
            f"give a compound such as {example}" if example else "give one element: Si"
        )
        reason = "" if counts else ", which is not a chemical formula"
        raise GapfitError(f"{formula!r} cannot be built as {name}{reason}: {advice}")


def _counts(formula: str) -> dict[str, int] | None:
    """Return the number of atoms of each element in a formula; None if it is invalid."""
    from ase.data import atomic_numbers
    from ase.formula import Formula

    try:
        counts: dict[str, int] = Formula(formula).count()
    except ValueError:
        return None
    valid = counts and all(atomic_numbers.get(symbol, 0) for symbol in counts)
    return counts if valid else None


def _built(name: str, formula: str, a: float) -> Any:
    from ase.build import bulk

    check_prototype(name, formula)
    return bulk(formula, name, a, cubic=PROTOTYPES[name])


def _contact(unit: Any) -> float:
    """Return the lattice constant at which covalent spheres touch, Å."""
    from ase.data import covalent_radii
    from ase.neighborlist import neighbor_list

    i, j, d = neighbor_list("ijd", unit, 1.01)
    radii = covalent_radii[unit.numbers]
    return float(((radii[i] + radii[j]) / d).max())


def _energy_std(atoms: Any, calculator: Any) -> float:
    """Return the standard deviation of the energy, eV; 0 where it says nothing.

    That is without error bars, and without energies in the fit: forces leave the energy
    of a crystal that they describe well uncertain by a constant.
    """
    if not isinstance(calculator, GAPCalculator):
        return 0.0
    model = calculator.model
    if model.posterior is None or not energies_were_fitted(model):
        return 0.0
    return float(calculator.get_property("energy_std", atoms))
