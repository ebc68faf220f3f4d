"""The errors gapfit raises for its users."""

from __future__ import annotations

from gapfit.faq import address_of

__all__ = [
    "ConfigError",
    "DataError",
    "GapfitError",
    "LeftOutError",
    "LostDigitsError",
    "ModelFileError",
    "PosteriorError",
    "StructureError",
    "bounded",
    "printable",
    "shortened",
]

#: Most lines of a message, and most characters of one line.
_MOST_LINES, _LONGEST_LINE = 10, 1000


def printable(text: str) -> str:
    r"""Return a text in which escapes stand for control characters and lone surrogates.

    Examples
    --------
    >>> print(printable("a\nb\x1b[2J"))
    a\nb\x1b[2J
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )


def shortened(text: str, most: int = 120) -> str:
    """Return a text in no more than `most` characters, all printable."""
    text = printable(text[: most + 1])
    return text if len(text) <= most else f"{text[: most - 3]}..."


def bounded(message: str) -> str:
    """Return a message of few lines of printable characters, none of them very long.

    Names and values from foreign files can make messages of any length.
    """
    lines = message.split("\n")
    if len(lines) > _MOST_LINES:
        head, n_left_out = lines[: _MOST_LINES - 2], len(lines) - _MOST_LINES + 1
        lines = [*head, f"... ({n_left_out} more lines)", lines[-1]]
    return "\n".join(map(_bounded_line, lines))


def _bounded_line(line: str) -> str:
    if len(line) > _LONGEST_LINE:
        half = _LONGEST_LINE // 2
        line = f"{line[:half]} ... {line[-half:]}"
    return printable(line)


class GapfitError(ValueError):
    """Base of all errors that a user can cause and fix.

    The message says what is wrong, the value, where it came from and what to do, in at most
    ten lines. If the FAQ has more, a note says where.
    """

    def __init__(self, message: object = "") -> None:
        text = bounded(str(message))
        super().__init__(text)
        if address := address_of(text):
            self.add_note(f"see {address}")


class ConfigError(GapfitError):
    """A configuration that cannot be used; the message lists all problems."""


class DataError(GapfitError):
    """Reference data that cannot be fitted; the message names file and frame."""


class StructureError(GapfitError):
    """A structure that the model cannot predict: unknown species or overlapping atoms."""


class LostThroughBoundaryError(StructureError):
    """A simulation whose atoms left its box where that is open."""


class ModelFileError(GapfitError):
    """A model file that is damaged, not gapfit's, or from a newer version."""


class LostDigitsError(GapfitError):
    """Normal equations that are not positive definite to working precision."""


class PosteriorError(GapfitError):
    """A posterior that rounding has spoilt: it gives no standard deviations."""


class LeftOutError(GapfitError):
    """A training structure that cannot be left out; the message names it."""
