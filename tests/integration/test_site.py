"""The documentation site: what is made for it, and what MkDocs cannot check."""

from __future__ import annotations

import ast
import re

import pytest
from builders import ROOT
from figure import families, figure
from pages import COPIES, MADE, linked
from reference_pages import api_page, options_page
from sources import trees

import gapfit
from gapfit.cli import command_parser
from gapfit.errors import GapfitError
from gapfit.faq import ENTRIES, address_of

CONFIG = (ROOT / ".mkdocs.yml").read_text("utf-8")
FAQ = (ROOT / "docs" / "faq.md").read_text("utf-8")
QUESTIONS = re.findall(r"^### (.*)$", FAQ, re.MULTILINE)


def texts(tree: ast.Module) -> list[str]:
    """Return the texts of a module, with an ellipsis for each value in them."""
    out = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [
                part.value if isinstance(part, ast.Constant) else "…"
                for part in node.values
            ]
            out.append("".join(map(str, parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            out.append(node.value)
    return out


@pytest.fixture(scope="module")
def messages() -> list[str]:
    """Return the texts of the code but those that repeat the FAQ."""
    every = {path: tree for path, tree in trees().items() if path != "faq.py"}
    return [text for tree in every.values() for text in texts(tree)]


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_faq_quotes_messages_of_the_code(question, messages):
    parts = [re.escape(part.strip()) for part in question.split("…") if part.strip()]
    quoted = re.compile(".*".join(parts))
    assert any(quoted.search(message) for message in messages)


def test_each_entry_of_the_faq_has_an_anchor_that_messages_name():
    anchors = re.findall(r'^<a id="([^"]+)"></a>\n\n### (.*)$', FAQ, re.MULTILINE)
    assert dict(anchors) == ENTRIES
    assert [question for _, question in anchors] == QUESTIONS
    assert FAQ.count("<a id=") == len(ENTRIES)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_message_leads_to_its_own_entry(question):
    message = f"data.xyz, frame 3: {question.replace('…', '1.5 (Si)')} 7"
    (anchor,) = [name for name, text in ENTRIES.items() if text == question]
    address = f"https://github.com/gapfit/gapfit/blob/main/docs/faq.md#{anchor}"
    assert address_of(message) == address
    assert address_of(message.replace(" ", "\n  ", 3)) == address
    assert GapfitError(message).__notes__ == [f"see {address}"]


def test_messages_without_an_entry_have_no_note():
    assert not hasattr(GapfitError("n = -1: give a positive number"), "__notes__")


def test_long_messages_are_compared_at_once():
    assert not address_of("shifted by ± " * 20_000)  # hours, part by part and back
    assert address_of("shifted by ± " * 20_000 + "2 eV/atom against frames like them")


def test_the_faq_is_long_enough_and_has_no_question_twice():
    assert len(QUESTIONS) == len(set(QUESTIONS)) >= 20


def test_equations_have_the_numbers_by_which_docstrings_cite_them():
    text = (ROOT / "docs" / "concepts" / "equations.md").read_text("utf-8")
    page: dict[int, set[str]] = {}
    for block, prose in re.findall(
        r"```text\n(.*?)```\n\n(.*?)(?=\n```text|\Z)", text, re.S
    ):
        for number in re.findall(r"^\((\d+)\) ", block, re.MULTILINE):
            page[int(number)] = set(re.findall(r"`([\w/]+\.py)`", prose))
    assert sorted(page) == list(range(1, len(page) + 1))
    cited: dict[int, set[str]] = {}
    for path in trees():
        code = (ROOT / "gapfit" / path).read_text("utf-8")
        for number in re.findall(r"\bEq\. (\d+)", code):
            cited.setdefault(int(number), set()).add(path)
    assert sorted(cited) == sorted(page)
    for number, modules in page.items():
        assert cited[number] <= modules, number
    # Every module that the page names cites one of its equations.
    assert set().union(*page.values()) == set().union(*cited.values())


def test_every_page_is_in_the_navigation_once():
    navigation = re.findall(
        r"[\w/-]+\.md$", CONFIG.partition("\nnav:")[2], re.MULTILINE
    )
    docs = ROOT / "docs"
    files = [path.relative_to(docs).as_posix() for path in docs.rglob("*.md")]
    assert sorted(navigation) == sorted([*files, *COPIES, *MADE])


def test_copied_files_exist():
    for source in COPIES.values():
        assert (ROOT / source).is_file()


@pytest.mark.parametrize(
    ("page", "link", "expected"),
    [
        ("how-to/data.md", "virials.md#check-them", "virials.md#check-them"),
        ("how-to/data.md", "../index.md", "../index.md"),
        ("concepts/soap.md", "../../CHANGELOG.md", "../changelog.md"),
        ("index.md", "../examples/README.md", "examples.md"),
        ("examples.md", "../data/README.md", "shipped-data.md"),
        ("examples.md", "large/README.md", "large-fits.md"),
        ("architecture.md", "../.github/CONTRIBUTING.md#code", "contributing.md#code"),
        ("contributing.md", "../README.md", "index.md"),
        ("index.md", "#how-to", "#how-to"),
        ("index.md", "https://ase-lib.org/a.md", "https://ase-lib.org/a.md"),
        (
            "benchmarks.md",
            "../tests/benchmarks/README.md",
            "https://github.com/gapfit/gapfit/blob/main/tests/benchmarks/README.md",
        ),
    ],
)
def test_links_of_the_repository_become_links_of_the_site(page, link, expected):
    assert linked(f"see [it]({link}).", page) == f"see [it]({expected})."


def test_the_options_of_every_command_are_shown():
    page = options_page()
    (action,) = command_parser()._subparsers._group_actions
    for command in action.choices:
        assert f"\n## gapfit {command}\n" in page
    assert "\n## gapfit lammps build\n" in page
    assert "--resume" in page
    assert "\x1b" not in page


def test_the_api_has_every_public_name():
    page = api_page()
    for name in set(gapfit.__all__) - {"__version__"}:
        assert f"::: gapfit.{name}\n" in page
    assert "::: gapfit.properties.compute\n" in page
    assert "::: gapfit.testing.Tolerance\n" in page


def test_the_figure_of_the_home_page_is_that_of_the_newest_comparison():
    # python docs/hooks/figure.py > docs/images/accuracy-cost.svg
    stored = (ROOT / "docs" / "images" / "accuracy-cost.svg").read_text("utf-8")
    assert stored == figure()
    for family in families():
        assert f">{family.name}</text>" in stored


def test_no_potential_of_the_figure_beats_gapfit_in_time_and_forces():
    ours, *others = families()
    assert ours.name == "gapfit"
    for cost, error in (point for family in others for point in family.points):
        assert any(c < cost and e < error for c, e in ours.points)
