"""The examples: they run, and the physics is right within stated bounds."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from itertools import combinations_with_replacement
from pathlib import Path
from types import ModuleType
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.data import covalent_radii
from builders import ROOT

import gapfit
from gapfit.active.online_model import LearnedModel
from gapfit.cli import main as gapfit_main
from gapfit.config import LearnConfig, load_config, load_config_as
from gapfit.config.sections import DataConfig
from gapfit.data import read
from gapfit.fitting.proposal import propose
from gapfit.properties import Settings, compute, read_reference
from gapfit.properties.defects import vacancy

#: RMSE on the test sets: meV/atom, eV/Å, GPa. README states the errors themselves.
BOUNDS = {
    "silicon": {"energy": 30, "forces": 0.26, "stress": 1.45},
    "carbon": {"energy": 130, "forces": 1.05, "stress": 7.7},
    "tungsten": {"energy": 105, "forces": 0.42, "stress": 7.5},
    "phosphorus": {"energy": 43, "forces": 0.56, "stress": 3.0},
    "ge2sb2te5": {"energy": 105, "forces": 0.70, "stress": 2.4},
    "fe7cr2ni": {"energy": 13, "forces": 0.25, "stress": 4.5},
}
SYSTEMS = tuple(BOUNDS)


EXAMPLES = ROOT / "examples"
#: Crystals whose equations of state are compared with DFT.
PHASES = {
    "silicon": {"diamond", "betatin", "sc", "hcp", "bcc", "fcc"},
    "carbon": {"diamond", "bcc", "fcc", "sc"},
    "tungsten": {"bcc", "fcc", "hcp", "sc"},
    "phosphorus": {"black", "sc"},
    "ge2sb2te5": {"hex"},
    "fe7cr2ni": {"fcc4-0"},
}
NUMBER = r"([-+]?\d+\.?\d*(?:e[-+]?\d+)?)"


def large_ones_slow(systems: Iterable[str]) -> list[Any]:
    """Return systems, of which large fits are left to the slow run."""
    slow = pytest.mark.slow
    large = ("carbon", "silicon")
    return [pytest.param(s, marks=slow) if s in large else s for s in systems]


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch, tmp_path):
    """Examples write into the current folder."""
    monkeypatch.chdir(tmp_path)


def script(number: int) -> Path:
    (path,) = EXAMPLES.glob(f"{number:02}_*.py")
    return path


def example(number: int) -> ModuleType:
    """Import an example by its path alone: nothing beside it can be imported."""
    path = script(number)
    spec = importlib.util.spec_from_file_location(f"example_{number:02}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def numbers(text: str, pattern: str) -> list[float]:
    """Return the numbers of the one line that has a pattern; # stands for each."""
    parts = (re.escape(part) for part in pattern.split("#"))
    match = re.search((NUMBER.join(parts)).replace(r"\ ", r" +"), text)
    assert match, f"{pattern!r} is not in:\n{text}"
    return [float(number) for number in match.groups()]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Return a function that fits a system once, as the first example does."""
    folder, files = tmp_path_factory.mktemp("fitted"), {}

    def fit(system: str = "silicon") -> str:
        if system not in files:
            files[system] = str(folder / f"{system}.npz")
            config = str(EXAMPLES / system / "fit.toml")
            example(1).main(["--config", config, "--output", files[system]])
        return files[system]

    return fit


@pytest.fixture
def silicon_model(fitted, caplog, capsys) -> list[str]:
    model = ["--model", fitted()]
    capsys.readouterr()
    return model


def test_the_quick_start_is_short_and_runs(capsys):
    example(0).main()
    energy, std = numbers(capsys.readouterr().out, "# ± # eV for two atoms")
    reference = ase.io.read(ROOT / "data" / "silicon" / "train.extxyz", ":")
    lowest = min(a.get_potential_energy() / len(a) for a in reference)
    assert energy / 2 == pytest.approx(lowest, abs=0.02)
    assert 0 < std < 0.1
    source = inspect.getsource(example(0).main)
    assert len(source.splitlines()) <= 15
    assert Path("quickstart.npz").is_file()


@pytest.mark.parametrize("system", large_ones_slow(SYSTEMS))
def test_lattice_constants_and_bulk_moduli_equal_dft(fitted, system, capsys, caplog):
    file, data = fitted(system), ROOT / "data" / system
    metrics = gapfit.evaluate(file, data / "test.extxyz", uncertainty=False)
    for kind, bound in BOUNDS[system].items():
        assert metrics["all"][kind]["rmse"] < bound, kind
    capsys.readouterr()
    example(2).main(["--model", file, "--data", str(data)])
    printed = capsys.readouterr().out
    for phase in PHASES[system]:
        volume, dft_volume, modulus, dft_modulus, lattice_error, energy_error = numbers(
            printed, f"\n{phase} # # # # #% #"
        )
        assert volume == pytest.approx(dft_volume, rel=0.009), phase
        assert abs(lattice_error) < 0.3, phase
        assert modulus == pytest.approx(dft_modulus, rel=0.05), phase
        assert abs(energy_error) < 20, phase


#: Prototype, and cells of vacancies that the data hold: cube or not, and repetitions.
CRYSTALS = {
    "silicon": ("Si", "diamond", {8: (True, 1)}),
    "carbon": ("C", "diamond", {8: (True, 1)}),
    "tungsten": ("W", "bcc", {8: (True, (2, 2, 1)), 16: (True, 2)}),
}


@pytest.mark.parametrize("system", large_ones_slow(CRYSTALS))
def test_elastic_constants_and_vacancies_equal_dft(fitted, system, capsys, caplog):
    model = gapfit.load(fitted(system))
    symbol, phase, cells = CRYSTALS[system]
    dft = read_reference(ROOT / "data" / system / "properties.json")
    crystal = bulk(symbol, phase, a=dft["structure.a"], cubic=True)
    settings = Settings(samples=0)
    report = compute(
        model, crystal, only=("structure", "eos", "elastic"), settings=settings
    )
    found = {name: own.value for name, own in report.quantities.items()}
    assert found["structure.a"] == pytest.approx(dft["structure.a"], rel=0.003)
    assert found["eos.bulk_modulus"] == pytest.approx(dft["eos.bulk_modulus"], rel=0.05)
    for name in ("C11", "C12", "C44"):
        name = f"elastic.{name}"
        assert found[name] == pytest.approx(dft[name], rel=0.1), name
    calculator = gapfit.GAPCalculator(model, uncertainty=False)
    for size, (cubic, repeats) in cells.items():
        cell = bulk(symbol, phase, a=found["structure.a"], cubic=cubic).repeat(repeats)
        energy = vacancy(cell, calculator, width=0.1).energy
        assert energy == pytest.approx(dft[f"vacancy.energy_{size}"], abs=0.2), size


def test_examples_take_other_data(capsys, caplog):
    """Here without an isolated atom, and with too few volumes for every phase."""
    data = ROOT / "data" / "phosphorus"
    frames = [a for a in ase.io.read(data / "train.extxyz", ":") if len(a) > 2]
    for part in ("train", "test"):
        ase.io.write(f"{part}.extxyz", frames)
    words = ["--config", str(EXAMPLES / "phosphorus" / "fit.toml")]
    words += ["--train", "train.extxyz", "--n-sparse", "50", "--output", "P.npz"]
    example(1).main(words)
    assert "no isolated atom of P in the data" in caplog.text
    caplog.clear()
    example(1).main([*words, "--test", "test.extxyz", "--least-squares"])
    assert "no isolated atom" not in caplog.text
    assert gapfit.load("P.npz").terms[1].n_sparse == 50
    capsys.readouterr()
    example(2).main(["--model", "P.npz", "--data", "."])
    printed = capsys.readouterr().out
    assert re.search(rf"all +│ +{len(frames)} ", printed)
    assert re.search(r"\nblack", printed)
    assert not re.search(r"\nbetatin", printed)
    with pytest.raises(SystemExit):
        example(1).main(["--test", "test.extxyz"])
    assert "--test needs --train" in capsys.readouterr().err


def test_dynamics_in_ase_keep_the_energy(silicon_model, capsys):
    example(3).main(["200", *silicon_model])
    printed = capsys.readouterr().out
    assert "largest std" in printed
    rows = np.array([line.split() for line in printed.splitlines()[1:12]], float)
    time, temperatures, energies, stds = rows.T
    np.testing.assert_allclose(time, np.arange(11) * 0.02)
    exchanged = 1.5 * units.kB * np.std(temperatures)
    assert exchanged > 1e-3
    assert np.std(energies) < 0.03 * exchanged
    (spread,) = numbers(printed, "varies by # meV/atom")
    assert spread < 0.03e3 * exchanged
    assert 200 < np.mean(temperatures) < 1000
    assert np.all((stds > 0) & (stds < 0.2))
    searches, steps = numbers(printed, "searched # times in # steps")
    assert 1 <= searches < 40
    assert steps == 200
    assert len(ase.io.read("md.extxyz", ":")) == 11


def test_lammps_gives_the_numbers_of_python(silicon_model, plugin, capsys):
    example(4).main(["60", *silicon_model, "--plugin", str(plugin)])
    printed = capsys.readouterr().out
    for pattern, bound in (
        ("drift of the total energy # eV/atom", 3e-4),
        ("energy # eV\n", 1e-8),
        ("forces # eV/Å", 1e-9),
        ("std # eV", 1e-7),
    ):
        (value,) = numbers(printed, pattern)
        assert abs(value) < bound, pattern


class KilledError(Exception):
    """Stands for the end of the process."""


def test_learning_describes_the_crystal_and_resumes_after_a_kill(monkeypatch, capsys):
    """Reduced: 120 steps. The whole is a benchmark."""

    def killed(*args) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(LearnedModel, "merge", killed)
        with pytest.raises(KilledError):
            example(5).main(["120"])
    n_labelled = len(ase.io.read("on_the_fly/labelled.extxyz", ":"))
    assert n_labelled == 6
    example(5).main(["120", "--resume"])
    printed = capsys.readouterr().out
    (calls,) = numbers(printed, "# reference calculations for 120 steps")
    assert n_labelled <= calls <= 11
    energy, forces = numbers(printed, "crystal: # meV/atom, # eV/Å")
    assert energy < 5
    assert forces < 0.25


def test_the_configuration_of_learning_is_that_of_its_script():
    module = example(5)
    config = load_config_as(LearnConfig, EXAMPLES / "onthefly_silicon" / "learn.toml")
    tables = module.CONFIG | {"runs": [module.HEATING | {"start": "", "steps": 3000}]}
    own = LearnConfig.model_validate(tables)
    for table in ("sigma", "e0", "terms", "threshold", "learning"):
        assert getattr(own, table) == getattr(config, table), table
    changes = {"start": "crystal.extxyz", "name": "heating"}
    assert own.runs[0].model_copy(update=changes) == config.runs[0]


def test_the_reference_of_learning_is_that_of_its_script(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES / "onthefly_silicon"))
    own, named = example(5).tersoff(), importlib.import_module("silicon_tersoff")
    crystal = bulk("Si", a=5.432, cubic=True)
    crystal.rattle(0.2, seed=0)
    energies = []
    for calculator in (own, named.tersoff()):
        crystal.calc = calculator
        energies.append(crystal.get_potential_energy())
    assert energies[0] == energies[1]


def test_properties_have_error_bars(silicon_model, capsys):
    example(6).main(["--samples", "12", *silicon_model])
    printed = capsys.readouterr().out
    a, of_a, dft = numbers(printed, "a # ± # Å DFT: #")
    assert a == pytest.approx(dft, abs=0.005)
    assert 1e-4 < of_a < 0.005
    modulus, of_modulus, dft = numbers(printed, "B # ± # GPa DFT: #")
    assert modulus == pytest.approx(dft, abs=3 * of_modulus)
    assert of_modulus < 5
    constants = {
        name: numbers(printed, f"{name} # ± # GPa experiment: #")
        for name in ("C11", "C12", "C44")
    }
    # Stresses and energies tell the same bulk modulus.
    mean = (constants["C11"][0] + 2 * constants["C12"][0]) / 3
    assert mean == pytest.approx(modulus, abs=1.5)
    for name, (value, std, measured) in constants.items():
        assert abs(value - measured) < 4 * std < 100, name


def test_phonons_are_stable_and_near_experiment(silicon_model, tmp_path, capsys):
    example(7).main(["--samples", "3", *silicon_model])
    printed = capsys.readouterr().out
    assert "stable: True" in printed
    for place, measured in (("G", 15.5), ("X", 13.9), ("L", 14.7)):
        value, std, shown = numbers(printed, f" {place} # ± # #")
        assert shown == measured
        assert value == pytest.approx(measured, rel=0.05)
        assert 0.01 <= std < 1
    # Three acoustic branches end at zero, three optical ones are degenerate at Γ.
    gamma = numbers(printed, "at Γ, THz: # # # # # #")
    np.testing.assert_allclose(gamma[:3], 0, atol=0.01)
    np.testing.assert_allclose(gamma[3:], gamma[3], atol=0.011)
    assert (tmp_path / "phonons.png").stat().st_size > 10_000


def test_several_species(fitted, capsys, caplog):
    example(8).main(["--model", fitted("ge2sb2te5")])
    printed = capsys.readouterr().out
    for symbol in ("Ge", "Sb", "Te"):
        (error,) = numbers(printed, f"forces on {symbol}: RMSE # eV/Å")
        assert 0.1 < error < 0.9
    for compound in ("Ge2Sb2Te5", "GeTe"):
        gap, dft = numbers(printed, f"{compound} from its elements: # eV/atom (DFT: #)")
        assert gap == pytest.approx(dft, abs=0.01), compound
    assert gap < -0.05
    assert "'Ge-Sb': 17" in printed


def test_ipi_moves_quantum_nuclei(fitted, capsys, tmp_path, silicon_model):
    example(9).main(["100", *silicon_model])
    printed = capsys.readouterr().out
    names = ("classical", "i-PI", "oscillators", "drift")
    values = {name: numbers(printed, f"{name} # eV")[0] for name in names}
    # 8 beads are not quite enough: somewhat less than the oscillators have.
    assert values["oscillators"] > 1.15 * values["classical"]
    assert values["i-PI"] == pytest.approx(values["oscillators"], rel=0.06)
    assert values["drift"] < 1e-3
    assert "808 evaluations" in (tmp_path / "ipi" / "gapfit.log").read_text()
    # What i-PI writes is what the model gives where i-PI has the atoms.
    model = gapfit.load(fitted())
    beads = [
        ipi_frame(tmp_path / "ipi" / f"silicon.pos_{bead}.xyz") for bead in range(8)
    ]
    predictions = [model.predict(atoms, std="energies") for atoms in beads]
    out = np.loadtxt(tmp_path / "ipi" / "silicon.out")
    mean = np.mean([prediction.energy for prediction in predictions])
    assert mean == pytest.approx(out[-1, 5], abs=2e-4)
    for bead, prediction in enumerate(predictions):
        std = np.loadtxt(tmp_path / "ipi" / f"silicon.std_{bead}")[-8:]
        np.testing.assert_allclose(std.ravel()[-8:], prediction.energies_std, rtol=1e-3)


def ipi_frame(path: Path) -> Atoms:
    """Return the last structure of a trajectory of i-PI."""
    last = path.read_text().splitlines()[-8:]
    positions = [line.split()[1:] for line in last]
    return Atoms("Si8", np.array(positions, float), cell=[5.475] * 3, pbc=True)


def test_the_list_of_examples_is_complete():
    listed = (EXAMPLES / "README.md").read_text()
    names = [path.name for path in sorted(EXAMPLES.glob("[0-9]*.py"))]
    assert [name[:2] for name in names] == [f"{n:02}" for n in range(10)]
    for name in names:
        assert f"`{name}`" in listed


@pytest.mark.parametrize("system", SYSTEMS)
def test_configurations_are_valid_and_use_the_shipped_data(system):
    path = ROOT / "examples" / system / "fit.toml"
    config = load_config(path)
    for file in (*config.data.train, *config.data.test):
        assert (path.parent / file).is_file()
    assert "train" not in config.data.test[0]


def test_scripts_are_short():
    for path in EXAMPLES.rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 80, path


def test_the_first_two_commands_of_the_readme(tmp_path):
    readme = (ROOT / "README.md").read_text()
    commands = re.findall(r"```bash\n(.*?)\n```", readme, re.DOTALL)
    first, second = commands[:2]
    assert second == 'pip install ".[test]" && pytest -n 2 --dist loadfile'
    assert second in (ROOT / ".ci" / "run").read_text()
    install, fit = first.split(" && ")
    assert install == "pip install ."
    words = fit.split()
    assert words[:2] == ["gapfit", "fit"]
    words[2] = str(ROOT / words[2])
    words[4] = str(tmp_path / "model")
    assert gapfit_main(words[1:]) == 0
    metrics = json.loads((tmp_path / "model" / "metrics.json").read_text())
    for kind, bound in BOUNDS["silicon"].items():
        assert metrics["test"]["all"][kind]["rmse"] < bound, kind
    assert (tmp_path / "model" / "model.npz").is_file()


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_proposed_configuration_keeps_atoms_apart(system):
    """A dimer pushed together from half a bond on is ever more repulsive."""
    labels = DataConfig(
        train=[str(ROOT / "data" / system / "train.extxyz")], check_labels=False
    )
    data = read(labels.train, labels)
    proposed = propose(data.frames, labels).config
    soap, pair = proposed.terms
    small = soap.model_copy(update={"n_sparse": 150})
    model = gapfit.fit(data, proposed.model_copy(update={"terms": [small, pair]}))
    for pair in combinations_with_replacement(model.species, 2):
        bond = sum(covalent_radii[z] for z in pair)
        r = np.arange(0.31, 0.5 * bond, 0.02)
        found = [model.predict(Atoms(pair, [[0, 0, 0], [x, 0, 0]])) for x in r]
        assert np.all(np.diff([prediction.energy for prediction in found]) < 0), pair
        pushes = [prediction.forces[1, 0] for prediction in found]
        assert np.all(np.array(pushes) > 10), pair


@pytest.mark.parametrize("number", range(10))
def test_examples_can_be_copied(number, tmp_path):
    """Alone in another folder a script starts and explains itself."""
    path = Path(shutil.copy(script(number), tmp_path))
    if number == 0:
        words, status = ["missing.extxyz"], 1
    else:
        words, status = ["--help"], 0
    done = subprocess.run(
        [sys.executable, path, *words], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == status
    assert ("missing.extxyz" if status else "usage: ") in done.stdout + done.stderr


def refused(number: int, *words: str) -> str:
    """Return what an example prints as it fails."""
    done = subprocess.run(
        [sys.executable, script(number), *words],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    return done.stderr


def test_a_model_that_is_not_there_is_said_at_the_end():
    (*_, last) = refused(3, "--model", "missing.npz").splitlines()
    assert last.endswith("missing.npz: there is no such model file")


def test_a_model_of_other_elements_is_said_at_the_end(gst_model):
    gst_model.save("other.npz")
    (*_, message, address) = refused(3, "--model", "other.npz").splitlines()
    assert "unknown species Si" in message
    assert address.endswith("#unknown-species")
