"""A frame as bytes: the record of a file of frames.

Numbers are little-endian, and each part is a multiple of 8 bytes long:

- four int64: n_atoms, bits for pbc and for the optional fields that follow, number of the
  config_type, bytes of the source;
- the atomic numbers as int64, positions, cell and the optional fields as float64;
- the source as UTF-8.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any

import numpy as np

from gapfit.data.frame import Frame

__all__ = ["packed", "unpacked"]

_HEADER = Struct("<4q")
#: Optional fields in the order of their bits, after those of pbc, and their shapes.
_OPTIONAL: dict[str, Callable[[int], tuple[int, ...]]] = {
    "energy": lambda n: (),
    "forces": lambda n: (n, 3),
    "virial": lambda n: (6,),
    "energy_sigma": lambda n: (),
    "force_sigma": lambda n: (n,),
    "virial_sigma": lambda n: (),
}


def packed(frame: Frame, kind: int) -> bytes:
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


def unpacked(data: np.ndarray, names: Sequence[str]) -> Frame:
    """Return the frame of a record, whose bytes become its arrays."""
    words = data.view("<i8")
    n, bits, kind, n_source = words[: _HEADER.size // 8].tolist()
    first = _HEADER.size // 8 + n
    values = data.view("<f8")
    fields: dict[str, Any] = {}
    at = first + 3 * n + 9
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
    return Frame(
        numbers=words[first - n : first],
        positions=values[first : first + 3 * n].reshape(n, 3),
        cell=values[first + 3 * n : first + 3 * n + 9].reshape(3, 3),
        pbc=np.array([bits & 1, bits & 2, bits & 4], dtype=bool),
        config_type=names[kind],
        source=data[8 * at : 8 * at + n_source]
        .tobytes()
        .decode("utf-8", "surrogatepass"),
        **fields,
    )
