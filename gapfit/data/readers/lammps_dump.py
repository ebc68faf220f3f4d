"""Text dumps of LAMMPS as structures, with forces where they were dumped.

``dump custom`` has named columns. Without ``element`` the types, which count from 1, need
elements. Units are those that ``ITEM: UNITS`` names, else those given, else ``metal``.

References
----------
LAMMPS manual, https://docs.lammps.org/dump.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gapfit.data.extxyz import shown
from gapfit.data.extxyz_frames import XyzFrame
from gapfit.data.extxyz_header import Column
from gapfit.data.readers.options import UNITS, ReadOptions
from gapfit.data.readers.parts import (
    assembled,
    count,
    next_line,
    of_symbols,
    reals,
    require_volume,
    table,
    together,
    truncated,
    wrong,
)
from gapfit.data.text_lines import Lines

__all__ = ["dump_frames"]

_ITEM = "ITEM: "
#: Columns of positions, best first, and whether they are fractions of the box.
_POSITIONS = (
    (("x", "y", "z"), False),
    (("xu", "yu", "zu"), False),
    (("xs", "ys", "zs"), True),
    (("xsu", "ysu", "zsu"), True),
)
_FORCES = ("fx", "fy", "fz")
_INTEGERS = ("id", "type")
#: Names that LAMMPS gives to the units of `UNITS`.
_NAMES = {"metal": "metal", "real": "real", "electron": "atomic"}


@dataclass
class _Dump:
    """What was read of a snapshot, in its units."""

    timestep: int = 0
    units: str | None = None
    n_atoms: int = 0
    cell: np.ndarray | None = None
    origin: np.ndarray = field(default_factory=lambda: np.zeros(3))
    pbc: np.ndarray = field(default_factory=lambda: np.zeros(3, dtype=bool))


def dump_frames(lines: Lines, options: ReadOptions, path: Path) -> Iterator[XyzFrame]:
    """Yield the snapshots of a dump, atoms in the order of their ids.

    Parameters
    ----------
    lines : Lines
        The file.
    options : ReadOptions
        Its species are the elements of types 1, 2, ..., its units those of a dump that
        does not name them.
    path : Path
        Not needed.

    Raises
    ------
    XyzError
        A snapshot is damaged, or there are no elements for its types.
    """
    units: str | None = None
    dump = _Dump()
    while taken := lines.take(1):
        line = taken[0].strip()
        if not line:
            continue
        if not line.startswith(_ITEM):
            raise wrong(
                lines,
                f"expected {_ITEM.strip()} ..., found {shown(line)}; the snapshot before "
                "has more or fewer atoms than it says",
            )
        item = line.removeprefix(_ITEM)
        if not item.startswith("ATOMS"):
            _read_item(lines, item, dump)
            continue
        units = dump.units or units
        yield _frame(lines, item.split()[1:], dump, _with_units(units, options))
        dump = _Dump()
    if dump.n_atoms or dump.cell is not None:
        raise truncated(lines, "ITEM: ATOMS")


def _with_units(units: str | None, options: ReadOptions) -> ReadOptions:
    return ReadOptions(options.species, units or options.units or "metal")


def _read_item(lines: Lines, item: str, dump: _Dump) -> None:
    """Take the values below a title, other than those of atoms."""
    value = next_line(lines, f"the value of {item}")
    if item == "TIMESTEP":
        dump.timestep = _timestep(lines, value)
    elif item == "NUMBER OF ATOMS":
        dump.n_atoms = count(lines, value, "the number of atoms")
    elif item == "UNITS":
        if value.strip() not in _NAMES:
            raise wrong(
                lines,
                f"units {shown(value.strip())} are not read; dump in one of "
                f"{', '.join(_NAMES)}",
            )
        dump.units = _NAMES[value.strip()]
    elif item.startswith("BOX BOUNDS"):
        _read_box(lines, item.split()[2:], value, dump)
    elif item != "TIME":
        raise wrong(lines, f"{_ITEM}{shown(item)} is not known; correct it")


def _timestep(lines: Lines, text: str) -> int:
    word = text.strip()
    if not (word.isascii() and word.isdigit() and len(word) < 19):
        raise wrong(lines, f"expected the timestep, found {shown(word)}; correct it")
    return int(word)


def _read_box(lines: Lines, words: list[str], first: str, dump: _Dump) -> None:
    """Read the box: orthogonal, triclinic with bounds and tilts, or by its vectors."""
    kind, boundaries = words[:-3], words[-3:]
    width = {"": 2, "xy xz yz": 3, "abc origin": 4}.get(" ".join(kind))
    if width is None or len(boundaries) < 3:
        raise wrong(
            lines,
            f"{_ITEM}BOX BOUNDS {shown(' '.join(words))} is not understood; dump with a "
            "newer LAMMPS, or correct it",
        )
    rows = [reals(lines, first, width, "bounds of the box")]
    for _ in range(2):
        line = next_line(lines, "bounds of the box")
        rows.append(reals(lines, line, width, "bounds of the box"))
    values = np.array(rows)
    if width == 4:
        dump.cell, dump.origin = values[:, :3], values[:, 3]
    else:
        tilts = values[:, 2] if width == 3 else np.zeros(3)
        dump.cell, dump.origin = _box(values[:, 0], values[:, 1], tilts)
    require_volume(lines, dump.cell)
    dump.pbc = np.array([boundary == "pp" for boundary in boundaries])


def _box(
    low: np.ndarray, high: np.ndarray, tilts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors and origin of a box from the bounds of its bounding box.

    The bounds hold the tilted box: LAMMPS manual, Howto triclinic.
    """
    xy, xz, yz = tilts
    shift_low = np.array([min(0.0, xy, xz, xy + xz), min(0.0, yz), 0.0])
    shift_high = np.array([max(0.0, xy, xz, xy + xz), max(0.0, yz), 0.0])
    origin, end = low - shift_low, high - shift_high
    lx, ly, lz = end - origin
    return np.array([[lx, 0.0, 0.0], [xy, ly, 0.0], [xz, yz, lz]]), origin


def _frame(
    lines: Lines, names: list[str], dump: _Dump, options: ReadOptions
) -> XyzFrame:
    if dump.cell is None or not dump.n_atoms:
        raise wrong(
            lines,
            "the atoms come before NUMBER OF ATOMS or BOX BOUNDS; the snapshot is damaged",
        )
    kind = {"element": "S", **dict.fromkeys(_INTEGERS, "I")}
    read = {n for columns, _ in _POSITIONS for n in columns} | {*kind, *_FORCES}
    # Whatever else was dumped, of fixes and computes, is not looked at.
    columns = [
        Column(name, kind.get(name, "R") if name in read else "S", n, 1)
        for n, name in enumerate(names)
    ]
    if len(set(names)) < len(names) or not columns:
        raise wrong(lines, "the columns of atoms are not named once each; correct them")
    atoms = table(lines, dump.n_atoms, columns, "atoms")
    first = lines.number - dump.n_atoms - lines.start
    units = UNITS[options.units or "metal"]
    order = _order(lines, atoms, dump.n_atoms)
    forces = together(lines, atoms, _FORCES)
    return assembled(
        _numbers(lines, atoms, options, first)[order],
        _positions(lines, atoms, dump)[order] * units.length,
        dump.cell * units.length,
        dump.pbc,
        forces=None if forces is None else forces[order] * units.force,
        info={"timestep": np.int64(dump.timestep)},
    )


def _order(lines: Lines, atoms: dict[str, np.ndarray], n_atoms: int) -> np.ndarray:
    """Return the order of atoms by their ids; that of the file without ids."""
    if "id" not in atoms:
        return np.arange(n_atoms)
    ids = atoms["id"]
    order = np.argsort(ids, kind="stable")
    same = np.flatnonzero(np.diff(ids[order]) == 0)
    if same.size:
        raise wrong(
            lines,
            f"two atoms of the snapshot above have the id {ids[order][same[0]]}; correct "
            "one of them",
        )
    return order


def _numbers(
    lines: Lines, atoms: dict[str, np.ndarray], options: ReadOptions, first: int
) -> np.ndarray:
    if "element" in atoms:
        return of_symbols(atoms["element"].tolist(), first)
    if "type" not in atoms:
        raise wrong(
            lines,
            "the snapshot above has neither element nor type among its columns; dump one "
            "of them",
        )
    return options.numbers(atoms["type"], 1, first)


def _positions(lines: Lines, atoms: dict[str, np.ndarray], dump: _Dump) -> np.ndarray:
    """Return positions relative to the origin of the box, in the units of the dump."""
    assert dump.cell is not None
    for names, scaled in _POSITIONS:
        values = together(lines, atoms, names)
        if values is not None:
            return values @ dump.cell if scaled else values - dump.origin
    raise wrong(
        lines,
        "the snapshot above has no positions (x y z, xu yu zu, xs ys zs or xsu ysu zsu); "
        "dump them",
    )
