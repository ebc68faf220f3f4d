"""Files of named arrays that the LAMMPS plugin reads; see array_file.hpp."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gapfit._support.archive import atomic_write

__all__ = ["FORMAT_VERSION", "Value", "write_array_file"]

#: Version of the format, raised when old plugins cannot read new files.
FORMAT_VERSION = 1

#: Values that can be written: text, or numbers as float64 or int64.
Value = np.ndarray | float | int | str

_MAGIC = b"GAPFITLAMMPS"
_LINE = 64


def write_array_file(path: str | Path, arrays: Mapping[str, Value]) -> None:
    """Write arrays to a file, atomically; the same arrays give the same bytes.

    Parameters
    ----------
    path : str or Path
        File to write.
    arrays : mapping of str to ndarray, float, int or str
        Integers become int64, other numbers float64; a single number has the shape (1,).
    """
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        file.write(bytes(_LINE))
        n_bytes, checksum = 0, 0
        for name, value in arrays.items():
            for part in _parts(name, value):
                file.write(part)
                n_bytes += len(part)
                checksum = zlib.crc32(part, checksum)
        _write_header(file, n_bytes, checksum)


def _write_header(file: BinaryIO, n_bytes: int, checksum: int) -> None:
    file.seek(0)
    file.write(_MAGIC + struct.pack("<IQI", FORMAT_VERSION, n_bytes, checksum))


def _parts(name: str, value: Value) -> Iterator[bytes]:
    """Yield the description of an array and its numbers, padded to whole lines."""
    if isinstance(value, str):
        array, kind = np.frombuffer(value.encode(), dtype=np.uint8), 2
    else:
        array = np.atleast_1d(np.asarray(value))
        kind = 1 if np.issubdtype(array.dtype, np.integer) else 0
        array = np.ascontiguousarray(array, dtype="<i8" if kind else "<f8")
    label = name.encode()
    head = struct.pack("<IIII", len(label), kind, array.ndim, 0)
    head += struct.pack(f"<{array.ndim}Q", *array.shape) + label
    for part in (head, array.tobytes()):
        yield part + bytes(-len(part) % _LINE)
