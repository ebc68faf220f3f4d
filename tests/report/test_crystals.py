"""Properties of crystals and curves of dimers in a report."""

from __future__ import annotations

import json

from helpers.reports import marks_of, read_page

from gapfit.cli import main
from gapfit.report import ReportOptions, gather


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
    name = ["--prototype", "rocksalt", "--element", "GeTe", "--samples", "3"]
    only = ["--only", "structure,eos", "--output", str(folder)]
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
