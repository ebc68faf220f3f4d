"""Grammar of extended XYZ: the words in the second line of a frame.

The grammar is that of libAtoms/extxyz, and what ASE and QUIP write besides: values in
single quotes or braces, flags without a value, empty values, exponents with D. A word is
``key=value``; spaces may stand around the equals sign. A value is bare, quoted, or a list
in brackets, which may be nested once. Anything else is an error, never a guess.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gapfit.errors import shortened

__all__ = [
    "Word",
    "XyzError",
    "bracketed",
    "header_words",
    "numbers_in",
    "shown",
    "value_of",
]

#: Longest message, characters: keys and lines of damaged files have any length.
_LONGEST = 600
#: Words after a value that would change it: gapfit reads eV and Å alone.
_UNITS = frozenset(
    {
        *("a.u.", "au", "bohr", "nm", "gpa", "kbar", "ha", "hartree"),
        *("kcal/mol", "kj/mol", "mev", "ry", "rydberg"),
    }
)
#: Keys whose values are kept as text, though they may look like numbers.
_TEXTS = frozenset({"uid", "config_type"})
#: Keys whose nine numbers are a matrix, stored by columns.
_BY_COLUMNS = frozenset({"stress", "virial"})

_BOOLEANS = {
    **dict.fromkeys(("T", "true", "True", "TRUE"), True),
    **dict.fromkeys(("F", "false", "False", "FALSE"), False),
}

_SEPARATOR = re.compile(r"[\s,]*")
_KEY = re.compile(r'"((?:[^"\\]|\\.)*+)"|([^\s="\'{}\[\]][^\s=]*)')
_EQUALS = re.compile(r"\s*=")
_BARE = re.compile(r"\S+")
_QUOTED = {
    '"': re.compile(r'"((?:[^"\\]|\\.)*+)"'),
    "'": re.compile(r"'((?:[^'\\]|\\.)*+)'"),
    "{": re.compile(r"\{([^}]*+)\}"),
}
#: A key with its equals sign, after an equals sign and a space.
_NEXT_KEY = re.compile(
    r'\s+(?:"(?:[^"\\]|\\.)*+"|[^\s="\'{}\[\],][^\s="\'{}\[\],]*+)\s*='
)
_BRACKET = re.compile(r"[\[\]]")
_ROW = re.compile(r"\[([^\[\]]*)\]")
_ESCAPE = re.compile(r"\\(.)")
_PART = re.compile(r"[^\s,]+")
_ITEM = re.compile(r"\"[^\"]*\"|'[^']*'|[^\s,]+")
_NUMERIC_START = frozenset("+-.0123456789nNiI")
_FORTRAN = re.compile(r"([+-]?(?:\d++\.?\d*+|\.\d++))[dD]([+-]?\d++)", re.ASCII)
#: Plain comments may have any form unless they name what a structure is made of.
_MEANT = re.compile(
    r"lattice|properties|pbc|cell|energy|force|stress|virial", re.IGNORECASE
)
_NO_EQUALS = re.compile(r"\b(lattice|properties)\b\s*[:\"'\[{]", re.IGNORECASE)


class XyzError(ValueError):
    """A frame that cannot be understood.

    Parameters
    ----------
    problem : str
        The problem and its cure.
    line : int
        Line in the frame: 0 has the number of atoms, 1 the header, 2 the first atom.
    """

    def __init__(self, problem: str, line: int = 1) -> None:
        if len(problem) > _LONGEST:
            problem = f"{problem[: _LONGEST // 2]} ... {problem[-_LONGEST // 2 :]}"
        super().__init__(problem)
        self.line = line


class Word(NamedTuple):
    """The value of a key: its text, and whether brackets surround it."""

    text: str
    bracketed: bool = False


def shown(text: object) -> str:
    """Return a text for a message: quoted, and not too long."""
    return repr(shortened(str(text), 60))


def header_words(line: str) -> dict[str, Word]:
    """Return the keys of a header with their values, in order.

    A line without any ``=`` is a plain comment, the value of the key ``comment``.

    Raises
    ------
    XyzError
        The line follows no grammar, or gives a key twice.

    Examples
    --------
    >>> header_words('config_type= energy=-1.5 pbc="T T F"')["energy"].text
    '-1.5'
    """
    line = line.strip()
    if "=" not in line:
        if named := _NO_EQUALS.search(line):
            raise XyzError(
                f"the header has {named[1]!r} and no '='; write "
                f'{named[1]}="..." as in extended XYZ'
            )
        return {"comment": Word(line)} if line else {}
    try:
        return _Header(line).words
    except XyzError:
        if _MEANT.search(line):
            raise
        return {"comment": Word(line)}


class _Header:
    """Reads the words of one header from left to right."""

    def __init__(self, line: str) -> None:
        self._line, self._at = line, 0
        self.words: dict[str, Word] = {}
        before, loose = "", ("", "")
        while (key := self._key()) is not None:
            equals = _EQUALS.match(line, self._at)
            if equals is None:
                if before and not loose[0] and _changes_value(key):
                    loose = (before, key)
                if ":" in key and _MEANT.match(key):
                    raise XyzError(f"{shown(key)} has no '='; write key=value")
                before = ""
                self._add(key, Word("T"))
                continue
            self._at = equals.end()
            word, is_bare = self._value(key)
            before = key if is_bare else ""
            self._add(key, word)
        if loose[0] and {"lattice", "properties", "pbc"} & {
            name.lower() for name in self.words
        }:
            raise XyzError(
                f"{loose[0]}={self.words[loose[0]].text} is followed by {loose[1]!r}; "
                "quote values with spaces, and give energies in eV, lengths in Å"
            )

    def _add(self, key: str, word: Word) -> None:
        if self.words.setdefault(key, word).text != word.text:
            raise XyzError(
                f"{key} is given twice, as {shown(self.words[key].text)} and "
                f"{shown(word.text)}; remove one"
            )

    def _key(self) -> str | None:
        """Return the next key; None at the end."""
        separator = _SEPARATOR.match(self._line, self._at)
        assert separator is not None  # it may be empty
        self._at = separator.end()
        if self._at == len(self._line):
            return None
        match = _KEY.match(self._line, self._at)
        if match is None:
            raise XyzError(
                "expected key=value in the header, found "
                f"{shown(self._line[self._at :])}; quote values with spaces, quotes "
                "or brackets"
            )
        self._at = match.end()
        return match[2] or _unescaped(match[1] or "")

    def _value(self, key: str) -> tuple[Word, bool]:
        """Return the next value, and whether it is bare."""
        line, at = self._line, self._at
        if at == len(line) or _NEXT_KEY.match(line, at):
            return Word(""), False
        while line[at].isspace():
            at += 1
        opening = line[at]
        if opening == "[":
            return self._bracketed(key, at), False
        if pattern := _QUOTED.get(opening):
            match = pattern.match(line, at)
            if match is None:
                raise XyzError(
                    f"the value of {key} begins with {opening} and never ends"
                )
            self._end(key, match.end())
            return Word(match[1] if opening == "{" else _unescaped(match[1])), False
        bare = _BARE.match(line, at)
        assert bare is not None  # there is something but space
        self._end(key, bare.end())
        return Word(_bare(key, bare[0])), True

    def _bracketed(self, key: str, start: int) -> Word:
        depth = 0
        for bracket in _BRACKET.finditer(self._line, start):
            depth += 1 if bracket[0] == "[" else -1
            if not depth:
                self._end(key, bracket.end())
                return Word(self._line[start : bracket.end()], True)
        raise XyzError(f"the value of {key} begins with [ and never ends")

    def _end(self, key: str, at: int) -> None:
        """Go on behind a value, which a space or comma must follow."""
        if at < len(self._line) and not (
            self._line[at].isspace() or self._line[at] == ","
        ):
            raise XyzError(
                f"{shown(self._line[at:])} follows the value of {key} without a space"
            )
        self._at = at


def _changes_value(word: str) -> bool:
    """Return whether a word without a key may belong to the value before it."""
    return (
        word in _BOOLEANS
        or word.lower() in _UNITS
        or numbers_in([word.rstrip(",") or word]) is not None
    )


def _bare(key: str, text: str) -> str:
    name = text.partition("=")[0] if "=" in text else ""
    if '"' in text or (name and _MEANT.search(name)):
        raise XyzError(
            f"{key}={shown(text)} is not one value; give each key its own, and quote "
            'values with spaces, quotes or equals signs: key="..."'
        )
    return _unescaped(text)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(r"\1", text) if "\\" in text else text


def value_of(key: str, word: Word) -> Any:
    """Return a value as number, array, bool or text.

    Parameters
    ----------
    key : str
        Its key; a few have special forms.
    word : Word
        The value as written.

    Returns
    -------
    int, float, bool, str, list of str, ndarray or any JSON value
        Several numbers or booleans are an array, (n,) or for nested brackets (m, n); nine
        numbers of ``stress`` and ``virial`` are (3, 3).

    Examples
    --------
    >>> value_of("a", Word("1 2.5"))
    array([1. , 2.5])
    """
    if key.lower() in _TEXTS:
        return word.text
    if word.bracketed:
        return bracketed(word.text)
    value = _plain(word.text)
    if key in _BY_COLUMNS and isinstance(value, np.ndarray) and value.shape == (9,):
        return value.reshape((3, 3), order="F")
    return value


def _plain(text: str) -> Any:
    """Return the value in a text without brackets of its own."""
    parts = _PART.findall(text)
    if not parts:
        return text
    values = _array(parts)
    if values is not None:
        return values[0] if len(values) == 1 else values
    return _json(text) if text.startswith("_JSON ") else text


def _array(parts: Sequence[str]) -> np.ndarray | None:
    values = numbers_in(parts)
    if values is None and all(part in _BOOLEANS for part in parts):
        return np.array([_BOOLEANS[part] for part in parts])
    return values


def _json(text: str) -> Any:
    try:
        value = json.loads(text.removeprefix("_JSON "))
    except (ValueError, RecursionError):  # a text that only begins like JSON
        return text
    try:
        array = np.array(value)
    except (ValueError, OverflowError):  # rows of different length, large integers
        return value
    return array if array.dtype.kind in "ifb" and array.ndim else value


def bracketed(text: str) -> Any:
    """Return a list in brackets as an array; as text if its rows differ in length.

    Parameters
    ----------
    text : str
        ``[1, 2, 3]`` or ``[[1, 2], [3, 4]]``; commas or spaces separate.
    """
    rows = [_ITEM.findall(row) for row in _ROW.findall(text)]
    nested = text.count("[") > 1
    flat = [part.strip("\"'") for row in rows for part in row]
    is_regular = len({len(row) for row in rows}) == 1
    if not is_regular or not all(flat) or text.count("[") != len(rows) + nested:
        return text
    values = _array(flat) if flat else None
    if values is None:
        return text if nested else flat
    return values.reshape(len(rows), -1) if nested else values


def numbers_in(parts: Sequence[str]) -> np.ndarray | None:
    """Return numbers, (n,) int64 or float64; None if any part is not a number.

    Examples
    --------
    >>> numbers_in(["1.5D+01", "nan"])
    array([15., nan])
    """
    if not _NUMERIC_START.issuperset([part[0] for part in parts]):
        return None
    # Python's numbers may have underscores and digits of any script.
    if any("_" in part or not part.isascii() for part in parts):
        return None
    try:
        return np.array([int(part) for part in parts], dtype=np.int64)
    except (ValueError, OverflowError):
        pass
    try:
        return np.array([float(part) for part in parts])
    except ValueError:
        pass
    try:
        return np.array([_fortran(part) for part in parts])
    except ValueError:
        return None


def _fortran(text: str) -> float:
    match = _FORTRAN.fullmatch(text)
    return float(f"{match[1]}e{match[2]}" if match else text)
