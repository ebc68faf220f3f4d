"""Texts that may be compressed by gzip, bzip2 or xz, which their first bytes tell."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from gapfit.data.text_lines import Lines

__all__ = ["DAMAGED", "SUFFIXES", "as_text", "opener_of", "packed_lines"]

#: Last suffixes of the names of compressed files.
SUFFIXES = (".gz", ".bz2", ".xz")
#: What damaged compressed files raise.
DAMAGED = (EOFError, OSError, lzma.LZMAError, zlib.error)
_OPENERS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_LONGEST_MAGIC = max(map(len, _OPENERS))


def opener_of(head: bytes) -> Callable[..., Any] | None:
    """Return the function that opens a file with this beginning; None if it is plain."""
    return next((o for magic, o in _OPENERS.items() if head.startswith(magic)), None)


def as_text(file: BinaryIO, opener: Callable[..., Any] | None) -> TextIO:
    """Return the text of a file, open at its beginning.

    Bytes that are not UTF-8 become surrogates, which `Lines` refuses.
    """
    return TextIOWrapper(
        opener(file, "rb") if opener else file,
        encoding="utf-8-sig",
        errors="surrogateescape",
    )


@contextmanager
def packed_lines(path: Path) -> Iterator[Lines]:
    """Open a file that may be compressed, and give its lines."""
    with path.open("rb") as binary:
        opener = opener_of(binary.read(_LONGEST_MAGIC))
        binary.seek(0)
        with as_text(binary, opener) as stream:
            yield Lines(stream, path.stat().st_size, binary if opener else None)
