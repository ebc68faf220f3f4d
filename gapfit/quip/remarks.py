"""Options of a command of gap_fit without an exact counterpart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Protocol

from gapfit.errors import shortened

__all__ = ["Note", "Remark", "unknown_option"]


@dataclass(frozen=True)
class Remark:
    """One option without an exact counterpart.

    Attributes
    ----------
    option : str
        Its name; for options of a descriptor, after its number and name.
    value : str
        Its value in the command.
    text : str
        The reason, and what to do.
    changes : bool
        Whether the fit is another one than gap_fit's because of it.
    """

    option: str
    value: str
    text: str
    changes: bool = False

    def __str__(self) -> str:
        option, value = shortened(self.option), shortened(self.value)
        given = f"{option} = {value}" if value else option
        return f"{given}: {self.text}"


class Note(Protocol):
    """A function that adds a remark about an option and its value."""

    def __call__(
        self, key: str, value: str, text: str, *, changes: bool = False
    ) -> None:
        """Add a remark; `changes` as in `Remark`."""


def unknown_option(name: str, options: Iterable[str]) -> str:
    """Return the text about an option that gap_fit does not have."""
    near = get_close_matches(name[:60], list(options), n=1, cutoff=0.75)
    return "unknown to gap_fit" + (f"; did you mean {near[0]}?" if near else "")
