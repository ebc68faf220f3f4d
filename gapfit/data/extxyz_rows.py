"""Rows of atoms of an extended XYZ frame as arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gapfit.data.extxyz import XyzError, numbers_in, shown
from gapfit.data.extxyz_header import Column

__all__ = ["HEAVIEST", "atomic_numbers", "read_rows"]

HEAVIEST = 118

_BOOLEANS = {
    **dict.fromkeys(("T", "t", "true", "True", "TRUE", "1"), True),
    **dict.fromkeys(("F", "f", "false", "False", "FALSE", "0"), False),
}


def read_rows(
    lines: Sequence[str], columns: Sequence[Column], first: int, more: bool = False
) -> dict[str, np.ndarray]:
    """Return the properties of atoms by name, (n_atoms,) or (n_atoms, size).

    Parameters
    ----------
    lines : sequence of str
        One line for each atom; at least one.
    columns : sequence of Column
        The properties.
    first : int
        Number of the first of these lines in the frame, for messages.
    more : bool
        Whether lines may have further columns.

    Raises
    ------
    XyzError
        A line with another number of columns, or a value that does not fit its type.
    """
    rows = [line.split() for line in lines]
    width = columns[-1].start + columns[-1].size
    if set(map(len, rows)) != {width}:
        _require_width(rows, width, columns, first, more)
    table = list(zip(*rows, strict=not more))
    arrays = {}
    for name, kind, start, size in columns:
        parts = table[start : start + size]
        convert = _CONVERTERS[kind]
        try:
            values = [convert(part) for part in parts]
        except (ValueError, KeyError, OverflowError):
            values = [
                _one_by_one(part, kind, f"{name} (column {start + c + 1})", first)
                for c, part in enumerate(parts)
            ]
        arrays[name] = (
            values[0] if size == 1 else np.ascontiguousarray(np.transpose(values))
        )
    return arrays


def _require_width(
    rows: Sequence[Sequence[str]],
    width: int,
    columns: Sequence[Column],
    first: int,
    more: bool,
) -> None:
    for n, row in enumerate(rows):
        if len(row) < width or (len(row) > width and not more):
            names = ", ".join(
                c.name if c.size == 1 else f"{c.name} ({c.size})" for c in columns
            )
            raise XyzError(
                f"expected {width} columns, {names}, found {len(row)}; correct the line, "
                "Properties, or the number of atoms",
                first + n,
            )


def _require_plain(part: Sequence[str]) -> None:
    """Refuse what Python takes for numbers: underscores, and digits of any script."""
    text = "".join(part)
    if "_" in text or not text.isascii():
        raise ValueError(text)


def _reals(part: Sequence[str]) -> np.ndarray:
    _require_plain(part)
    return np.array(list(map(float, part)))


def _integers(part: Sequence[str]) -> np.ndarray:
    _require_plain(part)
    return np.array(list(map(int, part)), dtype=np.int64)


def _texts(part: Sequence[str]) -> np.ndarray:
    return np.array(part, dtype=object)


def _logicals(part: Sequence[str]) -> np.ndarray:
    return np.array([_BOOLEANS[word] for word in part])


_CONVERTERS: dict[str, Callable[[Sequence[str]], np.ndarray]] = {
    "R": _reals,
    "I": _integers,
    "S": _texts,
    "L": _logicals,
}
_NOUNS = {"R": "a number", "I": "an integer", "L": "T or F"}


def _one_by_one(part: Sequence[str], kind: str, name: str, first: int) -> np.ndarray:
    """Return a column whose values need a second look; name the first bad one."""
    values: list[Any] = []
    for n, text in enumerate(part):
        value = _BOOLEANS.get(text) if kind == "L" else _number(text, kind)
        if value is None:
            cause = " (too long for its Fortran format)" if set(text) == {"*"} else ""
            raise XyzError(
                f"{shown(text)} in {name} is not {_NOUNS[kind]}{cause}; correct it",
                first + n,
            )
        values.append(value)
    return np.array(values)


def _number(text: str, kind: str) -> Any:
    values = numbers_in([text])
    if values is None or (kind == "I" and values.dtype.kind != "i"):
        return None
    return values[0] if kind == "I" else float(values[0])


def atomic_numbers(words: Sequence[Any], first: int) -> np.ndarray:
    """Return atomic numbers, (n_atoms,) int64, from symbols or numbers.

    Parameters
    ----------
    words : sequence of str or int
        Chemical symbols in any case, or atomic numbers from 0 to 118.
    first : int
        Line of the first, for messages.
    """
    lookup = {word: _atomic_number(str(word)) for word in set(words)}
    if None in lookup.values():
        n = next(n for n, word in enumerate(words) if lookup[word] is None)
        raise XyzError(
            f"{str(words[n])[:60]!r} is not a chemical symbol or atomic number; name the "
            "element alone",
            first + n,
        )
    return np.array([lookup[word] for word in words], dtype=np.int64)


def _atomic_number(word: str) -> int | None:
    from ase.data import atomic_numbers as by_symbol

    if word.isascii() and word.isdigit():
        return int(word) if len(word) <= 3 and int(word) <= HEAVIEST else None
    number: int | None = by_symbol.get(word.capitalize())
    return number
