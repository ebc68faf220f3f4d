"""Writes that stop short of what they were asked to write."""

from __future__ import annotations

import io
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from builders import file_size_limit
from matplotlib.figure import Figure

from gapfit._support.archive import atomic_write, write_archive
from gapfit._support.leftovers import target_of
from gapfit._support.whole_writes import append_all, write_all, write_together
from gapfit.data import frame_file
from gapfit.data.files import load
from gapfit.data.frame import Frame
from gapfit.data.frame_file import write_frames
from gapfit.data.spool import RawSpool
from gapfit.errors import GapfitError
from gapfit.lammps.array_file import write_array_file


class Short(io.FileIO):
    """A file that takes few bytes at a time."""

    def write(self, data) -> int:
        return super().write(memoryview(data)[:7])


class Deaf(io.FileIO):
    """A file that takes nothing."""

    def write(self, data) -> int:
        return 0


FRAMES = [
    Frame(np.full(5, 14), np.full((5, 3), n / 3), np.eye(3), np.ones(3, dtype=bool))
    for n in range(40)
]


def test_bytes_are_written_in_as_many_pieces_as_it_takes(tmp_path):
    data = bytes(range(256))
    with Short(tmp_path / "a", "w") as file:
        write_all(file, data)
    assert (tmp_path / "a").read_bytes() == data
    with Deaf(tmp_path / "a", "w") as file, pytest.raises(OSError, match="nothing"):
        write_all(file, data)


def test_frames_survive_short_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(
        frame_file, "open", lambda path, *_, **__: Short(path, "w"), raising=False
    )
    frames = write_frames(FRAMES, tmp_path / "a")
    assert len(frames) == len(FRAMES)
    np.testing.assert_array_equal(frames[17].positions, FRAMES[17].positions)


def _spool(path: Path) -> None:
    with RawSpool() as spool:
        for _ in range(3):
            for raw in load([bulk("Si") * (28, 28, 28)], Path()):
                spool.add(raw)


def _figure(path: Path) -> None:
    with atomic_write(path) as temporary:
        Figure().savefig(temporary, format="png")


def _structures(path: Path) -> None:
    with atomic_write(path) as temporary:
        ase.io.write(temporary, bulk("Si") * (5, 5, 5), format="extxyz")


def _text(path: Path) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text("x" * 5000)


#: What writes files, each of more than 1000 bytes.
WRITERS = {
    "frames": lambda path: write_frames(FRAMES, path),
    "arrays": lambda path: write_archive(path, {}, {"a": np.arange(1000.0)}),
    "LAMMPS": lambda path: write_array_file(path, {"a": np.arange(1000.0)}),
    "appended": lambda path: append_all(path, bytes(5000)),
    "spool": _spool,
    "figure": _figure,
    "structures": _structures,
    "text": _text,
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_file_that_stops_growing_is_an_error_and_leaves_no_part(
    tmp_path, writer, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with (
        file_size_limit(1000),
        pytest.raises(GapfitError, match=r"cannot be written .*\(File too large\)"),
    ):
        WRITERS[writer](tmp_path / "a")
    assert [path.stat().st_size for path in tmp_path.iterdir()] in ([], [0])


def test_what_was_there_before_stays_when_bytes_cannot_be_added(tmp_path):
    path = tmp_path / "a"
    append_all(path, b"first\n")
    append_all(path, b"second\n", wait=False)
    with file_size_limit(20), pytest.raises(GapfitError, match="a: cannot be written"):
        append_all(path, b"third, which is longer\n")
    assert path.read_bytes() == b"first\nsecond\n"


def _set_of_three(folder: Path, text: str) -> None:
    """Write two files and one that says how long they are."""

    def side(path: Path) -> int:
        return path.write_text(text)

    sides = {folder / f"{text}.{n}": side for n in range(2)}
    write_together(folder / "all", sides, lambda sizes: f"{text} {sizes}")


def test_files_that_belong_together_are_named_by_the_last(tmp_path):
    for text in ("first", "second"):
        _set_of_three(tmp_path, text)
    assert (tmp_path / "all").read_text() == "second [6, 6]"
    names = {"all", "first.0", "first.1", "second.0", "second.1"}
    assert {path.name for path in tmp_path.iterdir()} == names


@pytest.mark.parametrize("which", ["first.1", "second.0", "second.1", "all"])
def test_files_that_belong_together_are_all_written_or_none(
    tmp_path, which, monkeypatch
):
    """Those that were there before stay, whichever of the new ones fails."""
    _set_of_three(tmp_path, "first")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def fails(source: Path, target: Path) -> Path:
        if target.name == which:
            raise OSError(28, "No space left on device")
        return rename(source, target)

    rename = Path.replace
    monkeypatch.setattr(Path, "replace", fails)
    text = "first" if which == "first.1" else "second"
    with pytest.raises(GapfitError, match=f"{which}: cannot be written"):
        _set_of_three(tmp_path, text)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", ["state.json", "a.b.npz", "nothing", ".hidden"])
def test_leftovers_of_killed_processes_are_recognised(tmp_path, name):
    with atomic_write(tmp_path / name) as temporary:
        assert target_of(temporary.name) == name
    assert target_of(name) is None
    assert target_of(".state.json.swp") is None
    assert target_of(".state.json.gapfit-abcdefgh.txt") is None
