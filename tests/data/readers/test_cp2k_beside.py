"""Files beside a trajectory of CP2K: restarted runs, compressed files, cells of inputs."""

from __future__ import annotations

import gzip
import lzma
import re
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from helpers import cp2k_files
from helpers.foreign_files import crystal, crystals

from gapfit.data.files import structures
from gapfit.errors import DataError

FILES = ("run-pos-1.xyz", "run-frc-1.xyz", "run-1.cell", "run-1.stress")


def read(path: Path) -> list[Atoms]:
    return [atoms for _, atoms in structures(path, path.name)]


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def with_repeated_steps(path: Path, n_frames: int) -> int:
    """Append the last two steps to a file again; return the line of the first again."""
    lines = path.read_text().splitlines(keepends=True)
    n_head = len(lines) % n_frames
    n_lines = len(lines) // n_frames
    path.write_text("".join([*lines, *lines[n_head + (n_frames - 2) * n_lines :]]))
    # The step is in the second line of a block of atoms, and in the only one of a table.
    return len(lines) + (2 if n_lines > 1 else 1)


@pytest.mark.parametrize("name", FILES)
def test_steps_that_a_restarted_run_repeats(tmp_path: Path, name: str) -> None:
    path = cp2k_files.trajectory(tmp_path, [crystal(seed=n) for n in range(4)])
    line = with_repeated_steps(tmp_path / name, 4)
    said = refusal(path)
    assert re.match(rf"{name}(, frame 4)? \(line {line}\): step 20 comes after", said)
    assert "remove steps 20 to 30 above this line, and the same from all files" in said


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("packed", [{*FILES}, {FILES[0]}, {*FILES[1:]}])
def test_compressed_files_beside_a_trajectory(
    tmp_path: Path, packed: set[str], name: str
) -> None:
    path = cp2k_files.trajectory(tmp_path, crystals())
    expected = read(path)
    for n, other in enumerate(sorted(packed)):
        file = tmp_path / other
        opener, suffix = (gzip, ".gz") if n else (lzma, ".xz")
        file.with_name(other + suffix).write_bytes(opener.compress(file.read_bytes()))
        file.unlink()
        path = file.with_name(other + suffix) if other == FILES[0] else path
    found = read(path)
    for one, other_atoms in zip(found, expected, strict=True):
        assert one == other_atoms
        assert set(one.calc.results) == {"energy", "forces", "stress"}
        for label, value in one.calc.results.items():
            np.testing.assert_array_equal(value, other_atoms.calc.results[label])
    packed_files = [p for p in tmp_path.glob(f"{name}.*") if p != path]
    for file in packed_files:
        file.write_bytes(file.read_bytes()[:-20])
        assert refusal(path).startswith(f"{file.name}: cannot be unpacked")


def cell_of(tmp_path: Path, section: str, name: str = "run.inp") -> Atoms:
    path = cp2k_files.trajectory(tmp_path, [crystal()], files="")
    (tmp_path / name).write_text(section)
    return read(path)[0]


@pytest.mark.parametrize(
    ("section", "cell", "pbc"),
    [
        ("ABC 4 5 6\nMULTIPLE_UNIT_CELL 2 1 3", [8, 5, 18], "TTT"),
        ("A 4 0 0\nB 0 5 0\nC 0 0 6\nMULTIPLE_UNIT_CELL\t1 2 1", [4, 10, 6], "TTT"),
        ("A\t4 0 0\nB\t0 5 0\nC\t0\t0\t6", [4, 5, 6], "TTT"),
        ("ABC\t[angstrom] 4 5 6\nPERIODIC\tXY", [4, 5, 6], "TTF"),
        ("ABC\t4 5 6\nPERIODIC\tNONE", [0, 0, 0], "FFF"),
        ("ABC 4 5 6\n&CELL_REF\nABC 7 7 7\n&END CELL_REF", [4, 5, 6], "TTT"),
        ("&CELL_REF\nABC 7 7 7\n&END\nABC 4 5 6", [4, 5, 6], "TTT"),
    ],
)
def test_cells_of_inputs(
    tmp_path: Path, section: str, cell: list[float], pbc: str
) -> None:
    found = cell_of(tmp_path, f"&SUBSYS\n &cell\n{section}\n&END CELL\n&END\n")
    np.testing.assert_allclose(found.cell[:], np.diag(cell), atol=1e-12)
    assert "".join("T" if p else "F" for p in found.pbc) == pbc


@pytest.mark.parametrize(
    ("section", "refused"),
    [
        ("A 4 0 0\nC 0 0 6", "run.inp: &CELL has A, C alone of A, B, C; write all"),
        ("ABC 4 5 6\nB 0 5 0", "run.inp: &CELL has B alone of A, B, C"),
        (
            "ABC 4 5 6\nMULTIPLE_UNIT_CELL 2 2",
            "MULTIPLE_UNIT_CELL '2 2' in &CELL is not",
        ),
        ("ABC 4 5 6\nMULTIPLE_UNIT_CELL 2 0 2", "'2 0 2' in &CELL is not three posit"),
    ],
)
def test_cells_of_inputs_that_are_incomplete(
    tmp_path: Path, section: str, refused: str
) -> None:
    with pytest.raises(DataError, match=re.escape(refused)):
        cell_of(tmp_path, f"&CELL\n{section}\n&END CELL\n")


@pytest.mark.parametrize(
    "line",
    [
        " MD_PAR| Ensemble type                                           NPT_I",
        " MD| Ensemble Type                                               NPE_F",
        " GLOBAL| Run type                                             CELL_OPT",
    ],
)
def test_outputs_of_runs_whose_cell_changes(tmp_path: Path, line: str) -> None:
    output = cp2k_files.output(crystal()).replace(
        " GLOBAL| Run type                                                   ENERGY_FORCE",
        line,
    )
    assert line in output
    with pytest.raises(DataError, match=r"run\.out: the cell changes in this run"):
        cell_of(tmp_path, output, "run.out")
