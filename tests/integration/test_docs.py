"""The documentation: commands parse, code runs, links and names lead somewhere."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from builders import ROOT
from helpers.key_page import default, key_page

import gapfit
from gapfit.cli import command_parser, main
from gapfit.config import (
    Angle3bConfig,
    Distance2bConfig,
    FitConfig,
    LearnConfig,
    SoapConfig,
)
from gapfit.config.learn import (
    LearningConfig,
    ReferenceConfig,
    SimulationConfig,
    ThresholdConfig,
)

PAGES = sorted(
    [
        ROOT / "README.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
        ROOT / "data" / "README.md",
    ]
)
BLOCK = re.compile(r"(?:<!-- ([^\n]*?) -->\n)?```(\w*)\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
#: Paths of this repository that pages name.
PATH = re.compile(r"(?<![\w/.-])(?:data|docs|examples|gapfit|tests)/[\w/.-]*\w")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(language: str) -> list[tuple[str, str, str]]:
    """Return page, mark and text of all blocks of a language."""
    return [
        (name(page), mark, text)
        for page in PAGES
        for mark, kind, text in BLOCK.findall(page.read_text())
        if kind == language
    ]


def commands() -> list[tuple[str, list[str]]]:
    """Return page and words of all commands; comments and redirections left out."""
    lines = [
        (page, shlex.split(line, comments=True))
        for page, _, text in blocks("bash")
        for line in text.replace("\\\n", " ").splitlines()
    ]
    out = []
    for page, words in lines:
        part: list[str] = []
        for word in [*words, "&&"]:
            if word not in ("&&", "&", "|"):
                part.append(word)
            elif part:
                out.append((page, part))
                part = []
    return out


GAPFIT_COMMANDS = [
    (page, words[words.index("gapfit") + 1 :])
    for page, words in commands()
    if "gapfit" in words
]


@pytest.mark.parametrize(
    ("page", "words"), GAPFIT_COMMANDS, ids=lambda x: x if isinstance(x, str) else None
)
def test_commands_parse(page, words):
    command_parser().parse_args(words)


def test_every_command_is_shown():
    shown = {words[0] for _, words in GAPFIT_COMMANDS}
    listed = (ROOT / "docs" / "reference" / "commands.md").read_text()
    (action,) = command_parser()._subparsers._group_actions
    for command in action.choices:
        assert f"`gapfit {command}" in listed
    assert shown <= set(action.choices)
    assert len(shown) > 15


def test_scripts_and_files_that_commands_name_exist():
    for page, words in commands():
        for word in words:
            if PATH.fullmatch(word):
                assert (ROOT / word).exists(), (page, words)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    for link in LINK.findall(page.read_text()):
        if link.startswith("http"):
            continue
        target, _, heading = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), link
        if heading:
            assert heading in headings(path), link


def headings(page: Path) -> set[str]:
    """Return the anchors of a page, as Markdown programs make them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", t.lower()).strip().replace(" ", "-") for t in titles
    } | set(re.findall(r'<a id="([^"]+)"></a>', page.read_text()))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_that_are_named_exist(page):
    # Outputs may abbreviate.
    text = re.sub(r"```text\n.*?```", "", page.read_text(), flags=re.DOTALL)
    for path in PATH.findall(re.sub(r"\]\([^)]*\)", "]", text)):
        assert (ROOT / path).exists(), path


def test_every_page_is_reached_from_the_index():
    index = ROOT / "docs" / "index.md"
    linked = {
        (index.parent / link).resolve() for link in LINK.findall(index.read_text())
    }
    for page in (ROOT / "docs").rglob("*.md"):
        assert page == index or page in linked, page


@pytest.mark.parametrize("case", blocks("toml"), ids=lambda case: case[0])
def test_tables_are_valid(case, tmp_path):
    """Those of a configuration that are not shown are filled in."""
    _, mark, text = case
    tables = tomllib.loads(text)
    if mark and not mark.startswith("file: "):
        return
    config = {"data": {"train": "train.extxyz"}, "terms": [{"type": "soap"}]} | tables
    model = LearnConfig if "runs" in tables else FitConfig
    model.model_validate(config)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return a folder as the quickstart leaves it, with a rough model."""
    here = tmp_path_factory.mktemp("docs")
    terms = [{"type": "distance_2b"}, {"type": "soap", "n_sparse": 60, "l_max": 3}]
    (here / "silicon-model").mkdir()
    data = here / "data" / "silicon"
    data.mkdir(parents=True)
    for part in ("train", "test"):
        text = (ROOT / "data" / "silicon" / f"{part}.extxyz").read_text()
        (data / f"{part}.extxyz").write_text(text)
    model = gapfit.fit(data / "train.extxyz", {"terms": terms})
    model.save(here / "silicon-model" / "model.npz")
    return here


def test_python_runs_or_says_why_not():
    for page, mark, text in blocks("python"):
        assert mark.startswith(("runnable", "not run: ", "cell")), (page, text)


def test_commands_run(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    lines = [
        shlex.split(line)
        for _, mark, text in blocks("bash")
        if mark.startswith("runnable")
        for line in text.splitlines()
    ]
    assert len(lines) >= 4
    for program, *words in lines:
        assert program == "gapfit"
        assert main(words) == 0, words
    assert "Uncertainty" in capsys.readouterr().out


def test_python_runs(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    ran = 0
    for page, mark, text in blocks("python"):
        code = compile(text, page, "exec")
        if mark.startswith("runnable"):
            exec(code, {})
            ran += 1
    assert ran >= 6
    assert capsys.readouterr().out


def test_the_reference_has_all_keys_of_terms_and_of_learning():
    text = (ROOT / "docs" / "reference" / "fit-toml.md").read_text()
    terms = (SoapConfig, Distance2bConfig, Angle3bConfig)
    for key in {key: None for model in terms for key in model.model_fields}:
        cells = " | ".join(default(model, key) for model in terms)
        assert f"| `{key}` | {cells} |" in text, key
    tables = {
        "reference": ReferenceConfig,
        "threshold": ThresholdConfig,
        "learning": LearningConfig,
        "runs": SimulationConfig,
    }
    for table, model in tables.items():
        for key in model.model_fields:
            assert f"| `{table}.{key}` | {default(model, key)} |" in text, key
    for table in FitConfig.model_fields:
        assert f"[{table}]" in text, table


def test_the_page_of_all_keys_is_that_of_the_code():
    page = ROOT / "docs" / "reference" / "keys.md"
    # python tests/helpers/key_page.py > docs/reference/keys.md
    assert page.read_text() == key_page()


def test_the_readme_is_short():
    size = len((ROOT / "README.md").read_bytes())
    assert 5000 < size < 7000


def test_the_benchmarks_name_what_the_data_hold():
    text = (ROOT / "docs" / "benchmarks.md").read_text()
    for config in sorted((ROOT / "examples").glob("*/fit.toml")):
        data = ROOT / "data" / config.parent.name
        counts = [
            (data / f"{part}.extxyz").read_text().count("Lattice=")
            for part in ("train", "test")
        ]
        assert f"| {data.name} | {counts[0]} / {counts[1]} |" in text


def test_every_benchmark_is_named_in_the_documentation():
    text = "".join(page.read_text() for page in PAGES)
    for script in (ROOT / "tests" / "benchmarks").glob("[!_]*.py"):
        assert f"tests/benchmarks/{script.name}" in text, script.name
