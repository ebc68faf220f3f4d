"""The files that CP2K writes beside a trajectory: their names, steps and errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gapfit.data.extxyz import XyzError
from gapfit.data.packed import DAMAGED, SUFFIXES
from gapfit.data.readers.parts import wrong
from gapfit.data.text_lines import Lines
from gapfit.errors import DataError

__all__ = ["beside", "naming", "require_later"]


def beside(trajectory: Path, name: str) -> Path | None:
    """Return the file of this name beside a trajectory; None if there is none.

    It may be compressed: first as the trajectory is, else not, else in another way.
    """
    own = trajectory.suffix if trajectory.suffix in SUFFIXES else ""
    for suffix in dict.fromkeys((own, "", *SUFFIXES)):
        path = trajectory.with_name(name + suffix)
        if path.is_file():
            return path
    return None


@contextmanager
def naming(path: Path, lines: Lines) -> Iterator[None]:
    """Turn errors of a file beside the trajectory into those with its name and line."""
    try:
        yield
    except XyzError as error:
        raise DataError(
            f"{path.name} (line {lines.start + error.line}): {error}"
        ) from None
    except DAMAGED as error:
        raise DataError(
            f"{path.name}: cannot be unpacked ({error}); copy it again"
        ) from None


def require_later(lines: Lines, step: int, last: int | None) -> None:
    """Refuse a step, in the line taken last, that does not come after the last one.

    CP2K goes on in the files of a run that was killed, from its last restart, and repeats
    the steps since: which cell and forces belong to which positions is then doubtful.
    """
    if last is not None and step <= last:
        repeated = f"step {step}" if step == last else f"steps {step} to {last}"
        raise wrong(
            lines,
            f"step {step} comes after step {last}, as in a run that was killed and "
            f"restarted; remove {repeated} above this line, and the same from all files "
            "of the run",
        )
