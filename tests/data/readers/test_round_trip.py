"""Structures and labels come back from the files of other programs, in ASE's units."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Sequence
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.io.formats import ioformats
from helpers import cp2k_files, foreign_files
from helpers.foreign_files import SPECIES, crystal, crystals

from gapfit.data.files import structures
from gapfit.data.readers.options import ReadOptions

PLAIN = ReadOptions()
NUMBERED = ReadOptions(species=SPECIES)
ATOMIC = ReadOptions(units="atomic")


def read(path: Path, options: ReadOptions = PLAIN) -> list[Atoms]:
    return [atoms for _, atoms in structures(path, path.name, options)]


def text(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def same(
    found: Sequence[Atoms],
    expected: Sequence[Atoms],
    tolerance: float = 1e-8,
    labels: Sequence[str] = ("energy", "forces", "stress"),
) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.get_chemical_symbols() == other.get_chemical_symbols()
        assert one.pbc.all()
        np.testing.assert_allclose(one.cell[:], other.cell[:], atol=tolerance)
        np.testing.assert_allclose(one.positions, other.positions, atol=tolerance)
        assert set(one.calc.results) == set(labels)
        for label in labels:
            np.testing.assert_allclose(
                one.calc.results[label], other.calc.results[label], atol=tolerance
            )


def is_under_pressure(frames: Sequence[Atoms]) -> None:
    """The smaller of two crystals has the higher energy, so both push outwards."""
    volumes = [atoms.get_volume() for atoms in frames]
    energies = [atoms.get_potential_energy() for atoms in frames]
    assert volumes[0] < volumes[1]
    assert energies[0] > energies[1]
    # The mean pressure is about minus the slope of the energy over the volume.
    slope = (energies[0] - energies[1]) / (volumes[1] - volumes[0])
    pressures = [-atoms.get_stress()[:3].mean() for atoms in frames]
    assert min(pressures) > 0
    assert 0.5 * slope < np.mean(pressures) < 2 * slope


def test_the_crystals_are_under_pressure() -> None:
    is_under_pressure(crystals())


@pytest.mark.parametrize("name", ["ML_AB", "ML_ABN", "train.xyz"])
def test_ml_ab(tmp_path: Path, name: str) -> None:
    frames = crystals()
    found = read(text(tmp_path / name, foreign_files.ml_ab(frames)))
    same(found, list(map(foreign_files.sorted_by_species, frames)))
    is_under_pressure(found)


def test_mlip_cfg(tmp_path: Path) -> None:
    frames = crystals()
    found = read(text(tmp_path / "a.cfg", foreign_files.mlip_cfg(frames)), NUMBERED)
    same(found, frames)
    is_under_pressure(found)


def test_mlip_cfg_in_any_order_of_columns_and_without_a_cell(tmp_path: Path) -> None:
    content = (
        "BEGIN_CFG\nSize\n2\nAtomData: type cartes_z cartes_y cartes_x id\n"
        "1 3.0 2.0 1.0 1\n0 0 0 0 2\nEnergy\n-1.5\nEND_CFG\n"
        "BEGIN_CFG\n Size\n 1\n Supercell\n 2 0 0\n 0 3 0\n 0 0 4\n"
        " AtomData: id type direct_x direct_y direct_z\n 1 0 0.5 0.5 0.5\n"
        " PlusStress:  xy xz yz zz yy xx\n 6 5 4 3 2 1\nFeature a b c\nEND_CFG\n"
    )
    molecule, cell = read(text(tmp_path / "a.cfg", content), NUMBERED)
    assert molecule.get_chemical_symbols() == ["Cu", "Au"]
    assert not molecule.pbc.any()
    np.testing.assert_array_equal(molecule.positions[0], [1, 2, 3])
    assert molecule.get_potential_energy() == -1.5
    np.testing.assert_array_equal(cell.positions, [[1, 1.5, 2]])
    np.testing.assert_allclose(cell.get_stress(), -np.arange(1, 7) / 24)
    assert set(cell.calc.results) == {"stress"}


@pytest.mark.parametrize(
    ("units", "length", "energy"),
    [
        ("atomic", foreign_files.BOHR, foreign_files.HARTREE),
        ("metal", 1.0, 1.0),
        ("real", 1.0, 0.0433641),
    ],
)
def test_input_data_of_n2p2(
    tmp_path: Path, units: str, length: float, energy: float
) -> None:
    frames = crystals()
    content = foreign_files.input_data(frames, length, energy)
    found = read(text(tmp_path / "input.data", content), ReadOptions(units=units))
    same(found, frames, 1e-5 if units == "real" else 1e-8, ["energy", "forces"])
    assert found[0].info["comment"] == "a crystal"


def test_input_data_with_tabs(tmp_path: Path) -> None:
    content = foreign_files.input_data(crystals()).replace(" ", "\t")
    found = read(text(tmp_path / "input.data", content), ATOMIC)
    same(found, crystals(), labels=["energy", "forces"])


def test_ase_reads_the_same_of_n2p2(tmp_path: Path) -> None:
    if "runnerdata" not in ioformats:
        pytest.skip("this version of ASE does not read input.data")
    path = text(tmp_path / "input.data", foreign_files.input_data(crystals()))
    theirs = ase.io.read(path, ":", format="runnerdata")
    for one, other in zip(read(path, ATOMIC), theirs, strict=True):
        # ASE has the constants of 2014.
        np.testing.assert_allclose(one.positions, other.positions, rtol=1e-7)
        np.testing.assert_allclose(one.get_forces(), other.get_forces(), rtol=1e-6)
        energy = other.get_potential_energy()
        np.testing.assert_allclose(one.get_potential_energy(), energy, rtol=1e-7)


def test_molecules_of_n2p2(tmp_path: Path) -> None:
    content = "\nbegin\natom 1 2 3 H 0 0 0.1 0 0\natom 0 0 0 O 0 0 -0.1 0 0\nend\n"
    (found,) = read(text(tmp_path / "input.data", content), ATOMIC)
    assert not found.pbc.any()
    np.testing.assert_allclose(found.positions[0], np.array([1, 2, 3]) * 0.529177, 1e-6)
    assert set(found.calc.results) == {"forces"}


@pytest.mark.parametrize(
    "columns",
    [
        "id type x y z fx fy fz",
        "element id c_pe xu yu zu fx fy fz",
        "type id xs ys zs fz fy fx",
    ],
)
def test_dumps_of_lammps(tmp_path: Path, columns: str) -> None:
    frames = list(map(foreign_files.lower, crystals()))
    found = read(
        text(tmp_path / "a.dump", foreign_files.dump(frames, columns)), NUMBERED
    )
    same(found, frames, labels=["forces"])
    assert [atoms.info["timestep"] for atoms in found] == [0, 100]


def test_units_of_dumps(tmp_path: Path) -> None:
    frames = list(map(foreign_files.lower, crystals()))
    content = foreign_files.dump(frames)
    real = read(text(tmp_path / "a", f"ITEM: UNITS\nreal\n{content}"), NUMBERED)
    for one, other in zip(real, frames, strict=True):
        np.testing.assert_allclose(one.get_forces(), other.get_forces() * 0.0433641042)
    electron = read(text(tmp_path / "b", f"ITEM: UNITS\nelectron\n{content}"), NUMBERED)
    np.testing.assert_allclose(
        electron[1].cell[:], frames[1].cell[:] * foreign_files.BOHR, atol=1e-12
    )
    given = read(
        text(tmp_path / "c", content), ReadOptions(species=SPECIES, units="atomic")
    )
    np.testing.assert_allclose(given[1].positions, electron[1].positions)
    # ASE reads an energy of zero, which nobody computed.
    assert "energy" not in given[0].calc.results


def test_boxes_of_dumps_that_are_not_periodic_or_general(tmp_path: Path) -> None:
    content = (
        "ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n1\nITEM: BOX BOUNDS {}\n{}"
        "ITEM: ATOMS element x y z\nSi 1 1 1\n"
    )
    flat = content.format("pp ff pp", "0 5\n1 5\n0 5\n")
    (found,) = read(text(tmp_path / "a", flat))
    assert found.pbc.tolist() == [True, False, True]
    np.testing.assert_array_equal(found.cell.lengths(), [5, 4, 5])
    np.testing.assert_array_equal(found.positions, [[1, 0, 1]])
    general = content.format("abc origin pp pp pp", "5 1 0 1\n0 5 0 1\n0 1 5 0\n")
    (found,) = read(text(tmp_path / "b", general))
    np.testing.assert_array_equal(found.cell[:], [[5, 1, 0], [0, 5, 0], [0, 1, 5]])
    np.testing.assert_array_equal(found.positions, [[0, 0, 1]])


@pytest.mark.parametrize("version", [7, 2023, 2025])
def test_outputs_of_cp2k(tmp_path: Path, version: int) -> None:
    frames = crystals()
    content = "".join(cp2k_files.output(atoms, version) for atoms in frames)
    found = read(text(tmp_path / "cp2k.out", content))
    # Old versions print three digits of the vectors of the cell, and six of their lengths.
    same(found, frames, 2e-6 if version == 2025 else 6e-4)
    for one, other in zip(found, frames, strict=True):
        np.testing.assert_allclose(one.cell.lengths(), other.cell.lengths(), atol=1e-6)
    is_under_pressure(found)


def test_a_molecule_of_cp2k(tmp_path: Path) -> None:
    content = cp2k_files.output(crystal(), periodicity="NONE")
    (found,) = read(text(tmp_path / "cp2k.out", content))
    assert not found.pbc.any()
    assert set(found.calc.results) == {"energy", "forces"}


def test_trajectory_of_cp2k(tmp_path: Path) -> None:
    frames = crystals()
    found = read(cp2k_files.trajectory(tmp_path, frames))
    same(found, frames, 1e-7)
    is_under_pressure(found)
    assert [atoms.info["step"] for atoms in found] == [0, 10]


@pytest.mark.parametrize("beside", ["run-1.restart", "run.inp", "other.inp", "run.out"])
def test_fixed_cell_of_a_trajectory_of_cp2k(tmp_path: Path, beside: str) -> None:
    atoms = crystal()
    path = cp2k_files.trajectory(tmp_path, [atoms, atoms], files="")
    is_output = beside.endswith(".out")
    content = cp2k_files.output(atoms) if is_output else cp2k_files.restart(atoms)
    (tmp_path / beside).write_text(content)
    found = read(path)
    same(found, [atoms, atoms], 2e-6 if is_output else 1e-7, ["energy"])


def test_cell_of_lengths_and_angles(tmp_path: Path) -> None:
    path = cp2k_files.trajectory(tmp_path, [crystal()], files="frc")
    cell = (
        "&CELL\n ABC [angstrom] 5 6 7 ! edges\n ALPHA_BETA_GAMMA 80 95 100\n {}&END\n"
    )
    (tmp_path / "run.inp").write_text(cell.format(""))
    (found,) = read(path)
    np.testing.assert_allclose(found.cell.cellpar(), [5, 6, 7, 80, 95, 100])
    assert set(found.calc.results) == {"energy", "forces"}
    (tmp_path / "run.inp").write_text(cell.format("PERIODIC NONE\n"))
    (found,) = read(path)
    assert not found.pbc.any()


def test_steps_of_forces_are_matched_by_number(tmp_path: Path) -> None:
    frames = [crystal(seed=n) for n in range(3)]
    path = cp2k_files.trajectory(tmp_path, frames)
    forces = (tmp_path / "run-frc-1.xyz").read_text().splitlines(keepends=True)
    n_lines = len(forces) // 3
    without_second = forces[:n_lines] + forces[2 * n_lines :]
    (tmp_path / "run-frc-1.xyz").write_text("".join(without_second))
    found = read(path)
    assert ["forces" in atoms.calc.results for atoms in found] == [True, False, True]
    np.testing.assert_allclose(found[2].get_forces(), frames[2].get_forces(), atol=1e-7)


@pytest.mark.parametrize("type_map", [True, False])
def test_folders_of_deepmd(tmp_path: Path, type_map: bool) -> None:
    frames = crystals()
    path = foreign_files.deepmd(tmp_path / "system", frames, type_map)
    found = read(path, ReadOptions() if type_map else NUMBERED)
    same(found, frames)
    is_under_pressure(found)
    # All systems below a folder come one after the other.
    foreign_files.deepmd(tmp_path / "tested", frames[:1])
    assert len(read(tmp_path, NUMBERED)) == 3


def test_texts_and_molecules_of_deepmd(tmp_path: Path) -> None:
    path = foreign_files.deepmd(tmp_path / "system", [crystal()])
    for array in (path / "set.000").iterdir():
        rows = np.load(array)
        np.savetxt(path / f"{array.stem}.raw", rows)
        array.unlink()
    (path / "set.000").rmdir()
    same(read(path), [crystal()])
    (path / "nopbc").touch()
    (found,) = read(path)
    assert not found.pbc.any()
    assert set(found.calc.results) == {"energy", "forces"}


def test_mixed_types_of_deepmd(tmp_path: Path) -> None:
    atoms = crystal()
    path = foreign_files.deepmd(tmp_path / "system", [atoms])
    types = np.loadtxt(path / "type.raw", dtype=int)
    np.savetxt(path / "type.raw", np.zeros(len(types)), fmt="%d")
    types[3] = -1  # fills up
    np.save(path / "set.000" / "real_atom_types.npy", types[None])
    (found,) = read(path)
    kept = [n for n in range(len(atoms)) if n != 3]
    assert found.get_chemical_symbols() == atoms[kept].get_chemical_symbols()
    np.testing.assert_allclose(found.get_forces(), atoms.get_forces()[kept])


def test_compressed_files(tmp_path: Path) -> None:
    frames = crystals()
    content = foreign_files.ml_ab(frames).encode()
    (tmp_path / "ML_AB.gz").write_bytes(gzip.compress(content, mtime=0))
    (tmp_path / "ML_AB.bz2").write_bytes(bz2.compress(content))
    for name in ("ML_AB.gz", "ML_AB.bz2"):
        assert len(read(tmp_path / name)) == 2
