"""Frames of extended XYZ files, each error with its frame and line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, TextIO

import numpy as np

from gapfit.data.extxyz import XyzError, numbers_in, shown
from gapfit.data.extxyz_header import Header, read_header
from gapfit.data.extxyz_rows import HEAVIEST, atomic_numbers, read_rows
from gapfit.data.frame import Frame, to_voigt
from gapfit.data.text_lines import Lines
from gapfit.errors import DataError

__all__ = ["XyzFrame", "frame_of_lines", "xyz_frames"]

#: Rows turned into arrays at a time.
_BLOCK = 20_000
#: Characters of the shortest row, ``H 0 0 0``, with its end.
_SHORTEST = 8
#: Characters of the longest header that is read.
_LONGEST_HEADER = 2_000_000
_COUNT = re.compile(r"\s*[0-9]{1,18}\s*")

# Labels that ASE keeps in calculators: of frames, and of atoms.
_FRAME_RESULTS = ("energy", "free_energy", "stress", "dipole", "magmom")
_ATOM_RESULTS = ("forces", "stresses", "charges", "magmoms", "energies")


@dataclass(frozen=True, eq=False)
class XyzFrame:
    """One frame as it was read.

    Attributes
    ----------
    structure : Frame
        Species, positions, cell and periodicity; its source names file and frame.
    info : dict
        Keys of the header with their values, but those of the structure.
    arrays : dict
        Further columns by name, (n_atoms,) or (n_atoms, size).
    """

    structure: Frame
    info: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @property
    def labels(self) -> dict[str, Any]:
        """Columns and keys together; of equal names forces are columns, others keys."""
        labels: dict[str, Any] = {**self.arrays, **self.info}
        forces = (key for key in self.arrays if "force" in key.lower())
        labels.update((key, self.arrays[key]) for key in forces)
        labels.pop("move_mask", None)
        return labels

    def atoms(self) -> Any:
        """Return ase.Atoms as ASE's reader does: labels in a calculator where it can."""
        from ase import Atoms
        from ase.calculators.singlepoint import SinglePointCalculator

        info, arrays = dict(self.info), dict(self.arrays)
        structure = self.structure
        atoms = Atoms(
            structure.numbers,
            positions=structure.positions,
            cell=structure.cell,
            pbc=structure.pbc,
            charges=arrays.pop("initial_charges", None),
        )
        if (mask := arrays.pop("move_mask", None)) is not None:
            atoms.set_constraint(_constraints(mask.astype(bool)))
        results = {key: arrays.pop(key) for key in _ATOM_RESULTS if key in arrays}
        for key in _FRAME_RESULTS:
            value = _result(key, info.get(key))
            if value is not None:
                results[key] = value
                del info[key]
        for key, values in arrays.items():
            atoms.set_array(key, values)
        atoms.info = info
        if results:
            atoms.calc = SinglePointCalculator(atoms, **results)
        return atoms


def _constraints(mask: np.ndarray) -> Any:
    from ase.constraints import FixAtoms, FixCartesian

    if mask.ndim == 1:
        return FixAtoms(mask=~mask)
    return [FixCartesian(atom, mask=~row) for atom, row in enumerate(mask)]


def _result(key: str, value: Any) -> Any:
    """Return a label in the form of a calculator; None if it has none."""
    if not isinstance(value, np.number | np.ndarray):
        return None
    array = np.asarray(value)
    if array.dtype.kind not in "if":
        return None
    if key == "stress":
        if array.shape in ((3, 3), (9,)):
            return to_voigt(array.reshape(3, 3))
        return array if array.shape == (6,) else None
    shape = (3,) if key == "dipole" else ()
    return value if array.shape == shape else None


def xyz_frames(
    stream: TextIO, name: str, n_bytes: int, packed: BinaryIO | None = None
) -> Iterator[XyzFrame]:
    """Yield the frames of a file.

    Parameters
    ----------
    stream : TextIO
        The text, decoded with surrogate escapes.
    name : str
        Name of the file in messages.
    n_bytes : int
        Size of the file.
    packed : BinaryIO, optional
        The file itself if the stream decompresses it.

    Raises
    ------
    DataError
        A frame cannot be understood or is incomplete; the message has frame and line.
    """
    lines = Lines(stream, n_bytes, packed)
    count = 0
    try:
        while True:
            lines.start = lines.number
            source = f"{name}, frame {count}"
            header = lines.take(1)
            if not header or not header[0].strip():
                _require_end(lines, name)
                return
            yield _frame(lines, header[0], source)
            count += 1
    except XyzError as error:
        raise DataError(
            f"{name}, frame {count} (line {lines.start + error.line}): {error}"
        ) from None


def _require_end(lines: Lines, name: str) -> None:
    if not lines.is_blank():
        raise DataError(
            f"{name} (line {lines.start}): a blank line followed by more text; most "
            "programs stop reading there; remove the blank line"
        )


def _n_atoms(line: str, is_first: bool) -> int:
    if not _COUNT.fullmatch(line):
        cause = "the frame before has more or fewer lines than it says"
        if is_first:
            cause = "this is not an XYZ file: give it the suffix of its format"
        raise XyzError(
            f"expected the number of atoms, found {shown(line.strip())}; {cause}", 0
        )
    return int(line)


def _frame(lines: Lines, first: str, source: str) -> XyzFrame:
    """Return the frame whose first line was taken."""
    n_atoms = _n_atoms(first, lines.start == 1)
    if len(lines.peek()) > _LONGEST_HEADER:
        raise XyzError(
            f"the header has {len(lines.peek())} characters, more than "
            f"{_LONGEST_HEADER}: this is not a header",
            1,
        )
    if not lines.fits(n_atoms, _SHORTEST):
        raise XyzError(
            f"{n_atoms} atoms cannot be in the rest of the file; correct the number of "
            "atoms",
            0,
        )
    second = lines.take(1)
    if not second:
        raise _truncated(0, n_atoms)
    header = read_header(second[0])
    arrays = _rows(lines, header, n_atoms)
    if lines.peek().lstrip().startswith("VEC"):
        header = _with_vectors(header, lines, n_atoms)
    return _assembled(header, arrays, source)


def _truncated(present: int, n_atoms: int) -> XyzError:
    return XyzError(
        f"the file ends after {present} of {n_atoms} atoms; it was truncated: copy or "
        "write it again, or remove this frame",
        0,
    )


def _rows(lines: Lines, header: Header, n_atoms: int) -> dict[str, np.ndarray]:
    blocks = []
    for done in range(0, n_atoms, _BLOCK):
        block = lines.take(min(_BLOCK, n_atoms - done))
        if done + len(block) < min(done + _BLOCK, n_atoms):
            raise _truncated(done + len(block), n_atoms)
        arrays = read_rows(block, header.columns, done + 2, header.more_columns)
        blocks.append(_with_numbers(arrays, done + 2))
    if not blocks:
        return {"numbers": np.zeros(0, dtype=np.int64), "pos": np.zeros((0, 3))}
    if len(blocks) == 1:
        return blocks[0]
    return {key: np.concatenate([b[key] for b in blocks]) for key in blocks[0]}


def _with_numbers(arrays: dict[str, np.ndarray], first: int) -> dict[str, np.ndarray]:
    """Replace the columns of species by one of atomic numbers, and check positions."""
    species, numbers = arrays.pop("species", None), arrays.pop("Z", None)
    if numbers is not None:
        bad = (numbers < 0) | (numbers > HEAVIEST)
        if bad.any():
            n = int(np.argmax(bad))
            raise XyzError(
                f"{numbers[n]} is not an atomic number; correct it", first + n
            )
    if species is not None:
        of_species = atomic_numbers(species.tolist(), first)
        if numbers is not None and (of_species != numbers).any():
            n = int(np.argmax(of_species != numbers))
            raise XyzError(
                f"species {species[n]} and Z {numbers[n]} are different elements; correct "
                "one",
                first + n,
            )
        numbers = of_species
    assert numbers is not None  # headers have species or Z
    finite = np.isfinite(arrays["pos"]).all(axis=1)
    if not finite.all():
        n = int(np.argmin(finite))
        raise XyzError(
            f"positions {arrays['pos'][n].tolist()} are not finite; correct them, or "
            "remove the frame",
            first + n,
        )
    return {"numbers": numbers, **arrays}


def _with_vectors(header: Header, lines: Lines, n_atoms: int) -> Header:
    """Return the header with the cell in ``VEC1 ...`` lines after the atoms."""
    cell, pbc = np.zeros((3, 3)), np.zeros(3, dtype=bool)
    if header.cell is not None:
        raise XyzError(
            "the header gives a cell, and so do lines VEC1 ... after the atoms; remove "
            "one of them"
        )
    for number in range(1, 5):
        words = lines.peek().split()
        if not words or not words[0].startswith("VEC"):
            break
        line = n_atoms + 1 + number
        vector = numbers_in(words[1:]) if number < 4 else None
        is_sound = vector is not None and vector.size == 3 and np.isfinite(vector).all()
        if words[0] != f"VEC{number}" or not is_sound:
            raise XyzError(
                f"expected VEC{min(number, 3)} with three numbers, found "
                f"{shown(' '.join(words))}",
                line,
            )
        lines.take(1)
        cell[number - 1], pbc[number - 1] = vector, True
    return Header(cell, pbc, header.columns, header.more_columns, header.info)


def _assembled(header: Header, arrays: dict[str, np.ndarray], source: str) -> XyzFrame:
    structure = Frame(
        numbers=arrays.pop("numbers"),
        positions=np.asarray(arrays.pop("pos"), dtype=float),
        cell=np.zeros((3, 3)) if header.cell is None else header.cell,
        pbc=header.pbc,
        source=source,
    )
    return XyzFrame(structure, header.info, arrays)


def frame_of_lines(lines: Sequence[str], source: str) -> XyzFrame:
    """Return the frame in its lines: number of atoms, header, and one for each atom.

    Raises
    ------
    XyzError
        It cannot be understood.
    """
    header = read_header(lines[1])
    arrays = read_rows(lines[2:], header.columns, 2, header.more_columns)
    return _assembled(header, _with_numbers(arrays, 2), source)
