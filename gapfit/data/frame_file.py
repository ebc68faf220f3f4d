"""Frames in a binary file, read one at a time: data sets need not fit in memory.

The file, all numbers little-endian, each part a multiple of 8 bytes long:

- the 16 bytes of `MAGIC`;
- a record for each frame: four int64 (n_atoms; bits for pbc and for the optional fields
  that follow; number of the config_type; bytes of the source), the atomic numbers as
  int64, positions, cell and the optional fields as float64, the source as UTF-8;
- the index, int64: start of each record and end of the last one (n_frames + 1), atoms of
  each frame, number of the config_type of each frame;
- JSON: names of the config_types, and the number of atoms of each species;
- three int64: n_frames, start of the index, bytes of the JSON; and `MAGIC` again, which
  only a complete file has.
"""

from __future__ import annotations

import json
import os
import tempfile
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from struct import Struct
from typing import Any, BinaryIO, NoReturn, overload

import numpy as np

from gapfit._support.foreign import json_values
from gapfit._support.whole_writes import write_all
from gapfit.data.frame import Frame
from gapfit.errors import DataError, GapfitError

__all__ = [
    "FrameFile",
    "config_types",
    "frame_sizes",
    "species_counts",
    "temporary_frames",
    "write_frames",
    "writing_to",
]

#: First and last bytes of a file, with the version of the format.
MAGIC = b"gapfit frames 1\n"

_HEADER, _END = Struct("<4q"), Struct("<3q16s")
#: Optional fields in the order of their bits, after those of pbc, and their shapes.
_OPTIONAL: dict[str, Callable[[int], tuple[int, ...]]] = {
    "energy": lambda n: (),
    "forces": lambda n: (n, 3),
    "virial": lambda n: (6,),
    "energy_sigma": lambda n: (),
    "force_sigma": lambda n: (n,),
    "virial_sigma": lambda n: (),
}
_BUFFER = 1 << 16


class FrameFile(Sequence[Frame]):
    """Frames of a file written by `write_frames`; each is read when it is needed.

    An index gives a frame, a slice a list of frames. A pickle contains only the path:
    another process opens the same file. A forked process reads through the same
    descriptor, since positioned reads share no state.

    Attributes
    ----------
    path : str
        The file, absolute.
    sizes : (n_frames,) int64
        Number of atoms of each frame.
    species : dict of int to int
        Number of atoms by atomic number, ascending.
    """

    path: str
    sizes: np.ndarray
    species: dict[int, int]
    _descriptor: int

    @classmethod
    def open(cls, path: Path | str) -> FrameFile:
        """Open a file of frames.

        Raises
        ------
        DataError
            The file cannot be read, is not a file of frames, or was truncated.
        """
        self = cls()
        self.path = os.path.abspath(path)
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise DataError(
                f"{path}: cannot be opened ({error.strerror}); correct the path"
            ) from error
        self._descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)
        self._read_index()
        return self

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
        data = os.pread(self._descriptor, length, start)
        if len(data) != length:
            self._refuse()
        return data

    def _refuse(self) -> NoReturn:
        raise DataError(
            f"{self.path}: is not a complete file of gapfit's frames (of another program, "
            "truncated or of another version); read the data again to write a new one"
        )

    def _read_index(self) -> None:
        end = os.fstat(self._descriptor).st_size - _END.size
        if end < len(MAGIC) or self._read(0, len(MAGIC)) != MAGIC:
            self._refuse()
        n_frames, start, n_json, mark = _END.unpack(self._read(end, _END.size))
        n_index = 8 * (3 * n_frames + 1)
        if mark != MAGIC or n_frames < 0 or start + n_index + n_json != end:
            self._refuse()
        index = np.frombuffer(self._read(start, n_index), "<i8")
        self._starts, self.sizes, self._kinds = np.split(
            index, [n_frames + 1, 2 * n_frames + 1]
        )
        ascending = self._starts[0] >= len(MAGIC) and (np.diff(self._starts) >= 0).all()
        if not ascending or self._starts[-1] > start or (self.sizes < 0).any():
            self._refuse()
        try:
            about = json_values(self._read(end - n_json, n_json))
            self._names: list[str] = about["config_types"]
            self.species = {int(z): n for z, n in about["species"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            self._refuse()

    def _frame(self, number: int) -> Frame:
        start, stop = self._starts[number : number + 2].tolist()
        # A bytearray makes the arrays writable, like those of other frames.
        data = bytearray(self._read(start, stop - start))
        return _unpacked(data, self._names)


@contextmanager
def writing_to(path: Path | str) -> Iterator[None]:
    """Turn an OSError in the block into a GapfitError with advice."""
    try:
        yield
    except OSError as error:
        raise GapfitError(
            f"{path}: the frames cannot be written there ({error.strerror}); free some "
            "space, or set TMPDIR to a folder with more space"
        ) from error


def write_frames(frames: Iterable[Frame], path: Path | str) -> FrameFile:
    """Write frames to a file, one after the other, and open it.

    Parameters
    ----------
    frames : iterable of Frame
        Only one is in memory at a time.
    path : path
        The file, replaced if it exists; removed if the frames end with an error.

    Raises
    ------
    GapfitError
        The file cannot be written.
    """
    try:
        with writing_to(path):
            stream = open(path, "wb", buffering=0)  # noqa: SIM115
        try:
            _write(frames, stream, path)
        finally:
            stream.close()
    except BaseException:
        Path(path).unlink(missing_ok=True)
        raise
    return FrameFile.open(path)


def temporary_frames(
    frames: Iterable[Frame], folder: Path | str | None = None
) -> FrameFile:
    """Write frames to a temporary file that exists as long as the returned object.

    The process that made the file removes it, at the latest when the process ends.

    Parameters
    ----------
    frames : iterable of Frame
        Only one is in memory at a time.
    folder : path, optional
        Folder of the file; that of `tempfile` (``TMPDIR``) when absent.
    """
    with writing_to(folder or tempfile.gettempdir()):
        handle, name = tempfile.mkstemp(".frames", "gapfit-", folder)
    os.close(handle)
    file = write_frames(frames, name)
    weakref.finalize(file, _remove, name, os.getpid())
    return file


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


def _remove(path: str, owner: int) -> None:
    # A forked process has a copy of the finalizer.
    if os.getpid() == owner:
        Path(path).unlink(missing_ok=True)


def _write(frames: Iterable[Frame], stream: BinaryIO, path: Path | str) -> None:
    """Write records, index and end."""
    names: dict[str, int] = {}
    starts, sizes, kinds = [len(MAGIC)], [], []
    species: Counter[int] = Counter()
    waiting = bytearray(MAGIC)
    for frame in frames:
        kind = names.setdefault(frame.config_type, len(names))
        record = _packed(frame, kind)
        waiting += record
        if len(waiting) > _BUFFER:
            with writing_to(path):
                write_all(stream, waiting)
            waiting = bytearray()
        starts.append(starts[-1] + len(record))
        sizes.append(frame.n_atoms)
        kinds.append(kind)
        species.update(frame.numbers.tolist())
    about = {"config_types": list(names), "species": _sorted(species)}
    text = json.dumps(about).encode()
    index = np.concatenate([starts, sizes, kinds]).astype("<i8")
    end = _END.pack(len(sizes), starts[-1], len(text), MAGIC)
    with writing_to(path):
        write_all(stream, waiting + index.tobytes() + text + end)


def _packed(frame: Frame, kind: int) -> bytes:
    """Return the record of a frame."""
    n = frame.n_atoms
    bits = sum(periodic << k for k, periodic in enumerate(frame.pbc.tolist()))
    floats: list[tuple[Any, tuple[int, ...]]] = [
        (frame.positions, (n, 3)),
        (frame.cell, (3, 3)),
    ]
    for bit, (name, shape) in enumerate(_OPTIONAL.items(), 3):
        value = getattr(frame, name)
        if value is not None:
            bits |= 1 << bit
            floats.append((value, shape(n)))
    source = frame.source.encode("utf-8", "surrogatepass")
    return b"".join(
        [
            _HEADER.pack(n, bits, kind, len(source)),
            np.asarray(frame.numbers, "<i8").tobytes(),
            *(np.asarray(v, "<f8").reshape(shape).tobytes() for v, shape in floats),
            source.ljust(-(-len(source) // 8) * 8, b"\0"),
        ]
    )


def _unpacked(data: bytearray, names: Sequence[str]) -> Frame:
    """Return the frame of a record."""
    n, bits, kind, n_source = _HEADER.unpack_from(data)
    first = _HEADER.size + 8 * n
    values = np.frombuffer(data, "<f8", -(-(len(data) - first) // 8), first)
    fields: dict[str, Any] = {}
    at = 3 * n + 9
    for bit, (name, shape) in enumerate(_OPTIONAL.items(), 3):
        if bits >> bit & 1:
            form = shape(n)
            if not form:
                fields[name] = float(values[at])
                at += 1
                continue
            size = form[0] * (3 if len(form) == 2 else 1)
            fields[name] = values[at : at + size].reshape(form)
            at += size
    text = first + 8 * at
    return Frame(
        numbers=np.frombuffer(data, "<i8", n, _HEADER.size),
        positions=values[: 3 * n].reshape(n, 3),
        cell=values[3 * n : 3 * n + 9].reshape(3, 3),
        pbc=np.array([bits & 1, bits & 2, bits & 4], dtype=bool),
        config_type=names[kind],
        source=data[text : text + n_source].decode("utf-8", "surrogatepass"),
        **fields,
    )
