"""Temporary store of structures as read, until the labels to use are known."""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterator
from dataclasses import replace
from struct import Struct
from types import TracebackType
from typing import Any

from gapfit._support.disk import unreadable
from gapfit._support.system import read_at
from gapfit._support.whole_writes import write_all
from gapfit.data.files import RawFrame
from gapfit.data.frame_file import unnamed_file, writing_to
from gapfit.errors import DataError

__all__ = ["MOST_ATOMS", "RawSpool"]

#: Atoms in memory at a time, about 10 MB.
MOST_ATOMS = 40_000
# A frame counts as this many more.
_EACH = 50
# Before each part: its bytes and their CRC-32.
_PART = Struct("<2q")
# The file has no name.
_NAME = "temporary file of the structures"


class RawSpool:
    """Any number of structures, few of them in memory; a context manager.

    The others are pickled to an unnamed file, which no other program can write.

    Parameters
    ----------
    most_atoms : int
        Atoms held at a time.
    """

    def __init__(self, most_atoms: int = MOST_ATOMS) -> None:
        self._most_atoms = most_atoms
        self._file = unnamed_file()
        self._n_stored = self._n_parts = self._size = 0
        self._held: list[RawFrame] = []

    def __enter__(self) -> RawSpool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self._n_stored + len(self._held)

    def __iter__(self) -> Iterator[RawFrame]:
        start = 0
        for _ in range(self._n_parts):
            length, checksum = _PART.unpack(self._read(start, _PART.size))
            part = self._read(start + _PART.size, length)
            if zlib.crc32(part) != checksum:
                raise DataError(
                    f"{_NAME}: damaged on its disk; set TMPDIR to a folder on another one"
                )
            yield from pickle.loads(part)
            start += _PART.size + length
        yield from self._held

    def _read(self, start: int, length: int) -> bytes:
        data = bytearray(length)
        try:
            n_bytes = read_at(self._file.fileno(), memoryview(data), start)
        except OSError as error:
            raise unreadable(_NAME, error) from error
        return bytes(data[:n_bytes])

    def add(self, raw: RawFrame) -> None:
        """Append a structure."""
        self._held.append(raw)
        self._size += raw.frame.n_atoms + _EACH
        if self._size > self._most_atoms:
            self._store()

    def _store(self) -> None:
        try:
            part = pickle.dumps(self._held, pickle.HIGHEST_PROTOCOL)
        except Exception:  # a user may attach any object to a structure
            held = [replace(raw, labels=_plain(raw.labels)) for raw in self._held]
            part = pickle.dumps(held, pickle.HIGHEST_PROTOCOL)
        with writing_to(_NAME):
            write_all(self._file, _PART.pack(len(part), zlib.crc32(part)))
            write_all(self._file, part)
        self._n_parts += 1
        self._n_stored += len(self._held)
        self._held, self._size = [], 0


def _plain(labels: dict[str, Any]) -> dict[str, Any]:
    """Return labels with text for values that cannot be pickled, which are not numeric."""
    plain = {}
    for key, value in labels.items():
        try:
            pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        except Exception:
            value = str(value)
        plain[key] = value
    return plain
