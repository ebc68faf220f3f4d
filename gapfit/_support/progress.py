"""Callbacks that report the progress of long work."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = [
    "Progress",
    "note",
    "silence",
    "silent",
]

_logger = logging.getLogger("gapfit")

#: Called as progress(stage, done, total).
Progress = Callable[[str, int, int], None]


def silent(stage: str, done: int, total: int) -> None:
    """Do nothing: a progress callback that reports nothing."""


def note(notes: list[str], text: str) -> None:
    """Append a note to a list and log it as a warning."""
    notes.append(text)
    _logger.warning(text)


@contextmanager
def silence(name: str) -> Iterator[None]:
    """Keep what a logger would write in the block out of the log."""

    def reject(record: logging.LogRecord) -> bool:
        return False

    logger = logging.getLogger(name)
    logger.addFilter(reject)
    try:
        yield
    finally:
        logger.removeFilter(reject)
