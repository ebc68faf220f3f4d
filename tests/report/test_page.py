"""Pages load nothing, and names in them are texts."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

import ase.io
from helpers.reports import HOSTILE, marks_of, read_page, svg_of

from gapfit.report import ReportOptions, gather, write


def assert_nothing_is_loaded(path):
    """Look for anything that a browser would fetch."""
    page = read_page(path)
    assert not {"link", "img", "iframe", "object", "embed", "base"} & set(page.tags)
    for tag, key, value in page.attributes:
        if key in ("src", "srcset", "data", "action", "background", "poster"):
            raise AssertionError((tag, key, value))
        if key in ("href", "xlink:href"):
            link = tag == "a" and value.startswith("https://doi.org/")
            assert link or value.startswith("#"), (tag, value)
        if key == "style" or tag == "style":
            assert "url(" not in (value or "")
        assert not key.startswith("on"), (tag, key)
    text = path.read_text(encoding="utf-8")
    assert "@import" not in text
    css = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in css


def test_pages_load_nothing(reported, hostile, fitted):
    for page in (reported, hostile, fitted / "report.html"):
        assert_nothing_is_loaded(page)


def test_only_the_script_of_the_page_may_run(reported, hostile):
    for path in (reported, hostile):
        page = read_page(path)
        kinds = [kind for kind, _ in page.scripts]
        assert kinds == ["application/json", None]
        digest = hashlib.sha256(page.scripts[1][1].encode()).digest()
        (policy,) = [
            value
            for tag, key, value in page.attributes
            if tag == "meta" and key == "content" and "default-src" in value
        ]
        assert "default-src 'none'" in policy
        assert f"script-src 'sha256-{base64.b64encode(digest).decode()}';" in policy


def test_names_are_texts_and_nothing_else(hostile):
    page = read_page(hostile)
    # As they are in the file, which does not keep a backslash.
    data = ase.io.read(hostile.parent.parent / "train.xyz", ":")
    names = {atoms.info["config_type"].strip() for atoms in data}
    assert names >= {"atom", "dimer", *HOSTILE[:2]}
    assert {row[0][1] for row in page.tables["Training data"][2:]} == names | {"all"}
    assert {c for own in marks_of(hostile)["parity"] for c in own["c"]} == names
    texts = [own.text or "" for own in svg_of(hostile, "parity").iter("text")]
    assert any(text.startswith("</script><script>") for text in texts)
    assert any(text.startswith("_$frac{1}{$ & \u4e2d") for text in texts)


def test_every_text_is_escaped(fitted, tmp_path):
    evil = "<x-evil>\"'&amp;"
    found = gather(fitted, ReportOptions(learning_curve=False, dimers=False))
    quantity = {"value": 1.0, "unit": f"{evil} unit", "std": None}
    properties = {
        f"{evil} crystal": {
            "quantities": {f"{evil} quantity": quantity},
            "warnings": [f"{evil} found"],
            "curves": {"volumes": [1.0, 2.0], "energies": [0.0, 1.0]},
        }
    }
    parts = {name: replace(part, files=(evil,)) for name, part in found.parts.items()}
    changed = replace(
        found,
        title=f"{evil} title",
        model=found.model.with_record(
            versions={f"{evil} library": "1"}, data_digest=evil
        ),
        config_toml=f"{evil} configuration",
        parts=parts,
        properties=properties,
        warnings=[f"{evil} warning"],
        notes=[f"{evil} note"],
    )
    path, *_ = write(changed, tmp_path / "evil.html")
    page = read_page(path)
    assert "x-evil" not in page.tags
    words = (
        "unit",
        "crystal",
        "quantity",
        "found",
        "title",
        "configuration",
        "warning",
    )
    for word in (*words, "note", "library 1"):
        assert f"{evil} {word}" in page.text, word
