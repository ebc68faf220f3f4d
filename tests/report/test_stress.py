"""Stress tests in reports."""

from __future__ import annotations

import json

import pytest
from helpers.reports import folder_of_a_fit, read_page

from gapfit.cli import main
from gapfit.report.stress import stress_section
from gapfit.robustness import StressReport, Verdict

_QUICK = ["--no-learning-curve", "--no-dimers", "--no-uncertainty"]


def test_a_report_without_a_stress_test_has_no_section(reported):
    assert "Stress test" not in read_page(reported).text


def test_results_beside_the_model_are_part_of_it(copied, capsys):
    argv = ["stress-test", str(copied / "model.npz"), "--only", "data,dimers,volume"]
    status = main([*argv, "--data", str(copied.parent / "train.xyz")])
    assert main(["report", str(copied), *_QUICK]) == 0
    page = read_page(copied / "report.html")
    stored = json.loads((copied / "stress-test/stress_test.json").read_text("utf-8"))
    assert "Stress test" in page.text
    assert status == (0 if stored["passed"] else 1)
    for name, test in stored["tests"].items():
        assert name in page.text
        if not test["passed"]:
            assert test["failure"] in page.text
    values = [float(v) for _, key, v in page.attributes if key == "data-value"]
    assert stored["tests"]["volume"]["lowest"] in values


def test_results_of_another_model_are_not_shown(copied, capsys):
    folder = copied / "stress-test"
    folder.mkdir()
    for text, note in (
        ('{"digest": "0", "tests": {}}', "belongs to another model"),
        ("{", "cannot be read"),
    ):
        (folder / "stress_test.json").write_text(text, encoding="utf-8")
        assert main(["report", str(copied), *_QUICK]) == 0
        assert note in capsys.readouterr().out
        assert "of 0 tests" not in read_page(copied / "report.html").text


def test_a_report_can_run_it(copied, capsys, monkeypatch):
    monkeypatch.setattr("gapfit.report.stress.QUICK", 20)
    assert main(["report", str(copied), "--stress-test", *_QUICK]) == 0
    page = read_page(copied / "report.html")
    stored = json.loads((copied / "stress-test/stress_test.json").read_text("utf-8"))
    assert "heats" not in page.text
    assert "dynamics from 300 K to twice the melting temperature" in page.text
    assert len(stored["tests"]) == 10


@pytest.mark.slow
def test_a_fit_can_run_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("gapfit.report.stress.QUICK", 20)
    folder = folder_of_a_fit(tmp_path, options=["--stress-test"])
    text = capsys.readouterr().out
    stored = json.loads((folder / "stress-test/stress_test.json").read_text("utf-8"))
    failed = [name for name, test in stored["tests"].items() if not test["passed"]]
    assert "Stress test of" in text
    assert ("the stress test failed: " + ", ".join(failed) in text) == bool(failed)
    assert "Stress test" in read_page(folder / "report.html").text


def test_what_was_skipped_is_told():
    bounds = {"melting": 900, "melting_from": "data"}
    verdicts = (
        Verdict("defects", skipped=("one In atom removed: charged",)),
        Verdict("hot", lowest=0.1),
    )
    results = StressReport("0", ("InP",), bounds, verdicts).as_dict()
    page = "".join(stress_section(results))
    assert "All passed. 1 of these did not apply." in page
    assert "not applicable" in page
    assert "<b>defects</b>: one In atom removed: charged" in page
    # Results of older versions have neither key.
    for test in results["tests"].values():
        del test["applicable"], test["skipped"]
    page = "".join(stress_section(results))
    assert "apply" not in page
    assert "Skipped" not in page
