"""What a report tells of models whose history is not known."""

from __future__ import annotations

import json
import re
import shutil

import ase.io
import pytest
from ase import Atoms
from builders import ROOT, config, label, labelled_frames, silicon
from helpers.reports import read_page, svg_of

import gapfit
from gapfit.cli import main
from gapfit.model.provenance import e0_origin
from gapfit.quip import load
from gapfit.report import ReportOptions, gather, write


@pytest.fixture
def from_quip(tmp_path):
    """Return a folder with a model of QUIP, and what could be taken for its data."""
    load(ROOT / "tests" / "quip_models" / "P" / "gap.xml").save(tmp_path / "p.npz")
    frames = ase.io.read(ROOT / "tests" / "quip_models" / "P" / "train.xyz", ":4")
    for name in ("gap.xml", "train.xyz"):
        ase.io.write(tmp_path / name, frames, format="extxyz")
    return tmp_path


def test_of_a_model_of_quip_only_what_its_file_holds_is_told(from_quip, capsys):
    argv = ["report", str(from_quip / "p.npz"), "--json"]
    assert main(argv) == 0
    (note,) = json.loads(capsys.readouterr().out)["notes"]
    assert note.startswith(
        "uncertainty is missing: a model of QUIP contains no posterior"
    )
    page = read_page(from_quip / "p-report.html")
    assert "gap.xml" in page.text
    assert "e0 of the file of QUIP" in page.text
    for invented in (
        *("Configuration", "fit.toml", "sparse_method", "all others", "Training data"),
        *("Fitted structures", "learning curve", "log marginal", "The band is"),
    ):
        assert invented not in page.text
    # Data that are given are looked at, and not taken for those of the fit.
    data = str(from_quip / "train.xyz")
    assert main([*argv, "--test", data, "--train", data]) == 0
    assert "it is unknown whether" in "".join(
        json.loads(capsys.readouterr().out)["notes"]
    )
    page = read_page(from_quip / "p-report.html")
    assert "There are no error bars: a model of QUIP contains no posterior" in page.text
    assert "Energies are relative to e0 of the file of QUIP." in page.text


def test_info_of_a_model_of_quip_invents_no_settings(from_quip, capsys):
    assert main(["info", str(from_quip / "p.npz")]) == 0
    text = capsys.readouterr().out
    assert re.search(r"read from QUIP +gap\.xml, .*, gap_version \d+", text)
    assert "eV: e0 of the file of QUIP" in text
    assert "none: models of QUIP have no posterior" in text
    for invented in ("Sigma", "Solver", "Prediction", "jitter", "frames fitted", "?"):
        assert invented not in text
    assert not re.search("sparse_method|n_sparse|weighting", text)
    assert main(["info", str(from_quip / "p.npz"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert set(facts["config"]) == {"terms"}
    assert facts["config"]["terms"][0]["r_cut"] > 1


def test_the_configuration_of_another_fit_is_not_used(fitted, tmp_path):
    quick = ReportOptions(learning_curve=False, dimers=False, uncertainty=False)
    resolved = (fitted / "fit.toml").read_text(encoding="utf-8")
    data = str(fitted.parent)
    for name in ("train.xyz", "test.xyz"):
        shutil.copy(fitted.parent / name, tmp_path / name)
    shutil.copy(fitted / "model.npz", tmp_path / "mine.npz")
    other = resolved.replace("l_max = 3", "l_max = 2").replace("test.xyz", "x.xyz")
    assert other != resolved
    (tmp_path / "fit.toml").write_text(other, encoding="utf-8")
    found = gather(tmp_path / "mine.npz", quick)
    text = "\n".join(found.notes)
    assert "fit.toml is not the configuration that mine.npz was fitted with" in text
    assert "l_max = 3" in found.config_toml
    assert data not in found.config_toml
    assert found.parts["test"].files == ("test.xyz",)
    # Where files are and who computes does not make it another.
    moved = resolved.replace(data, "elsewhere").replace("workers = 1", "workers = 2")
    (tmp_path / "fit.toml").write_text(moved, encoding="utf-8")
    assert not any(
        "is not the conf" in text for text in gather(tmp_path / "mine.npz", quick).notes
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"e0": {"method": "least_squares"}}, "e0 by least squares"),
        ({"data": {"use_energies": False}}, "e0 (no energies were fitted)"),
        ({}, "isolated atoms"),
    ],
)
def test_the_zero_of_energies_is_named(changes, said, tmp_path):
    frames = labelled_frames(silicon, 6)
    if "least squares" not in said:
        frames.append(label(Atoms("Si", cell=[20] * 3, pbc=True)))
    ase.io.write(tmp_path / "data.xyz", frames, format="extxyz")
    given = config() | {"e0": changes.get("e0", {})}
    own = changes.get("data", {})
    given["data"] = {"train": "data.xyz", "check_labels": False, **own}
    model = gapfit.fit(config=given, base=tmp_path)
    assert e0_origin(model) == said
    model.save(tmp_path / "model.npz")
    found = gather(tmp_path / "model.npz", ReportOptions(learning_curve=False))
    page, *_ = write(found, tmp_path / "page.html")
    text = read_page(page).text
    assert f"({said})" in text
    assert ("isolated atoms" in text) == (said == "isolated atoms")
    if "energies" not in said:
        axis = f"energy above {said}, eV/atom"
        assert axis in "".join(svg_of(page, "parity").itertext())
        assert said in text[text.index("Predicted against") :]
