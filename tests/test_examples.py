"""The examples: they run, and the physics is right within stated bounds."""

from __future__ import annotations

import importlib.util
import json
import re
import tomllib
from itertools import combinations_with_replacement
from types import ModuleType

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.data import covalent_radii
from conftest import ROOT

import gapfit
from gapfit.cli import main as gapfit_main
from gapfit.config import DataConfig
from gapfit.config_file import load_config
from gapfit.dataset import read
from gapfit.proposal import propose

#: RMSE on the test sets: meV/atom, eV/Å, GPa. README states the errors themselves.
BOUNDS = {
    "silicon": {"energy": 30, "forces": 0.26, "stress": 1.45},
    "carbon": {"energy": 130, "forces": 1.05, "stress": 7.7},
    "tungsten": {"energy": 105, "forces": 0.42, "stress": 7.5},
    "phosphorus": {"energy": 43, "forces": 0.56, "stress": 3.0},
    "ge2sb2te5": {"energy": 105, "forces": 0.70, "stress": 2.4},
    "fe7cr2ni": {"energy": 24, "forces": 0.42, "stress": 5.6},
}
SYSTEMS = tuple(BOUNDS)


def example(system: str) -> ModuleType:
    path = ROOT / "examples" / system / "run.py"
    spec = importlib.util.spec_from_file_location(f"example_{system}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("system", SYSTEMS)
def test_lattice_constants_and_bulk_moduli_equal_dft(system, capsys, caplog):
    module = example(system)
    metrics, found = module.main()
    for kind, bound in BOUNDS[system].items():
        assert metrics["all"][kind]["rmse"] < bound, kind
    assert set(found) == set(module.PHASES)
    for phase, comparison in found.items():
        assert abs(comparison.lattice_error) < 0.003, phase
        assert abs(comparison.bulk_modulus_error) < 0.05, phase
        assert abs(comparison.gap.energy - comparison.dft.energy) < 0.02, phase


def test_examples_take_other_data(tmp_path, monkeypatch, capsys, caplog):
    """Here without an isolated atom, and with too few volumes for every phase."""
    monkeypatch.chdir(tmp_path)
    frames = ase.io.read(ROOT / "data" / "phosphorus" / "train.extxyz", ":")
    ase.io.write("own.extxyz", [a for a in frames if len(a) > 2])
    options = ["--train", "own.extxyz", "--test", "own.extxyz", "--n-sparse", "50"]
    metrics, found = example("phosphorus").main(options)
    assert metrics["all"]["energy"]["n"] == sum(len(a) > 2 for a in frames)
    assert set(found) <= {"black", "sc"}
    printed = capsys.readouterr().out
    assert printed.startswith("No isolated atom of P: e0 by least squares.\n")
    with pytest.raises(SystemExit):
        example("phosphorus").main(["--test", "own.extxyz"])
    assert "--test needs --train" in capsys.readouterr().err


@pytest.mark.parametrize("system", SYSTEMS)
def test_configurations_are_valid_and_use_the_shipped_data(system):
    path = ROOT / "examples" / system / "fit.toml"
    config = load_config(path)
    for file in (*config.data.train, *config.data.test):
        assert (path.parent / file).is_file()
    assert "train" not in config.data.test[0]


def test_scripts_are_short():
    for script in (ROOT / "examples").rglob("*.py"):
        assert len(script.read_text().splitlines()) <= 80, script


def readme() -> str:
    return (ROOT / "README.md").read_text()


def readme_blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", readme(), re.DOTALL)


def test_the_first_two_commands_of_the_readme(tmp_path):
    first, second = (block.strip() for block in readme_blocks("bash")[:2])
    assert second == 'pip install ".[test]" && pytest'
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
        train=[str(ROOT / "data" / system / "train.extxyz")], check_stress=False
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


def test_the_readme_has_no_gaps_and_names_what_the_data_hold():
    assert "@@" not in readme()
    for system in SYSTEMS:
        counts = [
            (ROOT / "data" / system / f"{part}.extxyz").read_text().count("Lattice=")
            for part in ("train", "test")
        ]
        assert f"| {system} | {counts[0]} / {counts[1]} |" in readme()


def test_the_configuration_of_the_readme_is_valid(tmp_path):
    (block,) = readme_blocks("toml")
    tomllib.loads(block)
    (tmp_path / "fit.toml").write_text(block)
    terms = load_config(tmp_path / "fit.toml").terms
    assert [term.n_sparse for term in terms] == [20, 1000]


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("train", "test"):
        source = ROOT / "data" / "silicon" / f"{name}.extxyz"
        (tmp_path / f"{name}.extxyz").write_text(source.read_text())
    names: dict = {}
    for block in readme_blocks("python"):
        exec(compile(block, "README.md", "exec"), names)
    assert "'forces'" in capsys.readouterr().out
    assert names["found"].forces_std.shape == (2, 3)


def test_properties_have_error_bars(capsys, caplog):
    found = example("uncertainty").main(12)
    a, of_a = found["a"]
    assert a == pytest.approx(5.476, abs=0.005)  # DFT, data/README.md
    assert 1e-4 < of_a < 0.005
    modulus, of_modulus = found["B"]
    assert modulus == pytest.approx(88.2, abs=3 * of_modulus)
    assert of_modulus < 5
    # Stresses and energies tell the same bulk modulus.
    mean = (found["C11"][0] + 2 * found["C12"][0]) / 3
    assert mean == pytest.approx(modulus, abs=1.5)
    # Experiment: McSkimin & Andreatch, J. Appl. Phys. 35, 2161 (1964).
    for name, measured in {"C11": 165.6, "C12": 63.9, "C44": 79.5}.items():
        value, std = found[name]
        assert abs(value - measured) < 4 * std < 100, name
    assert "± " in capsys.readouterr().out
