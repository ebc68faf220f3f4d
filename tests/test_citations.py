"""The papers that are named are those of what a model uses."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from builders import ROOT, labelled_frames, silicon

import gapfit
from gapfit.citations import papers
from gapfit.cli import main
from gapfit.config.sections import BaselineConfig, D3Config


def keys(model: gapfit.GAPModel) -> set[str]:
    return {paper.key for _, paper in papers(model)}


ALWAYS = {"bartok2010", "foster2009"}
SOAP = {"bartok2013", "himanen2020"}


@pytest.mark.parametrize(
    ("terms", "baseline", "expected"),
    [
        ([{"type": "distance_2b"}], {}, {"bartok2015"}),
        (
            [{"n_max": 3, "l_max": 2, "n_sparse": 4, "compression": "mu2"}],
            {"repulsion": "zbl"},
            SOAP | {"darby2022", "mahoney2009", "caro2019", "ziegler1985"},
        ),
        (
            [{"n_max": 3, "l_max": 2, "n_sparse": 4, "sparse_method": "fps"}],
            {},
            SOAP | {"caro2019"},
        ),
        (
            [{"type": "distance_2b"}],
            {"charges": {"Si": 0.0}},
            {"bartok2015", "ewald1921"},
        ),
    ],
    ids=["pairs", "everything", "farthest", "charges"],
)
def test_what_is_used_is_cited_and_nothing_else(terms, baseline, expected):
    settings = {
        "e0": {"method": "least_squares"},
        "run": {"store_posterior": False},
        "baseline": baseline,
        "terms": terms,
    }
    model = gapfit.fit(labelled_frames(silicon, 3), settings)
    assert keys(model) == ALWAYS | expected


@pytest.mark.parametrize(
    ("damping", "expected"),
    [
        ("zero", set()),
        ("bj", {"grimme2011"}),
        ("bjm", {"grimme2011", "smith2016"}),
        ("zerom", {"smith2016"}),
    ],
)
def test_dispersion_is_cited_with_its_damping(si_model, damping, expected):
    d3 = D3Config(functional="pbe", damping=damping)
    baseline = BaselineConfig(dispersion="d3", d3=d3)
    changed = si_model.config.model_copy(update={"baseline": baseline})
    found = keys(replace(si_model, config=changed)) - keys(si_model)
    assert found == expected | {"grimme2010", "ehlert2024"}


def test_error_bars_are_cited_where_there_are_any(si_model):
    assert {"quinonero2005", "tibshirani2019"} <= keys(si_model)


def test_command(si_model, tmp_path, capsys):
    path = tmp_path / "m.npz"
    si_model.save(path)
    assert main(["cite", str(path)]) == 0
    out = capsys.readouterr().out
    assert "A. P. Bartók, R. Kondor, G. Csányi, On representing" in out
    assert "L. Himanen et al., DScribe" in out
    assert main(["cite", str(path), "--bibtex"]) == 0
    entries = re.findall(r"@article\{(\w+),\n(.*?)\n\}", capsys.readouterr().out, re.S)
    assert {key for key, _ in entries} == keys(si_model)
    for _, body in entries:
        assert body.count("{") == body.count("}")
        assert {"author", "title", "journal", "year"} <= set(
            re.findall(r"(\w+) =", body)
        )


def test_papers_agree_with_the_citation_file(si_model):
    named = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    dois = {paper.doi for _, paper in papers(si_model) if paper.doi}
    assert {"10.1103/PhysRevLett.104.136403", "10.1103/PhysRevB.87.184115"} <= dois
    assert set(re.findall(r"doi: (\S+)", named)) <= dois
