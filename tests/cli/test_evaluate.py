"""`gapfit evaluate`."""

from __future__ import annotations

import json
import re
from pathlib import Path

from helpers.commands import error_of

from gapfit.cli import main


def test_evaluate(fitted, data, capsys):
    model, test = str(fitted / "model.npz"), str(data / "test.xyz")
    assert main(["evaluate", model, test]) == 0
    assert re.search(r"^bulk_rattled", capsys.readouterr().out, re.MULTILINE)
    assert main(["evaluate", model, test, "--json"]) == 0
    metrics = json.loads(capsys.readouterr().out)
    stored = json.loads((fitted / "metrics.json").read_text(encoding="utf-8"))["test"]
    assert metrics == stored  # a model read back predicts the same to the last bit


def test_evaluate_missing_files(fitted, data, capsys):
    assert error_of(capsys, "evaluate", "no.npz", "a.xyz") == (
        "no.npz: there is no such model file"
    )
    message = error_of(capsys, "evaluate", str(fitted / "model.npz"), "no.xyz")
    assert message == (
        f"no such file: no.xyz ({Path.cwd() / 'no.xyz'}); correct the path"
    )
