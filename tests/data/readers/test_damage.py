"""Damaged files of other programs end in one line with the place, or in sound frames."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from helpers import cp2k_files, foreign_files
from helpers.foreign_files import SPECIES, crystal, crystals
from mutations import Refused, mutants, read_or_refused

from gapfit.data.files import structures
from gapfit.data.readers.options import ReadOptions
from gapfit.data.readers.table import READERS

OPTIONS = ReadOptions(species=SPECIES, units="atomic")
#: Damaged files of each format.
TRIES = 60
BOTH = crystals()
LOWER = list(map(foreign_files.lower, BOTH))

#: Whole files by name.
SOUND: dict[str, str] = {
    "ML_AB": foreign_files.ml_ab(BOTH),
    "a.cfg": foreign_files.mlip_cfg(BOTH),
    "input.data": foreign_files.input_data(BOTH),
    "a.dump": foreign_files.dump(LOWER),
    "new.out": "".join(map(cp2k_files.output, BOTH)),
    "old.out": cp2k_files.output(BOTH[0], 7),
}
#: Files of a CP2K trajectory that can be damaged.
PARTS = ("run-pos-1.xyz", "run-frc-1.xyz", "run-1.cell", "run-1.stress")
CASES = [*SOUND, *PARTS]


@pytest.fixture
def damage(tmp_path: Path) -> Callable[[str], tuple[bytes, Callable[[bytes], object]]]:
    """Return a sound file, and a function that reads a damaged one in its place."""

    def prepare(name: str) -> tuple[bytes, Callable[[bytes], object]]:
        main = tmp_path / name
        if name in PARTS:
            main = cp2k_files.trajectory(tmp_path, BOTH)
        else:
            main.write_text(SOUND[name])
        sound = (tmp_path / name).read_bytes()

        def read(content: bytes) -> object:
            (tmp_path / name).write_bytes(content)
            found = read_or_refused(
                lambda: [a for _, a in structures(main, main.name, OPTIONS)]
            )
            # ASE reads what no reader knows.
            if any(reader.knows(main.read_bytes()[:8192]) for reader in READERS):
                assert "cannot be read (" not in str(found)
            return found

        return sound, read

    return prepare


def said(found: object) -> str:
    """Return the refusal, which is one clear line and no surprise to the reader."""
    assert isinstance(found, Refused)
    assert "\n" not in found.message
    return found.message


def are_among(found: Sequence[Atoms], sound: Sequence[Atoms]) -> None:
    """Require that frames are sound ones, which may lack labels."""
    for atoms in found:
        (same,) = [s for s in sound if np.array_equal(s.positions, atoms.positions)]
        assert np.array_equal(atoms.numbers, same.numbers)
        assert np.array_equal(atoms.cell, same.cell)
        results = atoms.calc.results if atoms.calc else {}
        for name, value in results.items():
            assert np.array_equal(value, same.calc.results[name]), name


@pytest.mark.parametrize("name", CASES)
def test_truncated_files(name: str, damage) -> None:
    content, read = damage(name)
    sound = read(content)
    n_refused = 0
    places = range(0, len(content) - 2, max(50, len(content) // 60))
    for end in places:
        found = read(content[:end])
        if isinstance(found, Refused):
            message = said(found)
            n_refused += 1
            assert re.search(
                r"\(line \d+\)|no structures|cell of step|not known", message
            )
        else:
            # Frames that were whole, without the others or their stress.
            are_among(found, sound)
    assert n_refused >= 0.9 * len(places) or name in ("run-frc-1.xyz", "run-1.stress")


@pytest.mark.parametrize("name", CASES)
def test_files_without_a_line(name: str, damage) -> None:
    content, read = damage(name)
    sound = read(content)
    lines = content.splitlines(keepends=True)
    n_lines = min(len(lines), 75)
    for n in range(n_lines):
        # A file of n2p2 does not tell how many atoms there are.
        if name == "input.data" and lines[n].startswith(b"atom"):
            continue
        found = read(b"".join(lines[:n] + lines[n + 1 :]))
        if isinstance(found, Refused):
            said(found)
        else:
            are_among(found, sound)


@pytest.mark.parametrize("name", CASES)
def test_files_with_lines_in_another_order(name: str, damage) -> None:
    content, read = damage(name)
    sound = read(content)
    lines = content.splitlines(keepends=True)
    for n in range(min(len(lines), 75) - 1):
        swapped = [*lines[:n], lines[n + 1], lines[n], *lines[n + 2 :]]
        found = read(b"".join(swapped))
        if isinstance(found, Refused):
            said(found)
            continue
        # Rows of numbers may change places unseen; all else is as it was.
        assert len(found) == len(sound)
        for atoms in found:
            assert len(atoms) == 8
            assert set(atoms.symbols) == set(SPECIES)


@pytest.mark.parametrize("name", CASES)
def test_files_with_random_damage(name: str, damage) -> None:
    content, read = damage(name)
    for damaged in mutants([content], TRIES, seed=1):
        found = read(damaged)
        if isinstance(found, Refused):
            said(found)
            continue
        for atoms in found:
            assert np.isfinite(atoms.positions).all()
            assert np.isfinite(atoms.cell).all()
            for value in atoms.calc.results.values() if atoms.calc else ():
                assert np.isfinite(value).all()


def test_truncated_arrays_of_deepmd(tmp_path: Path) -> None:
    path = foreign_files.deepmd(tmp_path / "system", BOTH)
    for file in sorted(path.rglob("*.*")):
        if file.is_dir():
            continue
        content = file.read_bytes()
        for end in range(0, len(content) - 2, 50):
            file.write_bytes(content[:end])
            found = read_or_refused(
                lambda: [a for _, a in structures(path, "system", OPTIONS)]
            )
            assert file.name in said(found), (file, end)
        for damaged in mutants([content], 20, seed=2):
            file.write_bytes(damaged)
            found = read_or_refused(
                lambda: [a for _, a in structures(path, "system", OPTIONS)]
            )
            if isinstance(found, Refused):
                said(found)
        file.write_bytes(content)


def _cases() -> Iterator[tuple[str, str, str, str]]:
    """Yield a name, what to replace by what, and the refusal."""
    ab, cfg, n2p2, dump, out = (
        SOUND["ML_AB"],
        "a.cfg",
        "input.data",
        "a.dump",
        "new.out",
    )
    yield (
        "ML_AB",
        "Stress (kbar)",
        "Stress (GPa)",
        r"frame 0 .*found 'Stress \(GPa\)': an",
    )
    yield "ML_AB", "Total energy (eV)", "Energy", "has no section 'Total energy"
    yield "ML_AB", "XX YY ZZ", "XX ZZ YY", "expected rows XX YY ZZ and XY YZ ZX"
    yield (
        "ML_AB",
        "         2\n***",
        "         3\n***",
        "ends before configuration 3 of 3",
    )
    yield (
        "ML_AB",
        "         2\n***",
        "         1\n***",
        "more than the 1 configurations",
    )
    yield (
        "ML_AB",
        "     Au       3",
        "     Au       2",
        "7 atoms in .*, and 8 positions",
    )
    yield (
        "ML_AB",
        "     Au       3",
        "     Au1      3",
        r"\(line \d+\): 'Au1' is not a chem",
    )
    first = re.search(r"Primitive.*\n-+\n(.*)\n", ab)
    assert first is not None
    yield "ML_AB", first[1], "5 5", r"frame 0 \(line \d+\): expected 3 columns"
    yield cfg, "PlusStress:", "Stress:", "Stress: has a sign or unit that depends"
    yield cfg, "xx yy zz", "xx yy zy", "PlusStress has columns"
    yield cfg, " id type ", " id kind ", "lack type"
    yield cfg, " fz\n", " gz\n", "no column fz, only others of fx fy fz; write all"
    yield cfg, "cartes_y", "direct_y", "no column cartes_y, only others"
    yield cfg, "END_CFG", "END", r"frame 0 \(line 22\): 'END' is no keyword"
    yield cfg, "    8\n", "    9\n", r"frame 0 \(line \d+\): expected 8 columns"
    yield n2p2, "begin\n", "begin x y z\n", "begin names columns"
    yield n2p2, "charge", "load", "'load' is no keyword of a structure"
    yield n2p2, "energy ", "energy ***", "expected one number, energy, found"
    yield dump, "8\nITEM: BOX", "7\nITEM: BOX", "has more or fewer atoms than it says"
    yield dump, "8\nITEM: BOX", "9\nITEM: BOX", "expected 8 columns"
    yield dump, "id type x", "id kind x", "neither element nor type"
    yield dump, " fx fy fz", " fx vy fz", r"frame 0 \(line 17\): .*no column fy"
    yield dump, " x y z ", " x y b ", "no column z, only others of x y z"
    yield dump, " x y z ", " a b c ", "has no positions"
    yield dump, "xy xz yz pp", "xz xy yz pp", "is not understood"
    yield out, "[hartree] ", "[kcalmol] ", "an energy in 'kcalmol' is not read"
    yield out, "IN ANGSTROM", "IN FURLONGS", "the unit 'FURLONGS' is none of"
    yield out, "tensor [bar]", "tensor [atm]", "the unit 'atm' is none of"
    yield out, "SCF run converged", "SCF run NOT converged", "was not reached"
    yield out, "PROGRAM ENDED", "ABORT", "ends before PROGRAM ENDED"
    yield (
        "run-1.cell",
        "Ax [Angstrom]",
        "Ax [Bohr]",
        r"run-1.cell \(line 1\): has the unit",
    )
    yield "run-frc-1.xyz", "\n     8", "\n\n     8", r"frc-1.xyz \(line 1\d\): an empty"
    yield "run-frc-1.xyz", " Cu ", " Au ", "step 0 has other atoms than the file"
    yield "run-1.stress", "  0  ", "0.5  ", r"run-1.stress \(line 2\): expected step"
    yield "run-1.stress", "0.000 ", "0.000 x", r"run-1.stress \(line 2\): expected step"


@pytest.mark.parametrize(("name", "old", "new", "refusal"), list(_cases()))
def test_refusals(name: str, old: str, new: str, refusal: str, damage) -> None:
    content, read = damage(name)
    text = content.decode()
    assert old in text
    message = said(read(text.replace(old, new, 1).encode()))
    assert re.search(refusal, message), message
    assert message.startswith(name if name not in PARTS else "run-")


@pytest.mark.parametrize(
    ("species", "refusal"),
    [
        ((), "the file does not name their elements; give them in"),
        (("Si",), r"type \d has no element: species Si are types"),
    ],
)
@pytest.mark.parametrize("name", ["a.cfg", "a.dump"])
def test_types_without_elements(
    name: str, species: tuple[str, ...], refusal: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(SOUND[name])
    found = read_or_refused(
        lambda: list(structures(tmp_path / name, name, ReadOptions(species)))
    )
    assert re.search(rf"frame 0 \(line \d+\): .*{refusal}", said(found))


def test_units_of_n2p2_must_be_given(tmp_path: Path) -> None:
    (tmp_path / "input.data").write_text(SOUND["input.data"])
    found = read_or_refused(lambda: list(structures(tmp_path / "input.data", "i.data")))
    assert "the file does not name its units: give units under [data]" in said(found)


def test_positions_of_steps_that_are_not_in_the_output(tmp_path: Path) -> None:
    content = cp2k_files.output(crystal())
    energy = next(line for line in content.splitlines() if "ENERGY|" in line)
    (tmp_path / "md.out").write_text(content.replace(energy, f"{energy}\n{energy}"))
    found = read_or_refused(lambda: list(structures(tmp_path / "md.out", "md.out")))
    assert "name its trajectory, PROJECT-pos-1.xyz, instead" in said(found)


def test_cells_of_trajectories_that_cannot_be_known(tmp_path: Path) -> None:
    path = cp2k_files.trajectory(tmp_path, [crystal()], files="")

    def refusal() -> str:
        return said(read_or_refused(lambda: list(structures(path, path.name))))

    assert "run-pos-1.xyz: has no cell; put run-1.cell" in refusal()
    (tmp_path / "run-1.restart").write_text(
        cp2k_files.restart(crystal(), "   &MD\n     ENSEMBLE  NPT_I\n   &END MD\n")
    )
    assert "run-1.restart: the cell changes in this run" in refusal()
    (tmp_path / "run-1.restart").write_text("&CELL\nABC 2*${L} 5 5\n&END CELL\n")
    assert "'2*${L} 5 5' in &CELL is not three numbers" in refusal()
    renamed = path.rename(tmp_path / "steps.xyz")
    found = read_or_refused(lambda: list(structures(renamed, "steps.xyz")))
    assert "name PROJECT-pos-1.xyz" in said(found)


def test_deepmd_folders_that_lack_something(tmp_path: Path) -> None:
    path = foreign_files.deepmd(tmp_path / "system", BOTH)

    def refusal() -> str:
        return said(read_or_refused(lambda: list(structures(path, "system"))))

    np.save(path / "set.000" / "energy.npy", np.zeros((3, 1)))
    assert re.search(r"system/set.000/energy.npy: has the shape \(3, 1\)", refusal())
    np.save(path / "set.000" / "force.npy", np.array([None]), allow_pickle=True)
    (path / "set.000" / "energy.npy").unlink()
    assert "force.npy: is no NumPy array" in refusal()
    (path / "set.000" / "box.npy").unlink()
    assert "has no box; copy it, or mark molecules" in refusal()
    (path / "type_map.raw").unlink()
    (path / "set.000").rename(path / "sets")
    assert "has neither set.000 nor coord.raw" in refusal()
