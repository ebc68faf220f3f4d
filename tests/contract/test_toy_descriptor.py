"""A descriptor that the package has never heard of is fitted, kept and used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from ase.io import read, write
from builders import DATA, labelled_frames, silicon
from coordination import Coordination, CoordinationConfig
from descriptor_contract import DescriptorContract

import gapfit
from gapfit.citations import papers
from gapfit.config import load_config, term_base
from gapfit.config.term_base import register_term
from gapfit.config.toml import dump_toml
from gapfit.data.dataset import as_dataset
from gapfit.descriptors import registry
from gapfit.descriptors.registry import kind_of
from gapfit.errors import ConfigError, GapfitError, ModelFileError
from gapfit.execution.plan import plan

# Known while these tests run; others list all kinds of terms.
MODEL = term_base._MODELS.pop("coordination")
KIND = registry._KINDS.pop("coordination")

FIT = """
[data]
train = "{train}"
check_labels = false

[e0]
method = "least_squares"

[[terms]]
type = "coordination"
r_cut = 4.0
n_sparse = 12

[[terms]]
type = "distance_2b"
r_cut = 4.0
"""


class TestCoordination(DescriptorContract):
    CONFIGS: ClassVar = {"default": CoordinationConfig(r_cut=4.02)}


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    monkeypatch.setitem(term_base._MODELS, "coordination", MODEL)
    monkeypatch.setitem(registry._KINDS, "coordination", KIND)


@pytest.fixture
def fit_toml(tmp_path) -> Path:
    path = tmp_path / "fit.toml"
    path.write_text(FIT.format(train=DATA / "silicon" / "train.extxyz"))
    return path


def test_it_is_fitted_saved_loaded_and_predicts(fit_toml, tmp_path):
    settings = load_config(fit_toml)
    frames = read(DATA / "silicon" / "train.extxyz", ":12")
    model = gapfit.fit(frames, settings)
    assert isinstance(model.terms[0].descriptor, Coordination)
    assert model.terms[0].n_sparse > 5
    model.save(tmp_path / "m.npz")
    loaded = gapfit.load(tmp_path / "m.npz", training_sums=True)
    one, other = (m.predict(frames[3], std=True) for m in (model, loaded))
    np.testing.assert_array_equal(other.forces, one.forces)
    np.testing.assert_array_equal(other.energies_std, one.energies_std)
    assert (one.energies_std > 0).all()
    assert one.energy_std > 0
    alone = gapfit.fit(
        frames, settings.model_copy(update={"terms": settings.terms[1:]})
    )
    assert model.record.log_marginal_likelihood > alone.record.log_marginal_likelihood
    more = gapfit.append(loaded, read(DATA / "silicon" / "test.extxyz", ":2"))
    assert np.isfinite(more.predict(frames[3], std=True).forces_std).all()
    assert {paper.key for _, paper in papers(model)} >= {"bartok2010", "bartok2015"}


def test_its_kernels_are_added_up_by_processes_and_planned(fit_toml):
    settings = load_config(fit_toml)
    frames = labelled_frames(silicon, 4)
    parallel = settings.model_copy(
        update={"run": settings.run.model_copy(update={"workers": 2})}
    )
    one, other = (gapfit.fit(frames, c) for c in (settings, parallel))
    np.testing.assert_array_equal(
        other.terms[0].coefficients[14], one.terms[0].coefficients[14]
    )
    planned = plan(as_dataset(frames, settings), settings)
    assert planned.n_features == (1, 1)


def test_messages_and_files_know_its_keys(fit_toml):
    text = fit_toml.read_text()
    settings = load_config(fit_toml)
    assert 'type = "coordination"' in dump_toml(settings)
    assert "theta = 1.0" in dump_toml(settings)
    for line, message in (
        ("thetta = 2.0", "unknown key `thetta`; did you mean `theta`?"),
        ("theta = -1.0", "`theta` = -1.0 must be a number > 0"),
        ("n_max = 3", '`n_max` belongs to terms of type "soap"'),
        ("n_sparse = 7.0", "`n_sparse` = 7.0 must be a whole number >= 1"),
    ):
        changed = text.replace("n_sparse = 12", line)
        fit_toml.write_text(changed)
        with pytest.raises(ConfigError) as error:
            load_config(fit_toml)
        assert message in str(error.value)
    fit_toml.write_text(text.replace('"coordination"', '"coordinat"'))
    with pytest.raises(ConfigError, match=r'unknown; did you mean "coordination"\?'):
        load_config(fit_toml)


def test_names_of_kinds_are_taken_once():
    class Other(CoordinationConfig):
        pass

    with pytest.raises(ValueError, match="choose another name"):
        register_term(Other)
    assert kind_of(CoordinationConfig()).build is Coordination
    unknown = CoordinationConfig().model_copy(update={"type": "nothing"})
    with pytest.raises(GapfitError, match="has no descriptor"):
        kind_of(unknown)


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run Python in a folder, whose packages it can import."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={"PYTHONPATH": f"{folder}:{Path(gapfit.__file__).parent.parent}"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def plugin_folder(tmp_path) -> Path:
    """Return a folder with the descriptor as a package with an entry point."""
    source = Path(__file__).with_name("coordination.py")
    (tmp_path / source.name).write_text(source.read_text())
    facts = tmp_path / "coordination-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Name: coordination\nVersion: 1.0\n")
    entry = "[gapfit.descriptors]\ncoordination = coordination\n"
    (facts / "entry_points.txt").write_text(entry)
    return tmp_path


def test_the_command_line_finds_it_by_its_entry_point(fit_toml, plugin_folder):
    train = plugin_folder / "train.extxyz"
    write(train, labelled_frames(silicon, 4))
    fit_toml.write_text(FIT.format(train=train))
    fit = ["fit", "fit.toml", "--output", "results", "--no-report"]
    for command in (fit, ["info", "results/model.npz"]):
        done = run(plugin_folder, "-m", "gapfit", *command)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "coordination" in done.stdout


def test_a_model_of_an_unknown_kind_is_named(fit_toml, tmp_path):
    model = gapfit.fit(labelled_frames(silicon, 3), load_config(fit_toml))
    model.save(tmp_path / "m.npz")
    done = run(tmp_path, "-c", "import gapfit; gapfit.load('m.npz')")
    assert 'type = "coordination", which is unknown here' in done.stderr
    assert ModelFileError.__name__ in done.stderr


@pytest.mark.parametrize("suffix", [".lmp", ".xml"])
def test_other_programs_refuse_it(fit_toml, tmp_path, suffix):
    from gapfit import quip
    from gapfit.lammps import export_lammps

    model = gapfit.fit(labelled_frames(silicon, 3), load_config(fit_toml))
    save = export_lammps if suffix == ".lmp" else quip.save
    with pytest.raises(GapfitError, match="coordination"):
        save(model, tmp_path / f"m{suffix}")
