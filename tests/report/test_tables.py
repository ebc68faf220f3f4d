"""Tables of a report hold the numbers of the fit."""

from __future__ import annotations

import json

from helpers.reports import KINDS, Page, read_page

from gapfit.report.tables import number


def test_tables_hold_the_numbers_of_metrics_json(fitted, reported):
    metrics = json.loads((fitted / "metrics.json").read_text(encoding="utf-8"))
    for page in (fitted / "report.html", reported):
        tables = read_page(page).tables
        for part, title in (("train", "Training data"), ("test", "Test data")):
            body = {row[0][1]: row[1:] for row in tables[title][2:]}
            assert set(body) == set(metrics[part])
            for group, kinds in metrics[part].items():
                shown = [None if v is None else float(v) for v, _ in body[group]]
                expected = [
                    kinds[kind][key] if kind in kinds else None
                    for kind in KINDS
                    for key in ("n", "mae", "rmse", "max")
                ]
                assert shown == expected


def test_scores_of_standard_deviations_are_those_of_metrics_json(fitted, reported):
    scores = json.loads((fitted / "metrics.json").read_text(encoding="utf-8"))["test"]
    # The first table with this caption holds the errors.
    text = reported.read_text(encoding="utf-8")
    section = text[text.index('<section id="uncertainty"') :]
    rows = Page(section).tables["Test data"][2:]
    assert len(rows) == 3
    for kind, (title, *cells) in zip(KINDS, rows, strict=True):
        own = scores["all"][kind]["uncertainty"]
        assert title[1].startswith(kind)
        values = [float(v) for v, _ in cells[:3]]
        assert values == [own["n"], own["coverage_68"], own["coverage_95"]]
        assert float(cells[-1][0]) == own["crps"]
        assert cells[1][1] == f"{100 * own['coverage_68']:.0f}"


def test_numbers_keep_their_digits():
    assert number(-0.004567) == "\N{MINUS SIGN}0.00457"
    assert number(float("nan")) == "-"
    assert number(99999.0) == "99999"
