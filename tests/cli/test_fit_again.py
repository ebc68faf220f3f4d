"""`gapfit fit` into a folder with a fit: finished, unfinished, running, or of someone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.commands import error_of

from gapfit.active.folder import LearningFolder
from gapfit.cli import fit as fit_command
from gapfit.cli import main
from gapfit.execution.checkpoint import CheckpointFolder

FIT = ["fit", "fit.toml", "--no-report"]


class Killed(BaseException):
    """What no handler of errors catches."""


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def finished(here):
    assert main(FIT) == 0
    return here / "fit-model"


@pytest.fixture
def killed(here, monkeypatch):
    """Return the folder of a fit that was killed as it wrote its results."""

    def dying(run, name, text):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(fit_command._Run, "_write", dying)
        with pytest.raises(Killed):
            main(FIT)
    return here / "fit-model"


def test_a_finished_fit_is_replaced_only_by_force(finished, capsys):
    before = contents(finished)
    assert error_of(capsys, *FIT) == (
        "fit-model/model.npz: exists already; choose another folder with --output, or "
        "--force to replace its fit"
    )
    assert contents(finished) == before
    assert main([*FIT, "--force"]) == 0
    assert contents(finished)["model.npz"] == before["model.npz"]
    assert contents(finished)["fit.log"] != before["fit.log"]


def test_resume_of_a_finished_fit_has_nothing_to_do(finished, capsys):
    before = contents(finished)
    capsys.readouterr()
    assert main([*FIT, "--resume"]) == 0
    assert capsys.readouterr().out.endswith("this fit is finished, nothing to do\n")
    assert contents(finished) == before
    assert main([*FIT, "--resume", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(before["metrics.json"])


CHANGES = {
    "configuration": ("fit.toml", "n_sparse = 12", "n_sparse = 11", "n_sparse: 12 th"),
    "training data": ("train.xyz", "rattled", "moved", "SHA-256 of the data"),
    "test data": ("test.xyz", "\n", "\n", "SHA-256 of the test data"),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_resume_of_another_finished_fit_is_refused(finished, capsys, kind):
    name, old, new, told = CHANGES[kind]
    path = finished.parent / name
    text = path.read_text()
    path.write_text(text.replace(old, new) if old != new else text + text)
    before = contents(finished)
    message = error_of(capsys, *FIT, "--resume")
    assert message.startswith("fit-model contains the finished fit of another config")
    assert told in message
    assert message.endswith("choose another folder, or fit with --force")
    assert contents(finished) == before


def test_resume_of_a_damaged_result_is_refused(finished, capsys):
    for name, part in (
        ("model.npz", "damaged"),
        ("metrics.json", "of which fit it is"),
    ):
        whole = (finished / name).read_bytes()
        (finished / name).write_bytes(whole[: len(whole) // 2])
        message = error_of(capsys, *FIT, "--resume")
        assert message.startswith(f"fit-model/{name}: ")
        assert part in message
        (finished / name).write_bytes(whole)
    metrics = json.loads((finished / "metrics.json").read_text())
    metrics["fit"]["log_marginal_likelihood"] += 1
    (finished / "metrics.json").write_text(json.dumps(metrics))
    assert "belongs to another fit than model.npz" in error_of(capsys, *FIT, "--resume")


def test_resume_without_a_fit_starts_one(here, capsys):
    assert main([*FIT, "--resume"]) == 0
    names = ["fit.log", "fit.toml", "metrics.json", "model.npz"]
    assert sorted(contents(here / "fit-model")) == names


def test_an_unfinished_fit_is_resumed_or_replaced_by_force(killed, capsys):
    log = (killed / "fit.log").read_text()
    assert log.endswith("stopped: Killed\n")
    assert "continue it with --resume, or start again with --force" in error_of(
        capsys, *FIT
    )
    assert (killed / "fit.log").read_text() == log
    assert main([*FIT, "--resume"]) == 0
    assert (killed / "fit.log").read_text().startswith(log)
    first = (killed / "model.npz").read_bytes()
    (killed / "model.npz").unlink()
    assert main([*FIT, "--force"]) == 0
    assert not (killed / "fit.log").read_text().startswith(log)
    assert (killed / "model.npz").read_bytes() == first


def test_force_begins_an_unfinished_fit_again(killed):
    log = (killed / "fit.log").read_text()
    assert main([*FIT, "--force"]) == 0
    assert not (killed / "fit.log").read_text().startswith(log)
    assert not (killed / "checkpoint").exists()


def test_resume_and_force_exclude_each_other(here, capsys):
    with pytest.raises(SystemExit):
        main([*FIT, "--resume", "--force"])
    assert "not allowed with argument --resume" in capsys.readouterr().err


@pytest.mark.parametrize("options", [[], ["--force"], ["--resume"]])
def test_a_refused_fit_changes_nothing_of_the_running_one(finished, capsys, options):
    before = contents(finished)
    folder = CheckpointFolder((finished / "checkpoint").absolute())
    with folder.held():
        message = error_of(capsys, *FIT, *options)
        assert "another fit is running here; wait for it" in message
        assert (finished / ".checkpoint.lock").exists()
        after = contents(finished)
        del after[".checkpoint.lock"]
        assert after == before
    assert contents(finished) == before


def test_a_failed_fit_leaves_no_lock(here, capsys):
    (here / "train.xyz").write_text("nonsense\n")
    error_of(capsys, *FIT)
    assert not (here / "fit-model" / ".checkpoint.lock").exists()


def test_a_folder_of_the_user_named_checkpoint_stays(here, capsys):
    mine = here / "fit-model" / "checkpoint"
    mine.mkdir(parents=True)
    (mine / "thesis.tex").write_text("years of work")
    for options in ([], ["--force"], ["--resume"]):
        assert "contains thesis.tex, which no fit wrote" in error_of(
            capsys, *FIT, *options
        )
        assert (mine / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize("name", ["fit.log", ".checkpoint.lock"])
@pytest.mark.parametrize("exists", [True, False])
def test_what_a_link_points_to_is_not_written(here, capsys, name, exists):
    precious = here / "precious"
    if exists:
        precious.write_text("years of work")
    (here / "fit-model").mkdir()
    (here / "fit-model" / name).symlink_to("../precious")
    assert f"{name}: is a link" in error_of(capsys, *FIT)
    assert (here / "fit-model" / name).is_symlink()
    assert precious.exists() == exists
    assert not exists or precious.read_text() == "years of work"


@pytest.mark.parametrize("name", ["model.npz", "metrics.json"])
def test_links_in_place_of_results_are_replaced(here, name):
    (here / "precious").write_text("years of work")
    (here / "fit-model").mkdir()
    (here / "fit-model" / name).symlink_to("../precious")
    assert main([*FIT, "--force"]) == 0
    assert not (here / "fit-model" / name).is_symlink()
    assert (here / "precious").read_text() == "years of work"


def test_links_in_a_folder_of_learning_are_not_written_to(tmp_path):
    folder = LearningFolder(tmp_path)
    (tmp_path / "log.jsonl").symlink_to("precious")
    with pytest.raises(Exception, match=r"log\.jsonl: is a link to precious"):
        folder.log({"event": "x"})
    assert not (tmp_path / "precious").exists()
