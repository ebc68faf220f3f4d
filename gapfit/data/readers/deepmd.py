"""Folders of DeePMD-kit: ``type.raw`` and sets of NumPy arrays, or of ``.raw`` texts.

Å, eV, eV/Å; the virial is minus stress times volume in eV, positive under compression.
Folders of mixed types have ``real_atom_types.npy`` in their sets, with -1 for atoms that
only fill up.

References
----------
DeePMD-kit manual, https://docs.deepmodeling.com/projects/deepmd/en/stable/data/system.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gapfit._support.foreign import MB, ForeignError, foreign_text
from gapfit.data.extxyz import XyzError
from gapfit.data.extxyz_frames import XyzFrame
from gapfit.data.frame import determinant, to_voigt
from gapfit.data.readers.options import ReadOptions
from gapfit.data.readers.parts import are_sound, assembled
from gapfit.errors import DataError

__all__ = ["deepmd_frames", "is_deepmd"]

_LARGEST = 64 * MB
#: Most folders of systems that one name stands for.
_MOST_SYSTEMS = 100_000


@dataclass(frozen=True)
class _System:
    """One folder: its name for messages, elements, and periodicity."""

    folder: Path
    name: str
    types: np.ndarray
    options: ReadOptions
    is_periodic: bool


def is_deepmd(folder: Path) -> bool:
    """Return whether a folder holds systems of DeePMD-kit, itself or below."""
    return bool(_systems(folder, 1))


def _systems(folder: Path, most: int) -> list[Path]:
    if (folder / "type.raw").is_file():
        return [folder]
    found = (file.parent for file in folder.glob("*/type.raw"))
    deeper = (file.parent for file in folder.glob("*/*/type.raw"))
    return sorted([*_first(found, most), *_first(deeper, most)])


def _first(items: Iterator[Path], most: int) -> list[Path]:
    return [item for item, _ in zip(items, range(most), strict=False)]


def deepmd_frames(folder: Path, name: str, options: ReadOptions) -> Iterator[XyzFrame]:
    """Yield the frames of a folder, or of all systems in it.

    Parameters
    ----------
    folder : Path
        A folder with ``type.raw``, or with such folders one or two below.
    name : str
        Its name for messages.
    options : ReadOptions
        Its species are the elements of types 0, 1, ... where ``type_map.raw`` is missing.

    Raises
    ------
    DataError
        A file is missing or damaged, or has another shape than the others.
    """
    for system in _systems(folder, _MOST_SYSTEMS):
        inner = system.relative_to(folder).as_posix()
        yield from _system_frames(
            system, name if inner == "." else f"{name}/{inner}", options
        )


def _system_frames(folder: Path, name: str, options: ReadOptions) -> Iterator[XyzFrame]:
    types = _integers(folder / "type.raw", f"{name}/type.raw")
    symbols = folder / "type_map.raw"
    if symbols.is_file():
        species = tuple(_text(symbols, f"{name}/type_map.raw").split())
        if not species:
            raise DataError(
                f"{name}/type_map.raw: is empty; copy it again, or remove it"
            )
        options = ReadOptions(species, options.units)
    is_periodic = not (folder / "nopbc").exists()
    system = _System(folder, name, types, options, is_periodic)
    sets = sorted(folder.glob("set.*"))
    if not sets and not (folder / "coord.raw").is_file():
        raise DataError(f"{name}: has neither set.000 nor coord.raw; it has no frames")
    for part in sets or [folder]:
        yield from _set_frames(part, system)


def _set_frames(part: Path, system: _System) -> Iterator[XyzFrame]:
    """Yield the frames of one set."""
    n_atoms = len(system.types)
    positions = _array(part, system, "coord", 3 * n_atoms)
    if positions is None:
        raise DataError(f"{_place(part, system)}: has no coord; copy it again")
    n_frames = len(positions)
    cells = _array(part, system, "box", 9, n_frames)
    if cells is None and system.is_periodic:
        raise DataError(
            f"{_place(part, system)}: has no box; copy it, or mark molecules with an empty "
            "file nopbc beside type.raw"
        )
    energies = _array(part, system, "energy", 1, n_frames)
    forces = _array(part, system, "force", 3 * n_atoms, n_frames)
    virials = _array(part, system, "virial", 9, n_frames)
    real = _array(part, system, "real_atom_types", n_atoms, n_frames)
    for n in range(n_frames):
        types = system.types if real is None else real[n].astype(np.int64)
        is_real = types >= 0
        where = f"{_place(part, system)}, row {n}"
        cell = np.zeros((3, 3))
        if cells is not None and system.is_periodic:
            cell = cells[n].reshape(3, 3).astype(float)
        yield assembled(
            _numbers(types[is_real], system, where),
            positions[n].reshape(-1, 3)[is_real],
            cell,
            system.is_periodic,
            energy=None if energies is None else float(energies[n, 0]),
            forces=None if forces is None else forces[n].reshape(-1, 3)[is_real],
            stress=_stress(virials, n, cell, where) if system.is_periodic else None,
        )


def _stress(
    virials: np.ndarray | None, n: int, cell: np.ndarray, where: str
) -> np.ndarray | None:
    """Return the stress, tension positive, Voigt order, eV/Å³."""
    volume = abs(determinant(cell))
    if volume < 1e-6:
        raise DataError(f"{where}: box has no volume; correct it")
    return None if virials is None else -to_voigt(virials[n].reshape(3, 3)) / volume


def _numbers(types: np.ndarray, system: _System, where: str) -> np.ndarray:
    try:
        return system.options.numbers(types, 0, 0)
    except XyzError as error:
        raise DataError(f"{where}: {error}") from None


def _place(part: Path, system: _System) -> str:
    return system.name if part == system.folder else f"{system.name}/{part.name}"


def _array(
    part: Path, system: _System, kind: str, width: int, n_frames: int | None = None
) -> np.ndarray | None:
    """Return an array of a set, (n_frames, width); None if there is none."""
    binary, text = part / f"{kind}.npy", part / f"{kind}.raw"
    if not binary.is_file() and not text.is_file():
        return None
    path = binary if binary.is_file() else text
    name = f"{_place(part, system)}/{path.name}"
    array = _of_binary(path, name) if path is binary else _of_text(path, name)
    if array.ndim == 1 and width == 1:
        array = array[:, None]
    rows = array.reshape(len(array), -1) if array.ndim else array.reshape(0, 0)
    if rows.shape[1:] != (width,) or (n_frames is not None and len(rows) != n_frames):
        raise DataError(
            f"{name}: has the shape {array.shape} where "
            f"({'n_frames' if n_frames is None else n_frames}, {width}) is expected; it "
            "belongs to another system, or was truncated"
        )
    bad = ~are_sound(rows).all(axis=1)
    if bad.any():
        raise DataError(
            f"{name}: row {int(np.argmax(bad))} is not finite, or far too large"
        )
    return rows


def _of_binary(path: Path, name: str) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # its head is Python, which fails in many ways
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{name}: is no NumPy array, or was truncated ({reason}); copy it again"
        ) from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iuf":
        raise DataError(f"{name}: has no numbers; write it again")
    return array


def _of_text(path: Path, name: str) -> np.ndarray:
    rows: list[list[float]] = []
    for number, line in enumerate(_text(path, name).splitlines(), 1):
        try:
            rows.append(list(map(float, line.split())))
        except ValueError:
            raise DataError(
                f"{name} (line {number}): {line.strip()[:60]!r} are not numbers; correct it"
            ) from None
        if len(rows[-1]) != len(rows[0]):
            raise DataError(
                f"{name} (line {number}): has {len(rows[-1])} numbers, others have "
                f"{len(rows[0])}; correct it"
            )
    return np.array(rows)


def _integers(path: Path, name: str) -> np.ndarray:
    words = _text(path, name).split()
    if not words or not all(w.isascii() and w.isdigit() and len(w) < 9 for w in words):
        raise DataError(f"{name}: has other words than the types 0, 1, ...; correct it")
    return np.array([int(word) for word in words], dtype=np.int64)


def _text(path: Path, name: str) -> str:
    try:
        return foreign_text(path, _LARGEST)
    except ForeignError as error:
        raise DataError(f"{name}: {error}; copy it again") from None
