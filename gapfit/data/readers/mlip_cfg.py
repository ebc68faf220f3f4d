"""Configurations of MLIP (moment tensor potentials): ``.cfg`` of MLIP-2 and MLIP-3.

Å, eV, eV/Å. ``PlusStress`` is what VASP calls the force on the cell, minus stress times
volume in eV: positive under compression, the virial. Its columns and those of ``AtomData``
are named, so they may come in any order. Types count from 0.

References
----------
I. S. Novikov et al., The MLIP package, Mach. Learn.: Sci. Technol. 2, 025002 (2021),
https://doi.org/10.1088/2632-2153/abc9fe
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gapfit.data.extxyz import shown
from gapfit.data.extxyz_frames import XyzFrame
from gapfit.data.extxyz_header import Column
from gapfit.data.readers.options import ReadOptions
from gapfit.data.readers.parts import (
    assembled,
    count,
    next_line,
    reals,
    require_volume,
    table,
    together,
    wrong,
)
from gapfit.data.text_lines import Lines

__all__ = ["mlip_frames"]

_CARTESIAN = ("cartes_x", "cartes_y", "cartes_z")
_DIRECT = ("direct_x", "direct_y", "direct_z")
_FORCES = ("fx", "fy", "fz")
_INTEGERS = ("id", "type")
_WORDS = ("ghost",)
#: Components of the stress in Voigt order.
_VOIGT = ("xx", "yy", "zz", "yz", "xz", "xy")
_OTHER_STRESS = ("Stress:", "Virial:", "MinusStress", "VirialStress")


@dataclass
class _Configuration:
    """What was read of a configuration."""

    n_atoms: int = 0
    cell: list[np.ndarray] = field(default_factory=list)
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    first: int = 0
    energy: float | None = None
    virial: np.ndarray | None = None
    features: dict[str, str] = field(default_factory=dict)


def mlip_frames(lines: Lines, options: ReadOptions, path: Path) -> Iterator[XyzFrame]:
    """Yield the configurations of a file.

    Parameters
    ----------
    lines : Lines
        The file.
    options : ReadOptions
        Its species are the elements of types 0, 1, ...
    path : Path
        Not needed.

    Raises
    ------
    XyzError
        A configuration is damaged, or there are no elements for its types.
    """
    while taken := lines.take(1):
        word = taken[0].strip()
        if word == "BEGIN_CFG":
            yield _frame(lines, _configuration(lines), options)
        elif word and not word.startswith("#"):
            raise wrong(
                lines,
                f"expected BEGIN_CFG, found {shown(word)}; the configuration before is "
                "damaged, or this is another format",
            )


def _configuration(lines: Lines) -> _Configuration:
    """Take the lines of a configuration to its end."""
    found = _Configuration()
    seen: set[str] = set()
    while True:
        line = next_line(lines, "END_CFG")
        words = line.split()
        if not words:
            continue
        key = words[0]
        if key == "END_CFG":
            return found
        if key not in ("Feature", "Features:") and key in seen:
            raise wrong(lines, f"{key} comes twice in a configuration; remove one")
        seen.add(key)
        _read_part(lines, key, words, found)


def _read_part(lines: Lines, key: str, words: list[str], found: _Configuration) -> None:
    """Take the values below a keyword."""
    if key == "Size":
        found.n_atoms = count(lines, next_line(lines, "Size"), "the number of atoms")
    elif key in ("Supercell", "SuperCell"):
        while len(found.cell) < 3 and _is_row_of_numbers(lines.peek()):
            line = next_line(lines, "Supercell")
            found.cell.append(reals(lines, line, 3, "a lattice vector"))
    elif key == "AtomData:":
        _read_atoms(lines, words[1:], found)
    elif key == "Energy":
        found.energy = float(reals(lines, next_line(lines, "Energy"), 1, "energy")[0])
    elif key == "PlusStress:":
        found.virial = _virial(lines, words[1:])
    elif key in _OTHER_STRESS:
        raise wrong(
            lines,
            f"{key} has a sign or unit that depends on the version of MLIP; write "
            "PlusStress: (minus stress times volume, eV) instead",
        )
    elif key == "Feature":
        found.features[" ".join(words[1:2])] = " ".join(words[2:])
    elif key == "Features:":
        next_line(lines, "Features")
    else:
        raise wrong(
            lines,
            f"{shown(key)} is no keyword of a configuration (Size, Supercell, AtomData:, "
            "Energy, PlusStress:, Feature, END_CFG); correct it",
        )


def _is_row_of_numbers(line: str) -> bool:
    return bool(line.strip()) and line.strip()[0] in "+-.0123456789"


def _read_atoms(lines: Lines, names: list[str], found: _Configuration) -> None:
    if not found.n_atoms:
        raise wrong(lines, "AtomData comes before Size; write Size first")
    if len(set(names)) < len(names) or not {"type"} <= set(names):
        raise wrong(
            lines,
            f"columns {shown(' '.join(names))} are not distinct, or lack type; correct "
            "them",
        )
    kinds = ["I" if n in _INTEGERS else "S" if n in _WORDS else "R" for n in names]
    columns = [Column(name, kinds[n], n, 1) for n, name in enumerate(names)]
    found.columns = table(lines, found.n_atoms, columns, "AtomData")
    found.first = lines.number - found.n_atoms - lines.start


def _virial(lines: Lines, names: list[str]) -> np.ndarray:
    """Return minus stress times volume in Voigt order, eV, (6,) float64."""
    if sorted(names) != sorted(_VOIGT):
        raise wrong(
            lines,
            f"PlusStress has columns {shown(' '.join(names))} where {' '.join(_VOIGT)} "
            "are expected, in any order; correct them",
        )
    values = reals(lines, next_line(lines, "PlusStress"), 6, "PlusStress")
    by_name = dict(zip(names, values, strict=True))
    return np.array([by_name[name] for name in _VOIGT])


def _frame(lines: Lines, found: _Configuration, options: ReadOptions) -> XyzFrame:
    if not found.columns:
        raise wrong(lines, "the configuration above has no AtomData; add or remove it")
    cell, pbc = np.zeros((3, 3)), np.zeros(3, dtype=bool)
    for n, vector in enumerate(found.cell):
        cell[n], pbc[n] = vector, bool(vector.any())
    stress = None
    if pbc.all():
        volume = require_volume(lines, cell)
        stress = None if found.virial is None else -found.virial / volume
    elif found.virial is not None and pbc.any():
        raise wrong(
            lines,
            f"the configuration above has PlusStress and {int(pbc.sum())} lattice vectors; "
            "remove PlusStress, or give all vectors",
        )
    return assembled(
        options.numbers(found.columns["type"], 0, found.first),
        _positions(lines, found, cell),
        cell,
        pbc,
        energy=found.energy,
        forces=together(lines, found.columns, _FORCES),
        stress=stress,
    )


def _positions(lines: Lines, found: _Configuration, cell: np.ndarray) -> np.ndarray:
    cartesian = together(lines, found.columns, _CARTESIAN)
    direct = together(lines, found.columns, _DIRECT)
    if cartesian is not None:
        return cartesian
    if direct is None or not cell.any(axis=1).all():
        raise wrong(
            lines,
            "the configuration above has neither cartes_x, cartes_y, cartes_z nor "
            "direct_x, direct_y, direct_z with a Supercell; correct AtomData",
        )
    return direct @ cell
