"""VASP's ML_AB and ML_ABN: the training data of its machine-learned force fields.

Sections have a title with its unit, set off by rules of ``=``, ``*`` and ``-``. Stress is
in kbar and VASP's sign, positive under compression, as ``in kB`` of OUTCAR; its rows are
XX YY ZZ and XY YZ ZX.

References
----------
VASP wiki, ML_AB, https://www.vasp.at/wiki/ML_AB
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gapfit.data.extxyz import XyzError, shown
from gapfit.data.extxyz_frames import XyzFrame
from gapfit.data.extxyz_header import Column
from gapfit.data.frame import GPA
from gapfit.data.readers.options import GPA_PER_KBAR, ReadOptions
from gapfit.data.readers.parts import (
    assembled,
    count,
    finite_rows,
    of_symbols,
    real_columns,
    require_volume,
    require_whole,
    truncated,
    wrong,
)
from gapfit.data.text_lines import Lines

__all__ = ["ml_ab_frames"]

_RULE = re.compile(r"\s*[=*]{10,}\s*")
_THIN_RULE = re.compile(r"\s*-{10,}\s*")
_FRAME = "Configuration num."
_N_FRAMES = "The number of configurations"
_TYPES, _CELL = "Atom types and atom numbers", "Primitive lattice vectors (ang.)"
_POSITIONS, _ENERGY = "Atomic positions (ang.)", "Total energy (eV)"
_FORCES, _STRESS = "Forces (eV ang.^-1)", "Stress (kbar)"
_NEEDED = (_TYPES, _CELL, _POSITIONS, _ENERGY, _FORCES, _STRESS)
_VECTOR = real_columns("x", "y", "z")
_SYMBOLS = [Column("symbol", "S", 0, 1), Column("number of atoms", "I", 1, 1)]


class _Section(NamedTuple):
    """Lines below a title, and the place of the first."""

    rows: list[str]
    line: int


def ml_ab_frames(lines: Lines, options: ReadOptions, path: Path) -> Iterator[XyzFrame]:
    """Yield the configurations of a file.

    Parameters
    ----------
    lines : Lines
        The file.
    options : ReadOptions
        Not needed: the file has symbols and units.
    path : Path
        Not needed.

    Raises
    ------
    XyzError
        A section is missing, damaged or in another unit, or configurations are missing.
    """
    n_frames = _promised(lines)
    for n in range(n_frames):
        sections, ended = _sections(lines)
        require_whole(lines)
        yield _frame(lines, sections)
        if ended and n + 1 < n_frames:
            raise truncated(lines, f"configuration {n + 2} of {n_frames}")
    if not ended:
        raise wrong(
            lines,
            f"there are more than the {n_frames} configurations that the head of the "
            "file promises; correct their number",
        )


def _promised(lines: Lines) -> int:
    """Return the number of configurations, and skip to the first."""
    n_frames = None
    while taken := lines.take(1):
        if taken[0].strip() == _N_FRAMES:
            lines.take(1)  # a rule
            n_frames = count(lines, "".join(lines.take(1)), _N_FRAMES.lower())
        if taken[0].strip().startswith(_FRAME):
            break
    else:
        raise truncated(lines, f"{_FRAME!r}")
    if n_frames is None:
        raise wrong(lines, f"the head of the file lacks {_N_FRAMES!r}; write it again")
    return n_frames


def _frame(lines: Lines, sections: dict[str, _Section]) -> XyzFrame:
    """Return the configuration of these sections."""
    for title in _NEEDED:
        if title not in sections:
            raise _missing(lines, title, list(sections))
    types, line = sections[_TYPES]
    if not types:
        raise XyzError(f"{_TYPES!r} is empty; correct it", line)
    symbols = finite_rows(types, _SYMBOLS, line)
    counts = symbols["number of atoms"]
    n_atoms = int(counts.sum())
    n_positions = len(sections[_POSITIONS].rows)
    if counts.min() < 1 or n_atoms != n_positions:
        raise XyzError(
            f"there are {n_atoms} atoms in {_TYPES!r}, and {n_positions} positions; "
            "correct one of them",
            line,
        )
    numbers = of_symbols(symbols["symbol"].tolist(), line)
    cell = _vectors(sections, _CELL, 3)
    require_volume(lines, cell)
    return assembled(
        np.repeat(numbers, counts),
        _vectors(sections, _POSITIONS, n_atoms),
        cell,
        True,
        energy=float(_numbers(sections, _ENERGY, 0, "energy")[0]),
        forces=_vectors(sections, _FORCES, n_atoms),
        stress=_stress(sections),
    )


def _sections(lines: Lines) -> tuple[dict[str, _Section], bool]:
    """Take a configuration and the first line of the next; whether there is no next."""
    sections: dict[str, _Section] = {}
    rows: list[str] | None = None
    while taken := lines.take(1):
        line = taken[0]
        if line.strip().startswith(_FRAME):
            return sections, False
        if _RULE.fullmatch(line):
            rows = None
        elif rows is None:
            title = " ".join(line.split())
            if title in sections:
                raise wrong(lines, f"{shown(title)} comes twice; remove one of them")
            rows = []
            # The title stands above a thin rule.
            sections[title] = _Section(rows, lines.number - lines.start + 1)
        elif line.strip() and not _THIN_RULE.fullmatch(line):
            rows.append(line)
    return sections, True


def _missing(lines: Lines, title: str, found: list[str]) -> XyzError:
    name = title.partition(" (")[0]
    other = [t for t in found if t.startswith(name)]
    if other:
        return wrong(
            lines,
            f"expected {title!r}, found {shown(other[0])}: another unit; convert it",
        )
    return wrong(
        lines,
        f"the configuration above has no section {title!r}; the file is damaged or was "
        "truncated: write it again, or remove this configuration",
    )


def _vectors(sections: dict[str, _Section], title: str, n: int) -> np.ndarray:
    """Return the (n, 3) numbers of a section."""
    rows, line = sections[title]
    if len(rows) != n:
        raise XyzError(
            f"{title!r} has {len(rows)} lines where {n} are expected; correct them",
            line,
        )
    columns = finite_rows(rows, _VECTOR, line)
    return np.stack([columns["x"], columns["y"], columns["z"]], axis=1)


def _numbers(
    sections: dict[str, _Section], title: str, row: int, *names: str
) -> list[float]:
    """Return the numbers in one row of a section."""
    rows, line = sections[title]
    if len(rows) <= row:
        raise XyzError(f"{title!r} ends early; correct it", line)
    # Thin rules are no rows.
    columns = finite_rows(rows[row : row + 1], real_columns(*names), line + 2 * row)
    return [float(columns[name][0]) for name in names]


def _stress(sections: dict[str, _Section]) -> np.ndarray:
    """Return the stress, (6,) float64: Voigt order, tension positive, eV/Å³."""
    xx, yy, zz = _numbers(sections, _STRESS, 1, "XX", "YY", "ZZ")
    xy, yz, zx = _numbers(sections, _STRESS, 3, "XY", "YZ", "ZX")
    rows, line = sections[_STRESS]
    heads = [" ".join(rows[n].split()) for n in (0, 2)]
    if heads != ["XX YY ZZ", "XY YZ ZX"] or len(rows) != 4:
        raise XyzError(
            f"expected rows XX YY ZZ and XY YZ ZX in {_STRESS!r}, found "
            f"{shown(' and '.join(heads))}; correct them",
            line,
        )
    return -np.array([xx, yy, zz, yz, zx, xy]) * GPA_PER_KBAR / GPA
