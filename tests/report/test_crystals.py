"""Properties of crystals and curves of dimers in a report."""

from __future__ import annotations

import json

import pytest
from helpers.reports import marks_of, read_page, svg_of

from gapfit.cli import main
from gapfit.report import ReportOptions, gather
from gapfit.report.dimers import dimer_panels


@pytest.fixture
def lenient(monkeypatch):
    """Let a fit of six sparse points have crystals: it is unsure of all."""
    monkeypatch.setattr("gapfit.properties.prototypes.UNKNOWN", 10.0)


@pytest.mark.usefixtures("lenient")
def test_a_crystal_that_fails_is_named_and_the_rest_is_there(copied, capsys):
    quick = ["--no-learning-curve", "--no-dimers", "--no-uncertainty", "--json"]
    crystals = ["--properties", "fcc:Si", "rocksalt:GeTe"]
    assert main(["report", str(copied), *quick, *crystals]) == 0
    (note,) = json.loads(capsys.readouterr().out)["notes"]
    assert note.startswith("--properties fcc:Si: ")
    assert "unknown species Si" in note
    page = read_page(copied / "report.html")
    assert note in page.text
    assert "structure.a" in page.text
    assert (copied / "report" / "volumes-1.png").exists()


def test_properties_computed_earlier_are_part_of_it(copied, capsys):
    folder = copied / "tellurides"
    name = ["--prototype", "rocksalt", "--element", "GeTe", "--lattice", "5.1"]
    only = ["--only", "structure,eos", "--samples", "3", "--output", str(folder)]
    (copied / "props.toml").write_text("[structure]\na = 6.0\n", encoding="utf-8")
    reference = ["--reference", str(copied / "props.toml")]
    assert (
        main(["properties", str(copied / "model.npz"), *name, *only, *reference]) == 0
    )
    quick = ["--no-learning-curve", "--no-dimers", "--no-uncertainty"]
    assert main(["report", str(copied), *quick]) == 0
    page = read_page(copied / "report.html")
    assert "GeTe (tellurides/properties.json)" in page.text
    stored = json.loads((folder / "properties.json").read_text(encoding="utf-8"))
    values = [float(v) for _, key, v in page.attributes if key == "data-value"]
    assert stored["quantities"]["structure.a"]["value"] in values
    assert (
        f"{100 * stored['comparison']['structure.a']['relative']:+.1f} %" in page.text
    )
    assert (copied / "report" / "volumes-1.png").exists()
    # A newer model than the properties.
    (copied / "model.npz").touch()
    assert main(["report", str(copied), *quick]) == 0
    assert "older than the model" in capsys.readouterr().out


def test_a_prototype_far_from_all_data_is_a_note(copied, capsys):
    quick = ["--no-learning-curve", "--no-dimers", "--no-uncertainty", "--json"]
    assert main(["report", str(copied), *quick, "--properties", "rocksalt:GeTe"]) == 0
    (note,) = json.loads(capsys.readouterr().out)["notes"]
    assert note.startswith(
        "--properties rocksalt:GeTe: rocksalt GeTe: the only minimum"
    )
    assert "far from all data" in note


@pytest.mark.usefixtures("lenient")
def test_crystals_are_computed_when_asked_for(fitted):
    quick = ReportOptions(learning_curve=False, dimers=False, uncertainty=False)
    assert not gather(fitted, quick).properties
    wanted = ReportOptions(
        learning_curve=False,
        dimers=False,
        uncertainty=False,
        prototypes=["rocksalt:GeTe"],
    )
    found = gather(fitted, wanted).properties["rocksalt:GeTe"]
    assert set(found["quantities"]) >= {
        "structure.a",
        "eos.bulk_modulus",
        "elastic.C11",
    }


def test_dimers_stand_beside_their_curves(reported):
    told = [text for own in marks_of(reported)["dimers"] for text in own["t"]]
    assert "train.xyz, frame 3\n2.4 Å" in "\n".join(told)
    texts = [t for t in told if t.startswith("train.xyz")]
    assert len(texts) == 3
    assert any(text.startswith("Ge-Te at ") for text in told)


def test_pairs_without_dimers_in_the_data_are_marked(reported):
    """There are dimers of Ge-Te and Sb-Sb alone."""
    texts = [own.text or "" for own in svg_of(reported, "dimers").iter("text")]
    data = [text for text in texts if " in the data, " in text]
    assert len(data) == 6
    assert len([text for text in data if text.startswith("no dimer in the data")]) == 4
    assert "2 dimers in the data, pairs from 2.40 Å" in data
    assert "model, no dimer in the training data" in texts
    page = read_page(reported)
    assert "there is no such dimer in the training data" in page.text


def test_a_report_without_training_data_knows_the_pairs_of_the_fit(copied):
    (copied.parent / "train.xyz").unlink()
    quick = ReportOptions(learning_curve=False, uncertainty=False)
    contents = gather(copied, quick)
    pairs = {panel.name: panel.data for panel in contents.dimers}
    assert pairs["Ge-Te"].n_dimers == 2
    assert pairs["Ge-Ge"].n_dimers == 0
    assert not any(panel.points for panel in contents.dimers)
    without = contents.model.with_record(pairs=())
    assert dimer_panels(without, None, [])[0].data is None
