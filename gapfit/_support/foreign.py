"""Guarded reading of files and texts that anybody may have written.

Sizes are checked before memory is taken, depth and digits are bounded, and every failure
is a `ForeignError` whose message is one line.
"""

from __future__ import annotations

import json
import math
import re
import stat
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

from gapfit.errors import shortened

__all__ = [
    "MB",
    "ForeignError",
    "UnopenedError",
    "file_size",
    "foreign_bytes",
    "foreign_text",
    "json_file",
    "json_values",
    "require_plain_values",
    "toml_values",
    "without_strings",
]

MB = 10**6

#: Largest JSON file, bytes.
_LARGEST_JSON = 32 * MB
#: Deepest nesting of tables and lists; configurations need five.
_DEEPEST = 32
#: Most parts of a dotted key.
_MOST_PARTS = 32
#: Most digits of a number; the largest float64 in full has 309.
_MOST_DIGITS = 400
#: Most values and tables of TOML and JSON: more take many seconds and much memory.
_MOST_TOML, _MOST_JSON = 50_000, 10**6
#: Most bits of an integer with its sign; NumPy has no larger ones.
_BITS = 64

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
# Strings end where tomllib ends them: two more quotes may come before the last three. One
# that never ends goes on to the end, so that no text is searched for its end twice.
_STRING_OR_COMMENT = re.compile(
    r'"""(?:[^"\\]++|\\.|"(?!""))*+(?:"""(?:"{1,2})?)?'
    r"|'''(?:[^']++|'(?!''))*+(?:'''(?:'{1,2})?)?"
    r'|"(?:[^"\\\n]++|\\[^\n])*+"?'
    r"|'[^'\n]*+'?"
    r"|#[^\n]*",
    re.DOTALL,
)
_DEEP_KEY = re.compile(
    rf"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]+(?:[ \t]*\.[ \t]*[A-Za-z0-9_-]+){{{_MOST_PARTS}}}"
)
_LONG_NUMBER = re.compile(rf"(?<![0-9_])[0-9_]{{{_MOST_DIGITS + 1}}}")


class ForeignError(ValueError):
    """A file or text that cannot be used."""

    def __init__(self, reason: str) -> None:
        super().__init__(shortened(reason, 400))


class UnopenedError(ForeignError):
    """A file that cannot be opened, or a folder, a pipe or a device.

    Attributes
    ----------
    missing : bool
        Whether there is no such file.
    """

    def __init__(self, reason: str, *, missing: bool = False) -> None:
        super().__init__(reason)
        self.missing = missing


def file_size(path: Path) -> int:
    """Return the size of a file in bytes.

    Raises
    ------
    UnopenedError
        There is no such file, or it is a folder, a pipe or a device, which may have no
        end or never answer.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise _unreadable(error) from None
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "no regular file")
        raise UnopenedError(f"is {kind}")
    return status.st_size


def foreign_bytes(path: Path, most: int) -> bytes:
    """Return the contents of a file of at most `most` bytes.

    Raises
    ------
    UnopenedError
        See `file_size`; or the file cannot be opened.
    ForeignError
        It is too large.
    """
    size = file_size(path)
    content = b""
    if size <= most:
        try:
            with path.open("rb") as file:
                # A file can be larger than it says, such as those of /proc.
                content = file.read(most + 1)
        except OSError as error:
            raise _unreadable(error) from None
        size = len(content)
    if size > most:
        raise ForeignError(
            f"is too large: it has more than the {most / MB:g} MB that such a file may have"
        )
    return content


def foreign_text(path: Path, most: int) -> str:
    """Return the text of a UTF-8 file of at most `most` bytes.

    A byte order mark is left out, and lines end with a newline alone.

    Raises
    ------
    ForeignError
        See `foreign_bytes`; or the file is not UTF-8, or has a NUL.
    """
    content = foreign_bytes(path, most)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ForeignError(
            f"the byte {content[error.start]:#04x} in line {line} is not UTF-8"
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ForeignError(f"there is a NUL in line {line}")
    return text.replace("\r\n", "\n")


def _unreadable(error: OSError | ValueError) -> UnopenedError:
    reason = getattr(error, "strerror", None) or str(error)
    missing = isinstance(error, FileNotFoundError | NotADirectoryError)
    return UnopenedError(f"cannot be opened ({reason})", missing=missing)


def _require_few(text: str, marks: str, most: int) -> None:
    """Refuse a text with more of the marks that separate and open values."""
    if sum(map(text.count, marks)) > most:
        raise ForeignError(
            f"there are more than {most} values and tables; nothing needs that"
        )


def json_values(text: str | bytes, *, bits: int = _BITS, most: int = _MOST_JSON) -> Any:
    """Return the values of a JSON text.

    Parameters
    ----------
    text : str or bytes
        The text.
    bits : int
        Most bits of an integer with its sign.
    most : int
        Most commas and brackets.

    Raises
    ------
    ForeignError
        It is not JSON in UTF-8, has too many values, gives a name twice, has a number
        that is not finite, or see `require_plain_values`.
    """
    try:
        text = text.decode() if isinstance(text, bytes) else text
        _require_few(text, ",[{", most)
        values = json.loads(
            text,
            object_pairs_hook=_distinct,
            parse_float=_finite,
            parse_constant=_finite,
        )
    except RecursionError:
        raise _too_deep() from None
    except json.JSONDecodeError as error:
        raise ForeignError(f"not valid JSON: {error}") from None
    except UnicodeDecodeError:
        raise ForeignError("not valid JSON: it is not UTF-8") from None
    except ForeignError:
        raise
    except ValueError:  # an integer of thousands of digits
        raise ForeignError(f"a number has more than {_MOST_DIGITS} digits") from None
    require_plain_values(values, bits)
    return values


def json_file(path: Path) -> Any:
    """Return the values of a JSON file.

    Raises
    ------
    ForeignError
        See `foreign_text` and `json_values`.
    """
    return json_values(foreign_text(path, _LARGEST_JSON))


def _finite(word: str) -> float:
    value = float(word)
    if not math.isfinite(value):
        raise ForeignError(f"not valid JSON: {_quoted(word)} is not a finite number")
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise ForeignError(f"not valid JSON: {_quoted(twice)} occurs twice in a table")
    return values


def toml_values(text: str) -> dict[str, Any]:
    """Return the tables of a TOML text.

    Raises
    ------
    ForeignError
        Keys or numbers are too long, there are too many values, or see
        `require_plain_values`.
    tomllib.TOMLDecodeError
        It is not TOML.
    """
    code = without_strings(text)
    # The time that tomllib takes grows with the square of these.
    for pattern, problem in (
        (_DEEP_KEY, f"a key has more than {_MOST_PARTS} parts"),
        (_LONG_NUMBER, f"a number has more than {_MOST_DIGITS} digits"),
    ):
        if match := pattern.search(code):
            line = code.count("\n", 0, match.start()) + 1
            raise ForeignError(f"{problem} in line {line}")
    _require_few(code, "=,[", _MOST_TOML)
    try:
        values = tomllib.loads(text)
    except RecursionError:
        raise _too_deep() from None
    require_plain_values(values)
    return values


def without_strings(text: str) -> str:
    """Return a TOML text of the same lines with blanks for comments and x for strings."""
    return _STRING_OR_COMMENT.sub(_mask, text)


def _mask(match: re.Match[str]) -> str:
    blank = " " if match[0].startswith("#") else "x"
    return re.sub(r"[^\n]", blank, match[0])


def require_plain_values(values: Any, bits: int = _BITS) -> None:
    """Refuse nested values that are too deep, and integers that are too large.

    Parameters
    ----------
    values : dict, list or scalar
        As from JSON or TOML.
    bits : int
        Most bits of an integer with its sign.

    Raises
    ------
    ForeignError
        The first that is found.
    """
    level: list[tuple[str, Any]] = [("", values)]
    for _ in range(_DEEPEST):
        inner: list[tuple[str, Any]] = []
        for name, value in level:
            if isinstance(value, dict):
                inner.extend((str(key), item) for key, item in value.items())
            elif isinstance(value, list | tuple):
                inner.extend((name, item) for item in value)
            elif isinstance(value, int) and not (
                -(2 ** (bits - 1)) <= value < 2 ** (bits - 1)
            ):
                raise ForeignError(
                    f"{_quoted(name)} is an integer of more than {bits} bits"
                )
        level = inner
        if not level:
            return
    raise _too_deep()


def _too_deep() -> ForeignError:
    return ForeignError(
        f"tables and lists are nested more than {_DEEPEST} deep; nothing needs that"
    )


def _quoted(name: str) -> str:
    return repr(shortened(name, 60))
