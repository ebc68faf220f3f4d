"""Damaged extended XYZ ends in one short error, or in frames with finite numbers."""

from __future__ import annotations

import re
import resource
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from helpers.reading import CONFIG, config

from gapfit.data.dataset import read
from gapfit.data.files import structures
from gapfit.errors import GapfitError

#: Most time of one try, s, and memory of all, bytes.
PATIENCE, MEMORY = 10, 1 << 30
#: Tries, those of the slow run, and tries of one test.
TRIES, MANY, EACH = 300, 100_000, 100

SEEDS = [
    (
        '2\nLattice="5 0 0 0 5 0 0 0 5" Properties=species:S:1:pos:R:3:forces:R:3 '
        'energy=-10.5 stress="1 0 0 0 1 0 0 0 1" config_type=bulk pbc="T T T"\n'
        "Si 0 0 0 0.1 0 0\nSi 1.3 1.3 1.3 -0.1 0 0\n"
    ),
    (
        "1\nProperties=Z:I:1:pos:R:3:force_mask:L:1:name:S:1 energy=-0.8 "
        "virial=[[1,2,3],[2,4,5],[3,5,6]] empty= flag a={1 2} b='c d' \"my key\"=T,F\n"
        "14 0 0 0 T a\n1\nplain\nH 0 0 0\nVEC1 5 0 0\n"
        '1\nk="_JSON {\\"a\\": [1]}"\nSi 1 2 3\n'
    ),
]
TOKENS = [
    *(
        "=",
        '"',
        "'",
        "{",
        "}",
        "[",
        "]",
        ",",
        "\\",
        ":",
        "\n",
        "\r",
        "\t",
        " ",
        "\0",
        "ü",
    ),
    *(
        "nan",
        "inf",
        "-1e999",
        "1e-300",
        "1_0",
        "1.D5",
        "T",
        "F",
        "_JSON ",
        "VEC1 ",
        "#",
    ),
    *(
        "0",
        "2",
        "-3",
        "99999999999",
        "1" * 40,
        "9" * 5000,
        "119",
        "X",
        "Si",
        "[" * 3000,
    ),
    *(
        "Lattice=",
        "lattice=",
        "cell=",
        "pbc=",
        "Properties=",
        "energy=",
        "stress=",
        "===",
    ),
    *("species:S:1", "pos:R:3", ":R:999999", "energy=\n", "\u0661", "\u2028", "\x1c"),
]


def mutated(rng: np.random.Generator) -> bytes:
    """Return a sound file after a few changes."""
    data = bytearray("".join(rng.choice(SEEDS, size=rng.integers(1, 4))).encode())
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(len(data) + 1))
        end = min(at + int(rng.integers(1, 12)), len(data))
        other = int(rng.integers(len(data) + 1))
        kind = rng.integers(6)
        if kind == 0:
            data[at:end] = b""
        elif kind == 1:
            data[at:at] = str(rng.choice(TOKENS)).encode()
        elif kind == 2:
            data[at:end] = str(rng.choice(TOKENS)).encode()
        elif kind == 3:
            data[other:other] = data[at : at + int(rng.integers(1, 200))]
        elif kind == 4:
            data[at:end] = rng.bytes(end - at)
        else:
            data[at:] = data[at : -int(rng.integers(1, 60))]
    return bytes(data)


class OutOfTimeError(BaseException):
    """No Exception: readers turn those into refusals, and a hang would look like one."""


#: A file with decimals in all its parts.
PLAIN = SEEDS[0].replace("5 0 0 0 5 0 0 0 5", "5.5 0.0 0 0 5.5 0 0 0 5.5")
PLAIN = PLAIN.replace("-10.5", "10.5").replace("1 0 0 0 1 0", "1.5 0 0 0 1.5 0.0")
#: Numbers as some write them: what a number becomes, and whether it stays the same.
SPELLINGS = {
    "same": ["{}0", "{}00000", "+{}", "{}e0", "{}D+00", "{}d0", "{}E-0", "0{}", "00{}"],
    "other": ["{}_0", "{}f", "{}e", "{}e1_0", "0x{}", "{}j", "{}D", "{}e1.5", "+-{}"],
    "foreign": [
        "{}\u0661",
        "\uff11{}",
        "{}\u00b2",
        "{}\0",
        "{}\x1b",
        "{}\u200b",
        "{}*",
    ],
}
#: Changes that leave a file as it is, and those that no reader can accept.
LAYOUTS: list[tuple[bool, Callable[[str], str]]] = [
    (True, lambda text: text.replace("\n", "\r\n")),
    (True, lambda text: text.replace("\n", "\r")),
    (True, lambda text: text.replace(" 0 0 0 0.1", "\t0  0\t 0 0.1")),
    (True, lambda text: text.replace("\n", " \n")),
    (True, lambda text: text.rstrip("\n")),
    (True, lambda text: text + "\n \n"),
    (True, lambda text: text.replace("energy=", "energy = ")),
    (False, lambda text: text.replace("Si ", "Si 1 ", 1)),
    (False, lambda text: text.replace(" 0.1 0 0", " 0.1 0", 1)),
    (False, lambda text: text.replace("2\n", "3\n", 1)),
    (False, lambda text: text.replace("2\n", "1\n", 1)),
    (False, lambda text: text.replace("2\n", "2.0\n", 1)),
    (False, lambda text: text.replace("2\n", "\u0662\n", 1)),
    (False, lambda text: text.replace(" energy", "energy")),
    (False, lambda text: text.replace("\nSi 1.3", "\n\nSi 1.3")),
]


def respelled(rng: np.random.Generator) -> tuple[str, bool]:
    """Return a file, and whether it must be read as `PLAIN`, or not at all."""
    if rng.integers(4) == 0:
        same, change = LAYOUTS[rng.integers(len(LAYOUTS))]
        return change(PLAIN), same
    numbers = list(re.finditer(r"(?<![\w.+-])[0-9]+\.[0-9]+(?![\w.])", PLAIN))
    number = numbers[rng.integers(len(numbers))]
    kind = str(rng.choice(list(SPELLINGS)))
    spelling = SPELLINGS[kind][rng.integers(len(SPELLINGS[kind]))].format(number[0])
    text = PLAIN[: number.start()] + spelling + PLAIN[number.end() :]
    return text, kind == "same"


def check_respelled(path: Path, tries: range) -> None:
    """Require that files have the numbers of the sound one, or are refused."""
    path.write_text(PLAIN)
    (sound,) = read(path, CONFIG).frames
    for number in tries:
        text, same = respelled(np.random.default_rng(number))
        path.write_bytes(text.encode())
        try:
            frames = list(read(path, CONFIG).frames)
        except GapfitError:
            frames = []
        assert len(frames) == same, text
        if not same:
            continue
        for name in ("numbers", "positions", "cell", "energy", "forces", "virial"):
            np.testing.assert_array_equal(
                getattr(frames[0], name), getattr(sound, name), err_msg=text
            )


def test_numbers_are_read_as_they_are_or_refused(tmp_path: Path) -> None:
    check_respelled(tmp_path / "a.xyz", range(TRIES))


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise OutOfTimeError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _require_finite(*arrays: object) -> None:
    assert all(np.isfinite(np.asarray(array, dtype=float)).all() for array in arrays)


def check(path: Path, settings: object) -> None:
    """Read a file as training data and as structures."""
    try:
        for _, atoms in structures(path, path.name):
            _require_finite(atoms.positions, atoms.cell.array)
        for frame in read(path, settings).frames:
            _require_finite(frame.positions, frame.cell)
            for label in (frame.energy, frame.virial):
                _require_finite(0.0 if label is None else label)
            if frame.forces is not None:  # NaN marks what is left out
                assert not np.isinf(frame.forces).any()
    except GapfitError as error:
        said = str(error)
    else:
        return
    assert 1 <= len(said.splitlines()) <= 10
    assert len(said) < 5000


def run(folder: Path, tries: range) -> None:
    path = folder / "a.xyz"
    for number in tries:
        data = mutated(np.random.default_rng(number))
        path.write_bytes(data)
        settings = config(use_stress=False) if number % 3 == 0 else CONFIG
        try:
            with time_limit(PATIENCE), warnings.catch_warnings():
                warnings.simplefilter("error")
                # ASE's, with NumPy 2.5.
                warnings.filterwarnings("ignore", "Setting the shape")
                check(path, settings)
        except (Exception, OutOfTimeError) as error:
            raise AssertionError(f"try {number}: {error!r} for {data!r}") from error


@pytest.mark.parametrize("first", range(0, TRIES, EACH))
def test_damaged_files(tmp_path: Path, first: int) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run(tmp_path, range(first, first + EACH))
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert taken * 1024 < MEMORY


@pytest.mark.parametrize("word", ["9", "9.", "+", "1 ", "a ", "a=", '\\"', "[1", "T "])
@pytest.mark.parametrize(
    "text",
    [
        "{}\n\nH 0 0 0\n",
        "1\n{}\nH 0 0 0\n",
        "1\na={}\nH 0 0 0\n",
        '1\nLattice="{}"\nH 0 0 0\n',
        "1\nstress=_JSON {}\nH 0 0 0\n",
        "1\n\nH 0 {} 0\n",
        "1\n\nH 0 0 0\nVEC1 {}\n",
    ],
)
def test_long_words_end_soon(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "a.xyz"
    for end in ("", "x"):
        path.write_text(text.format(word * (20_000 // len(word)) + end))
        with time_limit(PATIENCE):
            check(path, CONFIG)


def test_a_column_that_occurs_twice_among_many_is_found_soon(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    names = ":".join(f"x{n}:R:1" for n in (*range(10**5), 10**5 - 1))
    path.write_text(f"1\nProperties=species:S:1:pos:R:3:{names}\nH 0 0 0\n")
    with time_limit(PATIENCE), pytest.raises(GapfitError, match="names 'x99999' twice"):
        next(structures(path, path.name))


@pytest.mark.slow
def test_many_damaged_files(tmp_path: Path) -> None:
    run(tmp_path, range(TRIES, MANY))
