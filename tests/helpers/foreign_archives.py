"""Model files as other programs might write or damage them, with sound checksums."""

from __future__ import annotations

import io
import json
import struct
import warnings
import zipfile
from pathlib import Path

import numpy as np

__all__ = ["rewrapped"]

_TYPES = ("<f4", ">f8", "<f2", "<i8", "<u1", "<c16", "|S8", "<M8[s]", "|b1", "<f8")


def _header(shape: object, kind: object, order: object, version: int) -> bytes:
    """Return the header of an array in NumPy's format."""
    text = (
        f"{{'descr': {kind!r}, 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    )
    length = struct.pack("<H" if version == 1 else "<I", len(text) + 1)
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + b"\n"


def _other_array(data: bytes, rng: np.random.Generator) -> bytes:
    """Return an array's member with another type, order, shape or length."""
    array = np.load(io.BytesIO(data))
    body, shape = array.tobytes(), array.shape
    size, kind = array.size, array.dtype.str
    match rng.integers(0, 8):
        case 0:
            return _header(shape, str(rng.choice(_TYPES)), False, 1) + body
        case 1:
            cast = array.astype(str(rng.choice(_TYPES[:5])))
            return _header(shape, cast.dtype.str, False, 1) + cast.tobytes()
        case 2:
            return _header(shape, kind, True, 1) + array.tobytes("F")
        case 3:
            shapes = (
                (size,),
                (1, size),
                (size, 1),
                shape[::-1],
                (*shape, 1),
                (-1,),
                (),
            )
            other = shapes[rng.integers(len(shapes))]
            return _header(other, kind, False, 1) + body
        case 4:
            return _header(shape, kind, False, int(rng.integers(1, 4))) + body
        case 5:
            return data[: int(rng.integers(len(data)))]
        case 6:
            return data + bytes(int(rng.integers(1, 20)))
        case _:
            kinds = ([("a", "<f8")], "f8", "O", 3, None, "<f8\x00", ("<f8", (1,)))
            return _header(shape, kinds[rng.integers(len(kinds))], "1", 1) + body


def _announcing(header: bytes, name: str, data: bytes) -> bytes:
    """Return the header with the shape and type that a member says it has."""
    try:
        array = np.load(io.BytesIO(data), allow_pickle=False)
    except Exception:  # no array any more
        return header
    values = json.loads(header)
    spec = {"shape": list(array.shape), "dtype": array.dtype.str}
    values["arrays"][name.removesuffix(".npy")] = spec
    return json.dumps(values).encode()


def rewrapped(source: Path, target: Path, rng: np.random.Generator) -> None:
    """Write the members of a model file with one or two changes.

    Parameters
    ----------
    source, target : Path
        The model file, and the one to write.
    rng : numpy.random.Generator
        Chooses the changes: of arrays, which the header may announce, of the members'
        names and order, or of the archive.
    """
    with zipfile.ZipFile(source) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    sound, before, comment = dict(members), b"", b""
    kinds = {"compression": zipfile.ZIP_STORED, "flags": 0, "lies": 0}
    for _ in range(rng.integers(1, 3)):
        at = int(rng.integers(1, len(members)))
        name, data = members[at]
        match rng.integers(0, 12):
            case 0:
                members[at], members[0] = members[0], members[at]
            case 1:
                members.append((name, members[int(rng.integers(len(members)))][1]))
            case 2:
                names = (f"../{name}", f"/{name}", name.upper(), f"{name}\0", "", "ü")
                members[at] = str(rng.choice(names)), data
            case 3:
                before = rng.bytes(int(rng.integers(1, 100)))
            case 4:
                comment = rng.bytes(int(rng.integers(1, 100)))
            case 5:
                kinds["compression"] = int(rng.choice([8, 12, 14]))
            case 6:
                kinds["lies"] = int(rng.choice([1, -1, 10**9, 2**32 - 1]))
            case 7:
                members.append(("other.npy", data))
            case _ if name.endswith(".npy") and name in sound:
                data = _other_array(sound[name], rng)
                members[at] = name, data
                if rng.integers(4) and members[0][0] == "header.json":
                    members[0] = "header.json", _announcing(members[0][1], name, data)
    content = _archive(members, kinds["compression"], comment)
    if kinds["lies"]:
        content = _with_other_size(content, kinds["lies"], rng)
    target.write_bytes(before + content)


def _archive(
    members: list[tuple[str, bytes]], compression: int, comment: bytes
) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
        warnings.filterwarnings("ignore", "Duplicate name")
        for name, data in members:
            info = zipfile.ZipInfo("x")
            info.filename, info.compress_type = name, compression
            archive.writestr(info, data)
        archive.comment = comment
    return buffer.getvalue()


def _with_other_size(content: bytes, change: int, rng: np.random.Generator) -> bytes:
    """Return an archive whose directory gives another size or checksum of a member."""
    data = bytearray(content)
    places = [at for at in range(len(data)) if data[at : at + 4] == b"PK\1\2"]
    at = places[rng.integers(len(places))]
    for offset in rng.choice([16, 20, 24, 42], size=rng.integers(1, 3)):
        place = slice(at + int(offset), at + int(offset) + 4)
        value = (struct.unpack("<I", data[place])[0] + change) % 2**32
        data[place] = struct.pack("<I", value)
    return bytes(data)
