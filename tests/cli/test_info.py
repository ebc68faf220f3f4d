"""`gapfit info`."""

from __future__ import annotations

import json
import re

import gapfit
from gapfit.cli import main


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
