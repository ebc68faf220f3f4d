"""Line numbers of the keys and tables of a TOML text, for error messages."""

from __future__ import annotations

import re

from gapfit._support.foreign import without_strings

__all__ = ["KeyPath", "line_of", "scan"]

#: Path of a value: table names, keys, and indices of arrays of tables.
KeyPath = tuple[str | int, ...]

_KEY_PART = re.compile(r'"((?:\\.|[^"\\])*)"|\'([^\']*)\'|([A-Za-z0-9_-]+)')


def _parts(key: str) -> list[str]:
    return [double or single or bare for double, single, bare in _KEY_PART.findall(key)]


def _resolve(parts: list[str], counts: dict[KeyPath, int]) -> KeyPath:
    """Insert the index of the latest element after the name of an array of tables."""
    path: KeyPath = ()
    for part in parts:
        path = (*path, part)
        if path in counts:
            path = (*path, counts[path] - 1)
    return path


def scan(text: str) -> dict[KeyPath, int]:
    r"""Return the line, counted from 1, of every table header and key.

    Values inside inline tables and arrays are not listed; `line_of` gives the line of the
    key that contains them. The text must be valid TOML.

    Examples
    --------
    >>> lines = scan("[data]\ntrain = 'a'\n[[terms]]\n[[terms]]\nzeta = 2\n")
    >>> lines["data", "train"], lines["terms", 1, "zeta"]
    (2, 5)
    """
    masked = without_strings(text)
    lines: dict[KeyPath, int] = {}
    counts: dict[KeyPath, int] = {}
    table: KeyPath = ()
    depth = 0
    pairs = zip(text.split("\n"), masked.split("\n"), strict=True)
    for number, (line, plain) in enumerate(pairs, start=1):
        if depth == 0 and plain.lstrip().startswith("["):
            parts = _parts(line[: plain.rindex("]")])
            if plain.lstrip().startswith("[["):
                array = (*_resolve(parts[:-1], counts), parts[-1])
                counts[array] = counts.get(array, 0) + 1
                lines.setdefault(array, number)
            table = _resolve(parts, counts)
            lines.setdefault(table, number)
        elif "=" in plain or depth:
            if depth == 0:
                end = plain.index("=")
                path = table
                for part in _parts(line[:end]):
                    path = (*path, part)
                    lines.setdefault(path, number)
                plain = plain[end:]
            depth += sum(plain.count(mark) for mark in "[{")
            depth -= sum(plain.count(mark) for mark in "]}")
    return lines


def line_of(lines: dict[KeyPath, int], path: KeyPath) -> int | None:
    """Return the line of a path, or of the nearest table or key that contains it."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None
