"""Formats of files: contents decide, and those of other programs are named."""

from __future__ import annotations

import gzip
import os
import shutil
import socket
import time
from pathlib import Path

import ase.io
import pytest
from helpers.reading import CONFIG, frames
from helpers.xyz_text import good, text

from gapfit.cli import main
from gapfit.data.dataset import read
from gapfit.data.files import structures
from gapfit.errors import DataError

XYZ = text(good('stress="1 2 3 4 5 6"'))


@pytest.mark.parametrize(
    "name",
    [
        *(
            "a.xyz",
            "a.extxyz",
            "a.exyz",
            "a.XYZ",
            "a.ExtXYZ",
            "a.dat",
            "a.txt",
            "a.TXT",
        ),
        *(
            "train",
            "train.in",
            "a.data",
            "a.out",
            "a.xyz.bak",
            "POSCAR_train",
            "a.xyz.gz",
        ),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_extended_xyz_is_known_by_its_contents(
    tmp_path: Path, name: str, packed: bool
) -> None:
    content = XYZ.encode()
    (tmp_path / name).write_bytes(
        gzip.compress(content, mtime=0) if packed else content
    )
    data = read(tmp_path / name, CONFIG)
    assert data.frames[0].energy == -10.5
    assert data.frames[0].stress == pytest.approx([1, 2, 3, 4, 5, 6])


def test_databases_are_known_by_their_contents(tmp_path: Path) -> None:
    ase.io.write(tmp_path / "a.db", frames())
    shutil.move(tmp_path / "a.db", tmp_path / "a.sqlite3")
    assert len(read(tmp_path / "a.sqlite3", CONFIG).frames) == 3


DUMP = (
    "ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n1\nITEM: BOX BOUNDS pp pp pp\n"
    "0 5\n0 5\n0 5\nITEM: ATOMS id {type} x y z\n1 {value} 0 0 0\n"
)
#: Name, contents, the format, a word of the way to convert it.
FOREIGN = [
    ("train.json", '# comment\n{"Dataset": {"Data": []}}\n', "FitSNAP", "ase.io.write"),
    ("train.json", '{"Dataset": {"Data": []}}\n', "FitSNAP", "ase.io.write"),
    ("mp.json", '[{"@module": "pymatgen.core"}]', "pymatgen", "AseAtomsAdaptor"),
    ("a.json", '{"positions": []}', "JSON file of another", "ase.io.write"),
    ("a.lammps", "a\n\n2 atoms\n\n0 5 xlo xhi\n", "data file of LAMMPS", "lammps-data"),
    ("coord.raw", "0 0 0\n", "DeePMD", "name the folder"),
    ("a.h5", b"\x89HDF\r\n\x1a\n", "HDF5", "ase.io.write"),
    ("a.pckl.gzip", gzip.compress(b"\x80\x04abc", mtime=0), "pickle", "ase.io.write"),
    ("a.npy", b"\x93NUMPY\x01", "NumPy array", "ase.io.write"),
    ("data.npz", b"PK\x03\x04", "a NumPy archive", "ase.io.write"),
    (
        "model.npz",
        b"PK\x03\x04" + bytes(26) + b"header.json",
        "is a model",
        "models have no structures",
    ),
    ("gap.xml", b"<GAP_1>\n<Potential label='GAP_1'/>", "is a model", "of data"),
    ("pot.yace", b"elements: [Al]\n", "is a model", "of data"),
    ("a.zip", b"PK\x03\x04", "zip archive", "unpack"),
    ("a.tar", bytes(257) + b"ustar", "tar archive", "unpack"),
    ("a.xyz.zst", b"\x28\xb5\x2f\xfdabc", "zstd", "unpack"),
    ("a.csv", "energy,forces\n1,2\n", "format is not known", "rename"),
    ("a.unknown", "HDF", "format is not known", "rename"),
    (
        "a.xyz",
        "Si\n1.0\n5 0 0\n0 5 0\n0 0 5\nSi\n1\nDirect\n0 0 0\n",
        "not an XYZ",
        "suffix",
    ),
    (
        "a.poscar.gzip",
        gzip.compress(b"Si\n1.0\n", mtime=0),
        "its name does not say so",
        "unpack",
    ),
]


@pytest.mark.parametrize(("name", "content", "noun", "cure"), FOREIGN)
def test_formats_of_other_programs_are_named(
    tmp_path: Path, name: str, content: str | bytes, noun: str, cure: str
) -> None:
    data = content.encode() if isinstance(content, str) else content
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError) as caught:
        list(structures(tmp_path / name, name))
    said = str(caught.value)
    assert said.startswith(name)
    assert noun in said
    assert cure in said
    assert "correct the file" not in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("content", "noun"),
    [
        (" 1.0 Version\n*****\n", "ML_AB of VASP"),
        ("\n BEGIN_CFG\n Size\n    1\n", ".cfg of MLIP"),
        ("begin\natom 0 0 0 Si 0 0 0 0 0\n", "input.data of n2p2 or RuNNer"),
        (DUMP.format(type="type", value=1), "dump of LAMMPS"),
        (" CP2K| version string: 2025\n", "output of CP2K"),
        ("1\n i = 0, time = 0.0, E = -1.5\nSi 0 0 0\n", "trajectory of CP2K"),
    ],
)
@pytest.mark.parametrize("name", ["a", "train.xyz", "OUTCAR", "a.cfg", "a.json"])
def test_contents_decide_which_reader_reads(
    tmp_path: Path, content: str, noun: str, name: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(
        DataError, match=rf"^{name}, frame 0 \(line \d+\): .* \(read as {noun}\)$"
    ):
        list(structures(tmp_path / name, name))


def test_what_ase_reads_goes_on_to_be_read(tmp_path: Path) -> None:
    atoms = frames(1)[0]
    for name in ("a.traj", "a.json", "a.db", "a.cif", "POSCAR", "a.xsf"):
        ase.io.write(tmp_path / name, atoms)
        ((_, copy),) = structures(tmp_path / name, name)
        assert len(copy) == 8
    (tmp_path / "a.dump").write_text(DUMP.format(type="element", value="Si"))
    ((_, copy),) = structures(tmp_path / "a.dump", "a.dump")
    assert copy.get_chemical_formula() == "Si"


def test_what_ase_cannot_read_may_be_another_format(tmp_path: Path) -> None:
    (tmp_path / "a.traj").write_bytes(b"- of Ulm and nothing else")
    with pytest.raises(
        DataError, match=r"cannot be read \(.*; by its name or contents"
    ):
        read(tmp_path / "a.traj", CONFIG)


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(path))


@pytest.mark.parametrize(
    ("make", "noun"),
    [(make_pipe, "a pipe"), (make_socket, "a socket"), (Path.mkdir, "a folder")],
)
@pytest.mark.parametrize("name", ["a.xyz", "b.traj", "c.db", "d"])
def test_what_is_no_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make, noun: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    make(Path(name))
    with pytest.raises(DataError, match=f"^{name}: is {noun}; name files"):
        read(name, CONFIG)


def test_devices_and_empty_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="/dev/zero: is a device"):
        read("/dev/zero", CONFIG)
    for name in ("a.xyz", "a.traj", "a"):
        (tmp_path / name).touch()
        with pytest.raises(DataError, match="there are no structures in this file"):
            read(tmp_path / name, CONFIG)


@pytest.mark.parametrize("door", ["check", "predict", "serve", "select", "properties"])
def test_every_door_refuses_pipes_and_missing_files(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    si_model,
    door: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    si_model.save("model.npz")
    os.mkfifo("pipe.xyz")
    for name, said in (("pipe.xyz", "is a pipe"), ("none.xyz", "none.xyz")):
        arguments = {
            "check": ["check", name],
            "predict": ["predict", "model.npz", name, "--output", "o.xyz"],
            "serve": ["serve", "model.npz", "--structure", name, "--wait", "0"],
            "select": ["select", "model.npz", name, "-n", "1", "--json"],
            "properties": ["properties", "model.npz", name, "--output", "o"],
        }[door]
        start = time.perf_counter()
        assert main(arguments) != 0
        assert time.perf_counter() - start < 5
        errors = capsys.readouterr().err
        assert said in errors
        assert "mistake in gapfit" not in errors
        assert len(errors.splitlines()) <= 2
