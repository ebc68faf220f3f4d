"""The plan of the house: names, sizes, and who may know whom.

The layers themselves are a contract of import-linter (pyproject.toml). Places that break a
rule today are listed beside it; a place that no longer does must leave its list, so that
the lists can only become shorter.
"""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter

import pytest
from sources import PACKAGE, ROOT, imported, inside_functions, modules, rooms, trees

import gapfit

MOST_LINES = 400
MEDIAN_LINES = 170
LONGER: set[str] = set()

TERMS = {
    *("SoapConfig", "Distance2bConfig", "Angle3bConfig", "EamDensityConfig"),
    *("Soap", "Distance2b", "Angle3b", "EamDensity"),
}
TYPES = {"soap", "distance_2b", "angle_3b", "eam_density"}
# The kinds of terms are known where they are made and where other programs need them.
KNOW_TERMS = (
    *("descriptors/", "config/", "lammps/", "pacemaker/", "quip/", "torch/"),
    "turbogap/",
)

# Imports inside functions that stay, with the reason.
_DSCRIBE = "dscribe and its dependencies take half a second to import"
_RADIAL = "one radial basis of several, with functions of SciPy that others do not need"
_FACE = "the model offers its file and its samples, which are built from models"
_PROPERTIES = "properties take ASE's optimisers and phonopy; most reports have none"
_WORKER = "done ahead by workers, so that their first task does not wait for it"
_QUIP = "needed for models read from QUIP alone"
_WORDS = "messages are made from the models, whose constructors use them"
LATE = {
    ("calculator.py", "gapfit.quip"): _QUIP,
    ("config/sections.py", "gapfit.config.toml"): _WORDS,
    ("execution/executors.py", "gapfit.model.storage"): _WORKER,
    ("model/gap_model.py", "gapfit.model.samples"): _FACE,
    ("model/gap_model.py", "gapfit.model.storage"): _FACE,
    ("descriptors/soap_build.py", "gapfit.descriptors.radial_equispaced"): _RADIAL,
    ("descriptors/soap_build.py", "gapfit.descriptors.radial_polynomial"): _RADIAL,
    ("descriptors/soap_build.py", "gapfit.descriptors.soap_dscribe"): _DSCRIBE,
    ("report/crystals.py", "gapfit.calculator"): _PROPERTIES,
    ("report/crystals.py", "gapfit.properties"): _PROPERTIES,
}


def test_no_room_bears_the_name_of_a_public_function():
    # Python binds gapfit.fit to a module of that name as soon as it is imported.
    assert not rooms() & set(gapfit.__all__)


def test_no_package_exports_a_name_that_is_one_of_its_modules():
    shadowed = set()
    for path, tree in trees().items():
        room, _, name = path.rpartition("/")
        if name != "__init__.py" or not room:
            continue
        inside = f"gapfit.{room.replace('/', '.')}"
        for node in tree.body:
            if isinstance(node, ast.ImportFrom):
                exported = {alias.asname or alias.name for alias in node.names}
                shadowed |= {
                    (room, name)
                    for name in exported
                    if f"{inside}.{name}" in modules() and node.module != inside
                }
    assert not shadowed


def _words(node: ast.AST) -> set[str]:
    """Return the names and texts in an expression."""
    nodes = list(ast.walk(node))
    return (
        {n.id for n in nodes if isinstance(n, ast.Name)}
        | {n.attr for n in nodes if isinstance(n, ast.Attribute)}
        | {n.value for n in nodes if isinstance(n, ast.Constant) and n.value in TYPES}
    )


def _dispatches_on_terms(node: ast.AST) -> bool:
    if isinstance(node, ast.Call) and _words(node.func) & {"isinstance", "issubclass"}:
        return bool(_words(node.args[1]) & TERMS)
    if isinstance(node, ast.Compare):
        return bool(_words(node) & TYPES)
    return isinstance(node, ast.match_case) and bool(
        _words(node.pattern) & (TERMS | TYPES)
    )


@pytest.mark.parametrize(
    "code",
    [
        "isinstance(term.config, SoapConfig)",
        "isinstance(d, Soap | terms.Angle3b)",
        "isinstance(d, (Soap, Distance2b))",
        'term.type == "soap"',
        'kind in ("distance_2b", "angle_3b")',
        'match kind:\n    case "soap": pass',
    ],
)
def test_dispatch_on_terms_is_recognised(code):
    assert any(map(_dispatches_on_terms, ast.walk(ast.parse(code))))


def test_only_their_rooms_know_the_kinds_of_terms():
    places = {
        path
        for path, tree in trees().items()
        if not path.startswith(KNOW_TERMS)
        and any(map(_dispatches_on_terms, ast.walk(tree)))
    }
    assert not places


def test_imports_inside_functions_have_a_reason():
    late = {
        (path, name)
        for path, tree in trees().items()
        if not path.startswith(("cli/", "__init__"))
        for name in inside_functions(tree)
    }
    assert late == set(LATE)


def test_modules_are_short():
    lines = {
        path: len((PACKAGE / path).read_text("utf-8").splitlines()) for path in trees()
    }
    assert {path for path, n in lines.items() if n > MOST_LINES} == LONGER
    assert statistics.median(lines.values()) <= MEDIAN_LINES


def test_no_room_needs_itself_through_others():
    graph: dict[str, set[str]] = {room: set() for room in rooms()}
    for path, tree in trees().items():
        room = path.partition("/")[0].removesuffix(".py")
        if room in graph:
            names = {name for node in ast.walk(tree) for name in imported(node)}
            known = {name.split(".")[1] for name in names if "." in name}
            graph[room] |= known - {room}
    # Raises CycleError, which names the circle.
    assert set(TopologicalSorter(graph).static_order()) == rooms()


def test_the_map_names_every_room():
    text = (PACKAGE / "README.md").read_text("utf-8")
    missing = {
        room
        for room in rooms()
        if f"`{room}/`" not in text and f"`{room}.py`" not in text
    }
    assert not missing


def test_the_map_shows_the_layers_of_the_contract():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contract = settings["tool"]["importlinter"]["contracts"][0]
    layers = [set(layer.split(" | ")) for layer in contract["layers"]]
    text = (PACKAGE / "README.md").read_text("utf-8")
    shown: list[set[str]] = [set() for _ in layers]
    for number, room in re.findall(
        r"^\| (\d+) \| `(\w+)(?:/|\.py)`", text, re.MULTILINE
    ):
        shown[int(number) - 1].add(room)
    assert shown == layers


@pytest.mark.parametrize("page", ["gapfit/README.md", ".github/CONTRIBUTING.md"])
def test_files_that_a_page_names_are_there(page):
    text = (ROOT / page).read_text("utf-8")
    paths = re.findall(r"`((?:\w+/)*\w+(?:/|\.(?:py|hpp|cpp|h|md|toml|sh)))`", text)
    missing = [
        p for p in paths if not (PACKAGE / p).exists() and not (ROOT / p).exists()
    ]
    assert paths
    # Files that users have, not the repository.
    assert set(missing) <= {"fit.toml"}


def test_help_imports_no_numbers():
    code = (
        "import sys; from gapfit.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert not end.code\n"
        "assert not {'numpy', 'scipy', 'ase', 'pydantic'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert "gapfit fit" in done.stdout
