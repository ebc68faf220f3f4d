"""Small JSON files with format, version and checksum: a damaged one is refused."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gapfit._support.archive import atomic_write
from gapfit._support.disk import in_short, unreadable
from gapfit._support.foreign import file_size, json_values
from gapfit.errors import GapfitError, shortened

__all__ = ["read_sealed", "write_sealed"]

#: Most bits of integers: states of random generators have 128 and no sign.
_BITS = 129
#: Most values: states of simulations have positions and velocities.
_MOST = 10**8


def write_sealed(
    path: Path, kind: str, version: int, content: Mapping[str, Any]
) -> None:
    """Write plain data to a file, atomically.

    Parameters
    ----------
    path : Path
        The file.
    kind : str
        Name of the format.
    version : int
        Version of the format.
    content : mapping
        Plain data with text as keys.
    """
    text = json.dumps(content)
    head = json.dumps({"format": kind, "version": version, "crc32": _sum(text)})
    with atomic_write(path) as temporary:
        temporary.write_text(f'{head[:-1]},\n"content": {text}}}\n', encoding="utf-8")


def read_sealed(path: Path, kind: str, version: int, advice: str) -> dict[str, Any]:
    """Return the content of a file written by `write_sealed`.

    Parameters
    ----------
    path : Path
        The file.
    kind, version : str, int
        Format and version that it must have.
    advice : str
        Last words of the error.

    Raises
    ------
    GapfitError
        The file cannot be read, is damaged, or has another format or version.
    """
    try:
        file_size(path)
        whole = json_values(path.read_bytes(), bits=_BITS, most=_MOST)
        found = whole["format"], whole["version"]
        content, checksum = whole["content"], whole["crc32"]
    except OSError as error:
        raise unreadable(path, error) from error
    except Exception as error:  # damage shows in as many ways as there are bytes
        raise GapfitError(
            f"{path}: damaged or not written by gapfit ({in_short(error)}); {advice}"
        ) from error
    if found != (kind, version):
        shown = shortened(f"{found[0]!r}, version {found[1]!r}")
        raise GapfitError(
            f"{path}: is {shown}, but this gapfit reads {kind!r}, version {version}; "
            f"{advice}"
        )
    if not isinstance(content, dict) or checksum != _sum(json.dumps(content)):
        raise GapfitError(f"{path}: damaged (its checksum is another one); {advice}")
    return content


def _sum(text: str) -> int:
    return zlib.crc32(text.encode())
