"""Damaged tables and lists beside a configuration end in one short error, or are read."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from builders import SOAP, TWO_BODY, labelled_frames, silicon

from gapfit.baseline.pair_file import read_pairs, table_of_points
from gapfit.config.terms import Distance2bConfig, SoapConfig
from gapfit.data.frame import structure_arrays
from gapfit.errors import GapfitError
from gapfit.model.terms import build_term, new_basis
from gapfit.properties.quantities import read_reference
from gapfit.sparse.listed import listed_points

#: Tries of each reader, and of the slow run.
TRIES, MANY = 400, 100_000
PATIENCE = 10

PAIRS = "# Morse\nSi-Si\n" + "\n".join(
    f"{r / 10} {20 / r:.6f}  # eV" for r in range(10, 50, 3)
)
SOUND = {
    "pairs": PAIRS + "\nSi-Ge\n" + "\n".join(f"{r} 1e-3" for r in range(1, 9)) + "\n",
    "atoms": "# frame atom\n0 1\n1 3\n2 5  # the last\n0 1\n",
    "distances": "Si-Si 2.35\nSi-Si 3.1\n# none\nSi-Si 3.9\n",
    "json": '{"elastic": {"C11": 153, "C44": 7.5e1}, "lattice.a": 5.4, "x": {"y": -1}}',
    "toml": "[elastic]\nC11 = 153\nC44 = 75.0\n[lattice]\na = 5.4\nb.c = -0.1\n",
}
TOKENS = [
    *(
        "\n",
        "\r",
        "\t",
        " ",
        "\0",
        "#",
        "-",
        ".",
        ",",
        ":",
        '"',
        "{",
        "}",
        "[",
        "]",
        "=",
    ),
    *(
        "nan",
        "inf",
        "-1e999",
        "1e300",
        "1e-320",
        "1_0",
        "0",
        "-1",
        "1",
        "2.5",
        "ü",
        "\x1b",
    ),
    *("Si-Si", "Si", "Xx-Si", "Si-Si-Si", "9" * 5000, "9" * 30, "[" * 5000, "x" * 5000),
    *(
        "\ufeff",
        "\u2028",
        "\u0665",
        "true",
        "null",
        "NaN",
        "{}",
        '"elastic":',
        "a." * 99,
    ),
]


def _terms() -> dict[str, object]:
    kinds = {"atoms": SoapConfig(**SOAP), "distances": Distance2bConfig(**TWO_BODY)}
    return {
        name: build_term(config, (14,), new_basis(config))
        for name, config in kinds.items()
    }


TERMS = _terms()
FRAMES = [structure_arrays(atoms) for atoms in labelled_frames(silicon, 3)]


def _pairs(path: Path) -> None:
    points = read_pairs(path, 1.0)
    table = table_of_points(points, (14, 32), 1.0)
    assert table is None or np.isfinite(table.values).all()


def _reference(path: Path) -> None:
    assert np.isfinite(list(read_reference(path).values())).all()


def _points(name: str) -> Callable[[Path], None]:
    def read(path: Path) -> None:
        sparse, _ = listed_points(path, TERMS[name], FRAMES)
        assert all(np.isfinite(values).all() for values in sparse.values())

    return read


READERS: dict[str, Callable[[Path], None]] = {
    "pairs": _pairs,
    "atoms": _points("atoms"),
    "distances": _points("distances"),
    "json": _reference,
    "toml": _reference,
}


def mutated(rng: np.random.Generator, text: str) -> bytes:
    """Return a file after a few changes."""
    data = bytearray(text.encode())
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(len(data) + 1))
        end = min(at + int(rng.integers(1, 12)), len(data))
        kind = rng.integers(5)
        if kind == 0:
            data[at:end] = b""
        elif kind in (1, 2):
            token = TOKENS[rng.integers(len(TOKENS))]
            data[at : at if kind == 1 else end] = token.encode()
        elif kind == 3:
            data[at:at] = data[end : end + int(rng.integers(1, 80))]
        else:
            data[at:end] = rng.bytes(end - at)
    return bytes(data)


def run(folder: Path, name: str, tries: range) -> tuple[int, int]:
    """Return how many files were read, and how many were refused."""
    path, read, counts = folder / f"a.{name}", READERS[name], [0, 0]
    for number in tries:
        data = mutated(np.random.default_rng(number), SOUND[name])
        path.write_bytes(data)
        before = time.process_time()
        try:
            read(path)
            counts[0] += 1
        except GapfitError as error:
            require_short(str(error), path)
            counts[1] += 1
        except Exception as error:
            raise AssertionError(f"try {number}: {error!r} for {data!r}") from error
        assert time.process_time() - before < PATIENCE
    return counts[0], counts[1]


def require_short(said: str, path: Path) -> None:
    assert str(path) in said
    assert "\n" not in said
    assert len(said) < 1000
    assert said.isprintable()


@pytest.mark.parametrize("name", SOUND)
def test_damaged_tables(tmp_path, name):
    n_read, n_refused = run(tmp_path, name, range(TRIES))
    assert n_read > TRIES // 50
    assert n_refused > TRIES // 4


@pytest.mark.slow
def test_many_damaged_tables(tmp_path):
    for name in SOUND:
        run(tmp_path, name, range(TRIES, MANY // len(SOUND)))


@pytest.mark.parametrize("name", SOUND)
def test_files_that_are_no_tables(tmp_path, name):
    folder, pipe, large, binary = (tmp_path / f"{n}.{name}" for n in "abcd")
    folder.mkdir()
    os.mkfifo(pipe)
    with large.open("wb") as file:
        file.truncate(10**11)
    binary.write_bytes(b"\xff\xfe\x00\x01" * 1000)
    device = tmp_path / f"e.{name}"
    device.symlink_to("/dev/zero")
    for path, words in (
        (folder, "is a folder"),
        (pipe, "is a pipe"),
        (device, "is a device"),
        (large, "is too large"),
        (binary, "is not UTF-8"),
        (tmp_path / f"missing.{name}", "No such file"),
    ):
        with pytest.raises(GapfitError, match=words) as raised:
            READERS[name](path)
        require_short(str(raised.value), path)


@pytest.mark.parametrize("name", ["json", "toml"])
def test_many_values_are_refused_at_once(tmp_path, name):
    path = tmp_path / f"a.{name}"
    text = {
        "json": '{"a": [' + "0," * 10**6 + "0]}",
        "toml": "a = [" + "0," * 10**5 + "]",
    }
    path.write_text(text[name])
    with pytest.raises(GapfitError, match=r"more than \d+ values and tables"):
        read_reference(path)


def test_a_name_that_occurs_twice_among_many_is_found_soon(tmp_path):
    path, before = tmp_path / "a.json", time.process_time()
    path.write_text("{" + "".join(f'"{n}": 0, ' for n in range(10**5)) + '"99999": 1}')
    with pytest.raises(GapfitError, match="'99999' occurs twice"):
        read_reference(path)
    assert time.process_time() - before < PATIENCE


@pytest.mark.parametrize("name", ["json", "toml"])
def test_numbers_that_numpy_does_not_have_are_refused(tmp_path, name):
    path = tmp_path / f"a.{name}"
    path.write_text(SOUND[name].replace("153", "9" * 30))
    with pytest.raises(GapfitError, match="'C11' is an integer of more than 64 bits"):
        read_reference(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1e-3 1\n2 1\n3 1\n4 1\n5 1\n1e9 1", "r must be at most 100 Å"),
        ("1 1e300\n2 1\n3 1\n4 1\n5 1\n6 1", "check their units"),
        ("1 1 " + "x " * 10**6, "expected two finite numbers"),
    ],
)
def test_tables_that_would_fill_the_memory(tmp_path, text, words):
    path = tmp_path / "pairs.txt"
    path.write_text(f"Si-Si\n{text}\n")
    with pytest.raises(GapfitError, match=words) as raised:
        _pairs(path)
    require_short(str(raised.value), path)
