"""The paragraph of a methods section names every setting, and its references exist."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace

import pytest
from helpers.error_bars import frames_of, settings

import gapfit
from gapfit.citations import papers
from gapfit.cli import main
from gapfit.methods import methods_text
from gapfit.model.provenance import model_digest

TERMS = [
    {"type": "distance_2b", "r_cut": 4.25, "theta": 0.7, "n_sparse": 5},
    {"type": "angle_3b", "r_cut": 3.25, "n_sparse": 20},
    {"type": "soap", "r_cut": 3.8, "n_max": 3, "l_max": 2, "n_sparse": 12, "zeta": 3},
    {"type": "ace", "r_cut": 3.9, "orders": [3], "n_max": [2], "l_max": [1]},
]


@pytest.fixture(scope="module")
def model() -> gapfit.GAPModel:
    sigma = {
        "energy": 0.1,
        "forces": 1.0,
        "forces_relative": 0.125,
        "config_types": {"odd": {"energy": 0.375}},
    }
    wanted = settings(
        terms=TERMS, sigma=sigma, calibration={}, baseline={"repulsion": "zbl"}
    )
    return gapfit.fit(frames_of(5), wanted)


def test_all_that_decides_the_fit_is_named(model):
    text = methods_text(model)
    rows = model.record.n_rows
    facts = [
        f"{model.record.n_frames} structures with {model.record.n_atoms} atoms",
        f"{rows['energy']} energies, {rows['forces']} force components",
        "for Si, Ge",
        "four terms",
        "cutoff 4.25 Å, theta 0.7 Å",
        "cutoff 3.25 Å",
        "n_max 3, l_max 2",
        "zeta = 3",
        "products of 3 densities with n_max 2 and l_max 1",
        "100 meV/atom for energies, 1 eV/Å for forces",
        "by the fraction 0.125",
        "For structures of type odd they are energy 375 meV/atom",
        "baseline leaves (zbl; repulsion to ",
        "left out of the fit in turn",
        model.record.data_digest,
        model_digest(model),
    ]
    assert [fact for fact in facts if fact not in text] == []
    for term in model.terms:
        members = sum(map(len, term.sparse.values()))
        assert f"with {members} " in text
    for name, version in model.record.versions.items():
        assert f"{name} {version}" in text


def test_the_numbers_of_channels_are_named(tmp_path):
    """That of SOAP is not in the settings: a share of the variance decides it."""
    soap = TERMS[2] | {"channels": 0.9}
    ace = TERMS[3] | {"orders": [2, 3], "n_max": [5, 2], "l_max": [2, 1]}
    terms = [soap, ace | {"radial": "contracted"}]
    model = gapfit.fit(frames_of(3), settings(terms=terms))
    model.save(tmp_path / "model.npz")
    n_channels = model.terms[0].basis["contraction"].shape[2]
    assert 1 < n_channels < 6
    for one in (model, gapfit.load(tmp_path / "model.npz")):
        text = methods_text(one)
        assert "contracted radial channels with 0.9 of the variance;" in text
        assert re.search(rf"\] of {n_channels} channels with \d+ sparse points", text)
        assert "l_max 1, 5 contracted radial channels, delta" in text


def test_its_references_are_those_of_cite(model):
    keys = {
        key
        for group in re.findall(r"\[([a-z0-9, ]+)\]", methods_text(model))
        for key in group.split(", ")
    }
    known = {paper.key for _, paper in papers(model)}
    assert keys == known
    latex = methods_text(model, latex=True)
    assert keys == {
        key
        for group in re.findall(r"\\cite\{([^}]*)\}", latex)
        for key in group.split(", ")
    }


def test_latex_has_no_bare_characters(model):
    latex = methods_text(model, latex=True)
    latex.encode("ascii")
    assert not re.search(r"(?<!\\)[_%&#]", latex)
    assert latex.count("{") == latex.count("}")


def test_names_are_escaped(model):
    sigma = model.config.sigma
    odd = {r"T^3~{x}$5\a": sigma.config_types["odd"]}
    named = model.config.model_copy(
        update={"sigma": sigma.model_copy(update={"config_types": odd})}
    )
    latex = methods_text(replace(model, config=named), latex=True)
    assert r"T\^{}3\~{}\{x\}\$5\textbackslash{}a" in latex


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no LaTeX here")
def test_latex_compiles(model, tmp_path):
    text = methods_text(model, latex=True)
    document = f"\\documentclass{{article}}\\begin{{document}}{text}\\end{{document}}"
    (tmp_path / "paper.tex").write_text(document)
    command = ["pdflatex", "-halt-on-error", "paper.tex"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)


def test_the_command_prints_it(model, tmp_path, capsys):
    model.save(tmp_path / "m.npz")
    assert main(["methods", str(tmp_path / "m.npz")]) == 0
    assert capsys.readouterr().out.strip() == methods_text(model)
    assert main(["methods", str(tmp_path / "m.npz"), "--latex"]) == 0
    assert "\\cite{" in capsys.readouterr().out


def test_a_model_of_another_program_says_so(model, tmp_path):
    from gapfit import quip

    pairs = TERMS[0] | {"switch": "cosine"}
    simple = gapfit.fit(frames_of(3), {"terms": [pairs]})
    quip.save(simple, tmp_path / "gp.xml")
    text = methods_text(quip.load(tmp_path / "gp.xml"))
    assert "was read from a file of QUIP, which does not say how it was fitted" in text
    assert "noise" not in text
    assert "sparse points." in text
