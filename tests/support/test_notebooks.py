"""What notebooks show: tables that are escaped and have no colours, and progress."""

from __future__ import annotations

import sys
import types
from xml.etree import ElementTree

import pytest
from builders import DATA

import gapfit
from gapfit._support import progress_bar
from gapfit._support.html import html_table
from gapfit.config.sections import DataConfig
from gapfit.data import read
from gapfit.evaluation import Metrics


def cells(html: str) -> list[list[str]]:
    """Return the texts of a table, which must be well-formed XML."""
    table = ElementTree.fromstring(html)
    return [[cell.text or "" for cell in row] for row in table.iter("tr")]


def test_a_table_is_escaped_and_inherits_its_colours():
    html = html_table("<b>", [("<script>", "a & b")], ("x", "y"))
    assert cells(html) == [["x", "y"], ["<script>", "a & b"]]
    assert "<script>" not in html
    assert "color" not in html
    assert "background" not in html


def test_a_model_is_a_table(si_model):
    rows = dict(cells(si_model._repr_html_()))
    assert rows["species"] == "Si"
    (soap,) = [term for term in si_model.terms if term.config.type == "soap"]
    assert rows["soap"].startswith(f"{soap.n_sparse} sparse points")
    assert rows["fitted to"] == f"{si_model.record.n_frames} structures"


def test_data_are_a_table_of_labels():
    data = read(DATA / "silicon" / "test.extxyz", DataConfig(train=["-"]))
    assert repr(data) == (
        "<Dataset Si, 35 frames, 248 atoms: energy, forces, stress, config_type>"
    )
    assert ["forces", "forces", "35", "744"] in cells(data._repr_html_())


def test_errors_are_a_table():
    row = {"n": 2, "mae": 0.012, "rmse": 0.034, "max": 1.0, "unit": "eV/Å"}
    errors = Metrics({"all": {"forces": row}, "a<b": {}})
    assert cells(errors._repr_html_()) == [
        ["", "forces, eV/Å"],
        ["all", "0.012 / 0.034"],
        ["a<b", "-"],
    ]


def test_evaluations_are_shown(si_model):
    errors = gapfit.evaluate(
        si_model, DATA / "silicon" / "test.extxyz", uncertainty=False
    )
    assert isinstance(errors, Metrics)
    shown = cells(errors._repr_html_())
    assert [row[0] for row in shown[1:]] == ["all", *sorted(set(errors) - {"all"})]


def test_a_bar_on_standard_error_ends_each_stage_with_its_line(capsys):
    bar = gapfit.ProgressBar()
    for stage, done, total in [
        ("rows", 0, 4),
        ("rows", 4, 4),
        ("solve", 0, 2),
        ("x", 0, 0),
    ]:
        bar(stage, done, total)
    lines = capsys.readouterr().err.split("\n")
    assert [line.split("\r")[-1].split()[0] for line in lines[:-1]] == [
        "rows",
        "solve",
        "x",
    ]
    assert lines[0].endswith(f"[{'#' * 30}] 100 %")
    assert "[  " in lines[1]


@pytest.fixture
def notebook(monkeypatch):
    """Return what a notebook shows, each display as the list of its contents."""
    shown: list[list[str]] = []

    def display(element, display_id):
        contents = [element]
        shown.append(contents)
        return types.SimpleNamespace(update=contents.append)

    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=None)
    displays = types.ModuleType("IPython.display")
    displays.HTML, displays.display = str, display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", displays)
    monkeypatch.setattr(progress_bar, "_INTERVAL", 0)
    return shown


def test_a_bar_in_a_notebook_is_one_element_for_each_stage(notebook, capsys):
    bar = gapfit.ProgressBar()
    for done in range(3):
        bar("rows <n>", done, 2)
    bar("solve", 1, 1)
    assert [len(contents) for contents in notebook] == [3, 1]
    assert notebook[0][-1] == (
        '<progress max="1" value="1.000"></progress> rows &lt;n&gt; 100 %'
    )
    assert not capsys.readouterr().err
