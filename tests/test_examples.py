"""The examples: they run, and the physics is right within stated bounds."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import tomllib
from itertools import combinations_with_replacement
from pathlib import Path
from types import ModuleType

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.data import covalent_radii
from conftest import ROOT

import gapfit
from gapfit.cli import main as gapfit_main
from gapfit.config.sections import DataConfig
from gapfit.config.toml import load_config
from gapfit.data.dataset import read
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
    "fe7cr2ni": {"energy": 24, "forces": 0.42, "stress": 5.6},
}
SYSTEMS = tuple(BOUNDS)


#: What each example is called; the number comes first.
EXAMPLES = ROOT / "examples"


@pytest.fixture(autouse=True)
def _beside_their_helpers(monkeypatch, tmp_path):
    """Import as `python examples/...` does; write somewhere else."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.chdir(tmp_path)


def example(number: int) -> ModuleType:
    (path,) = EXAMPLES.glob(f"{number:02}_*.py")
    return importlib.import_module(path.stem)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Return a function that fits a system once, as the first example does."""
    folder, done = tmp_path_factory.mktemp("fitted"), {}

    def fit(system: str = "silicon") -> tuple[str, dict]:
        if system not in done:
            file = str(folder / f"{system}.npz")
            _, metrics = example(1).main([system, "--output", file])
            done[system] = file, metrics
        return done[system]

    return fit


@pytest.fixture
def silicon_model(fitted, caplog, capsys) -> list[str]:
    return ["--model", fitted()[0]]


@pytest.mark.parametrize("system", SYSTEMS)
def test_lattice_constants_and_bulk_moduli_equal_dft(fitted, system, capsys, caplog):
    file, of_fit = fitted(system)
    metrics, found = example(2).main([system, "--model", file])
    for kind, bound in BOUNDS[system].items():
        assert metrics["all"][kind]["rmse"] < bound, kind
        assert metrics["all"][kind]["rmse"] == of_fit["all"][kind]["rmse"]
    assert set(found) == set(example(2).PHASES[system])
    for phase, comparison in found.items():
        assert abs(comparison.lattice_error) < 0.003, phase
        assert abs(comparison.bulk_modulus_error) < 0.05, phase
        assert abs(comparison.gap.energy - comparison.dft.energy) < 0.02, phase


#: Prototype, and cells of vacancies that the data hold: cube or not, and repetitions.
CRYSTALS = {
    "silicon": ("Si", "diamond", {8: (True, 1)}),
    "carbon": ("C", "diamond", {8: (True, 1)}),
    "tungsten": ("W", "bcc", {8: (True, (2, 2, 1)), 16: (True, 2)}),
}


@pytest.mark.parametrize("system", CRYSTALS)
def test_elastic_constants_and_vacancies_equal_dft(fitted, system, capsys, caplog):
    model = gapfit.load(fitted(system)[0])
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


def test_examples_take_other_data(tmp_path, capsys, caplog):
    """Here without an isolated atom, and with too few volumes for every phase."""
    frames = ase.io.read(ROOT / "data" / "phosphorus" / "train.extxyz", ":")
    ase.io.write("own.extxyz", [a for a in frames if len(a) > 2])
    options = ["--train", "own.extxyz", "--test", "own.extxyz", "--n-sparse", "50"]
    model, metrics = example(1).main(["phosphorus", *options])
    assert metrics["all"]["energy"]["n"] == sum(len(a) > 2 for a in frames)
    assert model.terms[1].n_sparse == 50
    printed = capsys.readouterr().out
    assert printed.startswith("No isolated atom of P: e0 by least squares.\n")
    words = ["phosphorus", "--model", "phosphorus.npz", "--test", "own.extxyz"]
    again, found = example(2).main(words)
    assert again["all"]["energy"]["n"] == metrics["all"]["energy"]["n"]
    assert set(found) <= {"black", "sc"}
    with pytest.raises(SystemExit):
        example(1).main(["phosphorus", "--test", "own.extxyz"])
    assert "--test needs --train" in capsys.readouterr().err


def test_dynamics_in_ase_keep_the_energy(silicon_model, capsys):
    energies, temperatures, searched = example(3).main(["200", *silicon_model])
    assert len(energies) == len(temperatures) == 201
    exchanged = 1.5 * units.kB * np.std(temperatures)
    assert exchanged > 1e-3
    assert np.std(energies) < 0.03 * exchanged
    assert 200 < np.mean(temperatures) < 1000
    assert 1 <= searched < 40
    assert len(ase.io.read("md.extxyz", ":")) == 11
    assert "largest std" in capsys.readouterr().out


def test_lammps_gives_the_numbers_of_python(silicon_model, plugin):
    found = example(4).main(["60", *silicon_model, "--plugin", str(plugin)])
    assert abs(found["drift"]) < 3e-4
    assert found["energy"] < 1e-8
    assert found["forces"] < 1e-9
    assert found["std"] < 1e-7


def test_properties_have_error_bars(silicon_model, capsys):
    found = example(6).main(["--samples", "12", *silicon_model])
    a, of_a, dft = found["a"]
    assert a == pytest.approx(dft, abs=0.005)
    assert 1e-4 < of_a < 0.005
    modulus, of_modulus, dft = found["B"]
    assert modulus == pytest.approx(dft, abs=3 * of_modulus)
    assert of_modulus < 5
    # Stresses and energies tell the same bulk modulus.
    mean = (found["C11"][0] + 2 * found["C12"][0]) / 3
    assert mean == pytest.approx(modulus, abs=1.5)
    for name in ("C11", "C12", "C44"):
        value, std, measured = found[name]
        assert abs(value - measured) < 4 * std < 100, name
    assert "± " in capsys.readouterr().out


def test_phonons_are_stable_and_near_experiment(silicon_model, tmp_path):
    module = example(7)
    found, std = module.main(["--samples", "3", *silicon_model])
    assert found.is_stable
    assert found.highest == pytest.approx(15.5, rel=0.05)
    np.testing.assert_allclose(
        module.highest(found), list(module.MEASURED.values()), rtol=0.05
    )
    # Three acoustic branches end at zero, three optical ones are degenerate at Γ.
    np.testing.assert_allclose(found.gamma[:3], 0, atol=0.01)
    np.testing.assert_allclose(found.gamma[3:], found.gamma[3], atol=0.01)
    assert np.all((std > 0.01) & (std < 1))
    assert (tmp_path / "phonons.png").stat().st_size > 10_000


def test_several_species(fitted, capsys, caplog):
    errors, formed = example(8).main(["--model", fitted("ge2sb2te5")[0]])
    assert set(errors) == {"Ge", "Sb", "Te"}
    assert all(0.1 < error < 0.9 for error in errors.values())
    for name, (gap, dft) in formed.items():
        assert gap == pytest.approx(dft, abs=0.01), name
    assert formed["GeTe"][0] < -0.05
    assert "'Ge-Sb': 17" in capsys.readouterr().out


def test_ipi_moves_quantum_nuclei(fitted, capsys, tmp_path, silicon_model):
    found = example(9).main(["100", *silicon_model])
    # 8 beads are not quite enough: somewhat less than the oscillators have.
    assert found["oscillators"] > 1.15 * found["classical"]
    assert found["i-PI"] == pytest.approx(found["oscillators"], rel=0.06)
    assert found["drift"] < 1e-3
    assert "808 evaluations" in (tmp_path / "ipi" / "gapfit.log").read_text()
    # What i-PI writes is what the model gives where i-PI has the atoms.
    model = gapfit.load(fitted()[0])
    beads = [
        ipi_frame(tmp_path / "ipi" / f"silicon.pos_{bead}.xyz") for bead in range(8)
    ]
    own = [model.predict(atoms, std="energies") for atoms in beads]
    out = np.loadtxt(tmp_path / "ipi" / "silicon.out")
    mean = np.mean([prediction.energy for prediction in own])
    assert mean == pytest.approx(out[-1, 5], abs=2e-4)
    for bead, prediction in enumerate(own):
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
    assert [name[:2] for name in names] == [f"{n:02}" for n in range(1, 10)]
    for name in names:
        assert f"`{name}`" in listed
    for path in re.findall(r"examples/[\w/.]+\w", readme() + listed):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("system", SYSTEMS)
def test_configurations_are_valid_and_use_the_shipped_data(system):
    path = ROOT / "examples" / system / "fit.toml"
    config = load_config(path)
    for file in (*config.data.train, *config.data.test):
        assert (path.parent / file).is_file()
    assert "train" not in config.data.test[0]


def test_scripts_are_short():
    for script in EXAMPLES.rglob("*.py"):
        assert len(script.read_text().splitlines()) < 80, script


def readme() -> str:
    return (ROOT / "README.md").read_text()


def readme_blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", readme(), re.DOTALL)


def test_the_first_two_commands_of_the_readme(tmp_path):
    first, second = (block.strip() for block in readme_blocks("bash")[:2])
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


def refused(number: int, *words: str) -> str:
    """Return what an example prints as it fails."""
    (path,) = EXAMPLES.glob(f"{number:02}_*.py")
    done = subprocess.run(
        [sys.executable, path, *words], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    return done.stderr


@pytest.mark.parametrize("number", [2, 3, 4, 6, 7, 8, 9])
def test_a_model_that_is_not_there_is_one_line(number):
    said = refused(number, "--model", "missing.npz")
    assert said == "error: missing.npz: there is no such model file\n"


def test_a_model_of_other_elements_is_one_line(gst_model, tmp_path):
    gst_model.save(tmp_path / "other.npz")
    (said,) = refused(3, "--model", "other.npz").splitlines()
    assert said.startswith("error: ")
    assert "unknown species Si" in said
