"""The cells of a CP2K trajectory, which stand in the files beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gapfit._support.foreign import MB, ForeignError, foreign_text
from gapfit.data.extxyz import numbers_in, shown
from gapfit.data.frame import determinant
from gapfit.data.packed import packed_lines
from gapfit.data.readers.cp2k_beside import naming, require_later
from gapfit.data.readers.cp2k_output import PERIODICITY, cell_vector
from gapfit.data.readers.parts import are_sound, keyword, require_whole, wrong
from gapfit.data.text_lines import Lines
from gapfit.errors import DataError

__all__ = ["Cell", "cell_beside", "step_table"]

_LARGEST = 512 * MB
#: In inputs and restarts, and in the two layouts of outputs.
_VARIABLE_CELL = re.compile(
    r"^\s*(?:(?:MD\w*\|\s+)?ENSEMBLE(?:\s+TYPE)?\s+(?:NP|MSST|HYDRO)"
    r"|(?:GLOBAL\|\s+)?RUN[_ ]TYPE\s+CELL_OPT)",
    re.MULTILINE | re.IGNORECASE,
)
_STEP = re.compile(r"\d{1,18}", re.ASCII)
_REPEAT = re.compile(r"[1-9]\d{0,3}", re.ASCII)
_UNIT = re.compile(r"\[\s*(\w+)\s*\]")


class Cell(NamedTuple):
    """Lattice vectors as rows, Å, and periodic directions."""

    vectors: np.ndarray
    pbc: np.ndarray


def step_table(path: Path) -> dict[int, np.ndarray]:
    """Return the nine components of each step in a ``.cell`` or ``.stress`` file.

    Parameters
    ----------
    path : Path
        A file with the columns step, time, then nine components.

    Raises
    ------
    DataError
        A line is damaged, the head names other units than Å and bar, or the steps do not
        increase.
    """
    steps: dict[int, np.ndarray] = {}
    last: int | None = None
    with packed_lines(path) as lines, naming(path, lines):
        while taken := lines.take(1):
            line = taken[0].strip()
            if line.startswith("#"):
                _check_head(lines, line)
            elif line:
                step, values = _row(lines, line)
                require_later(lines, step, last)
                steps[step], last = values, step
    return steps


def _row(lines: Lines, line: str) -> tuple[int, np.ndarray]:
    """Return the step of a line and its nine components, (3, 3)."""
    require_whole(lines)
    words = line.split()
    values = numbers_in(words)
    if (
        values is None
        or values.size < 11
        or not are_sound(values).all()
        or not _STEP.fullmatch(words[0])
    ):
        raise wrong(
            lines,
            f"expected step, time and nine numbers, found {shown(line)}; correct the line",
        )
    return int(words[0]), values[2:11].astype(float).reshape(3, 3)


def _check_head(lines: Lines, line: str) -> None:
    units = {unit.lower() for unit in _UNIT.findall(line)} - {"fs"}
    if units - {"angstrom", "bar"}:
        raise wrong(
            lines,
            f"has the units {', '.join(sorted(units))}, and Angstrom or bar are expected; "
            "print it again in these",
        )


def cell_beside(folder: Path, project: str, run: str) -> Cell:
    """Return the fixed cell of a run, from its restart, input or output.

    Parameters
    ----------
    folder : Path
        Where the trajectory is.
    project : str
        The name of the project: that of the trajectory before ``-pos-``.
    run : str
        Number of the run: that after ``-pos-``.

    Raises
    ------
    DataError
        There is no such file, it has no cell, or the cell changes in this run.
    """
    inputs = [folder / f"{project}-{run}.restart", folder / f"{project}.inp"]
    outputs = [folder / f"{project}{suffix}" for suffix in (".out", ".log")]
    for path in (*inputs, *sorted(folder.glob("*.inp")), *outputs):
        # Another input of the same folder counts only if it is the only one.
        if not path.is_file() or (
            path not in (*inputs, *outputs) and len(list(folder.glob("*.inp"))) > 1
        ):
            continue
        text = _text(path)
        if _VARIABLE_CELL.search(text):
            raise DataError(
                f"{path.name}: the cell changes in this run, and there is no "
                f"{project}-{run}.cell beside the trajectory; print it (MOTION/PRINT/CELL)"
            )
        found = _of_output(text) if path in outputs else _of_input(path, text)
        if found is not None:
            return found
    raise DataError(
        f"{project}-pos-{run}.xyz: has no cell; put {project}-{run}.cell, or unpacked "
        f"{project}-{run}.restart, {project}.inp or {project}.out of the same run beside it"
    )


def _text(path: Path) -> str:
    try:
        return foreign_text(path, _LARGEST)
    except ForeignError as error:
        raise DataError(f"{path.name}: {error}; correct or remove the file") from None


def _of_output(text: str) -> Cell | None:
    vectors = np.zeros((3, 3))
    found = set()
    periodicity = "XYZ"
    for line in text.splitlines():
        if (vector := cell_vector(line)) is not None:
            if vector[1] is None:
                return None
            vectors[vector[0]] = vector[1]
            found.add(vector[0])
        elif match := PERIODICITY.match(line):
            periodicity = match[1]
    return _cell(vectors, periodicity) if len(found) == 3 else None


def _of_input(path: Path, text: str) -> Cell | None:
    """Return the cell of the first section that gives one."""
    for keys in _cell_sections(text):
        periodicity = keys.get("PERIODIC") or "XYZ"
        rows = {"A", "B", "C"} & set(keys)
        if rows and len(rows) < 3:
            raise DataError(
                f"{path.name}: &CELL has {', '.join(sorted(rows))} alone of A, B, C; write "
                "all three, or put the restart beside the trajectory"
            )
        if rows:
            vectors = np.array([_three(path, keys[key]) for key in "ABC"])
        elif "ABC" in keys:
            angles = keys.get("ALPHA_BETA_GAMMA") or keys.get("ANGLES") or "90 90 90"
            lengths = _three(path, keys["ABC"])
            vectors = _of_angles(path, lengths, _three(path, angles))
        else:
            continue
        repeats = _repeats(path, keys.get("MULTIPLE_UNIT_CELL", "1 1 1"))
        return _cell(vectors * repeats[:, None], periodicity)
    return None


def _cell_sections(text: str) -> Iterator[dict[str, str]]:
    """Yield the keys of each ``&CELL``, without those of sections in it, as &CELL_REF."""
    keys: dict[str, str] = {}
    depth = 0
    for line in text.splitlines():
        key, rest = keyword(line.split("!")[0].split("#")[0])
        key = key.upper()
        if not depth:
            if key == "&CELL":
                keys, depth = {}, 1
        elif key.startswith("&END"):
            depth -= 1
            if not depth:
                yield keys
        elif key.startswith("&"):
            depth += 1
        elif depth == 1:
            keys[key] = rest


def _repeats(path: Path, text: str) -> np.ndarray:
    """Return how often the cell of an input is repeated along each vector, (3,)."""
    words = text.split()
    if len(words) != 3 or not all(map(_REPEAT.fullmatch, words)):
        raise DataError(
            f"{path.name}: MULTIPLE_UNIT_CELL {shown(text)} in &CELL is not three positive "
            "integers; correct it, or put the restart beside the trajectory"
        )
    return np.array(words, dtype=float)


def _three(path: Path, text: str) -> np.ndarray:
    units = [unit.lower() for unit in _UNIT.findall(text)]
    values = numbers_in(_UNIT.sub(" ", text).split() or ["-"])
    if (
        values is None
        or values.size != 3
        or not are_sound(values).all()
        or set(units) - {"angstrom", "deg"}
    ):
        raise DataError(
            f"{path.name}: {text.strip()[:60]!r} in &CELL is not three numbers in "
            "Angstrom; write numbers, or put the restart beside the trajectory"
        )
    return values.astype(float)


def _of_angles(path: Path, lengths: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Return vectors of these lengths (Å) and angles (degrees); a along x, b in xy."""
    if angles.min() < 1 or angles.max() > 179:
        raise DataError(f"{path.name}: the angles {angles.tolist()} make no cell")
    alpha, beta, gamma = np.cos(np.radians(angles))
    sin_gamma = np.sqrt(1.0 - gamma**2)
    y = (alpha - beta * gamma) / sin_gamma
    z = np.sqrt(max(1.0 - beta**2 - y**2, 0.0))
    directions = np.array([[1.0, 0.0, 0.0], [gamma, sin_gamma, 0.0], [beta, y, z]])
    return np.asarray(lengths[:, None] * directions)


def _cell(vectors: np.ndarray, periodicity: str) -> Cell | None:
    pbc = np.array([axis in periodicity.upper() for axis in "XYZ"])
    if "NONE" in periodicity.upper():
        return Cell(np.zeros((3, 3)), np.zeros(3, dtype=bool))
    return Cell(vectors, pbc) if abs(determinant(vectors)) > 1e-6 else None
