"""Checkpoints: they stay until the model is safe, and nothing else goes with them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import ase.io
import pytest
from builders import config, file_size_limit, labelled_frames, silicon

import gapfit
from gapfit.cli import fit as fit_command
from gapfit.cli import main
from gapfit.errors import GapfitError
from gapfit.execution import accumulate as row_sums
from gapfit.execution import checkpoint as work_folder
from gapfit.execution.checkpoint import CheckpointFolder, remove_checkpoint
from gapfit.execution.merge_tree import Span
from gapfit.model.gap_model import GAPModel

FRAMES = labelled_frames(silicon, 5)
SETTINGS = config(n_sparse=10) | {"run": {"threads": 1}}
IDENTITY = {"frames": 5}


class Killed(BaseException):
    """What no handler of errors catches."""


@pytest.fixture
def computed(monkeypatch) -> list[int]:
    """Return a list that gets an entry for each part of the data that is summed up."""
    calls, original = [], row_sums.RowBuilder.sum_up

    def counting(self, frames, *args, **options):
        calls.append(len(frames))
        return original(self, frames, *args, **options)

    monkeypatch.setattr(row_sums.RowBuilder, "sum_up", counting)
    return calls


@pytest.fixture
def folder(tmp_path) -> CheckpointFolder:
    """Return a checkpoint with every kind of file that a fit leaves."""
    folder = CheckpointFolder(tmp_path / "checkpoint")
    folder.begin(IDENTITY)
    names = (
        "start.npz",
        "frames.bin",
        "sum-000000-000032.npz",
        "sum-000032-1000000.npz",
    )
    for name in (
        *names,
        ".sum-000032-000033.npz.gapfit-ab12_xyz.npz",
        ".start.npz.gapfit-ab12_xyz.npz",
    ):
        (folder.path / name).write_text("x")
    return folder


def contents(path: Path) -> list[str]:
    return sorted(str(file.relative_to(path)) for file in path.rglob("*"))


# Kept until the model is safe


def test_a_model_that_could_not_be_saved_is_there_again_without_new_sums(
    tmp_path, computed
):
    path = tmp_path / "work"
    first = gapfit.fit(FRAMES, SETTINGS, checkpoint=path)
    with file_size_limit(1000), pytest.raises(GapfitError, match="cannot be written"):
        first.save(tmp_path / "model.npz")
    del computed[:]
    again = gapfit.fit(FRAMES, SETTINGS, checkpoint=path, resume=True)
    assert computed == []
    first.save(tmp_path / "first.npz")
    again.save(tmp_path / "again.npz")
    assert (tmp_path / "first.npz").read_bytes() == (
        tmp_path / "again.npz"
    ).read_bytes()
    remove_checkpoint(path)
    assert contents(tmp_path) == ["again.npz", "first.npz"]
    remove_checkpoint(path)
    remove_checkpoint(tmp_path / "no" / "such")
    assert contents(tmp_path) == ["again.npz", "first.npz"]


def write_case(folder: Path) -> list[str]:
    folder.mkdir(exist_ok=True)
    ase.io.write(folder / "train.extxyz", FRAMES)
    (folder / "fit.toml").write_text(
        'data.train = ["train.extxyz"]\nrun.threads = 1\ne0.method = "least_squares"\n'
        "[[terms]]\nr_cut = 4.5\nn_max = 5\nl_max = 4\nn_sparse = 10\n"
    )
    return ["fit", str(folder / "fit.toml"), "--no-report"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> bytes:
    """Return the model file of a fit that nothing happened to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert main(write_case(folder)) == 0
    assert contents(folder / "fit-model") == [
        "fit.log",
        "fit.toml",
        "metrics.json",
        "model.npz",
    ]
    return (folder / "fit-model" / "model.npz").read_bytes()


@pytest.mark.parametrize("failing", ["model.npz", "metrics.json", "fit.toml"])
def test_the_command_keeps_the_checkpoint_until_all_is_written(
    tmp_path, failing, undisturbed, computed, monkeypatch, capsys
):
    command, out = write_case(tmp_path), tmp_path / "fit-model"
    original, save = fit_command._Run._write, GAPModel.save

    def limited(name, write, *args):
        with file_size_limit(50 if name == failing else 1 << 40):
            write(*args)

    with monkeypatch.context() as patch:
        patch.setattr(
            GAPModel, "save", lambda model, path: limited(path.name, save, model, path)
        )
        patch.setattr(
            fit_command._Run,
            "_write",
            lambda run, name, text: limited(name, original, run, name, text),
        )
        assert main(command) == 1
    assert f"{failing}: cannot be written (File too large)" in capsys.readouterr().err
    assert main(command) == 1
    assert "continue it with --resume" in capsys.readouterr().err
    assert sum(computed) == 5
    assert main([*command, "--resume"]) == 0
    assert sum(computed) == 5
    assert (out / "model.npz").read_bytes() == undisturbed
    assert contents(out) == ["fit.log", "fit.toml", "metrics.json", "model.npz"]


def test_a_log_that_finds_no_room_ends_and_the_fit_goes_on(
    tmp_path, undisturbed, monkeypatch, capsys
):
    command, out = write_case(tmp_path), tmp_path / "fit-model"
    original = fit_command._Run._fit

    def without_room(run, *arguments, **options):
        with file_size_limit((out / "fit.log").stat().st_size + 10):
            run.console.say("more than there is room for")
        return original(run, *arguments, **options)

    monkeypatch.setattr(fit_command._Run, "_fit", without_room)
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert printed.count("fit.log ends here: File too large") == 1
    assert "more than there is room for\n" in printed
    assert (out / "model.npz").read_bytes() == undisturbed


def test_a_checkpoint_that_must_stay_is_told_after_the_results(
    tmp_path, undisturbed, monkeypatch, capsys
):
    command, out = write_case(tmp_path), tmp_path / "fit-model"
    original = fit_command._Run._fit

    def with_notes(run, *arguments, **options):
        model = original(run, *arguments, **options)
        (out / "checkpoint" / "notes.txt").write_text("mine")
        return model

    monkeypatch.setattr(fit_command._Run, "_fit", with_notes)
    assert main(command) == 0
    assert "could not be removed" in capsys.readouterr().out
    assert (out / "model.npz").read_bytes() == undisturbed
    assert (out / "checkpoint" / "notes.txt").read_text() == "mine"


# Deleted with nothing else


def test_all_that_a_fit_wrote_is_deleted(folder, tmp_path):
    folder.remove()
    assert contents(tmp_path) == []


FOREIGN = {
    "file": lambda path: (path / "notes.txt").write_text("mine"),
    "hidden file": lambda path: (path / ".state.json.swp").touch(),
    "folder": lambda path: (path / "more").mkdir(),
    "folder of a known name": lambda path: (path / "sum-000001-000002.npz").mkdir(),
    "link": lambda path: (path / "sum-000001-000002.npz").symlink_to(path.parent),
    "sum": lambda path: (path / "sum-a-b.npz").touch(),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_nothing_is_deleted_where_there_are_files_of_others(folder, tmp_path, kind):
    FOREIGN[kind](folder.path)
    before = contents(tmp_path)
    for call in (folder.remove, lambda: folder.begin(IDENTITY)):
        with pytest.raises(GapfitError, match="which no fit wrote; move it elsewhere"):
            call()
    assert contents(tmp_path) == before
    # It does no harm to the fit that goes on.
    folder.require(IDENTITY)
    assert folder.spans() == {Span(0, 32), Span(32, 1_000_000)}


@pytest.mark.parametrize("text", ['{"format": "other", "identity": {}}', "{", "[]"])
def test_a_state_of_another_program_does_not_make_a_checkpoint(folder, tmp_path, text):
    (folder.path / "state.json").write_text(text)
    before = contents(tmp_path)
    with pytest.raises(GapfitError, match=r"has no state\.json of a fit; move it"):
        folder.begin(IDENTITY)
    with pytest.raises(
        GapfitError, match=r"state\.json: damaged or not written by gap"
    ):
        folder.require(IDENTITY)
    assert contents(tmp_path) == before


def test_links_are_not_followed(folder, tmp_path):
    link = CheckpointFolder(tmp_path / "link")
    for target in (folder.path, tmp_path / "nowhere"):
        link.path.symlink_to(target)
        with pytest.raises(GapfitError, match=r"link: .* is a symbolic link; move it"):
            link.begin(IDENTITY)
        link.path.unlink()
    assert folder.start.exists()
    (tmp_path / "file").touch()
    with pytest.raises(GapfitError, match=r"file: .* is not a folder; move it"):
        CheckpointFolder(tmp_path / "file").begin(IDENTITY)


# Killed as it is made or deleted


def startable(folder: CheckpointFolder) -> None:
    """Assert that a fit can begin in a folder, and nothing else is left beside it."""
    assert not folder.exists
    folder.begin(IDENTITY)
    CheckpointFolder(folder.path).require(IDENTITY)
    assert folder.spans() == set()
    assert contents(folder.path.parent) == ["checkpoint", "checkpoint/state.json"]


def test_killed_as_the_state_is_written(tmp_path, monkeypatch):
    folder = CheckpointFolder(tmp_path / "checkpoint")
    monkeypatch.setattr(os, "fsync", lambda handle: os.kill(os.getpid(), 9))
    child = os.fork()
    if not child:
        folder.begin(IDENTITY)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9
    monkeypatch.undo()
    (left,) = folder.path.iterdir()
    assert left.name.startswith(".state.json.")
    startable(folder)


@pytest.mark.parametrize("n_deleted", range(8))
def test_killed_as_the_checkpoint_is_deleted(folder, n_deleted, monkeypatch):
    assert len(contents(folder.path)) == 7
    for call in (Path.unlink, Path.rmdir):

        def dying(path, real=call):
            nonlocal n_deleted
            if not n_deleted:
                raise Killed
            n_deleted -= 1
            real(path)

        monkeypatch.setattr(Path, call.__name__, dying)
    with pytest.raises(Killed):
        folder.remove()
    monkeypatch.undo()
    startable(folder)


def test_what_a_killed_deletion_left_is_deleted_only_if_all_of_it_is_of_a_fit(
    folder, tmp_path, monkeypatch
):
    def dying(path):
        raise Killed

    monkeypatch.setattr(work_folder, "_delete", dying)
    with pytest.raises(Killed):
        folder.remove()
    monkeypatch.undo()
    hidden = tmp_path / ".checkpoint.removed"
    shutil.copytree(hidden, folder.path)
    (hidden / "notes.txt").write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(
        GapfitError, match=r"removed: .* contains notes\.txt, which no fit"
    ):
        folder.remove()
    assert contents(tmp_path) == before
    (hidden / "notes.txt").unlink()
    folder.remove()
    assert contents(tmp_path) == []


def test_the_state_is_the_first_file(tmp_path):
    folder = CheckpointFolder(tmp_path / "checkpoint")
    folder.begin(IDENTITY)
    state = json.loads((folder.path / "state.json").read_text())
    assert state["format"] == "gapfit-checkpoint"
    assert state["content"] == {"identity": IDENTITY, "fit": folder.fit}
