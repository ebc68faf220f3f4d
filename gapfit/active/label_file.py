"""The file of reference calculations; each is on disk before it is used."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np

from gapfit._support.archive import sync
from gapfit._support.disk import unwritable
from gapfit._support.sealed import read_sealed, write_sealed
from gapfit._support.whole_writes import append_all
from gapfit.data.extxyz_frames import frame_of_lines
from gapfit.errors import GapfitError

__all__ = ["LabelFile"]

#: Largest difference of equal positions, Å; files have eight decimals.
_SAME = 1e-6
#: Longest line with a number of atoms, bytes.
_LONGEST_COUNT = 20
_SEAL, _VERSION = "gapfit-labels", 1
_PIECE = 1 << 20


class LabelFile:
    """Labelled structures in extended XYZ.

    A sealed file beside it has the checksums of the file before and after the latest
    structure, so that a changed one is noticed.

    Reading changes nothing. A process killed while writing may leave an unfinished last
    structure, which is ignored; `append` moves it to the file `unfinished` before it
    writes the next structure.

    Parameters
    ----------
    path : Path
        The file; made by `append` if it is missing.

    Attributes
    ----------
    frames : list of ase.Atoms
        The structures in the file.

    Raises
    ------
    GapfitError
        The file is damaged or was changed; the message names frame and line if it can.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.frames: list[Any] = []
        self._end, self._checksum, self._unfinished = 0, 0, b""
        if path.exists():
            with path.open("rb") as file:
                reader = _Reader(path, file)
                self.frames.extend(reader.frames())
                self._end = file.seek(reader.end)
                self._unfinished = file.read()
            self._checksum = self._checksum_of(self._end)
            self._require_unchanged()

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def unfinished(self) -> Path:
        """File for unfinished structures of killed processes."""
        return self.path.with_name(f"{self.path.name}.unfinished")

    def append(self, atoms: Any) -> Any:
        """Write a structure, wait until it is on disk, and return it as written.

        Raises
        ------
        GapfitError
            It cannot be written; the file is unchanged.
        """
        from ase.io import write

        stream = StringIO()
        write(stream, atoms, format="extxyz")
        data = stream.getvalue().encode()
        self._move_unfinished()
        checksum = zlib.crc32(data, self._checksum)
        sizes = [[self._end, self._checksum], [self._end + len(data), checksum]]
        write_sealed(self._seal, _SEAL, _VERSION, {"sizes and checksums": sizes})
        append_all(self.path, data)
        self._end, self._checksum = self._end + len(data), checksum
        self.frames.append(_parsed(stream.getvalue()))
        return self.frames[-1]

    @property
    def _seal(self) -> Path:
        return self.path.with_name(f"{self.path.stem}.json")

    def _checksum_of(self, n_bytes: int) -> int:
        """Return the checksum of the beginning of the file."""
        checksum, rest = 0, n_bytes
        with self.path.open("rb") as file:
            while rest and (part := file.read(min(rest, _PIECE))):
                checksum, rest = zlib.crc32(part, checksum), rest - len(part)
        return checksum

    def _require_unchanged(self) -> None:
        """Refuse a file that is not as it was written."""
        if not self._seal.exists():
            return
        advice = "restore it, or start another simulation with its frames as data.train"
        content = read_sealed(self._seal, _SEAL, _VERSION, advice)
        before, after = content["sizes and checksums"]
        size = self.path.stat().st_size
        expected = after if size >= after[0] else before
        if size < expected[0] or self._checksum_of(expected[0]) != expected[1]:
            raise GapfitError(
                f"{self.path}: was changed since gapfit wrote it; {advice}"
            )

    def _move_unfinished(self) -> None:
        """Move an unfinished last structure to another file."""
        if not self._unfinished:
            return
        append_all(self.unfinished, self._unfinished)
        try:
            os.truncate(self.path, self._end)
            sync(self.path)
        except OSError as error:
            raise unwritable(self.path, error) from error
        self._unfinished = b""

    def require_same(self, number: int, atoms: Any) -> None:
        """Refuse a labelled structure that is not the expected one.

        Raises
        ------
        GapfitError
            The file belongs to another simulation.
        """
        stored = self.frames[number]
        same = np.array_equal(stored.numbers, atoms.numbers) and all(
            np.abs(a - b).max() < _SAME
            for a, b in (
                (stored.positions, atoms.positions),
                (stored.cell.array, atoms.cell.array),
            )
        )
        if not same:
            raise GapfitError(
                f"{self.path}, frame {number}: is not the structure that this simulation "
                "labels there; the file or the state was changed: start another simulation "
                "with the labelled frames as data.train"
            )


class _Reader:
    """Reads complete frames, and distinguishes an unfinished last one from damage.

    Attributes
    ----------
    end : int
        End of the last complete frame, bytes.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self._file = path, file
        self._frame = self.end = 0
        self._line = 1

    def frames(self) -> Iterator[Any]:
        """Yield all complete frames."""
        while lines := self._lines():
            self._require_alike(lines[2:])
            try:
                atoms = _parsed(b"".join(lines).decode())
            except ValueError as error:  # of the text or of its encoding
                self._refuse(f"cannot be read ({error})")
            if atoms.calc is None or not {"energy", "forces"} <= {*atoms.calc.results}:
                self._refuse("has no energy or no forces")
            yield atoms
            self._frame += 1
            self._line += len(lines)
            self.end = self._file.tell()

    def _lines(self) -> list[bytes]:
        """Return the lines of the next frame; empty if it is missing or unfinished."""
        header = self._file.readline()
        if not header.endswith(b"\n") and not header.strip(b"0123456789\0"):
            return []  # the end, or cut short
        if not header.strip().isdigit() or len(header) > _LONGEST_COUNT:
            shown = header.strip()[:60].decode(errors="replace")
            self._refuse(
                f"expected the number of atoms, found {shown!r}; the frame before it may "
                "have a wrong number of lines"
            )
        lines = [header]
        while len(lines) < int(header) + 2:
            line = self._file.readline()
            if not line.endswith(b"\n"):
                self._require_alike(lines[2:])
                return []
            lines.append(line)
        return lines

    def _require_alike(self, atoms: list[bytes]) -> None:
        """Refuse lines that do not all have the columns of the first.

        A frame with too large a number of atoms would include lines of the next one.
        """
        for n, line in enumerate(atoms, 2):
            if len(line.split()) != len(atoms[0].split()):
                self._line += n
                self._refuse("does not have the columns of the atoms before it")

    def _refuse(self, problem: str) -> NoReturn:
        raise GapfitError(
            f"{self._path}, frame {self._frame} (line {self._line}): {problem}; the file "
            "is damaged and was not changed: repair it, or start another simulation with "
            "its intact frames as data.train"
        )


def _parsed(text: str) -> Any:
    """Return the structure in the text of one frame of extended XYZ."""
    return frame_of_lines(text.removesuffix("\n").split("\n"), "structure").atoms()
