"""What of a command of gap_fit has no counterpart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

__all__ = ["Remark", "unknown_option"]


@dataclass(frozen=True)
class Remark:
    """One option that is not, or not exactly, what it was.

    Attributes
    ----------
    option : str
        Its name; options of a descriptor after its number and name.
    value : str
        What it was set to.
    text : str
        Why, and what to do.
    """

    option: str
    value: str
    text: str

    def __str__(self) -> str:
        given = f"{self.option} = {self.value}" if self.value else self.option
        return f"{given}: {self.text}"


def unknown_option(name: str, known: Iterable[str]) -> str:
    """Return what to say about an option that gap_fit does not have."""
    near = get_close_matches(name, list(known), n=1, cutoff=0.75)
    return "unknown to gap_fit" + (f"; did you mean {near[0]}?" if near else "")
