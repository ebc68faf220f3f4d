"""Files of extended XYZ: rows, counts and encodings, and agreement with ASE's reader."""

from __future__ import annotations

import gzip
import io
import lzma
import time
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms, FixCartesian
from helpers.xyz_text import (
    LATTICE,
    ROWS,
    atoms,
    dataset,
    frame,
    good,
    refused,
    text,
)

from gapfit.data.extxyz_frames import xyz_frames
from gapfit.data.files import structures
from gapfit.errors import DataError

DATA = Path(__file__).parents[2] / "data"


def rows_with(properties: str, rows: str) -> str:
    return text(f"{LATTICE} Properties={properties} energy=-1", rows)


@pytest.mark.parametrize(
    ("properties", "rows"),
    [
        ("species:S:1:pos:R:3:forces:R:3", ROWS),
        ("species:S:1:pos:R:3:forces:R:3", ROWS.replace("Si", "14")),
        ("species:S:1:pos:R:3:forces:R:3", ROWS.replace("Si", "SI")),
        ("species:I:1:pos:R:3:forces:R:3", ROWS.replace("Si", "14")),
        ("Z:I:1:pos:R:3:forces:R:3", ROWS.replace("Si", "14")),
        ("Species:S:1:Positions:R:3:FORCES:R:3", ROWS),
        ("species:S:1:pos:R:3:forces:R:3", ROWS.replace(" ", "\t")),
        ("species:S:1:pos:R:3:forces:R:3", ROWS.replace("\n", "  \r\n")),
        ("species:S:1:pos:R:3:forces:R:3", ROWS.replace("0.1", "1.0D-01")),
        ("species:S:1:pos:R:3:forces:R:3:Z:I:1", ROWS.replace("\n", " 14\n")),
        ("species:S:1:pos:R:3:forces:R:3:tag_a:S:1", ROWS.replace("\n", " a_b\n")),
        (
            "forces:R:3:species:S:1:pos:R:3",
            "0.1 0 0 Si 0 0 0\n-.1 0 0 Si 1.3 1.3 1.3\n",
        ),
    ],
)
def test_columns_in_every_form(tmp_path: Path, properties: str, rows: str) -> None:
    one = frame(tmp_path, rows_with(properties, rows))
    assert one.numbers.tolist() == [14, 14]
    assert one.positions.tolist() == [[0, 0, 0], [1.3] * 3]
    assert one.forces.tolist() == [[0.1, 0, 0], [-0.1, 0, 0]]


@pytest.mark.parametrize(
    ("properties", "rows", "problem"),
    [
        ("species:S:1:pos:R:3", ROWS, r"3\): expected 4 columns.*found 7"),
        ("species:S:1:pos:R:3:f:R:4", ROWS, r"3\): expected 8 columns.*found 7"),
        ("", ROWS, r"2\): Properties='' is not name:type:number"),
        (
            "species:S:1:pos:R:3:forces:R:3",
            "Si 0 0 0 1 0 0\nSi 1 1 1 0 0\n",
            r"4\): expected",
        ),
        ("species:S:1:pos:R:3:forces:R:3", "Si 0 0 0 1 0 0 # a\nSi 1 1 1\n", "found 9"),
        (
            "species:S:1:pos:R:3:forces:Q:3",
            ROWS,
            "'forces:Q:3' is not name:type:number",
        ),
        (
            "species:S:1:pos:R:3:forces:R:0",
            ROWS,
            "'forces:R:0' is not name:type:number",
        ),
        ("species:S:1:pos:R:3:forces:R", ROWS, "is not name:type:number"),
        ("species:S:1:pos:R:3:pos:R:3", ROWS, "names 'pos' twice"),
        ("species:S:1:pos:R:3:positions:R:3", ROWS, "names 'pos' twice"),
        ("species:S:1:xyz:R:3:forces:R:3", ROWS, "lacks pos:R:3"),
        ("element:S:1:pos:R:3:forces:R:3", ROWS, "lacks species:S:1"),
        ("species:S:1:pos:R:2:forces:R:4", ROWS, "pos must be pos:R:3"),
        ("species:R:1:pos:R:3:forces:R:3", ROWS, "species must be species:S:1"),
        ("species:S:1:pos:R:3:forces:R:3", ROWS.replace("0.1", "x"), "'x' in forces"),
        ("species:S:1:pos:R:3:forces:R:3", ROWS.replace("0.1", "***"), "too long for"),
        ("species:S:1:pos:R:3:forces:R:3", ROWS.replace("0.1", "1_0"), "not a number"),
        (
            "species:S:1:pos:R:3:forces:R:3",
            ROWS.replace("0.1", "1.5-20"),
            "not a number",
        ),
        (
            "species:S:1:pos:R:3:n:I:3",
            ROWS,
            r"'0.1' in n \(column 5\) is not an integer",
        ),
        ("species:S:1:pos:R:3:m:L:3", ROWS.replace("0.1", "maybe"), "is not T or F"),
        (
            "species:S:1:pos:R:3:forces:R:3",
            ROWS.replace("1.3", "nan"),
            "are not finite",
        ),
        ("species:S:1:pos:R:3:forces:R:3", ROWS.replace("Si", "Si1"), "'Si1' is not a"),
        ("species:S:1:pos:R:3:forces:R:3", ROWS.replace("Si", "119"), "'119' is not a"),
        (
            "Z:I:1:pos:R:3:forces:R:3",
            ROWS.replace("Si", "-3"),
            "'?-3'? is not an atomic number",
        ),
        (
            "species:S:1:pos:R:3:forces:R:3:Z:I:1",
            ROWS.replace("\n", " 6\n"),
            "species Si and Z 6 are different elements",
        ),
    ],
)
def test_bad_columns_are_refused_with_their_line(
    tmp_path: Path, properties: str, rows: str, problem: str
) -> None:
    refused(
        tmp_path, rows_with(properties, rows), rf"a\.xyz, frame 0 \(line .*{problem}"
    )


@pytest.mark.parametrize(
    "key", ["Props", "Property", "columns", "Properties_list", "Properties:"]
)
def test_a_list_of_columns_under_another_key_is_refused(
    tmp_path: Path, key: str
) -> None:
    header = f"{LATTICE} {key}=species:S:1:pos:R:3:forces:R:3 energy=-1"
    refused(tmp_path, text(header), rf"frame 0 \(line 2\): {key}")


def test_columns_without_properties_are_refused(tmp_path: Path) -> None:
    refused(tmp_path, text(f"{LATTICE} energy=-1"), "expected 4 columns")


@pytest.mark.parametrize(
    "count", ["2 atoms", "2.0", "+2", "-2", "2#", "two", "", "9" * 5000, "# 2", "٢"]
)
def test_counts_that_are_no_numbers(tmp_path: Path, count: str) -> None:
    refused(
        tmp_path,
        text(good()) + text(good(), count=count),
        r"a\.xyz, frame 1 \(line 5\): expected the number of atoms|blank line",
    )
    refused(
        tmp_path, text(good(), count=count), r"line 1\).*(is not an XYZ|blank line)"
    )


@pytest.mark.parametrize("count", [10**12, 10**17, 4_000_000])
@pytest.mark.parametrize("packed", [False, True])
def test_huge_counts_are_refused_at_once(
    tmp_path: Path, count: int, packed: bool
) -> None:
    content = (text(good()) * 3 + text(good(), count=count)).encode()
    start = time.perf_counter()
    refused(
        tmp_path,
        gzip.compress(content) if packed else content,
        rf"frame 3 \(line 13\): {count} atoms cannot be in the rest of the file",
    )
    assert time.perf_counter() - start < 1


def test_blank_lines(tmp_path: Path) -> None:
    assert len(dataset(tmp_path, text(good()) * 2 + "\n \t\n").frames) == 2
    content = text(good()) + "\n" + text(good())
    refused(tmp_path, content, r"\(line 5\): a blank line followed by more text")
    refused(tmp_path, "\n" + text(good()), r"\(line 1\): a blank line followed by")


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_ends_of_lines_and_marks(tmp_path: Path, ending: str, mark: str) -> None:
    content = mark + (text(good("name=ü")) * 2).replace("\n", ending)
    data = dataset(tmp_path, content)
    assert [f.energy for f in data.frames] == [-10.5, -10.5]
    assert atoms(tmp_path, content).info["name"] == "ü"


def test_other_encodings(tmp_path: Path) -> None:
    content = text(good()) + text(good("name=ü"))
    refused(
        tmp_path,
        content.encode("latin-1"),
        r"frame 1 \(line 6\): the byte 0xfc is not UTF-8 text",
    )
    refused(tmp_path, content.encode("utf-16"), "is UTF-16 text")
    refused(
        tmp_path, text(good()) + "\0" * 500, r"frame 1 \(line 5\): expected the number"
    )


def test_vectors_after_the_atoms(tmp_path: Path) -> None:
    content = "1\na chain\nSi 0 0 0\nVEC1 5 0 0\nVEC2 0 6 0\n1\nend\nSi 0 0 0\n"
    one = atoms(tmp_path, content)
    assert one.pbc.tolist() == [True, True, False]
    assert one.cell.array.tolist() == [[5, 0, 0], [0, 6, 0], [0, 0, 0]]
    for bad in ("VEC2 1 0 0\n", "VEC1 1 0\n", "VEC1 a b c\n", "VECTOR\n"):
        refused(tmp_path, f"1\nend\nSi 0 0 0\n{bad}", r"line 4\): expected VEC1")
    vectors = "".join(f"VEC{n} 5 0 {n}\n" for n in (1, 2, 3, 4))
    refused(tmp_path, f"1\nend\nSi 0 0 0\n{vectors}", r"line 7\): expected VEC3")
    refused(tmp_path, text(good()) + "VEC1 5 0 0\n", "and so do lines VEC1")


def test_large_frames_are_read_in_blocks(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    big = Atoms("Si" * 45_000, positions=rng.uniform(0, 999, (45_000, 3)))
    big.arrays["values"] = rng.normal(size=45_000)
    ase.io.write(tmp_path / "a.xyz", big)
    content = (tmp_path / "a.xyz").read_bytes()
    ours, theirs = atoms(tmp_path, content), ase.io.read(tmp_path / "a.xyz")
    for name in ("positions", "numbers", "values"):
        np.testing.assert_array_equal(ours.arrays[name], theirs.arrays[name])
    lines = content.split(b"\n")
    lines[43_001] = b"Si 0 0 0"
    refused(tmp_path, b"\n".join(lines), r"frame 0 \(line 43002\): expected 5 columns")
    refused(tmp_path, b"\n".join(lines[:43_001]), "ends after 42999 of 45000 atoms")


def blank_lines() -> bytes:
    packed = io.BytesIO()
    with gzip.open(packed, "wb") as stream:
        stream.write(text(good()).encode())
        for _ in range(18):
            stream.write(b"\n" * (1 << 20))
    return packed.getvalue()


BOMBS = {
    "zeros": lambda: gzip.compress(bytes(1 << 26)),
    "frames": lambda: gzip.compress(text(good()).encode() * (1 << 14)),
    "xz": lambda: lzma.compress(b"8" * (1 << 26), preset=0),
    "blank": blank_lines,
}


@pytest.mark.parametrize("name", BOMBS)
def test_files_that_expand_without_end_are_left(tmp_path: Path, name: str) -> None:
    refused(tmp_path, BOMBS[name](), "more than 100 times its size|followed by more")


def test_a_sparse_file_is_left(tmp_path: Path) -> None:
    with (tmp_path / "a.xyz").open("wb") as file:
        file.truncate(1 << 36)
    with pytest.raises(DataError, match="a line longer than 16777216"):
        list(structures(tmp_path / "a.xyz", "a.xyz"))


def random_atoms(rng: np.random.Generator) -> Atoms:
    """Return a structure with data of every kind that ASE can write."""
    n = int(rng.integers(1, 6))
    numbers = rng.choice([1, 6, 14, 29, 74], size=n)
    out = Atoms(numbers, positions=rng.normal(size=(n, 3)) * 3, pbc=rng.random(3) < 0.5)
    if rng.random() < 0.7:
        out.set_cell(rng.normal(size=(3, 3)) * 5)
    texts = ("bulk", "a b", "x=y", "it's", 'say "hi"', "[1 2]", "{a}", "1.5", "T", "ü")
    kinds = (
        lambda: str(
            rng.choice([*texts, "", "nan", "1e5", "a,b", "_JSON", "1 2", "[[1]]"])
        ),
        lambda: float(rng.normal()) * 10.0 ** rng.integers(-20, 20),
        lambda: int(rng.integers(-99, 99)),
        lambda: bool(rng.integers(2)),
        lambda: rng.normal(size=rng.integers(2, 10)),
        lambda: rng.integers(0, 9, size=3),
        lambda: rng.normal(size=(2, 3)),
        lambda: rng.random(4) < 0.5,
        lambda: {"a": [1, None], "b": "c"},
        lambda: None,
    )
    columns = (
        lambda: rng.normal(size=(n, 3)),
        lambda: rng.integers(0, 9, size=n),
        lambda: rng.random((n, 2)) < 0.5,
        lambda: np.array([f"x{k}" for k in range(n)]),
    )
    for k in range(rng.integers(0, 5)):
        out.info[f"{rng.choice(['key', 'my key', 'a-b', 'Time'])}{k}"] = rng.choice(
            kinds
        )()
    for k in range(rng.integers(0, 3)):
        out.arrays[f"column{k}"] = rng.choice(columns)()
    if "" in map(str, out.info.values()):  # an empty value and a flag look like a value
        out.info = {key: value for key, value in out.info.items() if value is not None}
    _decorate(out, rng)
    return out


def _decorate(out: Atoms, rng: np.random.Generator) -> None:
    n = len(out)
    for change in (
        lambda: out.set_initial_magnetic_moments(rng.normal(size=n)),
        lambda: out.set_momenta(rng.normal(size=(n, 3))),
        lambda: out.set_tags(rng.integers(0, 3, size=n)),
        lambda: out.set_initial_charges(rng.normal(size=n)),
        lambda: out.set_constraint(FixAtoms([0])),
        lambda: out.set_constraint(FixCartesian(0, [True, False, False])),
        lambda: out.info.update(virial=rng.normal(size=(3, 3))),
    ):
        if rng.random() < 0.2:
            change()
    results = {
        "energy": rng.normal(),
        "free_energy": -2,
        "magmom": 0.3,
        "forces": rng.normal(size=(n, 3)),
        "stress": rng.normal(size=6),
        "dipole": rng.normal(size=3),
        "charges": rng.normal(size=n),
        "energies": rng.normal(size=n),
        "magmoms": rng.normal(size=n),
    }
    kept = {key: results[key] for key in results if rng.random() < 0.5}
    if kept:
        out.calc = SinglePointCalculator(out, **kept)


def assert_same(ours: Atoms, theirs: Atoms) -> None:
    assert repr(ours.constraints) == repr(theirs.constraints)
    assert ours.pbc.tolist() == theirs.pbc.tolist()
    np.testing.assert_array_equal(ours.cell.array, theirs.cell.array)
    pairs = [(ours.arrays, theirs.arrays), (ours.info, theirs.info)]
    pairs.append(
        tuple({} if a.calc is None else a.calc.results for a in (ours, theirs))
    )
    for mine, other in pairs:
        assert mine.keys() == other.keys()
        for key, value in mine.items():
            np.testing.assert_array_equal(value, other[key], err_msg=key)


@pytest.mark.parametrize("seed", range(150))
def test_what_ase_writes_is_read_as_ase_reads_it(tmp_path: Path, seed: int) -> None:
    original = random_atoms(np.random.default_rng(seed))
    path = tmp_path / "a.xyz"
    ase.io.write(path, original, format="extxyz")
    ((_, ours),) = structures(path, "a.xyz")
    empty = [key for key, value in original.info.items() if str(value) == ""]
    if empty:  # ASE's reader takes the next key for the value
        assert [ours.info[key] for key in empty] == [""] * len(empty)
    else:
        assert_same(ours, ase.io.read(path))
    ase.io.write(path, ours, format="extxyz")
    ((_, again),) = structures(path, "a.xyz")
    assert_same(again, ours)


@pytest.mark.parametrize(
    "path", sorted(DATA.glob("*/*.extxyz")), ids=lambda p: p.parent.name
)
def test_shipped_data_are_read_bit_by_bit_as_ase_reads_them(path: Path) -> None:
    theirs = ase.io.read(path, ":")
    ours = [item for _, item in structures(path, path.name)]
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert_same(one, other)
    with path.open(encoding="utf-8") as stream:
        for item, other in zip(
            xyz_frames(stream, "a", path.stat().st_size), theirs, strict=True
        ):
            results = other.calc.results
            assert item.labels["energy"] == results["energy"]
            np.testing.assert_array_equal(item.labels["forces"], results["forces"])


def test_forces_of_columns_come_before_those_of_the_header(tmp_path: Path) -> None:
    header = f"{LATTICE} Properties=species:S:1:pos:R:3:forces:R:3:energy:R:1 energy=-2"
    rows = ROWS.replace("\n", " -1\n")
    one = frame(tmp_path, text(f'{header} forces="1 2 3"', rows))
    assert one.energy == -2
    assert one.forces[0, 0] == 0.1


def test_endless_headers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.extxyz"
    path.write_text(text(f"{LATTICE} note={'x' * 2_000_001}", ROWS))
    with pytest.raises(DataError, match=r"frame 0 \(line 2\): the header has 2000\d+ "):
        list(structures(path, path.name))
