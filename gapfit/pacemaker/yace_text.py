"""Text of files ``.yace`` as plain values: the part of YAML that pacemaker writes.

Sections begin at the margin; their entries stand on lines of their own, whose values are
lists and tables in brackets. A value may go on in the next lines.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gapfit._support.foreign import MB, ForeignError, foreign_text, json_values
from gapfit.errors import shortened

__all__ = ["Section", "sections"]

#: Largest file, bytes.
_LARGEST = 64 * MB
#: Most lines of one value.
_MOST_LINES = 10_000

_SCALAR = re.compile(r"[^\s\[\]{},:\"']+")
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_REAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_ENTRY = re.compile(r"(\[[^\]]*\]|[^\s\[\]{},:]+)\s*:(?:\s+(.*))?", re.DOTALL)

#: Lines of a section: number in the file, name ("-" for an item), value or None.
Section = list[tuple[int, str, Any]]


def sections(path: Path) -> dict[str, tuple[Any, Section]]:
    """Return the value of each section, and the entries below it.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    ForeignError
        The file cannot be read, is too large, or has another form; the message names the
        line.
    """
    out: dict[str, tuple[Any, Section]] = {}
    entries: Section = []
    for number, text in _statements(foreign_text(path, _LARGEST)):
        if text[0].isspace() or text.startswith("-"):
            if not out:
                raise ForeignError(f"line {number} belongs to no section")
            entries.append((number, *_entry(number, text.strip())))
            continue
        name, value = _entry(number, text)
        if name in out or name == "-":
            raise ForeignError(f"line {number}: a second section {shortened(name, 40)}")
        entries = []
        out[name] = value, entries
    return out


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines that are not empty, each with the lines by which its brackets close."""
    parts: list[str] = []
    first = depth = 0
    for number, line in enumerate(text.split("\n"), 1):
        bare = line.partition("#")[0].rstrip()
        if not bare or bare in ("---", "..."):
            continue
        if not parts:
            first = number
        parts.append(bare)
        depth += sum(map(bare.count, "[{")) - sum(map(bare.count, "]}"))
        if depth < 0 or len(parts) > _MOST_LINES:
            raise ForeignError(f"brackets in line {first} do not match")
        if depth == 0:
            yield first, "\n".join(parts)
            parts = []
    if parts:
        raise ForeignError(
            f"the brackets that begin in line {first} are not closed: truncated?"
        )


def _entry(number: int, text: str) -> tuple[str, Any]:
    """Return the name and the value of an entry; "-" is the name of items."""
    if text.startswith("-"):
        return "-", _value(number, text[1:])
    match = _ENTRY.fullmatch(text)
    if match is None:
        if text[0] in "[{":
            return "-", _value(number, text)
        raise ForeignError(
            f"line {number}: no entry `name: value`: {shortened(text, 40)}"
        )
    return match[1].replace(" ", ""), _value(number, match[2] or "")


def _value(number: int, text: str) -> Any:
    """Return a value in brackets, or one word."""
    if not text.strip():
        return None
    try:
        return json_values(_SCALAR.sub(_as_json, text))
    except ForeignError as error:
        reason = str(error).removeprefix("not valid JSON: ")
        raise ForeignError(f"line {number}: {reason}") from None


def _as_json(match: re.Match[str]) -> str:
    word = match[0]
    if _JSON_NUMBER.fullmatch(word):
        return word
    if _REAL.fullmatch(word) and len(word) < 40 and math.isfinite(float(word)):
        return repr(float(word))
    return json.dumps(word)
