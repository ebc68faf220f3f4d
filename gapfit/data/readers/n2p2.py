"""``input.data`` of n2p2 and RuNNer: training data of neural-network potentials.

A structure stands between ``begin`` and ``end``. The file does not name its units: by
convention Bohr and Hartree, but n2p2 takes any, so the user must say.

References
----------
n2p2 manual, https://compphysvienna.github.io/n2p2/topics/cfg_file.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gapfit.data.extxyz import shown
from gapfit.data.extxyz_frames import XyzFrame
from gapfit.data.readers.options import UNITS, ReadOptions, Units
from gapfit.data.readers.parts import (
    assembled,
    keyword,
    next_line,
    of_symbols,
    reals,
    require_volume,
    wrong,
)
from gapfit.data.text_lines import Lines

__all__ = ["n2p2_frames"]

_NEED_UNITS = (
    "the file does not name its units: give units under [data], or --units, as atomic "
    "(Bohr, Hartree: the convention) or metal (Å, eV); or first `gapfit convert FILE "
    "data.extxyz --units atomic`"
)


@dataclass
class _Structure:
    """What was read of a structure, in the units of the file."""

    cell: list[np.ndarray] = field(default_factory=list)
    symbols: list[str] = field(default_factory=list)
    positions: list[np.ndarray] = field(default_factory=list)
    forces: list[np.ndarray] = field(default_factory=list)
    first: int = 0
    energy: float | None = None
    comment: str = ""


def n2p2_frames(lines: Lines, options: ReadOptions, path: Path) -> Iterator[XyzFrame]:
    """Yield the structures of a file.

    Parameters
    ----------
    lines : Lines
        The file.
    options : ReadOptions
        Its units are those of the file.
    path : Path
        Not needed.

    Raises
    ------
    XyzError
        A structure is damaged, or the units were not given.
    """
    while taken := lines.take(1):
        words = taken[0].split()
        if not words or words[0].startswith("#"):
            continue
        if words != ["begin"]:
            raise wrong(
                lines,
                f"expected begin, found {shown(taken[0].strip())}; the structure before is "
                "damaged, or begin names columns, which only ase.io.read(..., "
                'format="runnerdata") understands',
            )
        if options.units is None:
            raise wrong(lines, _NEED_UNITS)
        yield _frame(lines, _structure(lines), UNITS[options.units])


def _structure(lines: Lines) -> _Structure:
    """Take the lines of a structure to its end."""
    found = _Structure()
    while True:
        line = next_line(lines, "end of the structure")
        key, rest = keyword(line)
        if key == "end":
            return found
        if key == "lattice":
            found.cell.append(reals(lines, rest, 3, "a lattice vector"))
        elif key == "atom":
            _read_atom(lines, rest.split(), found)
        elif key == "energy":
            if found.energy is not None:
                raise wrong(lines, "energy comes twice in a structure; remove one")
            found.energy = float(reals(lines, rest, 1, "energy")[0])
        elif key == "comment":
            found.comment = rest.strip()
        elif key and key != "charge":
            raise wrong(
                lines,
                f"{shown(key)} is no keyword of a structure (comment, lattice, atom, "
                "energy, charge, end); correct it",
            )


def _read_atom(lines: Lines, words: list[str], found: _Structure) -> None:
    """Read position, element, two unused numbers and force of an atom."""
    if len(words) != 9:
        raise wrong(
            lines,
            f"expected 9 values of an atom, x y z element charge unused fx fy fz, found "
            f"{len(words)}; correct the line",
        )
    if not found.symbols:
        found.first = lines.number - 1 - lines.start
    found.positions.append(reals(lines, " ".join(words[:3]), 3, "a position"))
    found.symbols.append(words[3])
    found.forces.append(reals(lines, " ".join(words[6:]), 3, "a force"))


def _frame(lines: Lines, found: _Structure, units: Units) -> XyzFrame:
    if not found.symbols:
        raise wrong(lines, "the structure above has no atom; remove it")
    if len(found.cell) not in (0, 3):
        raise wrong(
            lines,
            f"the structure above has {len(found.cell)} lattice vectors where 3 or none "
            "are expected; correct them",
        )
    cell = np.array(found.cell or np.zeros((3, 3))) * units.length
    if found.cell:
        require_volume(lines, cell)
    return assembled(
        of_symbols(found.symbols, found.first),
        np.array(found.positions) * units.length,
        cell,
        bool(found.cell),
        energy=None if found.energy is None else found.energy * units.energy,
        forces=np.array(found.forces) * units.force,
        info={"comment": found.comment} if found.comment else None,
    )
