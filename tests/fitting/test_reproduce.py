"""A model is fitted again from what `gapfit reproduce` writes: the same potential."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
from ase.io import read, write
from builders import label
from helpers.error_bars import PAIR, SOAP, frames_of, salt

import gapfit
from gapfit.cli import main
from gapfit.config.toml import load_config
from gapfit.errors import GapfitError
from gapfit.fitting.reproduce import reproduction
from gapfit.model.provenance import model_digest


@pytest.fixture
def fitted(tmp_path: Path) -> Path:
    """The file of a model in a folder beside its data."""
    folder = tmp_path / "paper"
    (folder / "data").mkdir(parents=True)
    write(folder / "data" / "train.extxyz", frames_of(4))
    settings = {
        "data": {"train": "data/train.extxyz"},
        "e0": {"Si": -0.5, "Ge": -0.25},
        "sigma": {
            "energy": 0.1,
            "forces": 1.0,
            "config_types": {"odd": {"energy": 0.3}},
        },
        "terms": [PAIR, SOAP],
        "run": {"seed": 3},
    }
    model = gapfit.fit(config=settings, base=folder)
    (folder / "model").mkdir()
    model.save(folder / "model" / "model.npz")
    return folder / "model" / "model.npz"


def test_the_fit_is_repeated_to_the_bit(fitted, tmp_path, capsys):
    again = tmp_path / "again"
    assert main(["reproduce", str(fitted), "--output", str(again)]) == 0
    assert "exactly those of the fit" in capsys.readouterr().out
    first = gapfit.load(fitted)
    config = load_config(again / "fit.toml")
    assert not any(Path(name).is_absolute() for name in config.data.train)
    second = gapfit.fit(config=config, base=again)
    assert model_digest(second) == model_digest(first)
    assert second.record.data_digest == first.record.data_digest
    assert model_digest(first) in (again / "fit.toml").read_text()
    pinned = (again / "requirements.txt").read_text().splitlines()
    assert f"numpy=={version('numpy')}" in pinned
    assert f"# gapfit=={version('gapfit')}" in pinned


def test_the_folder_may_be_moved_with_its_data(fitted, tmp_path):
    moved = tmp_path / "elsewhere"
    (tmp_path / "paper").rename(moved)
    again = moved / "again"
    assert (
        main(["reproduce", str(moved / "model/model.npz"), "--output", str(again)]) == 0
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda file: file.unlink(), "missing: "),
        (
            lambda file: write(file, read(file, ":")[:-1]),
            "they have changed: 4 structures",
        ),
        (lambda file: file.write_text("3\n"), "cannot be read any more: "),
    ],
)
def test_other_data_are_noticed(fitted, tmp_path, capsys, change, words):
    change(tmp_path / "paper" / "data" / "train.extxyz")
    assert main(["reproduce", str(fitted), "--output", str(tmp_path / "again")]) == 1
    assert words in capsys.readouterr().out
    assert (tmp_path / "again" / "fit.toml").exists()


def test_files_are_not_replaced_unasked(fitted, tmp_path, capsys):
    again = tmp_path / "again"
    again.mkdir()
    (again / "fit.toml").write_text("mine")
    assert main(["reproduce", str(fitted), "--output", str(again)]) == 1
    assert "--force" in capsys.readouterr().err
    assert (again / "fit.toml").read_text() == "mine"
    assert main(["reproduce", str(fitted), "--output", str(again), "--force"]) == 0


def test_appended_data_are_named(fitted, tmp_path):
    model = gapfit.append(fitted, [label(salt(50))])
    found = reproduction(model, fitted, tmp_path)
    assert found.remarks[0].startswith("1 structures were appended")
    assert found.data == ""
    file = tmp_path / "paper" / "data" / "train.extxyz"
    write(file, read(file, ":")[:-1])
    changed = reproduction(model, fitted, tmp_path).data
    assert changed.startswith("they have changed: 4 structures")
    assert "but 5 with" in changed


def test_structures_in_memory_are_no_files(tmp_path):
    model = gapfit.fit(frames_of(3), {"terms": [PAIR]})
    model.save(tmp_path / "m.npz")
    found = reproduction(model, tmp_path / "m.npz", tmp_path / "again")
    assert found.data.startswith("the fit had structures in memory")
    assert 'train = ["in memory"]' in found.files["fit.toml"]


def test_packages_of_the_baseline_are_pinned(fitted, tmp_path):
    model = gapfit.load(fitted)
    record = replace(model.record, versions=model.record.versions | {"dftd3": "1.7"})
    known = reproduction(replace(model, record=record), fitted, tmp_path)
    assert "dftd3==1.7\n" in known.files["requirements.txt"]


def test_only_fits_are_reproduced(fitted, tmp_path):
    from gapfit import quip

    simple = gapfit.fit(frames_of(3), {"terms": [PAIR | {"switch": "cosine"}]})
    quip.save(simple, tmp_path / "gp.xml")
    with pytest.raises(GapfitError, match="read from a file of QUIP"):
        reproduction(quip.load(tmp_path / "gp.xml"), tmp_path / "gp.xml", tmp_path)
