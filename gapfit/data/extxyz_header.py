"""Meaning of the header of an extended XYZ frame: cell, periodicity and columns."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from gapfit.data.extxyz import (
    Word,
    XyzError,
    bracketed,
    header_words,
    numbers_in,
    shown,
    value_of,
)

__all__ = ["PLAIN", "Column", "Header", "read_header"]

#: Names of columns that other programs use, by lower case.
_ALIASES = {
    **dict.fromkeys(("species", "symbols"), "species"),
    **dict.fromkeys(("pos", "positions"), "pos"),
    **dict.fromkeys(("z", "numbers"), "Z"),
}
#: Columns that ASE has under another name.
_ASE_NAMES = {"charge": "charges"}
_COUNTS = {"species": 1, "pos": 3, "Z": 1}
#: Beginnings of names of cells, and names of periodicity, without punctuation and case.
_CELLS = (
    *("box", "cell", "latt", "latvec", "simbox", "simcell", "simulation"),
    *("supercell", "unitcell"),
)
_PERIODIC = frozenset(
    {
        *("boundary", "boundaryconditions", "periodic", "periodicity"),
        "periodicboundaryconditions",
    }
)
_PUNCTUATION = re.compile(r"[\W_]+")
_COLUMNS = re.compile(r"[^\s:]+:[SIRL]:\d+(?::[^\s:]+:[SIRL]:\d+)*")
_TRUTH = {
    **dict.fromkeys(("t", "true", "1", ".true."), True),
    **dict.fromkeys(("f", "false", "0", ".false."), False),
}


class Column(NamedTuple):
    """One property of the atoms: name, type, first column and number of columns."""

    name: str
    kind: str
    start: int
    size: int


#: The columns of plain XYZ.
PLAIN = (Column("species", "S", 0, 1), Column("pos", "R", 1, 3))


@dataclass(frozen=True, eq=False)
class Header:
    """Contents of a header.

    Attributes
    ----------
    cell : (3, 3) float64 or None
        Lattice vectors as rows, Å; None when the header gives none.
    pbc : (3,) bool
        Periodic directions.
    columns : tuple of Column
        Properties of the atoms.
    more_columns : bool
        Whether rows may have further columns, as in plain XYZ.
    info : dict
        All other keys with their values.
    """

    cell: np.ndarray | None
    pbc: np.ndarray
    columns: tuple[Column, ...]
    more_columns: bool
    info: dict[str, Any]


def read_header(line: str) -> Header:
    """Return the contents of a header.

    Raises
    ------
    XyzError
        A cell, periodicity or columns that cannot be understood.
    """
    words = header_words(line)
    lattice = _reserved(words, "lattice")
    properties = _reserved(words, "properties")
    periodic = _reserved(words, "pbc")
    _refuse_nearly_reserved(words)
    cell = _cell(*lattice) if lattice else None
    if cell is None:
        cell = _other_cell(words)
    pbc = np.full(3, cell is not None)
    if periodic:
        pbc = _pbc(*periodic)
    else:
        _refuse_other_pbc(words, bool(pbc[0]))
    columns: tuple[Column, ...] = PLAIN
    if properties:
        columns = _columns(*properties)
    else:
        _refuse_other_columns(words)
    is_plain = words.keys() <= {"comment"} and not (lattice or properties or periodic)
    info = {key: value_of(key, word) for key, word in words.items()}
    return Header(cell, pbc, columns, is_plain, info)


def _reserved(words: dict[str, Word], name: str) -> tuple[str, Word] | None:
    """Take a key out of the words, in whatever case it is written."""
    keys = [key for key in words if key.lower() == name]
    if not keys:
        return None
    if len({words[key].text for key in keys}) > 1:
        raise XyzError(
            f"{' and '.join(keys)} are one key and have different values; remove one"
        )
    value = words[keys[0]]
    for key in keys:
        del words[key]
    return keys[0], value


def _refuse_nearly_reserved(words: dict[str, Word]) -> None:
    """Refuse ``Lattice:`` and the like, which would otherwise be keys of their own."""
    for key in words:
        if _PUNCTUATION.sub("", key.lower()) in ("lattice", "properties", "pbc"):
            raise XyzError(f'{key} is not a key of extended XYZ; write it as key="..."')


def _numbers(word: Word) -> np.ndarray | None:
    """Return all numbers of a value, flat; None if it is anything else."""
    text = word.text.removeprefix("_JSON ").strip()
    if text.startswith("["):
        value = bracketed(text)
        is_array = isinstance(value, np.ndarray) and value.dtype.kind in "if"
        return value.ravel().astype(float) if is_array else None
    values = numbers_in(re.findall(r"[^\s,]+", text))
    return None if values is None else values.astype(float)


def _cell(key: str, word: Word) -> np.ndarray:
    values = _numbers(word)
    if values is None or values.size not in (3, 9) or not np.isfinite(values).all():
        raise XyzError(
            f"{key}={shown(word.text)} is not a cell; give nine finite numbers in Å, the "
            f'three lattice vectors in turn: Lattice="ax ay az bx by bz cx cy cz"'
        )
    return np.diag(values) if values.size == 3 else values.reshape(3, 3)


def _other_cell(words: dict[str, Word]) -> np.ndarray | None:
    """Return the cell of a key ``cell``; refuse other keys that look like one."""
    for key, word in list(words.items()):
        name = _PUNCTUATION.sub("", key.lower())
        values = _numbers(word)
        if values is None or not values.size:
            continue
        if name == "cell":
            del words[key]
            return _cell(key, word)
        if values.size in (3, 6, 9) and (
            name.startswith(_CELLS) or get_close_matches(name, ["lattice"], cutoff=0.75)
        ):
            raise XyzError(
                f"{key}={shown(word.text)} looks like a cell, and there is no Lattice; "
                f"write it as Lattice with nine numbers in Å, or rename {key}"
            )
    return None


def _pbc(key: str, word: Word) -> np.ndarray:
    text = word.text.removeprefix("_JSON ")
    directions = [_TRUTH.get(part.lower()) for part in re.findall(r"[^\s,\[\]]+", text)]
    if len(directions) not in (1, 3) or None in directions:
        raise XyzError(
            f"{key}={shown(word.text)} is not understood; give T or F for each of the "
            'three directions: pbc="T T F"'
        )
    return np.array(directions * (3 // len(directions)), dtype=bool)


def _refuse_other_pbc(words: dict[str, Word], default: bool) -> None:
    for key, word in words.items():
        name = _PUNCTUATION.sub("", key.lower())
        if name in _PERIODIC and word.text != "":
            try:
                same = bool((_pbc(key, word) == default).all())
            except XyzError:
                same = False
            if not same:
                raise XyzError(
                    f"{key}={shown(word.text)} is not a key of extended XYZ; say which "
                    'directions are periodic with pbc="T T F"'
                )


def _refuse_other_columns(words: dict[str, Word]) -> None:
    for key, word in words.items():
        if _COLUMNS.fullmatch(word.text):
            raise XyzError(
                f"{key}={shown(word.text)} looks like a list of columns, and there is no "
                f"Properties; rename {key}"
            )


@lru_cache(maxsize=64)
def _columns(key: str, word: Word) -> tuple[Column, ...]:
    """Return the columns in a list such as ``species:S:1:pos:R:3``."""
    fields = word.text.strip().split(":")
    columns: list[Column] = []
    start = 0
    for name, kind, size in zip(fields[::3], fields[1::3], fields[2::3], strict=False):
        count = int(size) if re.fullmatch(r"[0-9]{1,6}", size) else 0
        if not name or kind not in "SIRL" or len(kind) != 1 or not count:
            raise XyzError(
                f"{key}={shown(word.text)}: '{name}:{kind}:{size}' is not name:type:number "
                "with type S, I, R or L; correct it"
            )
        alias = "" if name == "z" and kind == "R" else _ALIASES.get(name.lower(), "")
        columns.append(Column(alias or _ASE_NAMES.get(name, name), kind, start, count))
        start += count
    counts = Counter(column.name for column in columns)
    repeated = next((name for name, count in counts.items() if count > 1), None)
    if len(fields) % 3 or repeated:
        problem = (
            f"names {repeated!r} twice" if repeated else "is not name:type:number:..."
        )
        raise XyzError(f"{key}={shown(word.text)} {problem}; correct it")
    _require_structure(key, word.text, columns)
    return tuple(columns)


def _require_structure(key: str, text: str, columns: list[Column]) -> None:
    """Refuse columns without species or positions, or of the wrong size or type."""
    by_name = {column.name: column for column in columns}
    for name, size in _COUNTS.items():
        column = by_name.get(name)
        kinds = {"species": "SI", "pos": "RI", "Z": "I"}[name]
        if column and (column.size != size or column.kind not in kinds):
            raise XyzError(
                f"{key}={shown(text)}: {name} must be {name}:{kinds[0]}:{size}; correct it"
            )
    missing = [] if {"species", "Z"} & by_name.keys() else ["species:S:1"]
    missing += [] if "pos" in by_name else ["pos:R:3"]
    if missing:
        raise XyzError(
            f"{key}={shown(text)} lacks {' and '.join(missing)}; rename the columns that "
            "hold them"
        )
