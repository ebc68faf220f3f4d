"""Collecting a report: missing data leave what can be told."""

from __future__ import annotations

import json
import shutil

import ase.io
import pytest
from builders import config, labelled_frames, silicon
from helpers.reports import folder_of_a_fit, marks_of, read_page, structures

import gapfit
from gapfit.cli import main
from gapfit.report import ReportOptions, gather, write


def test_missing_data_leave_what_can_be_told(copied, capsys):
    (copied.parent / "train.xyz").unlink()
    assert main(["report", str(copied), "--json"]) == 0
    (note,) = json.loads(capsys.readouterr().out)["notes"]
    assert "train.xyz" in note
    assert "--train" in note
    page = read_page(copied / "report.html")
    metrics = json.loads((copied / "metrics.json").read_text(encoding="utf-8"))
    first = page.tables["Training data"][2]
    assert float(first[3][0]) == metrics["train"]["all"]["energy"]["rmse"]
    assert note in page.text
    assert {own["f"][0][:4] for own in marks_of(copied / "report.html")["parity"]} == {
        "test"
    }
    assert "learning" not in marks_of(copied / "report.html")
    # Named anew, nothing is missing.
    shutil.copy(copied.parent / "test.xyz", copied.parent / "other.xyz")
    train = structures()[0]
    ase.io.write(copied.parent / "moved.xyz", train, format="extxyz")
    where = ["--train", str(copied.parent / "moved.xyz")]
    assert main(["report", str(copied), "--json", *where]) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == []
    assert "learning" in marks_of(copied / "report.html")


def test_changed_data_are_said_to_be_others(copied):
    for part in ("train", "test"):
        every = ase.io.read(copied.parent / f"{part}.xyz", ":")
        ase.io.write(copied.parent / f"{part}.xyz", every[:-1], format="extxyz")
    found = gather(copied, ReportOptions())
    text = "\n".join(found.notes)
    assert "are not those that the model was fitted to" in text
    assert text.count("errors differ from those in metrics.json") == 2
    assert found.learning is None
    assert found.parts["test"].metrics["all"]["energy"]["n"] == 3


def test_data_that_cannot_be_predicted_are_a_note(copied):
    ase.io.write(
        copied.parent / "test.xyz", labelled_frames(silicon, 2), format="extxyz"
    )
    found = gather(copied, ReportOptions(learning_curve=False, dimers=False))
    (note,) = found.notes
    assert note.startswith("test data: ")
    assert "Si" in note
    assert found.parts["test"].collector is None
    assert found.parts["train"].collector is not None


def test_metrics_of_another_fit_are_left_out(copied):
    path = copied / "metrics.json"
    metrics = json.loads(path.read_text(encoding="utf-8"))
    metrics["fit"]["log_marginal_likelihood"] += 1
    path.write_text(json.dumps(metrics), encoding="utf-8")
    found = gather(copied, ReportOptions(learning_curve=False, dimers=False))
    assert "belongs to another fit" in found.notes[0]
    assert not found.timings
    path.write_text("{", encoding="utf-8")
    assert (
        "cannot be read" in gather(copied, ReportOptions(learning_curve=False)).notes[0]
    )
    path.unlink()
    assert "is missing" in gather(copied, ReportOptions(learning_curve=False)).notes[0]


def test_a_model_without_posterior_and_test_data_has_a_report(tmp_path):
    frames = labelled_frames(silicon, 16)
    for atoms in frames:
        del atoms.calc.results["stress"]
    ase.io.write(tmp_path / "data.xyz", frames, format="extxyz")
    given = config() | {"run": {"store_posterior": False}}
    given["data"] = {"train": "data.xyz", "check_labels": False}
    gapfit.fit(config=given, base=tmp_path).save(tmp_path / "bare.npz")
    found = gather(tmp_path / "bare.npz", ReportOptions())
    assert found.title == "bare.npz"
    assert found.dimers[0].curve.std is None
    # Nothing can be left out of the fit to all data.
    assert found.learning.n_frames == (4, 8)
    page, *figures = write(found, tmp_path / "bare.html")
    assert {path.stem for path in figures} == {
        "parity",
        "histograms",
        "learning",
        "dimers",
    }
    assert "Uncertainty" not in read_page(page).text


def test_forces_alone_are_enough(tmp_path):
    frames = labelled_frames(silicon, 6)
    for atoms in frames:
        atoms.calc.results = {"forces": atoms.get_forces()}
    given = config() | {"e0": {"Si": 0.0}}
    gapfit.fit(frames, given).save(tmp_path / "forces.npz")
    ase.io.write(tmp_path / "data.xyz", frames, format="extxyz")
    files = [str(tmp_path / "data.xyz")]
    found = gather(tmp_path / "forces.npz", ReportOptions(train=files, test=files))
    page, *_ = write(found, tmp_path / "forces.html")
    assert {own["k"] for own in marks_of(page)["parity"]} == {"forces"}


@pytest.mark.parametrize("where", ["write", "collect"])
def test_a_report_that_fails_does_not_fail_the_fit(
    where, tmp_path, monkeypatch, capsys
):
    def fail(*_, **__):
        raise RuntimeError("no ink")

    target = {
        "write": "gapfit.report.write",
        "collect": "gapfit.report.points.Collector.predicted",
    }
    monkeypatch.setattr(target[where], fail)
    out = folder_of_a_fit(tmp_path)
    assert (out / "model.npz").exists()
    printed = capsys.readouterr().out
    assert "there is no report (RuntimeError: no ink)" in printed
    assert not (out / "report.html").exists()
    assert "no ink" in (out / "fit.log").read_text(encoding="utf-8")


def test_a_fit_without_a_report_removes_that_of_another(copied):
    assert (copied / "report.html").exists()
    toml = str(copied.parent / "fit.toml")
    assert main(["fit", toml, "--no-report", "--force"]) == 0
    assert not (copied / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "there is no such model"),
        (["{fit}", "--output", "a.txt"], "ends in .html"),
        (["{fit}", "--output", "none/a.html"], "there is no folder"),
        (["{fit}", "--test", "absent.xyz"], "absent.xyz"),
        (["{fit}", "--properties", "diamond"], "diamond:FORMULA"),
        (["{fit}", "--properties", "cube:Ge"], "cube"),
        (
            ["{fit}", "--properties", "rocksalt:GeTe:x"],
            "is not a chemical formula: give",
        ),
    ],
)
def test_bad_arguments_are_refused(
    arguments, message, fitted, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    quick = ["--no-learning-curve", "--no-dimers", "--no-uncertainty"]
    given = [str(fitted) if word == "{fit}" else word for word in arguments]
    if "--output" not in given:
        quick += ["--output", "page.html"]
    assert main(["report", *given, *quick]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()
