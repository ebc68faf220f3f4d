"""Learning that was killed goes on from its folder; folders of others are refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import ase.io
import numpy as np
import pytest
from helpers.damage import damaged
from helpers.learning import Counting, config_of, learn, log, same_outcome, settings

import gapfit
from gapfit.active import folder as learning_folder
from gapfit.active import online_model as learned_model
from gapfit.active.label_file import LabelFile
from gapfit.active.reference import single_point
from gapfit.cli import main
from gapfit.errors import GapfitError

pytestmark = pytest.mark.filterwarnings("ignore:.*NPTBerendsen:DeprecationWarning")


class Killed(BaseException):
    """What no handler of errors catches."""


MERGE = (learned_model.LearnedModel, "merge")
STATE = (learning_folder.LearningFolder, "write_state")
RECORD = (learning_folder.LearningFolder, "add_to_trajectory")
#: What is called, when it is killed, at which calls, and how many labels are lost by it.
PLACES = {
    "in the reference": (Counting, "calculate", "before", (2, 5), 2),
    "before a label is written": (LabelFile, "append", "before", (2, 5), 2),
    "after a label is written": (LabelFile, "append", "after", (2, 5), 0),
    "before it is learned": (*MERGE, "before", (2, 4), 0),
    "in the fit": (learned_model, "fit", "after", (1, 4), 0),
    "after the model is written": (*MERGE, "after", (2, 4), 0),
    "before a state": (*STATE, "before", (4, 8), 0),
    "after a state": (*STATE, "after", (4, 8), 0),
    "in a trajectory": (*RECORD, "after", (2, 6), 0),
}


@pytest.mark.parametrize("place", PLACES)
def test_killed_anywhere_it_goes_on_with_the_same_numbers(
    place, whole, tmp_path, monkeypatch
):
    """Killed twice in each place; what was labelled is never computed again."""
    holder, name, when, deadly, n_lost = PLACES[place]
    config, real, count = config_of(whole, tmp_path), getattr(holder, name), 0

    def killed(*args, **kwargs):
        nonlocal count
        count += 1
        if count in deadly and when == "before":
            raise Killed
        found = real(*args, **kwargs)
        if count in deadly:
            raise Killed
        return found

    monkeypatch.setattr(holder, name, killed)
    calculators = [Counting() for _ in range(3)]
    for n in range(2):
        with pytest.raises(Killed):
            learn(config, tmp_path / "out", calculators[n], resume=n > 0)
    learn(config, tmp_path / "out", calculators[2], resume=True)
    same_outcome(tmp_path / "out", whole[0])
    if holder is not Counting:
        n_calls = sum(calculator.n_calls for calculator in calculators)
        assert n_calls == whole[3] + n_lost
    else:
        assert count == whole[3] + n_lost


SCRIPT = """
import os, signal
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT

class Emt(Calculator):
    implemented_properties = EMT.implemented_properties

    def calculate(self, atoms=None, properties=(), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        with open("calls", "a") as file:
            file.write("x")
        emt = EMT()
        emt.calculate(self.atoms, ["energy", "forces", "stress"], all_changes)
        self.results = dict(emt.results)
        if os.path.getsize("calls") == int(os.environ.get("DEADLY", 0)):
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_that_is_killed_can_be_resumed_on_the_command_line(whole, tmp_path):
    """A module beside the configuration makes the reference."""
    config = config_of(whole, tmp_path)
    (tmp_path / "own.py").write_text(SCRIPT)
    (tmp_path / "learn.toml").write_text(_toml(config, "own:Emt"))
    command = [sys.executable, "-P", "-m", "gapfit", "learn", "learn.toml"]

    def run(*words: str, deadly: int = 0) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "DEADLY": str(deadly)}
        return subprocess.run(
            [*command, *words], cwd=tmp_path, env=env, capture_output=True, text=True
        )

    # With nothing to resume it starts.
    assert run("--resume", deadly=4).returncode == -signal.SIGKILL
    labelled = tmp_path / "learn-model" / "labelled.extxyz"
    assert len(ase.io.read(labelled, ":")) == 3
    assert run("--resume", deadly=4).returncode == 0
    same_outcome(tmp_path / "learn-model", whole[0])
    # The one in which it was killed is the only one made twice.
    assert (tmp_path / "calls").stat().st_size == whole[3] + 1
    again = run()
    assert again.returncode == 1
    assert f"{whole[3]} reference calculations so far" in again.stderr


def test_the_command_counts_every_label_as_a_reference_call(tmp_path, capsys):
    """Those of the first model, too; none in a process that found all of them made."""
    config = settings(tmp_path, {"steps": 10, "temperature": 300})
    config["threshold"] = {"forces": 10.0}
    (tmp_path / "learn.toml").write_text(_toml(config, "ase.calculators.emt:EMT"))
    command = ["learn", str(tmp_path / "learn.toml")]
    assert main(command) == 0
    n_frames = len(ase.io.read(tmp_path / "learn-model" / "labelled.extxyz", ":"))
    assert n_frames == config["learning"]["bootstrap"]
    assert f"{n_frames} in all, {n_frames} by this process" in capsys.readouterr().out
    assert main([*command, "--resume", "--json"]) == 0
    out, told = capsys.readouterr()
    assert json.loads(out)["calls"] == n_frames
    assert f"{n_frames} in all, 0 by this process" in told


def _toml(config: dict, calculator: str) -> str:
    lines = [f'reference.calculator = "{calculator}"']
    for name in ("e0", "run", "threshold", "learning"):
        lines += [f"{name}.{key} = {json.dumps(v)}" for key, v in config[name].items()]
    for name in ("terms", "runs"):
        for table in config[name]:
            lines.append(f"[[{name}]]")
            lines += [f"{key} = {json.dumps(v)}" for key, v in table.items()]
    return "\n".join(lines)


def test_tables_of_the_fit_may_change_before_it_is_resumed(whole, tmp_path):
    """The labels stay, and the model is fitted to them again."""
    config, first = config_of(whole, tmp_path), Counting()
    config["learning"]["max_calls"] = 4
    with pytest.raises(GapfitError, match="there were 4 calls"):
        learn(config, tmp_path / "out", first)
    labelled = (tmp_path / "out" / "labelled.extxyz").read_bytes()
    config["learning"]["max_calls"] = 100
    config["sigma"], config["e0"] = {"forces": 0.02}, {"Cu": 3.5}
    config["terms"][0]["n_sparse"] = 30
    second = Counting()
    model = learn(config, tmp_path / "out", second, resume=True)
    kept = (tmp_path / "out" / "labelled.extxyz").read_bytes()
    assert kept.startswith(labelled)
    assert model.record.n_frames == 4 + second.n_calls
    assert (model.e0[29], model.config.sigma.forces) == (3.5, 0.02)
    (changed,) = [r for r in log(tmp_path / "out") if r["event"] == "settings"]
    assert "sigma.forces: 0.05 then, 0.02 now" in changed["changes"]
    # Now they are the settings of the folder.
    learn(config, tmp_path / "out", Counting(), resume=True)


def test_folders_of_something_else_are_refused(whole, tmp_path):
    config = config_of(whole, tmp_path)
    with pytest.raises(GapfitError, match="learning was begun here, with"):
        learn(config, whole[0])
    with pytest.raises(GapfitError, match="contains other files"):
        learn(config, tmp_path, base=tmp_path)
    config["threshold"]["forces"] = 0.5
    with pytest.raises(GapfitError, match=r"threshold.forces: 0.025 then, 0.5 now"):
        learn(config, whole[0], resume=True)
    config = config_of(whole, tmp_path)
    with (
        learning_folder.LearningFolder(whole[0]).held(),
        pytest.raises(GapfitError, match="running here"),
    ):
        learn(config, whole[0], resume=True)


def copied(whole, tmp_path):
    """Return a copy of the folder of a finished learning run, and its configuration."""
    shutil.copytree(whole[0], tmp_path / "out")
    return tmp_path / "out", config_of(whole, tmp_path)


def test_files_of_another_learning_run_are_refused(whole, tmp_path):
    folder, config = copied(whole, tmp_path)
    other = tmp_path / "other"
    config["run"]["seed"] = 7
    config["runs"] = [{**config["runs"][0], "steps": 5}]
    learn(config, other)
    config = config_of(whole, tmp_path)
    for name, match in {
        "state.json": r"state\.json: belongs to another learning run",
        "model.npz": r"model\.npz: was fitted to \d+ frames, \d+ are expected; remove",
    }.items():
        kept = (folder / name).read_bytes()
        shutil.copy(other / name, folder / name)
        with pytest.raises(GapfitError, match=match):
            learn(config, folder, resume=True)
        (folder / name).write_bytes(kept)
    model = gapfit.load(folder / "model.npz", training_sums=True)
    record = replace(model.record, data_digest="0" * 64)
    replace(model, record=record).save(folder / "model.npz")
    with pytest.raises(GapfitError, match="was fitted to other data than those of lab"):
        learn(config, folder, resume=True)
    (folder / "model.npz").unlink()
    learn(config, folder, resume=True)
    same_outcome(folder, whole[0])


@pytest.mark.parametrize("number", [0, 2])
def test_a_label_that_changed_is_noticed(whole, tmp_path, number):
    """Even the last one, which no model has learned yet."""
    config = config_of(whole, tmp_path)
    config["learning"]["max_calls"] = 3
    path = tmp_path / "out" / "labelled.extxyz"
    with pytest.raises(GapfitError, match="there were 3 calls"):
        learn(config, path.parent)
    text = path.read_text()
    first = [m.end() for m in re.finditer("energy=-?", text)][number]
    changed = "9" if text[first] != "9" else "8"
    path.write_text(text[:first] + changed + text[first + 1 :])
    config["learning"]["max_calls"] = 100
    with pytest.raises(
        GapfitError, match=r"labelled\.extxyz: was changed since gapfit"
    ):
        learn(config, path.parent, resume=True)
    path.write_text(text)
    learn(config, path.parent, resume=True)


def test_the_steps_between_saved_states_may_change(whole, tmp_path):
    config = config_of(whole, tmp_path)
    config["learning"]["max_calls"] = 3
    with pytest.raises(GapfitError, match="there were 3 calls"):
        learn(config, tmp_path / "out")
    config["learning"] |= {"max_calls": 100, "save": 7}
    learn(config, tmp_path / "out", resume=True)
    same_outcome(tmp_path / "out", whole[0])


def test_without_its_seal_the_model_tells_that_a_label_changed(whole, tmp_path):
    folder, config = copied(whole, tmp_path)
    path = folder / "labelled.extxyz"
    text = path.read_text()
    first = re.search("energy=-?", text).end()
    path.write_text(text[:first] + "9" * 2 + text[first + 1 :])
    (folder / "labelled.json").unlink()
    with pytest.raises(GapfitError, match=r"other data than those of labelled\.extxyz"):
        learn(config, folder, resume=True)


@pytest.mark.parametrize(
    "name", ["learning.json", "state.json", "model.npz", "labelled.extxyz"]
)
def test_damaged_files_are_refused_or_change_nothing(whole, tmp_path, name):
    folder, config = copied(whole, tmp_path)
    kept, rng = (folder / name).read_bytes(), np.random.default_rng(1)
    n_refused = 0
    for _ in range(20):
        (folder / name).write_bytes(damaged(kept, rng))
        try:
            learn(config, folder, resume=True)
        except GapfitError as caught:
            n_refused += 1
            message = str(caught)
        else:
            same_outcome(folder, whole[0])
            continue
        assert name in message
        assert "\n" not in message
    assert n_refused > 15


def test_changed_files_are_refused(whole, tmp_path):
    config = config_of(whole, tmp_path)
    config["learning"]["max_calls"] = 3
    with pytest.raises(GapfitError, match="there were 3 calls"):
        learn(config, tmp_path / "out")
    labels = LabelFile(tmp_path / "out" / "labelled.extxyz")
    other = labels.frames[0]
    labels.append(single_point(other, other.calc.results))
    with pytest.raises(GapfitError, match="frame 3: is not the structure"):
        learn(config, tmp_path / "out", resume=True)
