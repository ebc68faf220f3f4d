"""Figures: references of their own, marks that differ."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np

from gapfit.report.drawing import Drawing, Marks, new_figure, render, style
from gapfit.report.palette import COLOURS, Palette


def test_ids_and_references_of_a_figure_are_its_own():
    with style():
        out = []
        for name in ("one", "two"):
            figure = new_figure(3, 2)
            ax = figure.subplots()
            (line,) = ax.plot([1, 2], [3, 4], "o")
            line.set_gid("marks.0.0")
            marks = [Marks(ax, np.array([1, 2]), np.array([3, 4]), 0, {})]
            out.append(render(Drawing(name, figure, 'a "text" <b>', marks)))
    for one in out:
        svg = ElementTree.fromstring(one.svg)
        assert svg.attrib["aria-label"] == 'a "text" <b>'
        ids = [own.attrib["id"] for own in svg.iter() if "id" in own.attrib]
        assert len(ids) == len(set(ids))
        assert all(own.startswith(f"{one.name}-") for own in ids)
        used = re.findall(r'(?:href="|url\()#([^")]*)', one.svg)
        assert used
        assert set(used) <= set(ids)
        assert "<style" not in one.svg


def test_marks_of_the_legend_differ():
    palette = Palette.of({f"{n:02d}": 5 for n in range(24)})
    looks = {tuple(palette.style(n).values()) for n in range(24)}
    assert len(looks) == len(palette.labels) == 24
    assert {colour for colour, _ in looks} == set(COLOURS)
    # Those that share a colour have other shapes.
    for colour in COLOURS:
        own = [marker for shade, marker in looks if shade == colour]
        assert len(own) == len(set(own)) <= 3
    many = Palette.of({f"{n:02d}": n for n in range(40)})
    assert many.labels[-1] == "17 other config_types"
    # The most common ones keep their own.
    assert many.entry("39") != many.entry("00") == many.entry("16") == many.n_separate
