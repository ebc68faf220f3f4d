"""Commands of LAMMPS that use an exported model, with what LAMMPS itself computes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gapfit.errors import GapfitError

if TYPE_CHECKING:
    from gapfit.config.sections import D3Config
    from gapfit.model.gap_model import GAPModel

__all__ = ["NO_ELEMENT", "has_overlays", "lammps_commands", "require_overlays"]

#: Range of the direct part of Ewald's sum, Å, and its accuracy in LAMMPS.
_COULOMB_CUTOFF, _ACCURACY = 10.0, 1e-9
#: Bits of the table of that part: a finer table is nearer to the function than what LAMMPS
#: computes without one.
_TABLE_BITS = 16
#: Density that no solid exceeds, 1/Å³, and LAMMPS's skin and default number of neighbours.
_DENSITY, _SKIN, _NEIGHBOURS = 0.2, 2.0, 2000
#: In place of an element, a type that a style leaves to others.
NO_ELEMENT = "NULL"
#: Names of dampings in LAMMPS.
_DAMPINGS = {"bj": "bj", "zero": "original", "bjm": "bjm", "zerom": "zerom"}
_REVISED = "b-lyp b-p b2-plyp b3-lyp b97-d lc-wpbe pbe pbe0"
#: Functionals that ``pair_style dispersion/d3`` has parameters of, by damping: those of
#: 22 Jul 2025, whose energies are those of simple-dftd3, and r2scan, which came later. Not
#: bop: in ``pair_style hybrid/overlay`` that would begin the style of this name.
_FUNCTIONALS = {
    "bj": "b-lyp b-p b1b95 b2-plyp b2gp-plyp b3-lyp b3-lyp/6-31gd b3pw91 b97-d bh-lyp bmk "
    "bpbe cam-b3lyp dsd-blyp dsd-blyp-fc hcth120 hf hf/minis hf/mixed hf/sv hf3c hf3cv "
    "hse06 hsesol lc-wpbe mpw1b95 mpwlyp o-lyp opbe otpss pbe pbe0 pbeh-3c pbesol ptpss "
    "pw1pw pw6b95 pwb6k pwgga pwpb95 r2scan revpbe revpbe0 revpbe38 revssb rpbe rpw86-pbe "
    "ssb tpss tpss0 tpssh",
    "zero": "b-lyp b-p b1b95 b2-plyp b2gp-plyp b3-lyp b3pw91 b97-d bh-lyp bmk bpbe "
    "cam-b3lyp hcth120 hf hse06 lc-wpbe m05 m052x m06 m062x m06hf m06l mpw1b95 mpwb1k "
    "mpwlyp o-lyp o-pbe otpss pbe pbe0 pbe38 pbesol ptpss pw6b95 pwb6k pwpb95 revpbe "
    "revpbe0 revpbe38 revssb rpbe rpw86-pbe slater-dirac-exchange ssb tpss tpss0 tpssh",
    "bjm": _REVISED,
    "zerom": _REVISED,
}


def has_overlays(model: GAPModel) -> bool:
    """Return whether LAMMPS must add dispersion or charges to the exported model."""
    baseline = model.config.baseline
    return bool(baseline.d3 or baseline.charges)


def require_overlays(model: GAPModel) -> None:
    """Raise an error if LAMMPS does not know the dispersion of a model.

    Raises
    ------
    GapfitError
        It has no parameters of the functional.
    """
    if d3 := model.config.baseline.d3:
        _functional(d3)


def lammps_commands(
    model: GAPModel,
    file: str,
    symbols: Sequence[str] | None = None,
    options: str = "",
) -> list[str]:
    """Return the commands from ``pair_style`` on; ``units metal`` must come before.

    Dispersion and point charges of the baseline are those of LAMMPS, overlaid: they are not
    in the exported file. With charges, atoms need them: ``atom_style charge``.

    Parameters
    ----------
    model : GAPModel
        The potential.
    file : str
        The exported file.
    symbols : sequence of str, optional
        Element of each atom type; by default all species of the model, by atomic number.
        Types that are ``"NULL"`` are left to other styles, and keep the charges they have.
    options : str
        Options of ``pair_style gapfit``.

    Raises
    ------
    GapfitError
        An element that the model does not know, a type without element beside dispersion,
        which LAMMPS computes for all types or none, or LAMMPS has no parameters of the
        functional.
    """
    from ase.data import chemical_symbols

    known = [str(chemical_symbols[z]) for z in model.species]
    symbols = known if symbols is None else symbols
    _require_known(symbols, known, dispersion=bool(model.config.baseline.d3))
    types, baseline = " ".join(symbols), model.config.baseline
    style = " ".join(["gapfit", *options.split()])
    if not has_overlays(model):
        return [f"pair_style {style}", f"pair_coeff * * {file} {types}"]
    styles, commands = [style], [f"pair_coeff * * gapfit {file} {types}"]
    if d3 := baseline.d3:
        styles.append(
            f"dispersion/d3 {_DAMPINGS[d3.damping]} {_functional(d3)} {d3.r_cut:g} "
            f"{d3.cn_r_cut:g}"
        )
        commands.append(f"pair_coeff * * dispersion/d3 {types}")
        commands += _room_for_neighbours(d3.r_cut)
    if baseline.charges:
        styles.append(f"coul/long {_COULOMB_CUTOFF:g}")
        commands += [
            "pair_coeff * * coul/long",
            f"pair_modify table {_TABLE_BITS}",
            f"kspace_style ewald {_ACCURACY:g}",
        ]
        commands += [
            f"set type {number} charge {baseline.charges[symbol]!r}"
            for number, symbol in enumerate(symbols, start=1)
            if symbol != NO_ELEMENT
        ]
    return [f"pair_style hybrid/overlay {' '.join(styles)}", *commands]


def _require_known(
    symbols: Sequence[str], known: Sequence[str], *, dispersion: bool
) -> None:
    """Refuse types that cannot be what they are said to be."""
    for number, symbol in enumerate(symbols, start=1):
        if symbol == NO_ELEMENT:
            if dispersion:
                raise GapfitError(
                    f"atom type {number} is NULL, but pair_style dispersion/d3 of LAMMPS "
                    "needs an element for each type; give it one, or use a model without "
                    "dispersion"
                )
        elif symbol not in known:
            raise GapfitError(
                f"atom type {number} is {symbol}, which the model does not know; it has "
                f"{', '.join(known)}, and NULL is for types of other styles"
            )


def _room_for_neighbours(r_cut: float) -> list[str]:
    """Return the command for lists of more neighbours than LAMMPS expects."""
    most = _DENSITY * 4 / 3 * math.pi * (r_cut + _SKIN) ** 3
    if most <= _NEIGHBOURS:
        return []
    thousands = math.ceil(most / 1000)
    return [f"neigh_modify one {thousands}000 page {thousands}0000"]


def _functional(config: D3Config) -> str:
    """Return the name of a functional in LAMMPS, which has hyphens in some."""
    known = _FUNCTIONALS[config.damping].split()
    wanted = config.functional.lower()
    same = [n for n in known if n.replace("-", "") == wanted.replace("-", "")]
    if not same:
        raise GapfitError(
            f"pair_style dispersion/d3 of LAMMPS has no parameters of functional = "
            f"{config.functional!r} with damping = {config.damping!r}; it has "
            f"{', '.join(known)}; use gapfit's ASE calculator or i-PI instead"
        )
    return same[0]
