"""Large values of a state as files beside it, named by their checksums.

The files of a new state are there before it replaces the old one, and those of the old one
stay until then: whenever a process is killed, the state that is there has its files.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gapfit._support.archive import atomic_write
from gapfit._support.disk import unreadable
from gapfit.errors import GapfitError

__all__ = ["attached", "loaded", "remove_others"]

# Key of a reference to a file, and the pattern of the names of all of them.
_KEY, _PATTERN = "sha256 of the file", "state-*.bin"


def attached(value: Any, folder: Path) -> Any:
    """Return plain data with the checksum of each bytes object, which a file then holds.

    Parameters
    ----------
    value : plain data and bytes, in dicts
        A state; references to files, as this function returns them, stay as they are.
    folder : Path
        Folder of the files.
    """
    if isinstance(value, bytes):
        digest = hashlib.sha256(value).hexdigest()
        path = _file(folder, digest)
        if not (path.exists() and path.read_bytes() == value):
            with atomic_write(path) as temporary:
                temporary.write_bytes(value)
        return {_KEY: digest}
    if isinstance(value, Mapping):
        return {name: attached(inner, folder) for name, inner in value.items()}
    return value


def loaded(value: Any, folder: Path, advice: str) -> Any:
    """Return a state with the bytes of its files.

    Parameters
    ----------
    value : plain data
        From `attached`.
    folder : Path
        Folder of the files.
    advice : str
        Last words of errors.

    Raises
    ------
    GapfitError
        A file is missing or damaged.
    """
    if not isinstance(value, Mapping):
        return value
    if set(value) != {_KEY}:
        return {name: loaded(inner, folder, advice) for name, inner in value.items()}
    if not re.fullmatch("[0-9a-f]{64}", str(value[_KEY])):
        raise GapfitError(f"{folder}: its state names no checksum of a file; {advice}")
    path = _file(folder, value[_KEY])
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise GapfitError(f"{path}: is missing; restore it, or {advice}") from None
    except OSError as error:
        raise unreadable(path, error) from error
    if hashlib.sha256(content).hexdigest() != value[_KEY]:
        raise GapfitError(f"{path}: is damaged; restore it, or {advice}")
    return content


def remove_others(value: Any, folder: Path) -> None:
    """Delete the files of other states than this, which `attached` has returned."""
    kept = {_file(folder, digest) for digest in _digests(value)}
    for path in folder.glob(_PATTERN):
        if path not in kept:
            path.unlink(missing_ok=True)


def _digests(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if set(value) == {_KEY}:
            yield value[_KEY]
        else:
            for inner in value.values():
                yield from _digests(inner)


def _file(folder: Path, digest: str) -> Path:
    return folder / f"state-{digest[:16]}.bin"
