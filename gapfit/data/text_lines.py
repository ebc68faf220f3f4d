"""Lines of a text file of any size, in bounded memory."""

from __future__ import annotations

import re
from typing import BinaryIO, TextIO

from gapfit.data.extxyz import XyzError

__all__ = ["Lines"]

#: Characters read at a time.
_CHUNK = 1 << 20
#: Longest line, characters.
_LONGEST = 1 << 24
#: A compressed file may expand to this multiple of what was read of it; structures, whose
#: digits are random, expand to less than a tenth of that.
_MOST_EXPANSION = 100
#: Most space at the end of a file, characters.
_MOST_BLANK = 1 << 24
_SURROGATE = re.compile("[\udc80-\udcff]")


class Lines:
    """Reads the lines of a stream one after the other, or many at a time.

    Parameters
    ----------
    stream : TextIO
        Text, decoded with surrogate escapes.
    n_bytes : int
        Size of the file.
    packed : BinaryIO, optional
        The file itself if the stream decompresses it.

    Attributes
    ----------
    number : int
        Number of the next line, from 1.
    start : int
        Number of the first line of the frame that is read; lines of errors count from it.
    """

    def __init__(
        self, stream: TextIO, n_bytes: int, packed: BinaryIO | None = None
    ) -> None:
        self.number = self.start = 1
        self._stream, self._n_bytes, self._packed = stream, n_bytes, packed
        self._lines: list[str] = []
        self._at = self._n_read = 0
        self._rest = ""
        self._ended = self._is_doubtful = self._is_open = False

    def fits(self, n_lines: int, shortest: int) -> bool:
        """Return whether the rest of the file may have so many lines.

        Parameters
        ----------
        n_lines : int
            Number of lines.
        shortest : int
            Characters of the shortest line.
        """
        expansion = _MOST_EXPANSION if self._packed else 1
        # Small excesses are found by counting, which tells how many lines there are.
        most = self._n_bytes * expansion - self._n_read + 2 * _CHUNK
        return n_lines * shortest <= most

    def take(self, count: int) -> list[str]:
        """Return the next lines without their ends; fewer at the end of the file."""
        while len(self._lines) - self._at < count and not self._ended:
            self._read()
        lines = self._lines[self._at : self._at + count]
        if self._is_doubtful:
            self._require_text(lines)
        self._at += len(lines)
        self.number += len(lines)
        return lines

    def peek(self) -> str:
        """Return the next line without taking it; empty at the end."""
        lines = self.take(1)
        self._at -= len(lines)
        self.number -= len(lines)
        return lines[0] if lines else ""

    def is_blank(self) -> bool:
        """Return whether nothing but space is left."""
        if any(map(str.strip, self._lines[self._at :])) or self._rest.strip():
            return False
        n_blank = 0
        while chunk := self._stream.read(_CHUNK):
            n_blank += len(chunk)
            if chunk.strip() or n_blank > _MOST_BLANK:
                return False
        return True

    def is_cut(self) -> bool:
        """Return whether all lines are taken, and the last has no end: it may be a part."""
        self.peek()
        return self._ended and self._at == len(self._lines) and self._is_open

    def _read(self) -> None:
        chunk = self._stream.read(_CHUNK)
        self._n_read += len(chunk)
        self._ended = not chunk
        self._is_doubtful |= not chunk.isascii()
        if (
            self._packed
            and self._n_read > _CHUNK
            and self._n_read > _MOST_EXPANSION * self._packed.tell()
        ):
            raise XyzError(
                f"the file expands to more than {_MOST_EXPANSION} times its size, which "
                "structures never do; unpack it and look at it",
                self.number - self.start,
            )
        lines = (self._rest + chunk).split("\n")
        self._rest = lines.pop()
        if self._ended and self._rest:
            lines.append(self._rest)
            self._rest, self._is_open = "", True
        if len(self._rest) > _LONGEST:
            raise XyzError(
                f"a line longer than {_LONGEST} characters; this is no file of structures",
                self.number - self.start,
            )
        self._lines = self._lines[self._at :] + lines
        self._at = 0

    def _require_text(self, lines: list[str]) -> None:
        """Refuse bytes that are not UTF-8, which decoding left as surrogates."""
        for n, line in enumerate(lines):
            if not line.isascii() and (bad := _SURROGATE.search(line)):
                raise XyzError(
                    f"the byte {ord(bad[0]) - 0xDC00:#x} is not UTF-8 text; save the file "
                    "as UTF-8, or remove the letter",
                    self.number - self.start + n,
                )
