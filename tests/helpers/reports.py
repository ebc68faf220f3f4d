"""Reports of a small fit, and what their pages hold."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import ase.io
from ase import Atoms
from builders import label, labelled_frames, three_species

from gapfit.cli import main

CONFIG = """\
[data]
train = "train.xyz"
test = "test.xyz"
check_labels = false
[baseline]
repulsion = "zbl"
r_cut = 1.5
width = 0.7
[[terms]]
type = "distance_2b"
r_cut = 4.0
n_sparse = 5
[[terms]]
r_cut = 4.0
n_max = 4
l_max = 3
n_sparse = 6
"""
KINDS = ("energy", "forces", "stress")
HOSTILE = [
    "</script><script>window.pwned=1</script>",
    '"\'><img src=x onerror="window.pwned=2">',
    "_$\\frac{1}{$ & \u4e2d\u6587 <b>" + 30 * "long ",
]


def structures(hostile=False):
    """Return training and test structures of three species, with dimers."""
    frames = labelled_frames(three_species, 12)
    isolated = [label(Atoms(s), config_type="atom") for s in ("Ge", "Sb", "Te")]
    dimers = [
        label(Atoms(pair, [[0, 0, 0], [0, 0, d]]), config_type="dimer")
        for pair, d in (("GeTe", 2.4), ("TeGe", 3.1), ("SbSb", 2.7))
    ]
    if hostile:
        for n, atoms in enumerate(frames):
            atoms.info["config_type"] = HOSTILE[n % len(HOSTILE)]
    return [*isolated, *dimers, *frames[:8]], frames[8:]


def folder_of_a_fit(path, *, hostile=False, text=CONFIG, options=()):
    train, test = structures(hostile)
    ase.io.write(path / "train.xyz", train, format="extxyz")
    ase.io.write(path / "test.xyz", test, format="extxyz")
    (path / "fit.toml").write_text(text, encoding="utf-8")
    assert main(["fit", str(path / "fit.toml"), *options]) == 0
    return path / "fit-model"


class Page(HTMLParser):
    """What a page holds: tables by caption, attributes, scripts, and its text."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.tables, self.attributes, self.scripts = {}, [], []
        self.text, self.tags = "", []
        self._caption = self._rows = None
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        own = dict(attrs)
        self.tags.append(tag)
        self.attributes += [(tag, key, value) for key, value in attrs]
        self._inside = tag
        if tag == "table":
            self._caption, self._rows = "", []
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append([own.get("data-value"), ""])
        elif tag == "script":
            self.scripts.append([own.get("type"), ""])

    def handle_endtag(self, tag):
        if tag == "table":
            self.tables.setdefault(self._caption, self._rows)
        self._inside = ""

    def handle_data(self, data):
        if self._inside == "caption":
            self._caption += data
        elif self._inside in ("td", "th"):
            self._rows[-1][-1][1] += data
        elif self._inside == "script":
            self.scripts[-1][1] += data
        if self._inside not in ("script", "style"):
            self.text += data + "\n"


def read_page(path):
    return Page(path.read_text(encoding="utf-8"))


def marks_of(page):
    """Return the table of the marks, with texts in their places."""
    (text,) = [text for kind, text in read_page(page).scripts if kind]
    data = json.loads(text)
    for figure in data["figures"].values():
        for own in figure:
            for key, value in own.items():
                if isinstance(value, dict):
                    own[key] = [data["texts"][n] for n in value["texts"]]
    return data["figures"]


def svg_of(page, name):
    text = page.read_text(encoding="utf-8")
    found = re.search(rf'data-figure="{name}".*?(<svg.*?</svg>)', text, re.S)
    return ElementTree.fromstring(found[1])
