"""What a model file names is not run: neither programs nor modules, and no file is lost."""

from __future__ import annotations

import copy
import importlib
import json
import pickle
import subprocess
import sys
from types import SimpleNamespace

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.morse import MorsePotential
from ase.calculators.tip3p import TIP3P
from ase.calculators.tip4p import TIP4P
from builders import config, labelled_frames, silicon
from helpers.model_files import header_of, rewritten

import gapfit
from gapfit._support.sealed import write_sealed
from gapfit.active.folder import LearningFolder
from gapfit.active.online_model import LearnedModel
from gapfit.baseline.ase_calculator import NamedCalculator
from gapfit.baseline.harmless_calculators import HARMLESS, origin_problem
from gapfit.cli import main
from gapfit.config.learn import LearnConfig
from gapfit.config.sections import DataConfig
from gapfit.data.dataset import read
from gapfit.data.frame import structure_arrays
from gapfit.errors import GapfitError
from gapfit.execution.checkpoint import CheckpointFolder

LJ = "ase.calculators.lj:LennardJones"
OPTIONS = {"sigma": 2.0, "epsilon": 0.01, "rc": 5.0}
REFUSED = "named by a model file and not run"
TOUCH = "touch marker; true"
# Each runs a program or empties a file where the option is let through.
HOLES = {
    "amber": ("ase.calculators.amber:Amber", {"amber_exe": TOUCH}),
    "castep": (
        "ase.calculators.castep:Castep",
        {"castep_command": "touch marker", "check_castep_version": True},
    ),
    "lammpslib": (
        "ase.calculators.lammpslib:LAMMPSlib",
        {"lmpcmds": [f"shell {TOUCH}"], "atom_types": {"Si": 1}},
    ),
    "socketio": ("ase.calculators.socketio:SocketIOCalculator", {"log": "precious"}),
}


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """Return the folder of a model with a calculator, and structures beside it."""
    folder = tmp_path_factory.mktemp("honest")
    frames = labelled_frames(silicon, 6)
    ase.io.write(folder / "train.extxyz", frames[:4])
    ase.io.write(folder / "more.extxyz", frames[4:])
    settings = config(n_sparse=10) | {
        "data": {"train": ["train.extxyz"]},
        "baseline": {"calculator": LJ, "calculator_options": OPTIONS},
    }
    gapfit.fit(None, settings, base=folder).save(folder / "model.npz")
    return folder


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return an empty current folder, but for a file to lose."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GAPFIT_TRUST_CALCULATORS", raising=False)
    (tmp_path / "precious").write_text("years of work")
    return tmp_path


@pytest.fixture
def hostile(honest, place):
    """Return a function that writes a model file with another calculator."""

    def write(name, options):
        header = header_of(honest / "model.npz")
        baseline = header["config"]["baseline"]
        baseline |= {"calculator": name, "calculator_options": options}
        for file in ("train.extxyz", "more.extxyz"):
            (place / file).write_bytes((honest / file).read_bytes())
        # Castep's command runs in a folder of its own.
        text = json.dumps(header).replace("marker", str(place / "marker"))
        return rewritten(honest / "model.npz", place / "model.npz", header=text)

    return write


def nothing_happened(folder):
    assert (folder / "precious").read_text() == "years of work"
    assert not (folder / "marker").exists()


def by_calculator(path):
    atoms = silicon()
    atoms.calc = gapfit.GAPCalculator(gapfit.load(path))
    atoms.get_potential_energy()


def pickled(model):
    return pickle.loads(pickle.dumps(model))


LIBRARY = {
    "predict": lambda path: gapfit.load(path).predict(silicon()),
    "evaluate": lambda path: gapfit.evaluate(gapfit.load(path), "train.extxyz"),
    "calculator": by_calculator,
    "append": lambda path: gapfit.append(path, "more.extxyz"),
    "calibrate": lambda path: gapfit.calibrate(gapfit.load(path), "more.extxyz"),
    "copy": lambda path: copy.deepcopy(gapfit.load(path)).predict(silicon()),
    "pickle": lambda path: pickled(gapfit.load(path)).predict(silicon()),
}
COMMANDS = {
    "predict": "predict model.npz train.extxyz --output out.extxyz",
    "evaluate": "evaluate model.npz train.extxyz",
    "report": "report model.npz --train train.extxyz",
    "properties": "properties model.npz --prototype diamond --only structure,eos",
    "append": "append model.npz more.extxyz --output new.npz",
    "calibrate": "calibrate model.npz more.extxyz --output new.npz",
    "lammps": "export-lammps model.npz --output gap.gapfit",
    "quip": "convert model.npz gap.xml",
}


@pytest.mark.parametrize("hole", HOLES)
@pytest.mark.parametrize("way", LIBRARY)
def test_no_program_runs_for_a_file(hostile, place, hole, way):
    name, options = HOLES[hole]
    path = hostile(name, options)
    with pytest.raises(GapfitError, match=REFUSED) as caught:
        LIBRARY[way](path)
    message = str(caught.value)
    assert name in message
    assert next(iter(options)) in message
    assert "GAPFIT_TRUST_CALCULATORS=1" in message
    nothing_happened(place)


@pytest.mark.parametrize("hole", HOLES)
@pytest.mark.parametrize("way", COMMANDS)
def test_no_program_runs_for_a_file_by_a_command(hostile, place, capsys, hole, way):
    name, options = HOLES[hole]
    hostile(name, options)
    assert main(COMMANDS[way].split()) == 1
    assert capsys.readouterr().err.count(name) == 1
    nothing_happened(place)


@pytest.mark.parametrize(
    "command",
    [
        "info model.npz",
        "report model.npz",
        "refit model.npz --sigma-energy 0.01 --output new.npz",
    ],
)
def test_what_can_do_without_the_baseline_runs_nothing(hostile, place, command):
    path = hostile(*HOLES["amber"])
    assert main(command.split()) == 0
    assert not gapfit.refit(path).baseline.calculator.trusted
    nothing_happened(place)


def test_the_payload_is_a_real_one(hostile, place, monkeypatch):
    """Trust runs it: the tests above would see it."""
    path = hostile(*HOLES["amber"])
    monkeypatch.setenv("GAPFIT_TRUST_CALCULATORS", "1")
    with pytest.raises(GapfitError, match="Amber' failed"):
        gapfit.load(path).predict(
            Atoms("Si2", [[0, 0, 0], [0, 0, 2.3]], cell=[9, 9, 9])
        )
    assert (place / "marker").exists()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("os:system", {"command": TOUCH}),
        ("subprocess:run", {"args": ["touch", "marker"]}),
        ("builtins:exec", {}),
        ("ase.io:read", {"filename": "precious"}),
        ("ase.db:connect", {"name": "marker"}),
        ("ase.calculators.vasp:Vasp", {"command": TOUCH}),
        ("ase.calculators.lammpsrun:LAMMPS", {"keep_tmp_files": True}),
        ("ase.calculators.kim:KIM", {"model_name": "x"}),
        ("ase.calculators.eam:EAM", {"potential": "precious"}),
        ("ase.calculators.calculator:FileIOCalculator", {"command": TOUCH}),
        ("ase.calculators.calculator:Calculator", {"restart": "precious"}),
        ("ase.calculators.calculator:get_calculator_class", {"name": "lj"}),
        ("ase.calculators.checkpoint:CheckpointCalculator", {"db": "marker"}),
        ("ase.calculators.mixing:SumCalculator", {"calcs": [LJ]}),
        ("ase.calculators.loggingcalc:LoggingCalculator", {"calculator": LJ}),
        ("ase.calculators.subprocesscalculator:PythonSubProcessCalculator", {}),
        ("ase.calculators.plumed:Plumed", {"log": "precious"}),
        ("ase.calculators.h2morse:H2Morse", {}),
        # Other names of what is allowed, and other things where it is.
        ("ase.calculators.tip4p:TIP3P", {}),
        ("ase.calculators.h2morse:MorsePotential", {}),
        ("ase.calculators.lj:Calculator", {"parameters": "precious"}),
        ("ase.calculators.lj:np", {}),
        ("ase.calculators.lj:LennardJones ", {}),
        ("ase.calculators.lj:lennardjones", {}),
        ("ASE.calculators.lj:LennardJones", {}),
        ("ase..calculators.lj:LennardJones", {}),
        (".ase.calculators.lj:LennardJones", {}),
        ("ase.calculators.lj:LennardJones.calculate", {}),
        ("ase.calculators.lj:LennardJones:x", {}),
        ("ase.calculators.lj:Lennard\uff2aones", {}),
        ("\u0430se.calculators.lj:LennardJones", {}),
        ("ase.calculators.lj:" + 10**6 * "a", {}),
        # Options that do more than enter a formula.
        ("ase.calculators.emt:EMT", {"command": TOUCH}),
        ("ase.calculators.emt:EMT", {"label": "../marker"}),
        ("ase.calculators.emt:EMT", {"asap_cutoff": "yes"}),
        ("ase.calculators.emt:EMT", {10**6 * "a": 1}),
        (LJ, {"directory": "marker"}),
        (LJ, {"restart": "precious"}),
        (LJ, {"parameters": "precious"}),
        (LJ, {"sigma": "precious"}),
        (LJ, {"sigma": 10**6 * "a"}),
        (LJ, {"sigma": [1.0]}),
        (LJ, {"sigma": {"a": {"b": [1.0]}}}),
        (LJ, {"sigma": True}),
        (LJ, {"smooth": 1}),
        (LJ, {"Sigma": 1.0}),
        ("ase.calculators.morse:MorsePotential", {"neighbor_list": "os:system"}),
    ],
    ids=lambda value: str(value)[:60],
)
def test_hostile_names_and_options(place, monkeypatch, name, options):
    monkeypatch.setenv("ASE_LAMMPSRUN_COMMAND", TOUCH)
    monkeypatch.setenv("ASE_LAMMPS_COMMAND", TOUCH)
    imported = []
    stranger = NamedCalculator(name, options, trusted=False)
    with monkeypatch.context() as patch:
        patch.setattr(importlib, "import_module", imported.append)
        with pytest.raises(GapfitError, match=REFUSED) as caught:
            stranger.require()
    assert not imported
    assert len(str(caught.value)) < 1000
    assert [path.name for path in place.iterdir()] == ["precious"]
    nothing_happened(place)


def test_the_message_names_calculator_option_and_cure():
    stranger = NamedCalculator(LJ, {"sigma": 1.0, "label": "../x"}, trusted=False)
    with pytest.raises(GapfitError) as caught:
        stranger.require()
    assert str(caught.value) == (
        "[baseline] calculator 'ase.calculators.lj:LennardJones': named by a model file "
        "and not run: the option 'label' is not one of those known to be harmless: "
        "epsilon, sigma, rc, ro, smooth; if you know where the model comes from and what "
        "this does, allow it with the environment variable GAPFIT_TRUST_CALCULATORS=1"
    )


def water():
    one, other = molecule("H2O"), molecule("H2O")
    other.positions += [0, 0, 3.0]
    atoms = one + other
    atoms.set_cell(20 * np.eye(3))
    return atoms


MADE = [
    (EMT, {"asap_cutoff": True}, bulk("Cu") * (2, 1, 1)),
    (LennardJones, OPTIONS | {"ro": 4, "smooth": True}, silicon()),
    (
        MorsePotential,
        {"epsilon": 0.5, "r0": 2.3, "rho0": 4, "rcut1": 1.5, "rcut2": 2.0},
        silicon(),
    ),
    (TIP3P, {"rc": 8.0, "width": 2}, water()),
    (TIP4P, {"rc": 8.0, "width": 2}, water()),
]


@pytest.mark.parametrize(("made", "options", "atoms"), MADE)
def test_what_is_harmless_gives_its_numbers(place, made, options, atoms):
    name = f"{made.__module__}:{made.__name__}"
    stranger = NamedCalculator(name, options, trusted=False)
    found = stranger.evaluate(structure_arrays(atoms), gradients=True)
    atoms = atoms.copy()
    atoms.calc = made(**options)
    expected = atoms.get_potential_energy()
    assert found.energies.sum() == pytest.approx(expected, rel=1e-13)
    assert abs(expected) > 1e-6
    np.testing.assert_array_equal(found.forces, atoms.get_forces())
    assert [path.name for path in place.iterdir()] == ["precious"]


def test_all_that_is_harmless_is_tested():
    names = {f"{made.__module__}:{made.__name__}": own for made, own, _ in MADE}
    assert {name: set(own) for name, own in names.items()} == {
        name: set(options) for name, options in HARMLESS.items()
    }


@pytest.mark.parametrize("loaded", [True, False])
def test_a_package_in_the_current_folder_is_not_the_installed_one(place, loaded):
    folder = place / "ase" / "calculators"
    folder.mkdir(parents=True)
    (place / "ase" / "__init__.py").write_text("")
    (folder / "__init__.py").write_text("")
    (folder / "lj.py").write_text("class LennardJones: open('marker', 'w')")
    code = (
        "from gapfit.baseline.ase_calculator import NamedCalculator\n"
        "from gapfit.errors import GapfitError\n"
        f"{'import ase' * loaded}\n"
        "try:\n"
        f"    NamedCalculator({LJ!r}, {{}}, trusted=False).require()\n"
        "except GapfitError as error:\n"
        "    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert f"ase comes from {place / 'ase'}, but the installed" in done.stdout
    nothing_happened(place)
    assert origin_problem() == ""


@pytest.mark.parametrize("trusted", [True, False])
def test_trust_is_copied_and_never_grows(trusted):
    given = NamedCalculator("os:system", {}, trusted=trusted)
    for other in (copy.copy(given), copy.deepcopy(given), pickled(given)):
        assert other.trusted is trusted
    with pytest.raises(TypeError, match="trusted"):
        NamedCalculator("os:system", {})


def test_check_says_what_it_runs_before_it_runs_it(place, capsys, monkeypatch):
    monkeypatch.syspath_prepend(place)
    (place / "mine.py").write_text(
        "print('imported')\nfrom ase.calculators.lj import LennardJones"
    )
    ase.io.write("train.extxyz", labelled_frames(silicon, 3))
    (place / "fit.toml").write_text(
        'data.train = "train.extxyz"\ne0.method = "least_squares"\n'
        'baseline.calculator = "mine:LennardJones"\n[[terms]]\n'
    )
    main(["check", "fit.toml", "--no-label-check"])
    told = capsys.readouterr().out
    assert "fit.toml: [baseline] names the calculator mine:LennardJones" in told
    assert told.index("mine:LennardJones") < told.index("imported")


def resumed(place, honest, baseline):
    """Return the model of a folder of learning, as --resume takes it up."""
    folder = LearningFolder(place / "learn-model")
    folder.begin({})
    folder.model.write_bytes((honest / "model.npz").read_bytes())
    values = config(n_sparse=10) | {"baseline": baseline, "data": {"train": ["x"]}}
    runs = {"threshold": {"forces": 1.0}, "runs": [{"start": "x"}]}
    given = read("train.extxyz", DataConfig(train=["-"]), base=honest)
    setup = SimpleNamespace(config=LearnConfig(**values, **runs), given=given)
    return LearnedModel(setup, folder, folder.labels(), 0, 0).current


def test_resumed_learning_trusts_what_its_configuration_names(place, honest):
    baseline = {"calculator": LJ, "calculator_options": OPTIONS}
    model = resumed(place, honest, baseline)
    assert model.baseline.calculator.trusted
    expected = gapfit.load(honest / "model.npz").predict(silicon())
    assert model.predict(silicon()).energy == expected.energy


def test_resumed_learning_does_not_trust_what_only_the_folder_names(place, honest):
    with pytest.raises(GapfitError, match=r"was fitted with another \[baseline\]"):
        resumed(place, honest, {"calculator": LJ})


def test_a_folder_of_work_cannot_spoil_other_files(place):
    folder = LearningFolder(place / "learn-model")
    folder.begin({})
    folder.write_state({})
    state = folder.read_state()
    state["lengths"] |= {"../precious": 0, str(place / "precious"): 0}
    write_sealed(folder.path / "state.json", "gapfit-learning-state", 3, state)
    folder.read_state()
    nothing_happened(place)
    for name in ("labelled.extxyz", "log.jsonl", "trajectory.extxyz"):
        (folder.path / name).symlink_to("../precious")
        with pytest.raises(GapfitError, match="is a link to"), folder.held():
            pass
        (folder.path / name).unlink()
    (place / ".fit.lock").symlink_to("precious")
    fit = CheckpointFolder(place / "fit")
    with pytest.raises(GapfitError, match="is a link where gapfit"), fit.held():
        pass
    nothing_happened(place)
