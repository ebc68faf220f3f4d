"""Frames in words: how many, and where."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence, Sized

from gapfit.data.frame import Frame

__all__ = ["TOTAL", "abbreviation", "count_frames", "group_name", "list_places"]

#: Name of all frames together in tables by config_type.
TOTAL = "all"

#: Places listed in a warning.
MAX_PLACES = 5


def list_places(frames: Sequence[Frame], indices: Sequence[int] | None = None) -> str:
    """Return the places of frames in words: "frames 3 and 17 of train.extxyz".

    Parameters
    ----------
    frames : sequence of Frame
        All frames.
    indices : sequence of int, optional
        Indices of the frames to list; all when absent.
    """
    if indices is None:
        indices = range(len(frames))
    shown: dict[str, list[str]] = defaultdict(list)
    for n in indices[:MAX_PLACES]:
        file, comma, index = frames[n].source.rpartition(", frame ")
        shown[file if comma else ""].append(index.removeprefix("frame "))
    texts = []
    for file, numbers in shown.items():
        listed = " and ".join(filter(None, [", ".join(numbers[:-1]), numbers[-1]]))
        of = f" of {file}" if file else ""
        texts.append(f"frame{'s' * (len(numbers) > 1)} {listed}{of}")
    extra = len(indices) - MAX_PLACES
    return ", ".join([*texts, f"{extra} more"] if extra > 0 else texts)


def count_frames(frames: Sized) -> str:
    """Return "1 frame" or "3 frames"."""
    return "1 frame" if len(frames) == 1 else f"{len(frames)} frames"


def group_name(config_type: str) -> str:
    """Return the name of a config_type in tables, which is never that of all frames.

    Examples
    --------
    >>> group_name("bulk"), group_name("all")
    ('bulk', 'all (config_type)')
    """
    return f"{TOTAL} (config_type)" if config_type == TOTAL else config_type


def abbreviation(name: str, most: int) -> str:
    """Return a name of at most `most` letters, without its middle if it is longer.

    Examples
    --------
    >>> abbreviation("interface_of_two_crystals_7", 16)
    'interface_…als_7'
    """
    if len(name) <= most:
        return name
    end = most // 3
    return f"{name[: most - end - 1]}…{name[-end:]}"
