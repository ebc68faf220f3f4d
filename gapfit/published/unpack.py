"""Take single files out of an archive."""

from __future__ import annotations

import gzip
import lzma
import re
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO

from gapfit._support.archive import atomic_write
from gapfit.errors import GapfitError

__all__ = ["unpack"]

#: What Python says of archives that are damaged, locked or packed in another way.
_UNSOUND = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    gzip.BadGzipFile,
    EOFError,
    NotImplementedError,
    RuntimeError,
)


def unpack(archive: Path, patterns: Sequence[str], folder: Path) -> list[Path]:
    """Write the files of an archive whose names match, without their folders.

    Parameters
    ----------
    archive : Path
        A zip or tar file.
    patterns : sequence of str
        Patterns of the names in the archive, as in a shell; `*` also stands for slashes.
    folder : Path
        Where they are written.

    Returns
    -------
    list of Path
        The files, in the order of the archive.

    Raises
    ------
    GapfitError
        The archive cannot be read, nothing in it matches, or two files have one name.
    """
    written: dict[Path, str] = {}
    try:
        for name, content in _members(archive, patterns):
            path = folder / _base(name)
            if path in written:
                raise GapfitError(
                    f"{archive}: {written[path]} and {name} have the same name; unpack it "
                    "by hand"
                )
            with atomic_write(path) as temporary, temporary.open("wb") as file:
                shutil.copyfileobj(content, file)
            written[path] = name
    except _UNSOUND as error:
        raise GapfitError(
            f"{archive}: is no sound archive ({error}); remove it and get it again"
        ) from error
    if not written:
        raise GapfitError(
            f"{archive}: has no file {' or '.join(patterns)}; unpack it by hand"
        )
    return list(written)


def _base(name: str) -> str:
    """Return the last part of a name; Windows also divides at backslashes and colons."""
    return re.split(r"[/\\:]", name)[-1]


def _members(archive: Path, patterns: Sequence[str]) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield names and contents of the files that match; not those macOS adds."""

    def matches(name: str) -> bool:
        hidden = _base(name).startswith(".") or not _base(name)
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
