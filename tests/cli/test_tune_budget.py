"""`gapfit tune --budget`: files, choice, interruption, and errors."""

from __future__ import annotations

import json

import pytest
from ase.io import write
from helpers.searches import QuickTrials, many_frames

from gapfit.cli import main
from gapfit.config.toml import load_config
from gapfit.search import driver


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("train.extxyz", many_frames())
    (tmp_path / "fit.toml").write_text(
        '[data]\ntrain = "train.extxyz"\ntest = "nowhere.extxyz"\ncheck_labels = false\n'
        '[e0]\nmethod = "least_squares"\n'
        "[[terms]]\nn_max = 4\nl_max = 3\nn_sparse = 20\n",
        encoding="utf-8",
    )
    return tmp_path


@pytest.fixture
def quick(monkeypatch):
    trials = QuickTrials(monkeypatch)
    # The command takes the clock of the machine, which these trials do not wait for.
    monkeypatch.setitem(driver.tune_within.__kwdefaults__, "clock", trials.clock)
    return trials


def test_the_front_is_written_numbered_and_the_choice_is_ready_to_fit(
    here, quick, capsys
):
    assert main(["tune", "fit.toml", "--budget", "30s"]) == 0
    out = capsys.readouterr().out
    assert "Pareto front" in out
    assert "gapfit fit fit-tuned.toml" in out
    chosen = load_config(here / "fit-tuned.toml")
    assert chosen.tune is None
    assert chosen.data.train == ["train.extxyz"]
    points = sorted(here.glob("fit-tuned-*.toml"))
    assert len(points) > 1
    configs = [load_config(path) for path in points]
    assert chosen in configs
    assert (here / "fit-tuned.png").read_bytes().startswith(b"\x89PNG")
    assert main(["tune", "fit.toml", "--budget", "30s"]) == 1
    assert "exists already" in capsys.readouterr().err


def test_a_search_is_resumed_and_points_that_left_the_front_go(here, quick, capsys):
    assert main(["tune", "fit.toml", "--budget", "6s"]) == 0
    (here / "fit-tuned-99.toml").write_text("# Written by gapfit tune.\n")
    made = len(quick.made)
    capsys.readouterr()
    quick.clock.now = 0.0
    again = ["tune", "fit.toml", "--budget", "30s", "--resume", "--json"]
    assert main(again) == 0
    result = json.loads(capsys.readouterr().out)
    assert len(result["trials"]) == len(quick.made) > made
    names = {path.name for path in here.glob("fit-tuned-*.toml")}
    assert names == {f"fit-tuned-{n + 1}.toml" for n in range(len(result["front"]))}


def test_an_interrupted_search_has_written_its_best(here, quick, capsys):
    quick.stop_at = 7
    assert main(["tune", "fit.toml", "--budget", "30s"]) == 130
    captured = capsys.readouterr()
    assert "interrupted" in captured.err
    assert "fit-tuned.state.json, for --resume" in captured.out
    load_config(here / "fit-tuned.toml")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--budget", "20"], "--budget '20': give a time with its unit"),
        (["--budget", "9s", "--cost", "25"], "--cost '25': give a time per atom"),
        (["--cost", "25us"], "--cost is for a search: give its --budget, too"),
        (["--resume"], "--resume is for a search: give its --budget, too"),
        (["--budget", "9s", "--resume"], "there is no search to resume"),
    ],
)
def test_bad_arguments_are_one_clear_error(here, quick, words, message, capsys):
    assert main(["tune", "fit.toml", *words]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert not quick.made
