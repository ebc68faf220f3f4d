"""Trajectories of CP2K: ``PROJECT-pos-1.xyz`` with the files beside it.

By CP2K's defaults positions are in Å, the energy E of the comment in Hartree, the forces of
``PROJECT-frc-1.xyz`` in Hartree/Bohr, the cells of ``PROJECT-1.cell`` in Å and the stresses
of ``PROJECT-1.stress`` in bar, positive under compression. Steps are matched by their
numbers, which must increase.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gapfit.data.extxyz import shown
from gapfit.data.extxyz_frames import XyzFrame
from gapfit.data.extxyz_header import PLAIN
from gapfit.data.frame import GPA, determinant, to_voigt
from gapfit.data.packed import packed_lines
from gapfit.data.readers.cp2k_beside import beside, naming, require_later
from gapfit.data.readers.cp2k_cell import Cell, cell_beside, step_table
from gapfit.data.readers.options import BOHR, HARTREE, ReadOptions
from gapfit.data.readers.parts import (
    assembled,
    count,
    next_line,
    of_symbols,
    reals,
    table,
    wrong,
)
from gapfit.data.text_lines import Lines
from gapfit.errors import DataError

__all__ = ["HEADER", "trajectory_frames"]

#: The comment of a step.
HEADER = r"\s*i\s*=\s*(\d{1,18}),(?:.*,)?\s*E\s*=\s*(\S+?)\s*$"
_HEADER = re.compile(HEADER)
_NAME = re.compile(r"(.+)-pos-(\d+)\.xyz(?:\.(?:gz|bz2|xz))?")
_BAR = 1e-4


class _Step(NamedTuple):
    """One step of a file of positions or forces, in its units."""

    step: int
    energy: float
    numbers: np.ndarray
    vectors: np.ndarray


class _Cells:
    """The cell of each step."""

    def __init__(self, trajectory: Path, project: str, run: str) -> None:
        self._file = beside(trajectory, f"{project}-{run}.cell")
        self._steps = step_table(self._file) if self._file else None
        self._fixed = None
        if self._steps is None:
            self._fixed = cell_beside(trajectory.parent, project, run)

    def at(self, step: int) -> Cell:
        if self._fixed is not None:
            return self._fixed
        assert self._file is not None
        assert self._steps is not None
        vectors = self._steps.get(step)
        if vectors is None or abs(determinant(vectors)) < 1e-6:
            raise DataError(
                f"{self._file.name}: has no cell of step {step}, which the trajectory has; "
                "print both equally often"
            )
        return Cell(vectors, np.ones(3, dtype=bool))


def trajectory_frames(
    lines: Lines, options: ReadOptions, path: Path
) -> Iterator[XyzFrame]:
    """Yield the steps of a trajectory.

    Parameters
    ----------
    lines : Lines
        The file of positions.
    options : ReadOptions
        Not needed.
    path : Path
        The file; others of its run are looked for beside it.

    Raises
    ------
    XyzError
        A step is damaged.
    DataError
        A file beside it is missing or damaged.
    """
    name = _NAME.fullmatch(path.name)
    if name is None:
        raise wrong(
            lines,
            "this is a trajectory of CP2K by its comments, and its cell and forces are "
            "found by its name; name PROJECT-pos-1.xyz, as CP2K calls it",
        )
    project, run = name[1], name[2]
    cells = _Cells(path, project, run)
    stress_file = beside(path, f"{project}-{run}.stress")
    stresses = step_table(stress_file) if stress_file else {}
    last: int | None = None
    with _Forces(beside(path, f"{project}-frc-{run}.xyz")) as forces:
        while lines.peek().strip():
            step = _step(lines, last)
            last = step.step
            cell = cells.at(step.step)
            stress = stresses.get(step.step) if cell.pbc.all() else None
            yield assembled(
                step.numbers,
                step.vectors,
                *cell,
                energy=step.energy * HARTREE,
                forces=forces.at(step),
                stress=None if stress is None else -to_voigt(stress) * _BAR / GPA,
                info={"step": np.int64(step.step)},
            )
        forces.finish()
    _require_end(lines)


class _Forces:
    """The file of forces, read along with that of positions; there may be none."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._open = ExitStack()
        self._lines = self._open.enter_context(packed_lines(path)) if path else None
        self._next: _Step | None = None

    def __enter__(self) -> _Forces:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def at(self, step: _Step) -> np.ndarray | None:
        """Return the forces of a step, eV/Å; None if they were not printed."""
        if self._path is None:
            return None
        while self._next is None or self._next.step < step.step:
            if not self._advance():
                return None
        found = self._next
        if found.step > step.step:
            return None
        if not np.array_equal(found.numbers, step.numbers):
            raise DataError(
                f"{self._path.name}: step {step.step} has other atoms than the file of "
                "positions; they belong to different runs"
            )
        return found.vectors * (HARTREE / BOHR)

    def finish(self) -> None:
        """Read what is left: steps that come again belong to other positions."""
        while self._advance():
            pass

    def _advance(self) -> bool:
        """Take the next step, if there is one."""
        if self._path is None or self._lines is None:
            return False
        with naming(self._path, self._lines):
            if not self._lines.peek().strip():
                _require_end(self._lines)
                return False
            last = None if self._next is None else self._next.step
            self._next = _step(self._lines, last)
        return True


def _require_end(lines: Lines) -> None:
    if not lines.is_blank():
        raise wrong(lines, "an empty line between steps; remove it")


def _step(lines: Lines, last: int | None) -> _Step:
    """Take one step, which must come after the last one."""
    n_atoms = count(lines, next_line(lines, "a step"), "the number of atoms")
    comment = next_line(lines, "the comment of the step")
    match = _HEADER.match(comment)
    if match is None:
        raise wrong(
            lines,
            f"expected `i = STEP, ..., E = ENERGY`, found {shown(comment.strip())}; the "
            "file is damaged",
        )
    require_later(lines, int(match[1]), last)
    energy = float(reals(lines, match[2], 1, "the energy")[0])
    rows = table(lines, n_atoms, PLAIN, "atoms")
    first = lines.number - n_atoms - lines.start
    numbers = of_symbols(rows["species"].tolist(), first)
    return _Step(int(match[1]), energy, numbers, rows["pos"])
