"""`gapfit info`."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

import gapfit
from gapfit.cli import main
from gapfit.model.local_scale import LocalLine, LocalScale


def test_functions_are_called_so_and_jitters_have_names(here, capsys):
    text = Path("fit.toml").read_text(encoding="utf-8")
    text += '[[terms]]\ntype = "ace"\nr_cut = 4.0\nn_max = [2, 1]\nl_max = [1, 1]\n'
    Path("both.toml").write_text(text, encoding="utf-8")
    assert main(["fit", "both.toml", "--plan"]) == 0
    plan = capsys.readouterr().out
    assert re.search(r"^  sparse points and functions +\d+$", plan, re.MULTILINE)
    assert main(["fit", "both.toml", "--no-report"]) == 0
    model = gapfit.load("both-model/model.npz")
    capsys.readouterr()
    assert main(["info", "both-model/model.npz"]) == 0
    soap, ace = capsys.readouterr().out.split("Term 1")[1].split("Term 2")
    assert "  sparse points  " in soap
    assert re.search(rf"^  functions +Si {model.terms[1].n_sparse}$", ace, re.MULTILINE)
    record = replace(model.record, jitter=(1e-8, 1e-10))
    replace(model, record=record).save("raised.npz")
    assert main(["info", "raised.npz"]) == 0
    assert "soap Si 1e-08, ace Si 1e-10" in capsys.readouterr().out


def test_info(fitted, capsys):
    model = str(fitted / "model.npz")
    assert main(["info", model, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["species"] == ["Si"]
    assert facts["terms"][0]["n_sparse"] == {"Si": 12}
    assert facts["config"]["terms"][0]["r_cut"] == 4.0
    assert facts["uncertainty"] is True
    assert main(["info", model]) == 0
    out = capsys.readouterr().out
    for pattern in (
        r"species +Si",
        rf"e0 +Si {facts['e0']['Si']:.6f} eV",
        r"r_cut +4 Å",
        r"sparse points +Si 12",
        r"features +\d+$",
        r"lossless projection +none that saves work",
        rf"data digest +{facts['data_digest']}",
        rf"log likelihood +{facts['log_marginal_likelihood']:.6g}",
        rf"versions .*gapfit {re.escape(gapfit.__version__)}",
        r"forces +0.05 eV/Å",
    ):
        assert re.search(rf"^  {pattern}", out, re.MULTILINE), pattern


def test_bars_that_depend_on_the_environment_are_told(
    fitted, tmp_path, monkeypatch, capsys
):
    """Their range is that of the limits in the model: e^-0.5 to e^1."""
    monkeypatch.chdir(tmp_path)
    model = gapfit.load(fitted / "model.npz")
    line = LocalLine(np.zeros(model.terms[0].descriptor.width(14)), 0.0, -0.5, 1.0)
    calibration = replace(model.calibration, local=LocalScale(0, {14: line}))
    local = replace(model, calibration=calibration)
    for given, expected in ((local, 1), (replace(local, calibration=None), 0)):
        given.save("given.npz")
        assert main(["info", "given.npz"]) == 0
        out = capsys.readouterr().out
        text = r"^  by environment +std of forces times: Si 0.607 to 2.72$"
        assert len(re.findall(text, out, re.MULTILINE)) == expected
    assert main(["info", "given.npz", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["local_scale"] is None
