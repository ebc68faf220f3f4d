"""Frames in a binary file, read one at a time: data sets need not fit in memory.

The file, all numbers little-endian, each part a multiple of 8 bytes long:

- the 16 bytes of `MAGIC`;
- a record for each frame, see `gapfit.data.frame_record`;
- the index, int64: start of each record and end of the last one (n_frames + 1), atoms of
  each frame, number of the config_type of each frame, CRC-32 of each record;
- JSON: names of the config_types, the number of atoms of each species, and the name of the
  fit that the file is part of, if any;
- four int64: n_frames, start of the index, bytes of the JSON, CRC-32 of index, JSON and
  these three numbers; and `MAGIC` again, which only a complete file has.
"""

from __future__ import annotations

import json
import os
import tempfile
import weakref
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from struct import Struct
from typing import Any, BinaryIO, NoReturn, overload

import numpy as np

from gapfit._support.disk import cure
from gapfit._support.foreign import json_values
from gapfit._support.leftovers import sweep_once, temporary_file
from gapfit._support.system import (
    DATA_FLAGS,
    descriptors_have_paths,
    path_of_descriptor,
    read_at,
)
from gapfit._support.whole_writes import write_all
from gapfit.data.frame import Frame
from gapfit.data.frame_record import packed, unpacked
from gapfit.errors import DataError, GapfitError

__all__ = [
    "FrameFile",
    "config_types",
    "frame_sizes",
    "species_counts",
    "temporary_frames",
    "unnamed_file",
    "write_frames",
    "writing_to",
]

#: First and last bytes of a file, with the version of the format.
MAGIC = b"gapfit frames 2\n"

_SIZES, _END = Struct("<3q"), Struct("<4q16s")
_BUFFER = 1 << 16


class FrameFile(Sequence[Frame]):
    """Frames of a file written by `write_frames`; each is read when it is needed.

    An index gives a frame, a slice a list of frames. A pickle contains only the path:
    another process opens the same file. A forked process reads through the same
    descriptor, since positioned reads share no state.

    A frame that changed on the disk since it was written is refused when it is read.

    Attributes
    ----------
    path : str
        The file, absolute; that of an unnamed file is valid as long as this process has
        it open.
    sizes : (n_frames,) int64
        Number of atoms of each frame.
    species : dict of int to int
        Number of atoms by atomic number, ascending.
    """

    path: str
    sizes: np.ndarray
    species: dict[int, int]
    _descriptor: int
    _end: weakref.finalize[..., object]

    def __init__(self, path: Path | str, descriptor: int, part_of: str = "") -> None:
        self.path = os.path.abspath(path)
        self._descriptor = descriptor
        self._end = weakref.finalize(self, os.close, descriptor)
        self._read_index(part_of)

    @classmethod
    def open(cls, path: Path | str, *, part_of: str = "") -> FrameFile:
        """Open a file of frames.

        Parameters
        ----------
        path : path
            The file.
        part_of : str
            Name of the fit that the file must belong to; any when empty.

        Raises
        ------
        DataError
            The file cannot be read, is not a file of frames, was changed or truncated,
            or belongs to another fit.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY | DATA_FLAGS)
        except OSError as error:
            raise DataError(
                f"{path}: cannot be opened ({error.strerror}); correct the path"
            ) from error
        return cls(path, descriptor, part_of)

    def delete_at_end(self, lock: int | None) -> None:
        """Delete the file as soon as this object is gone, or the process ends.

        Parameters
        ----------
        lock : int or None
            A descriptor that locks the file, closed then.
        """
        self._end.detach()
        opened = self._descriptor, lock
        self._end = weakref.finalize(self, _delete, self.path, opened, os.getpid())

    @property
    def config_types(self) -> list[str]:
        """The config_type of each frame."""
        return [self._names[kind] for kind in self._kinds]

    def __len__(self) -> int:
        return len(self.sizes)

    @overload
    def __getitem__(self, index: int) -> Frame: ...
    @overload
    def __getitem__(self, index: slice) -> list[Frame]: ...
    def __getitem__(self, index: int | slice) -> Frame | list[Frame]:
        if isinstance(index, slice):
            return [self._frame(n) for n in range(*index.indices(len(self)))]
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(f"there is no frame {index}; there are {len(self)}")
        return self._frame(place)

    def __iter__(self) -> Iterator[Frame]:
        return map(self._frame, range(len(self)))

    def __reduce__(self) -> tuple[Any, ...]:
        return FrameFile.open, (self.path,)

    def _read(self, start: int, length: int) -> bytes:
        data = np.empty(length, np.uint8)
        self._fill(data, start)
        return data.tobytes()

    def _fill(self, data: np.ndarray, start: int) -> None:
        """Fill an array with the bytes from a place in the file."""
        try:
            n_bytes = read_at(self._descriptor, data.data, start)
        except OSError as error:
            raise DataError(
                f"{self.path}: the frames cannot be read ({error.strerror}); {cure(error)}"
            ) from error
        if n_bytes != len(data):
            self._refuse("truncated")

    def _refuse(self, problem: str) -> NoReturn:
        raise DataError(
            f"{self.path}: {problem}; remove the file, and read the data again to write a "
            "new one"
        )

    def _read_index(self, part_of: str) -> None:
        end = os.fstat(self._descriptor).st_size - _END.size
        foreign = (
            "is not a complete file of gapfit's frames (of another program, truncated or "
            "of another version)"
        )
        if end < len(MAGIC) or self._read(0, len(MAGIC)) != MAGIC:
            self._refuse(foreign)
        n_frames, start, n_json, checksum, mark = _END.unpack(
            self._read(end, _END.size)
        )
        n_index = 8 * (4 * n_frames + 1)
        if (
            mark != MAGIC
            or min(n_frames, start, n_json) < 0
            or start + n_index + n_json != end
        ):
            self._refuse(foreign)
        data = self._read(start, n_index + n_json)
        sizes = _SIZES.pack(n_frames, start, n_json)
        if zlib.crc32(sizes, zlib.crc32(data)) != checksum:
            self._refuse("the index of its frames is damaged (another checksum)")
        index = np.frombuffer(data, "<i8", 4 * n_frames + 1)
        self._starts, self.sizes, self._kinds, self._checksums = np.split(
            index, [n_frames + 1, 2 * n_frames + 1, 3 * n_frames + 1]
        )
        ascending = self._starts[0] >= len(MAGIC) and (np.diff(self._starts) >= 0).all()
        if not ascending or self._starts[-1] > start or (self.sizes < 0).any():
            self._refuse(foreign)
        # Frames that were found whole; checking them each time would take a tenth longer.
        self._checked = bytearray(n_frames)
        try:
            about = json_values(data[n_index:])
            self._names: list[str] = about["config_types"]
            self.species = {int(z): n for z, n in about["species"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            self._refuse(foreign)
        if part_of and about["part_of"] != part_of:
            self._refuse("belongs to another fit than its folder")

    def _frame(self, number: int) -> Frame:
        start, stop = self._starts[number : number + 2].tolist()
        # A buffer of its own, not bytes: the arrays are writable, like those of others.
        data = np.empty(stop - start, np.uint8)
        self._fill(data, start)
        if not self._checked[number]:
            if zlib.crc32(data.data) != self._checksums[number]:
                self._refuse(f"its frame {number} is damaged (another checksum)")
            self._checked[number] = 1
        return unpacked(data, self._names)


def _delete(path: str, opened: tuple[int | None, ...], owner: int) -> None:
    if os.getpid() == owner:  # a fork leaves the file to its parent
        for descriptor in (x for x in opened if x is not None):
            os.close(descriptor)
        with suppress(OSError):  # on Windows while a worker has it open
            Path(path).unlink()


@contextmanager
def writing_to(path: Path | str) -> Iterator[None]:
    """Turn an OSError in the block into a GapfitError with advice."""
    try:
        yield
    except OSError as error:
        raise GapfitError(
            f"{path}: the frames cannot be written there ({error.strerror}); "
            f"{cure(error)}, or set TMPDIR to another folder"
        ) from error


def write_frames(
    frames: Iterable[Frame], path: Path | str, *, part_of: str = ""
) -> FrameFile:
    """Write frames to a file, one after the other, and open it.

    Parameters
    ----------
    frames : iterable of Frame
        Only one is in memory at a time.
    path : path
        The file, replaced if it exists; removed if the frames end with an error.
    part_of : str
        Name of the fit that the file belongs to.

    Raises
    ------
    GapfitError
        The file cannot be written.
    """
    try:
        with writing_to(path):
            stream = open(path, "wb", buffering=0)  # noqa: SIM115
        try:
            _write(frames, stream, path, part_of)
        finally:
            stream.close()
    except BaseException:
        Path(path).unlink(missing_ok=True)
        raise
    return FrameFile.open(path)


def temporary_frames(
    frames: Iterable[Frame], folder: Path | str | None = None
) -> FrameFile:
    """Write frames to an unnamed file that exists as long as the returned object.

    Nothing remains of it when the process ends, even if it is killed. Where other
    processes cannot open a file without a name, it has one, and remains after a kill.

    Parameters
    ----------
    frames : iterable of Frame
        Only one is in memory at a time.
    folder : path, optional
        Folder of the file; that of `tempfile` (``TMPDIR``) when absent.
    """
    if not descriptors_have_paths():
        return _named_frames(frames, folder)
    with unnamed_file(folder) as stream:
        _write(frames, stream, folder or tempfile.gettempdir())
        descriptor = os.dup(stream.fileno())
    return FrameFile(path_of_descriptor(descriptor), descriptor)


def _named_frames(frames: Iterable[Frame], folder: Path | str | None) -> FrameFile:
    """Write frames to a file that is deleted with the returned object."""
    with writing_to(folder or "the folder for temporary files"):
        folder = Path(folder or tempfile.gettempdir())
        sweep_once(folder)
        lock, name = temporary_file(folder / "frames.tmp")
    try:
        file = write_frames(frames, name)
    except BaseException:
        if lock is not None:
            os.close(lock)
        raise
    file.delete_at_end(lock)
    return file


def unnamed_file(folder: Path | str | None = None) -> BinaryIO:
    """Return a new file without a name, unbuffered.

    Parameters
    ----------
    folder : path, optional
        Folder on whose disk it lies; that of `tempfile` (``TMPDIR``) when absent.

    Raises
    ------
    GapfitError
        It cannot be made.
    """
    with writing_to(folder or "the folder for temporary files"):
        folder = folder or tempfile.gettempdir()
        sweep_once(Path(folder))
        return tempfile.TemporaryFile(buffering=0, dir=folder)


def frame_sizes(frames: Sequence[Frame]) -> np.ndarray:
    """Return the number of atoms of each frame, (n_frames,) int64."""
    if isinstance(frames, FrameFile):
        return frames.sizes
    return np.array([frame.n_atoms for frame in frames], dtype=np.int64)


def config_types(frames: Sequence[Frame]) -> list[str]:
    """Return the config_type of each frame."""
    if isinstance(frames, FrameFile):
        return frames.config_types
    return [frame.config_type for frame in frames]


def species_counts(frames: Sequence[Frame]) -> dict[int, int]:
    """Return the number of atoms by atomic number, ascending."""
    if isinstance(frames, FrameFile):
        return dict(frames.species)
    return _sorted(Counter(z for frame in frames for z in frame.numbers.tolist()))


def _sorted(counts: Counter[int]) -> dict[int, int]:
    return dict(sorted(counts.items()))


def _write(
    frames: Iterable[Frame], stream: BinaryIO, path: Path | str, part_of: str = ""
) -> None:
    """Write records, index and end."""
    names: dict[str, int] = {}
    starts, sizes, kinds, checksums = [len(MAGIC)], [], [], []
    species: Counter[int] = Counter()
    waiting = bytearray(MAGIC)
    for frame in frames:
        kind = names.setdefault(frame.config_type, len(names))
        record = packed(frame, kind)
        waiting += record
        if len(waiting) > _BUFFER:
            with writing_to(path):
                write_all(stream, waiting)
            waiting = bytearray()
        starts.append(starts[-1] + len(record))
        sizes.append(frame.n_atoms)
        kinds.append(kind)
        checksums.append(zlib.crc32(record))
        species.update(frame.numbers.tolist())
    about = {
        "config_types": list(names),
        "species": _sorted(species),
        "part_of": part_of,
    }
    text = json.dumps(about).encode()
    data = np.concatenate([starts, sizes, kinds, checksums]).astype("<i8").tobytes()
    data += text
    counts = (len(sizes), starts[-1], len(text))
    checksum = zlib.crc32(_SIZES.pack(*counts), zlib.crc32(data))
    with writing_to(path):
        write_all(stream, waiting + data + _END.pack(*counts, checksum, MAGIC))
