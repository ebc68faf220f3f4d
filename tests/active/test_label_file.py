"""The file of reference calculations: no label is lost, whatever befalls the file."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from builders import file_size_limit

from gapfit._support.sealed import write_sealed
from gapfit.active.folder import LearningFolder
from gapfit.active.label_file import LabelFile
from gapfit.active.reference import single_point
from gapfit.errors import GapfitError


def label(number: int):
    """Return a labelled structure that bears a number."""
    results = {"energy": -1.25, "forces": np.full((4, 3), 1 / 3)}
    return single_point(bulk("Cu", cubic=True), results, {"number": number})


def numbers(labels: LabelFile) -> list[int]:
    return [atoms.info["number"] for atoms in labels.frames]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a file of four labels, six lines each."""
    labels = LabelFile(tmp_path / "labelled.extxyz")
    written = [labels.append(label(n)) for n in range(4)]
    assert [atoms.info["number"] for atoms in written] == [0, 1, 2, 3]
    return labels.path


def test_a_missing_file_is_not_made_by_reading(tmp_path):
    assert len(LabelFile(tmp_path / "labelled.extxyz")) == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("cut", [1, 40, 150, 400])
def test_an_unfinished_last_label_is_moved_by_the_next(path, cut):
    text = path.read_bytes()
    whole, torn = text[: 3 * len(text) // 4], text[3 * len(text) // 4 : -cut]
    path.write_bytes(text[:-cut])
    labels = LabelFile(path)
    assert numbers(labels) == [0, 1, 2]
    # Reading leaves it.
    assert path.read_bytes() == whole + torn
    assert not labels.unfinished.exists()
    labels.append(label(3))
    assert path.read_bytes() == text
    assert labels.unfinished.read_bytes() == torn
    labels.append(label(4))
    assert numbers(LabelFile(path)) == [0, 1, 2, 3, 4]


def test_unfinished_labels_of_several_kills_are_all_kept(path):
    text = path.read_bytes()
    for cut in (10, 20):
        path.write_bytes(text[:-cut])
        LabelFile(path).append(label(3))
    kept = LabelFile(path).unfinished.read_bytes()
    last = text[3 * len(text) // 4 :]
    assert kept == last[:-10] + last[:-20]


def test_zeros_that_a_power_cut_left_are_unfinished(path):
    text = path.read_bytes()
    path.write_bytes(text + bytes(500))
    labels = LabelFile(path)
    assert numbers(labels) == [0, 1, 2, 3]
    labels.append(label(4))
    assert numbers(LabelFile(path)) == [0, 1, 2, 3, 4]


#: A line counted from 1, what takes its place, and what the error says.
DAMAGES = {
    "number of atoms": (7, b"x\n", r"frame 1 \(line 7\): expected the number.*'x'"),
    "blank line": (7, b"\n4\n", r"frame 1 \(line 7\): expected the number.*''"),
    "blank end": (24, b"Cu 0 0 0 0 0 0\n\n", r"frame 4 \(line 25\): expected"),
    "too few": (7, b"3\n", r"frame 2 \(line 12\): expected the number.*'Cu "),
    "one too many": (7, b"5\n", r"frame 1 \(line 13\): does not have the columns"),
    "up to the end": (7, b"400\n", r"frame 1 \(line 13\): does not have the columns"),
    "a lost line": (10, b"", r"frame 1 \(line 12\): does not have the columns"),
    "no number": (10, b"Cu 0 0 x 0 0 0\n", r"frame 1 \(line 7\): cannot be read"),
    "short atom": (10, b"Cu 0 0\n", r"frame 1 \(line 10\): does not have the columns"),
    "no text": (8, b"\xff\n", r"frame 1 \(line 7\): cannot be read"),
    "no names": (
        8,
        b"step=1\n",
        r"frame 1 \(line 7\): cannot be read \(expected 4 col",
    ),
    "other names": (
        8,
        b"Properties=species:S:1:pos:R:3:f:R:3\n",
        r"frame 1 \(line 7\): has no energy or no forces",
    ),
    "no count": (7, b"9" * 5000 + b"\n", r"frame 1 \(line 7\): expected the number"),
    "the last one": (22, b"Cu 0 0 x 0 0 0\n", r"frame 3 \(line 19\): cannot be read"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_an_error_that_changes_nothing(path, damage):
    number, line, message = DAMAGES[damage]
    lines = path.read_bytes().splitlines(keepends=True)
    lines[number - 1] = line
    path.write_bytes(b"".join(lines))
    before = path.read_bytes()
    with pytest.raises(GapfitError, match=rf"labelled\.extxyz, {message}"):
        LabelFile(path)
    assert path.read_bytes() == before
    names = {file.name for file in path.parent.iterdir()}
    assert names == {path.name, "labelled.json"}


def test_a_refused_start_leaves_labels_alone(path):
    folder = LearningFolder(path.parent)
    text = path.read_bytes()[:-5]
    path.write_bytes(text)
    identity = {"identity": {"a": 1}}
    write_sealed(path.parent / "learning.json", "gapfit-learning", 3, identity)
    with pytest.raises(GapfitError, match="begun here, with 3 reference calculations"):
        folder.begin({"a": 1})
    with pytest.raises(GapfitError, match="another learning"):
        folder.require({"a": 2})
    assert path.read_bytes() == text


@pytest.mark.parametrize("room", [0, 100])
def test_a_label_that_finds_no_room_leaves_the_file_as_it_was(path, room):
    text, labels = path.read_bytes(), LabelFile(path)
    with file_size_limit(len(text) + room):
        with pytest.raises(GapfitError, match=r"labelled\.extxyz: cannot be written"):
            labels.append(label(4))
        assert path.read_bytes() == text
    assert len(labels) == 4
    labels.append(label(4))
    assert numbers(LabelFile(path)) == [0, 1, 2, 3, 4]


def test_log_and_trajectory_that_find_no_room_say_so(tmp_path):
    folder = LearningFolder(tmp_path)
    for write, name in (
        (lambda: folder.log({"event": "x" * 50}), "log.jsonl"),
        (lambda: folder.add_to_trajectory(label(0)), "trajectory.extxyz"),
    ):
        write()
        before = (tmp_path / name).read_bytes()
        with (
            file_size_limit(len(before) + 30),
            pytest.raises(GapfitError, match=f"{name}: cannot be written"),
        ):
            write()
        assert (tmp_path / name).read_bytes() == before
    assert len(ase.io.read(tmp_path / "trajectory.extxyz", ":")) == 1


def test_a_start_that_was_killed_as_it_wrote_its_first_file_does_not_block(tmp_path):
    folder = LearningFolder(tmp_path / "out")
    folder.path.mkdir()
    (folder.path / ".learning.json.gapfit-ab12_xyz.json").write_text('{"form')
    assert not folder.is_begun
    folder.begin({"a": 1})
    folder.require({"a": 1})
    assert [file.name for file in folder.path.iterdir()] == ["learning.json"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / ".learning.json.swp").touch()
    with pytest.raises(GapfitError, match="contains other files"):
        LearningFolder(tmp_path / "mine").begin({"a": 1})
