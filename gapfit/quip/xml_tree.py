"""XML documents as trees, read defensively.

A file cannot include others or grow in memory: documents with a DTD (entities) are
refused, and unused elements are skipped while reading.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from gapfit.errors import ModelFileError

__all__ = ["parsed"]

#: Parts that predictions do not need: the command line and the training data.
_SKIPPED = frozenset({"command_line", "XYZ_data"})
#: Largest factor by which a compressed file may grow.
_MOST_GROWTH = 50
_PIECE = 1 << 20
#: Mean size of elements must exceed this, bytes, in files with more than so many.
_SHORTEST, _FEW = 16, 10_000


def parsed(path: Path) -> Element:
    """Return the root of a document without the parts that predictions do not need.

    Parameters
    ----------
    path : Path
        The file, ``.xml`` or ``.xml.gz``.

    Raises
    ------
    ModelFileError
        The file is damaged, has a DTD, or would fill the memory.
    """
    builder = TreeBuilder()
    skipping = count = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal skipping, count
        if skipping or name in _SKIPPED:
            skipping += 1
            return
        count += 1
        if count > _FEW and count * _SHORTEST > parser.CurrentByteIndex:
            raise ModelFileError(
                f"{path}: more elements than a GAP of QUIP can have: refused"
            )
        builder.start(name, attributes)

    def end(name: str) -> None:
        nonlocal skipping
        if skipping:
            skipping -= 1
        else:
            builder.end(name)

    def text(data: str) -> None:
        if not skipping:
            builder.data(data)

    def refuse(*_: object) -> None:
        raise ModelFileError(
            f"{path}: declares a document type or entities, which no GAP of QUIP needs: "
            "refused"
        )

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        for piece in _pieces(path):
            parser.Parse(piece, False)
        parser.Parse(b"", True)
        return builder.close()
    except expat.ExpatError as error:
        raise ModelFileError(
            f"{path}: not well-formed XML, or truncated: {error}; get the file again"
        ) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ModelFileError(
            f"{path}: the compressed file is damaged or truncated ({error}); get it again"
        ) from error
    except AssertionError as error:
        raise ModelFileError(f"{path}: contains no XML elements") from error


def _pieces(path: Path) -> Iterator[bytes]:
    compressed = path.suffix == ".gz"
    most = _MOST_GROWTH * max(path.stat().st_size, _PIECE)
    with path.open("rb") as raw:
        file: BinaryIO = gzip.GzipFile(fileobj=raw) if compressed else raw  # type: ignore[assignment]
        n_bytes = 0
        while piece := file.read(_PIECE):
            n_bytes += len(piece)
            if compressed and n_bytes > most:
                raise ModelFileError(
                    f"{path}: grows to more than {most / 1e6:.0f} MB, which is unusual; "
                    "if it is a model, decompress it and read that file"
                )
            yield piece
