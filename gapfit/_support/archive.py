"""Files of arrays with a JSON header: .npz without pickles, written atomically."""

from __future__ import annotations

import json
import math
import os
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from gapfit._support.disk import unwritable
from gapfit._support.foreign import MB, json_values
from gapfit._support.leftovers import sweep, temporary_file
from gapfit._support.system import DATA_FLAGS, OPEN_FILES_MOVE
from gapfit.errors import GapfitError, shortened

__all__ = [
    "Packed",
    "Writable",
    "atomic_write",
    "read_arrays",
    "read_header",
    "require_writable",
    "sync",
    "unpacked",
    "write_archive",
]

_HEADER = "header.json"
#: Largest header, bytes; those of models have kilobytes.
_LARGEST_HEADER = 32 * MB
#: Kinds of NumPy's types that arrays may have: bool, integers, floating point.
_NUMBERS = "biuf"
# Rows of a matrix that are brought into order together.
_PANEL = 64


@dataclass(frozen=True, eq=False)
class Packed:
    """Upper triangle of a square matrix, row after row; made when an array is needed.

    Attributes
    ----------
    upper : (n, n) float64
        The matrix.
    """

    upper: np.ndarray

    @property
    def shape(self) -> tuple[int]:
        """Shape of the array, (n (n + 1) / 2,)."""
        n = len(self.upper)
        return (n * (n + 1) // 2,)

    @property
    def dtype(self) -> np.dtype:
        """Type of the array."""
        return self.upper.dtype

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        out = np.empty(self.shape)
        n, first = len(self.upper), 0
        for start in range(0, n, _PANEL):
            # Rows of a matrix in Fortran's order lie scattered.
            panel = np.ascontiguousarray(self.upper[start : start + _PANEL])
            for k, row in enumerate(panel, start):
                out[first : first + n - k] = row[k:]
                first += n - k
        return out if dtype is None else out.astype(dtype, copy=False)


#: An array that `write_archive` takes.
Writable = np.ndarray | Packed


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Give a temporary path that replaces `path` on success and vanishes on failure.

    What killed processes left of such files in the folder is deleted.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise GapfitError(
            f"{target}: there is no folder {target.parent}; make it first"
        )
    sweep(target.parent)
    try:
        descriptor, name = temporary_file(target)
    except OSError as error:
        raise unwritable(target, error) from error
    temporary = Path(name)
    try:
        yield temporary
        sync(temporary)
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(target)
        # Some file systems cannot sync a folder; the file is there all the same.
        with suppress(OSError):
            sync(target.parent)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        # A failed write names no file or the temporary one, which users do not know.
        if isinstance(error, OSError) and error.filename in (None, "", name):
            raise unwritable(target, error) from error
        raise
    finally:
        if descriptor is not None:
            os.close(descriptor)


def sync(path: Path) -> None:
    """Wait until a file, or the list of the files in a folder, is on the disk."""
    # Windows writes out only what may be written to, and no folders.
    access = os.O_RDONLY if OPEN_FILES_MOVE else os.O_RDWR
    handle = os.open(path, access | DATA_FLAGS)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def require_writable(path: Path) -> None:
    """Raise a GapfitError now if `atomic_write` will not be able to write a file.

    Parameters
    ----------
    path : Path
        In a folder that exists.
    """
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise unwritable(path, error) from error


def write_archive(
    path: str | Path, header: Mapping[str, Any], arrays: Mapping[str, Writable]
) -> None:
    """Write a header and arrays; the same input gives the same bytes.

    Parameters
    ----------
    path : str or Path
        The file; replaced only once the new one is complete.
    header : mapping
        Plain data; ``arrays``, with shapes and types, is added to it.
    arrays : mapping of str to ndarray or Packed
        Written one after the other, without a copy of all.
    """
    specs = {
        name: {"shape": list(a.shape), "dtype": a.dtype.str}
        for name, a in arrays.items()
    }
    text = json.dumps(
        {**header, "arrays": specs}, indent=1, sort_keys=True, ensure_ascii=False
    )
    with atomic_write(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        with _member(archive, _HEADER, len(text)) as file:
            file.write(text.encode())
        for name, array in arrays.items():
            values = np.ascontiguousarray(array)
            with _member(archive, f"{name}.npy", values.nbytes) as file:
                np.lib.format.write_array(file, values, allow_pickle=False)


def _member(archive: zipfile.ZipFile, name: str, size: int) -> IO[bytes]:
    # ZipInfo's default date, not today's: equal content gives equal bytes.
    info = zipfile.ZipInfo(name)
    info.file_size = size
    return archive.open(info, "w")


def read_header(archive: zipfile.ZipFile) -> Any:
    """Return the header of an archive; None if it has none.

    Raises
    ------
    ValueError
        The archive has what `write_archive` never writes, with which a small file could
        fill the memory: a compressed member, one name twice, members that overlap.
    """
    members = archive.infolist()
    for member in members:
        stored = member.compress_type == zipfile.ZIP_STORED and not member.flag_bits & 1
        if not stored or member.file_size != member.compress_size:
            raise ValueError(
                f"member {shortened(member.filename)!r} is compressed or encrypted"
            )
    names = Counter(member.filename for member in members)
    if twice := [name for name, count in names.items() if count > 1]:
        raise ValueError(f"member {shortened(twice[0])!r} occurs twice")
    if sum(member.file_size for member in members) > archive.start_dir:
        raise ValueError("its members are larger than the file")
    if _HEADER not in names:
        return None
    if archive.getinfo(_HEADER).file_size > _LARGEST_HEADER:
        raise ValueError(f"{_HEADER} has more than {_LARGEST_HEADER / MB:g} MB")
    return json_values(archive.read(_HEADER))


def read_arrays(
    archive: zipfile.ZipFile, specs: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Return the arrays that `specs`, from the header, announces.

    Raises
    ------
    ValueError, KeyError, zipfile.BadZipFile
        An array is missing, damaged or not as announced.
    """
    return {str(name): _read(archive, name, spec) for name, spec in specs.items()}


def _read(archive: zipfile.ZipFile, name: str, spec: Mapping[str, Any]) -> np.ndarray:
    member = f"{name}.npy"
    n_bytes = archive.getinfo(member).file_size
    with archive.open(member) as file:
        shape, dtype = _announced(file)
        # The memory is taken before the values are read, so their number is checked first.
        fits = file.tell() + math.prod(shape) * dtype.itemsize == n_bytes
    if (
        not fits
        or dtype.kind not in _NUMBERS
        or list(shape) != spec["shape"]
        or dtype.str != spec["dtype"]
    ):
        raise ValueError(
            f"array {shortened(name)} is {dtype} {shape} in {n_bytes} bytes, not as "
            "announced"
        )
    with archive.open(member) as file:
        array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
        # The checksum is compared only at the end of the member.
        file.read(1)
    return array


def _announced(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Return shape and type from the header of an array."""
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"version {version} of NumPy's format")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    return shape, dtype


def unpacked(triangle: np.ndarray, size: int) -> np.ndarray:
    """Return the upper triangular (size, size) matrix of `Packed`, zero below."""
    triangle = np.asarray(triangle)
    if triangle.shape != (size * (size + 1) // 2,):
        raise ValueError(f"{triangle.shape} numbers for a triangle of {size} rows")
    out, first = np.zeros((size, size), order="F"), 0
    for start in range(0, size, _PANEL):
        panel = np.zeros((min(_PANEL, size - start), size))
        for k, row in enumerate(panel, start):
            row[k:] = triangle[first : first + size - k]
            first += size - k
        out[start : start + _PANEL] = panel
    return out
