"""Outputs of CP2K: energies, forces and stresses of structures printed in them.

Positions are those of ``MODULE QUICKSTEP: ATOMIC COORDINATES``. Energies are in Hartree,
forces in Hartree/Bohr. The stress tensor is in GPa or bar, and positive under compression,
opposite to ASE (as in ase.calculators.cp2k).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gapfit.data.extxyz import numbers_in, shown
from gapfit.data.extxyz_frames import XyzFrame
from gapfit.data.frame import GPA, to_voigt
from gapfit.data.readers.options import BOHR, HARTREE, ReadOptions
from gapfit.data.readers.parts import (
    are_sound,
    assembled,
    next_line,
    of_symbols,
    reals,
    require_volume,
    truncated,
    wrong,
)
from gapfit.data.text_lines import Lines

__all__ = ["PERIODICITY", "cell_vector", "cp2k_frames"]

_CELL_VECTOR = re.compile(
    r" CELL\| Vector ([abc]) \[(\w+)\]:?((?:\s+[-+.\dEe]+){3})"
    r"(?:\s+\|\1\|\s*=\s*([-+.\dEe]+))?"
)
#: Largest difference of a vector and its length, relative: printed digits are three.
_ROUNDED = 1e-2
PERIODICITY = re.compile(r" (?:CELL|POISSON)\| Periodicity:?\s+(\w+)\s*$")
_COORDINATES = re.compile(
    r" MODULE \w+:\s+ATOMIC COORDINATES (?:IN )?(\w+)", re.IGNORECASE
)
_ATOM = re.compile(
    r"\s*(\d{1,9})\s+\d+\s+([A-Z][a-z]?)\s+\d+((?:\s+[-+.\dEe*]+){3})(?:\s|$)"
)
_ENERGY = re.compile(r" ENERGY\| Total FORCE_EVAL .*[\[(](\S+?)[\])]:?\s+(\S+)\s*$")
_FORCES = re.compile(
    r" (?:ATOMIC FORCES in|FORCES\| Atomic forces) \[(\S+)\]", re.IGNORECASE
)
_FORCE = re.compile(r"(?: FORCES\|\s+(\d{1,9})|\s*(\d{1,9})\s+\d+\s+[A-Za-z]\w*)(\s.*)")
_STRESS = re.compile(
    r" (?:STRESS\| )?(?:(?:ANALYTICAL|NUMERICAL) )?STRESS TENSOR \[(\w+)\]",
    re.IGNORECASE,
)
_STRESS_ROW = re.compile(r" (?:STRESS\|)?\s+([xyz])((?:\s+[-+.\dEe*]+){3})\s*$", re.I)
_STARTED, _ENDED = "PROGRAM STARTED AT", "PROGRAM ENDED AT"
_LENGTHS = {"angstrom": 1.0, "bohr": BOHR}
_HARTREE = ("a.u.", "hartree", "hartree/bohr")
_PRESSURES = {"gpa": 1.0, "bar": 1e-4, "kbar": 0.1}
_LETTERS = "abc"


@dataclass
class _Output:
    """What was read of an output so far."""

    cell: np.ndarray = field(default_factory=lambda: np.zeros((3, 3)))
    periodicity: str = "XYZ"
    numbers: np.ndarray | None = None
    positions: np.ndarray | None = None
    energy: float | None = None
    forces: np.ndarray | None = None
    stress: np.ndarray | None = None
    is_running: bool = True
    is_labelled: bool = False


def cp2k_frames(lines: Lines, options: ReadOptions, path: Path) -> Iterator[XyzFrame]:
    """Yield the structures of an output whose energies were computed.

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
        The output is incomplete; positions of steps were not printed; self-consistency was
        not reached.
    """
    found = _Output()
    while taken := lines.take(1):
        line = taken[0]
        if not line.startswith(" ") or len(line) < 8:
            continue
        if _STARTED in line and (found.is_labelled or found.energy is not None):
            raise truncated(lines, f"{_ENDED} ...")
        ends_frame = _COORDINATES.match(line) or _ENERGY.match(line) or _ENDED in line
        if ends_frame and found.energy is not None:
            yield _frame(lines, found)
            found.energy = found.forces = found.stress = None
            found.is_labelled = True
        found.is_running |= _STARTED in line
        _read_line(lines, line, found)
        if _ENDED in line:
            found = _Output()
            found.is_running = False
    if found.is_running or found.energy is not None:
        raise truncated(lines, f"{_ENDED} ...")


def _read_line(lines: Lines, line: str, found: _Output) -> None:
    """Read what a line begins, if anything."""
    if (vector := cell_vector(line)) is not None:
        axis, values = vector
        if values is None:
            raise wrong(lines, f"{shown(line.strip())} is no vector in Å; correct it")
        found.cell[axis] = values
    elif match := PERIODICITY.match(line):
        found.periodicity = match[1].upper()
    elif match := _COORDINATES.match(line):
        _read_atoms(lines, _unit(lines, match[1], _LENGTHS), found)
    elif match := _ENERGY.match(line):
        _read_energy(lines, match, found)
    elif (match := _FORCES.match(line)) and found.energy is not None:
        if match[1].lower() not in _HARTREE:
            raise wrong(
                lines, f"forces in {shown(match[1])} are not read; convert them"
            )
        found.forces = _forces(lines, found) * HARTREE / BOHR
    elif (match := _STRESS.match(line)) and found.energy is not None:
        found.stress = -_stress(lines) * _unit(lines, match[1], _PRESSURES) / GPA
    elif "SCF run NOT converged" in line:
        raise wrong(
            lines,
            "self-consistency was not reached, so that energy and forces are wrong; "
            "compute the structure again, or leave this file out",
        )


def cell_vector(line: str) -> tuple[int, np.ndarray | None] | None:
    """Return the number of a lattice vector and the vector, (3,) Å, in a line of output.

    Older versions print three digits of components, and more of the length, which the
    vector then has.

    Returns
    -------
    tuple or None
        None if the line has no lattice vector; without the vector if that is damaged.
    """
    match = _CELL_VECTOR.match(line)
    if match is None:
        return None
    axis = _LETTERS.index(match[1])
    values = numbers_in([*match[3].split(), *filter(None, [match[4]])])
    if (
        values is None
        or not are_sound(values).all()
        or match[2].lower() not in _LENGTHS
    ):
        return axis, None
    vector = values[:3].astype(float) * _LENGTHS[match[2].lower()]
    if len(values) == 3:
        return axis, vector
    printed = float(np.linalg.norm(values[:3]))
    if abs(printed - values[3]) > _ROUNDED * max(printed, 1e-6):
        return axis, None
    return axis, vector * (values[3] / printed)


def _unit(lines: Lines, name: str, units: dict[str, float]) -> float:
    if name.lower() not in units:
        raise wrong(
            lines, f"the unit {shown(name)} is none of {', '.join(units)}; convert it"
        )
    return units[name.lower()]


def _read_atoms(lines: Lines, length: float, found: _Output) -> None:
    """Read the atoms below a title, after empty lines and the names of columns."""
    symbols: list[str] = []
    rows: list[np.ndarray] = []
    while True:
        line = next_line(lines, "the end of the coordinates")
        match = _ATOM.match(line)
        if match:
            _require_next(lines, match[1], len(rows))
            symbols.append(match[2])
            rows.append(reals(lines, match[3], 3, "a position"))
        elif symbols:
            break
        elif line.strip() and not line.lstrip().startswith("Atom"):
            raise wrong(lines, f"expected an atom, found {shown(line.strip())}")
    first = lines.number - 1 - len(symbols) - lines.start
    found.numbers = of_symbols(symbols, first)
    found.positions = np.array(rows) * length


def _require_next(lines: Lines, number: str, n_before: int) -> None:
    if int(number) != n_before + 1:
        raise wrong(
            lines,
            f"expected atom {n_before + 1}, found {number}; the output is damaged",
        )


def _read_energy(lines: Lines, match: re.Match[str], found: _Output) -> None:
    if match[1].lower() not in _HARTREE:
        raise wrong(lines, f"an energy in {shown(match[1])} is not read; convert it")
    if found.positions is None:
        cause = "" if found.is_labelled else " (raise PRINT_LEVEL to MEDIUM)"
        raise wrong(
            lines,
            f"there are no positions for this energy{cause}; if this is a run of several "
            "steps, name its trajectory, PROJECT-pos-1.xyz, instead",
        )
    found.energy = float(reals(lines, match[2], 1, "the energy")[0]) * HARTREE


def _forces(lines: Lines, found: _Output) -> np.ndarray:
    """Return the forces below a title, (n_atoms, 3) Hartree/Bohr."""
    assert found.positions is not None
    rows: list[np.ndarray] = []
    n_atoms = len(found.positions)
    while len(rows) < n_atoms:
        line = next_line(lines, f"the force on atom {len(rows) + 1} of {n_atoms}")
        match = _FORCE.match(line)
        if match and not line.lstrip().startswith("#"):
            _require_next(lines, match[1] or match[2], len(rows))
            rows.append(reals(lines, " ".join(match[3].split()[:3]), 3, "a force"))
        elif rows:
            raise wrong(
                lines,
                f"expected the force on atom {len(rows) + 1} of {n_atoms}, found "
                f"{shown(line.strip())}; the output is damaged",
            )
    if _FORCE.match(lines.peek()):
        raise wrong(lines, "there are more forces than atoms; the output is damaged")
    return np.array(rows)


def _stress(lines: Lines) -> np.ndarray:
    """Return the tensor below a title, Voigt order, (6,), as it is printed."""
    rows: list[np.ndarray] = []
    for _ in range(5):
        line = next_line(lines, "the stress tensor")
        match = _STRESS_ROW.match(line)
        if match and match[1].lower() == "xyz"[len(rows)]:
            rows.append(reals(lines, match[2], 3, "a row of the stress"))
        if len(rows) == 3:
            return to_voigt(np.array(rows))
    raise wrong(lines, "the stress tensor above has no rows x, y, z; it is damaged")


def _frame(lines: Lines, found: _Output) -> XyzFrame:
    assert found.numbers is not None
    assert found.positions is not None
    pbc = np.array([axis in found.periodicity for axis in "XYZ"])
    if pbc.any():
        require_volume(lines, found.cell)
    frame = assembled(
        found.numbers,
        found.positions,
        found.cell if pbc.any() else np.zeros((3, 3)),
        pbc,
        energy=found.energy,
        forces=found.forces,
        stress=found.stress if pbc.all() else None,
    )
    # The positions of a later energy are those of its own.
    found.numbers = found.positions = None
    return frame
