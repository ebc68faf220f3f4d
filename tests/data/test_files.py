"""Files of structures: formats, and what is said of broken ones."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from ase.io import write
from helpers.reading import CONFIG, STRESS, config, frames, line, refuses, text_of

from gapfit.data.dataset import KindReport, read
from gapfit.errors import DataError
from gapfit.testing import PRINTED


def test_labels_of_an_extxyz_file_are_found(tmp_path: Path) -> None:
    atoms = frames()
    for n, item in enumerate(atoms):
        item.info["config_type"] = f"kind {n % 2}"
    write(tmp_path / "train.extxyz", atoms)
    data = read("train.extxyz", CONFIG, base=tmp_path)
    assert data.species == (14,)
    assert data.warnings == ()
    assert data.report == (
        KindReport("energy", "energy", 3, 3),
        KindReport("forces", "forces", 3, 72),
        KindReport("stress", "stress", 3, 18),
        KindReport("config_type", "config_type", 3, 2),
    )
    first = data.frames[1]
    assert first.source == "train.extxyz, frame 1"
    assert first.config_type == "kind 1"
    assert first.energy == pytest.approx(-42.9)
    np.testing.assert_allclose(first.forces, atoms[1].calc.results["forces"])
    np.testing.assert_allclose(first.stress, STRESS)
    np.testing.assert_allclose(first.virial, -STRESS * atoms[1].get_volume())
    PRINTED.check(first.positions, atoms[1].positions)


@pytest.mark.parametrize("suffix", ["xyz", "extxyz.gz", "extxyz.bz2", "xyz.xz", "traj"])
def test_other_formats(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"data.{suffix}"
    form = "extxyz" if "xyz" in suffix else None
    write(path, frames(), format=form)
    data = read(path, CONFIG)
    assert [frame.energy for frame in data.frames] == pytest.approx([-43, -42.9, -42.8])
    PRINTED.check(data.frames[2].stress, STRESS)


def test_ase_database_with_its_key_value_pairs(tmp_path: Path) -> None:
    from ase.db import connect

    with connect(tmp_path / "data.db") as database:
        for atoms in frames():
            database.write(
                atoms,
                key_value_pairs={"config_type": "bulk", "energy_sigma": 0.003},
                data={"dft_force": np.zeros((8, 3))},
            )
    data = read("data.db", config(forces_key="dft_force"), base=tmp_path)
    assert [frame.config_type for frame in data.frames] == ["bulk"] * 3
    assert data.frames[0].energy_sigma == 0.003
    assert np.all(data.frames[0].forces == 0)
    assert line(data, "forces").ignored == ("forces",)


def test_several_files_keep_their_own_frame_numbers(tmp_path: Path) -> None:
    write(tmp_path / "a.xyz", frames(1))
    write(tmp_path / "b.xyz", frames(2)[1:])
    data = read(["a.xyz", tmp_path / "b.xyz"], CONFIG, base=tmp_path)
    assert data.frames[0].source == "a.xyz, frame 0"
    assert data.frames[1].source == f"{tmp_path / 'b.xyz'}, frame 0"


def test_missing_files_are_all_listed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such file: a\.xyz .*b\.xyz .*correct the"):
        read(["a.xyz", "b.xyz"], CONFIG, base=tmp_path)


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "d.xyz").touch()
    refuses(r"d\.xyz: there are no structures in this file", tmp_path / "d.xyz")


def test_no_sources() -> None:
    refuses("nothing to read; give at least one file", [])
    refuses("cannot read data from int '3'; give paths", [3])


def test_unreadable_file(tmp_path: Path) -> None:
    (tmp_path / "d.xyz").write_bytes(b"\x80\x81\xff")
    refuses(
        r"d\.xyz, frame 0 \(line 1\): the byte 0x80 is not UTF-8 text; save the file",
        tmp_path / "d.xyz",
    )
    (tmp_path / "d.traj").write_bytes(b"nothing")
    refuses(r"d\.traj, frame 0: cannot be read \(", tmp_path / "d.traj")
    (tmp_path / "d.db").write_bytes(b"nothing to see here")
    refuses(r"d\.db, frame 0: cannot be read \(", tmp_path / "d.db")


def test_file_cut_short(tmp_path: Path) -> None:
    lines = text_of(tmp_path, frames())
    (tmp_path / "d.xyz").write_text("".join(lines[:-3]))
    refuses(
        r"d\.xyz, frame 2 \(line 21\): the file ends after 5 of 8 atoms; it was truncated",
        tmp_path / "d.xyz",
    )
    (tmp_path / "d.xyz").write_text("".join(lines[:-3]) + "Si 0.1 0.2 0")
    refuses("after 6 of 8 atoms", tmp_path / "d.xyz")
    (tmp_path / "d.xyz").write_text("".join(lines[:-1]) + "Si 0.1 0.2")
    refuses(
        r"d\.xyz, frame 2 \(line 30\): expected 7 columns, species, pos \(3\), forces "
        r"\(3\), found 3",
        tmp_path / "d.xyz",
    )


def test_compressed_file_cut_short(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    atoms = frames(40)
    for item in atoms:
        item.arrays["noise"] = rng.normal(size=(8, 3))
    packed = gzip.compress("".join(text_of(tmp_path, atoms)).encode())
    (tmp_path / "d.xyz.gz").write_bytes(packed[: len(packed) // 2])
    refuses(r"d\.xyz\.gz, frame \d+: cannot be read \(EOFError", tmp_path / "d.xyz.gz")


def test_blank_line_that_would_hide_the_rest(tmp_path: Path) -> None:
    lines = text_of(tmp_path, frames())
    (tmp_path / "d.xyz").write_text("".join([*lines[:10], "\n", *lines[10:]]))
    refuses(
        r"d\.xyz \(line 11\): a blank line followed by more text",
        tmp_path / "d.xyz",
    )
    (tmp_path / "d.xyz").write_text("".join(lines) + "\n  \n")
    assert len(read(tmp_path / "d.xyz", CONFIG).frames) == 3


def test_wrong_number_of_lines(tmp_path: Path) -> None:
    lines = text_of(tmp_path, frames())
    del lines[5]
    (tmp_path / "d.xyz").write_text("".join(lines))
    refuses(
        r"d\.xyz, frame 0 \(line 10\): expected 7 columns.*, found 1; correct the line, "
        "Properties, or the number of atoms",
        tmp_path / "d.xyz",
    )


def test_cell_vectors_after_the_atoms(tmp_path: Path) -> None:
    (tmp_path / "d.xyz").write_text(
        "1\ncomment\nSi 0 0 0\nVEC1 5 0 0\nVEC2 0 5 0\nVEC3 0 0 5\n"
    )
    refuses(r"neither energies nor forces in 1 frames", tmp_path / "d.xyz")
