"""Learning on the fly: what it asks, what it keeps, and that it can be killed anywhere."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.calculators.harmonic import SpringCalculator
from ase.constraints import FixAtoms

import gapfit
from gapfit.active import folder as learning_folder
from gapfit.active import online_model as learned_model
from gapfit.active.driver import Driver
from gapfit.active.label_file import LabelFile
from gapfit.active.monitor import UncertaintyMonitor
from gapfit.active.reference import Reference, single_point
from gapfit.active.setup import Setup, first_structures
from gapfit.cli import main
from gapfit.config.learn import LearnConfig, SimulationConfig
from gapfit.config.toml import validated
from gapfit.errors import GapfitError

pytestmark = pytest.mark.filterwarnings("ignore:.*NPTBerendsen:DeprecationWarning")

THRESHOLD = 0.025


class Counting(Calculator):
    """EMT that keeps count, and fails or says nonsense when it is told to.

    What it says does not hang on what it was asked before: no list of neighbours is kept.
    """

    implemented_properties = EMT.implemented_properties

    def __init__(self) -> None:
        super().__init__()
        self.n_calls = 0
        self.failures: list[int] = []
        self.nonsense: list[int] = []

    def calculate(self, atoms=None, properties=(), system_changes=all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        self.n_calls += 1
        if self.n_calls in self.failures:
            raise RuntimeError("no convergence")
        emt = EMT()
        emt.calculate(self.atoms, ["energy", "forces", "stress"], all_changes)
        self.results = dict(emt.results)
        if self.n_calls in self.nonsense:
            self.results["forces"] = self.results["forces"] * np.nan


class Killed(BaseException):
    """What no handler of errors catches."""


def settings(tmp_path: Path, *runs: dict, **tables: object) -> dict:
    if not (tmp_path / "cu.extxyz").exists():
        ase.io.write(tmp_path / "cu.extxyz", bulk("Cu", cubic=True) * (2, 1, 1))
    hot = {"steps": 60, "timestep": 4.0, "temperature": 300, "final_temperature": 3000}
    return {
        "e0": {"method": "least_squares"},
        "run": {"threads": 1},
        "terms": [{"r_cut": 4.0, "n_max": 4, "l_max": 3, "n_sparse": 40}],
        "threshold": {"forces": THRESHOLD, "every": 5},
        "runs": [{"start": "cu.extxyz", **run} for run in runs or (hot,)],
        **tables,
        "learning": {"bootstrap": 2, "save": 10, "refit": 1.0}
        | dict(tables.get("learning", {})),
    }


def learn(config, folder, calculator=None, **options):
    options = {"base": folder.parent, "reference": calculator or Counting(), **options}
    return gapfit.learn(config, folder, **options)


def log(folder: Path) -> list[dict]:
    path = folder / "log.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the folder of a learning that nobody disturbed, its model and statuses."""
    folder, calculator, told = tmp_path_factory.mktemp("whole"), Counting(), []
    runs = {"steps": 60, "timestep": 4.0, "final_temperature": 3000}
    config = settings(folder, runs, {"method": "fire", "steps": 10})
    model = learn(config, folder / "out", calculator, report=told.append)
    return folder / "out", model, told, calculator.n_calls


def same_outcome(folder: Path, other: Path) -> None:
    for name in ("labelled.extxyz", "log.jsonl", "trajectory.extxyz"):
        assert (folder / name).read_bytes() == (other / name).read_bytes(), name
    models = [gapfit.load(path / "model.npz") for path in (folder, other)]
    for a, b in zip(*(model.terms for model in models), strict=True):
        for block, coefficients in a.coefficients.items():
            np.testing.assert_array_equal(coefficients, b.coefficients[block])


def test_the_reference_is_asked_above_the_threshold_and_only_there(whole):
    folder, model, told, n_calls = whole
    calls = [record for record in log(folder) if record["event"] == "call"]
    assert len(calls) >= 3
    assert n_calls == 2 + len(calls) == model.info["n_frames"]
    assert all(record["largest"] > THRESHOLD for record in calls)
    labelled = {(record["job"], record["step"]) for record in calls}
    for status in told:
        if not status.event and (status.job, status.step) not in labelled:
            assert status.reading.largest <= THRESHOLD
    looks = [s.step for s in told if not s.event and s.job == "run 1"]
    assert looks == list(range(0, 61, 5))


def test_every_label_is_what_the_reference_says(whole):
    folder, _, _, _ = whole
    frames = ase.io.read(folder / "labelled.extxyz", ":")
    for atoms in frames:
        again = atoms.copy()
        again.calc = EMT()
        np.testing.assert_allclose(atoms.get_forces(), again.get_forces(), atol=1e-6)
        np.testing.assert_allclose(atoms.get_stress(), again.get_stress(), atol=1e-7)
        assert atoms.get_potential_energy() == pytest.approx(
            again.get_potential_energy(), abs=1e-6
        )
    assert [f.info["config_type"] for f in frames[:3]] == ["bootstrap"] * 2 + ["run 1"]


def test_the_log_has_the_error_before_the_structure_was_learned(whole):
    folder, _, _, _ = whole
    frames = ase.io.read(folder / "labelled.extxyz", ":")
    config = settings(folder.parent)
    plain = {key: config[key] for key in ("e0", "run", "terms")}
    before = gapfit.fit(frames[:2], {**plain, "data": {"train": ["x"]}})
    error = before.predict(frames[2]).forces - frames[2].get_forces()
    (first, *_) = log(folder)
    assert first["forces_rmse"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-4)
    assert first["forces_largest_error"] == pytest.approx(abs(error).max(), rel=1e-4)
    std = before.predict(frames[2], std="forces").forces_std
    assert first["largest"] == pytest.approx(std.max(), rel=1e-4)


def test_the_model_is_the_fit_of_all_labelled_frames(whole):
    folder, model, _, _ = whole
    frames = ase.io.read(folder / "labelled.extxyz", ":")
    config = model.config.model_dump(exclude_none=True)
    again = gapfit.fit(frames, config)
    np.testing.assert_allclose(
        model.predict(frames[-1]).forces, again.predict(frames[-1]).forces, atol=1e-9
    )


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
    config, real, count = _config_of(whole, tmp_path), getattr(holder, name), 0

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


def _config_of(whole, tmp_path: Path) -> dict:
    ase.io.write(tmp_path / "cu.extxyz", ase.io.read(whole[0].parent / "cu.extxyz"))
    runs = {"steps": 60, "timestep": 4.0, "final_temperature": 3000}
    return settings(tmp_path, runs, {"method": "fire", "steps": 10})


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
    config = _config_of(whole, tmp_path)
    (tmp_path / "own.py").write_text(SCRIPT)
    (tmp_path / "learn.toml").write_text(_toml(config, "own:Emt"))
    command = [sys.executable, "-P", "-m", "gapfit", "learn", "learn.toml"]

    def run(*words: str, deadly: int = 0) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "DEADLY": str(deadly)}
        return subprocess.run(
            [*command, *words], cwd=tmp_path, env=env, capture_output=True, text=True
        )

    assert run(deadly=4).returncode == -signal.SIGKILL
    labelled = tmp_path / "learn-model" / "labelled.extxyz"
    assert len(ase.io.read(labelled, ":")) == 3
    assert run("--resume", deadly=4).returncode == 0
    same_outcome(tmp_path / "learn-model", whole[0])
    # The one in which it was killed is the only one made twice.
    assert (tmp_path / "calls").stat().st_size == whole[3] + 1
    again = run()
    assert again.returncode == 1
    assert f"{whole[3]} reference calculations so far" in again.stderr


def _toml(config: dict, calculator: str) -> str:
    lines = [f'reference.calculator = "{calculator}"']
    for name in ("e0", "run", "threshold", "learning"):
        lines += [f"{name}.{key} = {json.dumps(v)}" for key, v in config[name].items()]
    for name in ("terms", "runs"):
        for table in config[name]:
            lines.append(f"[[{name}]]")
            lines += [f"{key} = {json.dumps(v)}" for key, v in table.items()]
    return "\n".join(lines)


def test_a_relative_threshold_is_a_multiple_of_the_noise(whole, tmp_path):
    config = _config_of(whole, tmp_path)
    config["threshold"] = {"forces_relative": THRESHOLD / 0.05, "every": 5}
    learn(config, tmp_path / "out")
    found, expected = (
        [(r["job"], r["step"], r["largest"]) for r in log(folder)]
        for folder in (tmp_path / "out", whole[0])
    )
    assert found == expected


def test_thresholds_of_energies(whole):
    folder, model, _, _ = whole
    frames = ase.io.read(folder / "labelled.extxyz", ":")
    largest = max(model.predict(a, std="energies").energies_std.max() for a in frames)
    hot = frames[-1].copy()
    hot.rattle(0.3, seed=1)
    std = model.predict(hot, std="energies").energies_std
    tables = {"energies_relative": 2.0}
    config = validated(LearnConfig, settings(folder.parent, threshold=tables), "config")
    look = UncertaintyMonitor(config.threshold, model, frames).read(hot)
    assert (look.kind, look.unit, look.atom) == ("energies", "eV", std.argmax())
    assert look.ratio == pytest.approx(std.max() / (2 * largest))
    both = config.threshold.model_copy(update={"forces": 1e-3})
    assert UncertaintyMonitor(both, model, frames).read(hot).kind == "forces"


def test_a_relaxation_ends_where_the_reference_has_no_forces(tmp_path):
    start = bulk("Cu", cubic=True) * (2, 1, 1)
    start.rattle(0.15, seed=3)
    ase.io.write(tmp_path / "cu.extxyz", start)
    told, calculator = [], Counting()
    for method in ("fire", "bfgs"):
        run = {"method": method, "steps": 200, "fmax": 0.01}
        config = settings(tmp_path, run, threshold={"forces": 0.02, "every": 2})
        learn(config, tmp_path / method, calculator, report=told.append)
        assert told[-1].step < 200
        assert told[-1].reading.largest <= 0.02 or told[-2].event
    cell = {"method": "bfgs", "steps": 200, "fmax": 0.005, "relax_cell": True}
    ase.io.write(tmp_path / "cu.extxyz", bulk("Cu", a=3.75, cubic=True))
    config = settings(tmp_path, cell, learning={"bootstrap": 6, "strain": 0.05})
    model = learn(config, tmp_path / "cell", Counting(), report=told.append)
    end = ase.io.read(tmp_path / "cell" / "trajectory.extxyz", -1)
    assert told[-1].step < 200
    learned = _relaxed(end, gapfit.GAPCalculator(model, uncertainty=False))
    expected = _relaxed(end, EMT())
    assert learned.get_volume() == pytest.approx(expected.get_volume(), rel=0.01)


def _relaxed(atoms, calculator):
    run = SimulationConfig(
        start="-", method="bfgs", relax_cell=True, steps=100, fmax=0.005
    )
    driver = Driver(run, atoms, [0])
    driver.use(calculator)
    while not driver.is_done:
        driver.advance()
    return driver.atoms


def test_between_fits_structures_are_added_to_the_sums(whole, tmp_path):
    """The end is one fit of all, so that it hangs on nothing but the frames."""
    config, anew = _config_of(whole, tmp_path), []
    config["learning"] |= {"refit": 2.0, "new_sparse": 5}
    model = learn(config, tmp_path / "out", report=lambda s: anew.append(s.event))
    frames = ase.io.read(tmp_path / "out" / "labelled.extxyz", ":")
    assert model.info["n_frames"] == len(frames)
    assert "appended" not in model.info
    again = gapfit.fit(frames, model.config.model_dump(exclude_none=True))
    np.testing.assert_allclose(
        model.predict(frames[0]).forces, again.predict(frames[0]).forces, atol=1e-9
    )


@pytest.mark.parametrize("method", ["langevin", "nve", "npt"])
def test_dynamics_go_on_to_the_last_bit(method, si_model):
    run = SimulationConfig(start="-", method=method, steps=20, final_temperature=900.0)

    def driver() -> Driver:
        made = Driver(run, bulk("Si", cubic=True), [1, 2])
        made.use(gapfit.GAPCalculator(si_model, uncertainty=False, n_threads=1))
        return made

    first, states = driver(), []
    while not first.is_done:
        states.append(json.dumps(first.state()))
        first.advance()
    second = driver()
    second.restore(json.loads(states[10]))
    while not second.is_done:
        second.advance()
    assert json.dumps(first.state()) == json.dumps(second.state())


def test_the_ramp_and_the_thermostat_give_the_temperature():
    run = SimulationConfig(
        start="-", steps=400, temperature=100.0, final_temperature=500.0
    )
    assert [run.temperature_at(n) for n in (0, 200, 400)] == [100.0, 300.0, 500.0]
    warm = SimulationConfig(
        start="-", steps=600, temperature=600.0, timestep=4.0, friction=0.05
    )
    crystal = bulk("Cu", cubic=True) * (3, 3, 2)
    driver = Driver(warm, crystal, [0])
    driver.use(SpringCalculator(crystal.positions, k=2.0))
    temperatures = []
    while not driver.is_done:
        driver.advance()
        temperatures.append(driver.temperature)
    assert np.mean(temperatures[200:]) == pytest.approx(600, rel=0.06)


def test_first_structures_are_strained_only_where_they_are_periodic(tmp_path):
    slab = bulk("Cu", cubic=True)
    slab.center(vacuum=5.0, axis=2)
    slab.pbc = (True, True, False)
    ase.io.write(tmp_path / "cu.extxyz", slab)
    config = validated(LearnConfig, settings(tmp_path), "config")
    setup = Setup.read(config, tmp_path, EMT())
    made = first_structures(setup.jobs, config)
    assert len(made) == 2
    assert not np.allclose(made[0].cell, made[1].cell)
    for atoms in made:
        np.testing.assert_array_equal(atoms.cell.array[2], slab.cell.array[2])
        assert (
            np.abs(atoms.cell.array[:2, :2] / slab.cell[0, 0] - np.eye(2)).max() < 0.02
        )
    again = first_structures(setup.jobs, config)
    np.testing.assert_array_equal(made[1].positions, again[1].positions)


def test_labels_have_the_forces_of_atoms_that_are_held():
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=0)
    free = Reference(EMT, "EMT").label(atoms, "here", print)
    atoms.set_constraint(FixAtoms([0]))
    held = Reference(EMT, "EMT").label(atoms, "here", print)
    np.testing.assert_array_equal(free["forces"], held["forces"])
    assert np.abs(held["forces"][0]).max() > 0.1


def test_a_reference_that_fails_once_is_asked_again(whole, tmp_path):
    config, calculator = _config_of(whole, tmp_path), Counting()
    calculator.failures, calculator.nonsense = [2], [5]
    learn(config, tmp_path / "out", calculator)
    failed = [r for r in log(tmp_path / "out") if r["event"] == "failed"]
    assert [r["call"] for r in failed] == [2, 4]
    assert "no convergence" in failed[0]["reason"]
    assert "values of forces are not finite" in failed[1]["reason"]
    for name in ("labelled.extxyz", "trajectory.extxyz"):
        assert (tmp_path / "out" / name).read_bytes() == (whole[0] / name).read_bytes()


def test_a_reference_that_fails_twice_ends_it_and_nothing_is_lost(whole, tmp_path):
    config, calculator = _config_of(whole, tmp_path), Counting()
    calculator.failures = [4, 5]
    with pytest.raises(
        GapfitError, match=r"failed for run 1, step \d+, 2 times: Runtime"
    ):
        learn(config, tmp_path / "out", calculator)
    assert len(ase.io.read(tmp_path / "out" / "labelled.extxyz", ":")) == 3
    assert len(ase.io.read(tmp_path / "out" / "failed.extxyz")) == 8
    learn(config, tmp_path / "out", calculator, resume=True)
    for name in ("labelled.extxyz", "trajectory.extxyz"):
        assert (tmp_path / "out" / name).read_bytes() == (whole[0] / name).read_bytes()
    records = log(tmp_path / "out")
    assert [r for r in records if r["event"] == "call"] == log(whole[0])
    assert [r["call"] for r in records if r["event"] == "failed"] == [4, 4]


def test_calls_are_limited(whole, tmp_path):
    config = _config_of(whole, tmp_path)
    config["learning"]["max_calls"] = 3
    with pytest.raises(GapfitError, match=r"there were 3 calls of the reference"):
        learn(config, tmp_path / "out")
    config["learning"]["max_calls"] = 1000
    learn(config, tmp_path / "out", resume=True)
    same_outcome(tmp_path / "out", whole[0])


def test_a_far_too_large_deviation_leads_back_to_look_at_every_step(
    tmp_path, monkeypatch
):
    """As far out as it was found, a structure would be of little use."""
    read, seen = UncertaintyMonitor.read, []

    def far_at_twenty(self, atoms):
        found = read(self, atoms)
        seen.append(found)
        if len(seen) == 5:  # steps 0, 5, 10, 15, 20
            return reference_look(found, 50 * found.threshold)
        return reference_look(found, 1e-3 * found.threshold)

    def reference_look(found, largest):
        return type(found)(found.kind, largest, found.atom, found.threshold)

    monkeypatch.setattr(UncertaintyMonitor, "read", far_at_twenty)
    told = []
    config = settings(tmp_path, {"steps": 25})
    learn(config, tmp_path / "out", report=told.append)
    assert [s.step for s in told] == [0, 5, 10, 15, *range(15, 26)]
    (back,) = log(tmp_path / "out")
    assert (back["event"], back["step"], back["to"]) == ("back", 20, 15)
    frames = ase.io.read(tmp_path / "out" / "trajectory.extxyz", ":")
    assert [a.info["step"] for a in frames] == [0, 10, 20]


def test_a_simulation_that_explodes_ends_with_one_error(tmp_path):
    run = {"method": "nve", "steps": 100, "timestep": 200.0, "temperature": 2000.0}
    config = settings(tmp_path, run, threshold={"forces": 100.0, "every": 5})
    with pytest.raises(GapfitError, match="the simulation itself explodes; lower"):
        learn(config, tmp_path / "out")
    events = [r["event"] for r in log(tmp_path / "out")]
    assert events == ["back", "back", "call", "back", "back"]
    assert len(ase.io.read(tmp_path / "out" / "labelled.extxyz", ":")) == 3


def test_folders_of_something_else_are_refused(whole, tmp_path):
    config = _config_of(whole, tmp_path)
    with pytest.raises(GapfitError, match="learning was begun here, with"):
        learn(config, whole[0])
    with pytest.raises(GapfitError, match="there is nothing to resume"):
        learn(config, tmp_path / "new", resume=True)
    with pytest.raises(GapfitError, match="contains other files"):
        learn(config, tmp_path, base=tmp_path)
    config["threshold"]["forces"] = 0.5
    with pytest.raises(GapfitError, match=r"threshold.forces: 0.025 then, 0.5 now"):
        learn(config, whole[0], resume=True)
    config = _config_of(whole, tmp_path)
    with (
        learning_folder.LearningFolder(whole[0]).held(),
        pytest.raises(GapfitError, match="at work here"),
    ):
        learn(config, whole[0], resume=True)


def test_changed_files_are_refused(whole, tmp_path):
    config = _config_of(whole, tmp_path)
    config["learning"]["max_calls"] = 3
    with pytest.raises(GapfitError, match="there were 3 calls"):
        learn(config, tmp_path / "out")
    labels = LabelFile(tmp_path / "out" / "labelled.extxyz")
    other = labels.frames[0]
    labels.append(single_point(other, other.calc.results))
    with pytest.raises(GapfitError, match="frame 3: is not the structure"):
        learn(config, tmp_path / "out", resume=True)


def test_species_without_data_and_a_reference_without_name_are_refused(tmp_path):
    config = settings(tmp_path)
    with pytest.raises(GapfitError, match=r"\[reference\]: `calculator` is missing"):
        gapfit.learn(config, tmp_path / "out", base=tmp_path)
    frame = bulk("Al")
    frame.calc = EMT()
    frame.get_potential_energy()
    ase.io.write(tmp_path / "al.extxyz", frame)
    config["learning"], config["data"] = {}, {"train": "al.extxyz"}
    with pytest.raises(
        GapfitError, match=r"contains Cu, which data\.train does not have"
    ):
        learn(config, tmp_path / "out")
    config = settings(tmp_path, reference={"calculator": "no.such:Thing"})
    with pytest.raises(GapfitError, match=r"\[reference\] calculator 'no.such:Thing'"):
        gapfit.learn(config, tmp_path / "out", base=tmp_path)
    assert not (tmp_path / "out").exists()


def test_labelled_frames_of_one_learning_are_given_to_another(whole, tmp_path):
    """Under the same name; the model is then sure of the same simulation."""
    config, told = _config_of(whole, tmp_path), []
    (tmp_path / "labelled.extxyz").write_bytes(
        (whole[0] / "labelled.extxyz").read_bytes()
    )
    config |= {"data": {"train": "labelled.extxyz"}, "learning": {}}
    calculator = Counting()
    model = learn(config, tmp_path / "out", calculator, report=told.append)
    assert calculator.n_calls < whole[3] - 2
    assert model.info["n_frames"] == whole[3] + calculator.n_calls
    assert model.config.data.train == ["labelled.extxyz", "labelled.extxyz"]
    first = whole[1].predict(bulk("Cu", cubic=True)).energy
    assert model.predict(bulk("Cu", cubic=True)).energy == pytest.approx(
        first, abs=0.05
    )


def test_all_mistakes_of_a_configuration_are_listed(tmp_path, capsys):
    (tmp_path / "learn.toml").write_text(
        "[threshold]\nforce = 0.3\nevery = 0\n[lerning]\nbootstrap = 3\n[[runs]]\n"
        'start = "a.xyz"\nmethod = "langvin"\n[[terms]]\n'
    )
    assert main(["learn", str(tmp_path / "learn.toml")]) == 1
    error = capsys.readouterr().err
    for text in (
        "the table [data] is missing; it must give `train`",
        "line 2: [threshold]: unknown key `force`; did you mean `forces`?",
        "line 3: [threshold]: `every` = 0 must be a whole number >= 1",
        "line 4: unknown table [lerning]; did you mean [learning]?",
        'line 8: [[runs]] 1: `method` = "langvin" must be "langevin" or "nve"',
    ):
        assert text in error
    for table, text in (
        ({}, "give forces, forces_relative, energies or energies_relative"),
        ({"forces": 1.0, "forces_relative": 1.0}, "not both"),
    ):
        with pytest.raises(GapfitError, match=text):
            validated(LearnConfig, settings(tmp_path, threshold=table), "config")
    without = settings(tmp_path, run={"store_sums": False})
    with pytest.raises(GapfitError, match="needs store_posterior and store_sums"):
        validated(LearnConfig, without, "config")
