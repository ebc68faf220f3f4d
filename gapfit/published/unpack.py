"""Take single files out of an archive."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import IO

from gapfit._support.archive import atomic_write
from gapfit.errors import GapfitError

__all__ = ["unpack"]


def unpack(archive: Path, patterns: Sequence[str], folder: Path) -> list[Path]:
    """Write the files of an archive whose names match, without their folders.

    Parameters
    ----------
    archive : Path
        A zip or tar file.
    patterns : sequence of str
        Patterns of the names in the archive, as in a shell; `*` also stands for slashes.
    folder : Path
        Where they are written; files of these names are replaced.

    Returns
    -------
    list of Path
        The files, in the order of the archive.

    Raises
    ------
    GapfitError
        The archive cannot be read, or nothing in it matches.
    """
    written = []
    try:
        for name, content in _members(archive, patterns):
            path = folder / PurePosixPath(name).name
            with atomic_write(path) as temporary, temporary.open("wb") as file:
                shutil.copyfileobj(content, file)
            written.append(path)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError) as error:
        raise GapfitError(
            f"{archive}: is no sound archive ({error}); remove it and get it again"
        ) from error
    if not written:
        raise GapfitError(
            f"{archive}: has no file {' or '.join(patterns)}; unpack it by hand"
        )
    return written


def _members(archive: Path, patterns: Sequence[str]) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield names and contents of the files that match; not those macOS adds."""

    def matches(name: str) -> bool:
        hidden = PurePosixPath(name).name.startswith(".")
        return not hidden and any(fnmatchcase(name, pattern) for pattern in patterns)

    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                if not info.is_dir() and matches(info.filename):
                    yield info.filename, opened.open(info)
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isfile() else None
            if content is not None and matches(member.name):
                yield member.name, content
