"""Progress of long work: what is called, and what reports nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable

__all__ = [
    "Progress",
    "note",
    "silent",
]

_logger = logging.getLogger("gapfit")

#: Called as progress(stage, done, total).
Progress = Callable[[str, int, int], None]


def silent(stage: str, done: int, total: int) -> None:
    """Report no progress."""


def note(notes: list[str], text: str) -> None:
    """Keep a note and log it as a warning."""
    notes.append(text)
    _logger.warning(text)
