"""What all readers need: lines with their numbers, tables of numbers, whole frames.

Lines of errors count from the start of the file, as `Lines` leaves `start` at 1 here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gapfit.data.extxyz import XyzError, numbers_in, shown
from gapfit.data.extxyz_frames import XyzFrame
from gapfit.data.extxyz_header import Column
from gapfit.data.extxyz_rows import atomic_numbers, read_rows
from gapfit.data.frame import Frame, determinant
from gapfit.data.text_lines import Lines

__all__ = [
    "are_sound",
    "assembled",
    "count",
    "keyword",
    "next_line",
    "of_symbols",
    "real_columns",
    "reals",
    "require_volume",
    "require_whole",
    "table",
    "together",
    "truncated",
    "wrong",
]

#: Most atoms of a frame: more is a damaged number.
_MOST_ATOMS = 10**9
#: Largest number, in any unit.
_LARGEST = 1e30
#: Least volume of a cell, Å³.
_LEAST_VOLUME = 1e-6


def wrong(lines: Lines, problem: str) -> XyzError:
    """Return the error of the line that was taken last."""
    return XyzError(problem, max(lines.number - 1 - lines.start, 0))


def next_line(lines: Lines, wanted: str) -> str:
    """Return the next line; the file must not end before it."""
    taken = lines.take(1)
    if not taken:
        raise truncated(lines, wanted)
    return taken[0]


def truncated(lines: Lines, wanted: str) -> XyzError:
    """Return the error of a file that ends too early."""
    return wrong(
        lines,
        f"the file ends before {wanted}; it was truncated: copy or write it again, or "
        "remove this frame",
    )


def require_whole(lines: Lines) -> None:
    """Refuse a file whose last line, just taken, has no end: numbers may be cut."""
    if lines.is_cut():
        raise wrong(
            lines,
            "the file ends within this line; it was truncated: copy or write it again, or "
            "end the line if it is whole",
        )


def are_sound(values: np.ndarray) -> np.ndarray:
    """Return which numbers are finite, and not so large that products overflow."""
    return np.isfinite(values) & (np.abs(values) <= _LARGEST)


def reals(lines: Lines, text: str, n: int, what: str) -> np.ndarray:
    """Return the `n` finite numbers in a text of the line taken last, (n,) float64."""
    values = numbers_in(text.split()) if text.split() else None
    if values is None or values.size != n or not are_sound(values).all():
        wanted = "one number" if n == 1 else f"{n} numbers"
        raise wrong(
            lines, f"expected {wanted}, {what}, found {shown(text.strip())}; correct it"
        )
    return values.astype(float)


def count(lines: Lines, text: str, what: str) -> int:
    """Return the positive integer in a text of the line taken last."""
    word = text.strip()
    if not (word.isascii() and word.isdigit() and len(word) < 12):
        raise wrong(lines, f"expected {what}, found {shown(word)}; correct it")
    number = int(word)
    if not 0 < number < _MOST_ATOMS:
        raise wrong(lines, f"{what} is {number}; correct it, or remove the frame")
    return number


def keyword(line: str) -> tuple[str, str]:
    """Return the first word of a line and the rest, which spaces or tabs may separate."""
    key, rest = [*line.split(None, 1), "", ""][:2]
    return key, rest.rstrip()


def real_columns(*names: str) -> list[Column]:
    """Return columns of one real number each."""
    return [Column(name, "R", n, 1) for n, name in enumerate(names)]


def table(
    lines: Lines, n_rows: int, columns: Sequence[Column], what: str
) -> dict[str, np.ndarray]:
    """Take rows of atoms and return their columns; all numbers are finite.

    Parameters
    ----------
    lines : Lines
        The file.
    n_rows : int
        Number of rows.
    columns : sequence of Column
        Their columns.
    what : str
        What they hold, for messages.

    Raises
    ------
    XyzError
        The file ends too early; a row does not fit the columns.
    """
    if not lines.fits(n_rows, 2 * columns[-1].start + 2):
        raise wrong(
            lines, f"{n_rows} rows cannot be in the rest of the file; correct it"
        )
    rows = lines.take(n_rows)
    if len(rows) < n_rows:
        raise truncated(lines, f"row {len(rows) + 1} of {n_rows} of {what}")
    require_whole(lines)
    return finite_rows(rows, columns, lines.number - n_rows - lines.start)


def finite_rows(
    rows: Sequence[str], columns: Sequence[Column], first: int
) -> dict[str, np.ndarray]:
    """Return the columns of rows of which the first is line `first`, all finite."""
    arrays = read_rows(rows, columns, first)
    for name, kind, _, _ in columns:
        values = arrays[name]
        if kind == "R" and not are_sound(values).all():
            n = int(np.argmin(are_sound(values).reshape(len(rows), -1).all(axis=1)))
            raise XyzError(
                f"{name} is not finite, or far too large, in {shown(rows[n].strip())}; "
                "correct it, or remove the frame",
                first + n,
            )
    return arrays


def together(
    lines: Lines, columns: Mapping[str, np.ndarray], names: Sequence[str]
) -> np.ndarray | None:
    """Return columns as one array, (n_atoms, n_columns); None if there is none of them.

    Raises
    ------
    XyzError
        There are some, but not all: a label would be lost unseen.
    """
    missing = [name for name in names if name not in columns]
    if len(missing) == len(names):
        return None
    if missing:
        raise wrong(
            lines,
            f"the atoms above have no column {', '.join(missing)}, only others of "
            f"{' '.join(names)}; write all of them, or none",
        )
    return np.stack([columns[name] for name in names], axis=1)


def of_symbols(words: Sequence[str], line: int) -> np.ndarray:
    """Return the atomic numbers of chemical symbols, (n_atoms,) int64."""
    return atomic_numbers(words, line)


def require_volume(lines: Lines, cell: np.ndarray) -> float:
    """Return the volume of lattice vectors, Å³; refuse those in one plane."""
    volume = abs(determinant(cell)) if np.isfinite(cell).all() else 0.0
    if not _LEAST_VOLUME < volume < np.inf:
        raise wrong(
            lines,
            f"the lattice vectors above have a volume of {volume:.3g} Å³; correct them",
        )
    return volume


def assembled(
    numbers: np.ndarray,
    positions: np.ndarray,
    cell: np.ndarray,
    pbc: Any,
    *,
    energy: float | None = None,
    forces: np.ndarray | None = None,
    stress: np.ndarray | None = None,
    info: dict[str, Any] | None = None,
) -> XyzFrame:
    """Return a frame with its labels.

    Parameters
    ----------
    numbers : (n_atoms,) int64
        Atomic numbers.
    positions : (n_atoms, 3) float64
        Positions, Å.
    cell : (3, 3) float64
        Lattice vectors as rows, Å.
    pbc : bool or (3,) bool
        Periodic directions.
    energy : float, optional
        Total energy, eV.
    forces : (n_atoms, 3) float64, optional
        Forces, eV/Å.
    stress : (6,) float64, optional
        Stress in Voigt order, tension positive, eV/Å³.
    info : dict, optional
        What else is known of the frame.

    Returns
    -------
    XyzFrame
        The frame; whoever knows the name of the file sets its source.
    """
    structure = Frame(
        numbers=np.asarray(numbers, dtype=np.int64),
        positions=np.ascontiguousarray(positions, dtype=float),
        cell=np.array(cell, dtype=float),
        pbc=np.broadcast_to(np.asarray(pbc, dtype=bool), (3,)).copy(),
    )
    labels = dict(info or {})
    if energy is not None:
        labels["energy"] = np.float64(energy)
    if stress is not None:
        labels["stress"] = np.asarray(stress, dtype=float)
    arrays = {} if forces is None else {"forces": np.asarray(forces, dtype=float)}
    return XyzFrame(structure, labels, arrays)
