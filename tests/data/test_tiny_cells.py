"""Cells too small for atoms, and too many neighbours, are refused before a search."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from builders import label, silicon

from gapfit.data.frame import Frame, structure_arrays
from gapfit.data.neighbours import MAX_DENSITY, MIN_DISTANCE, pair_list
from gapfit.data.skin_pairs import MovingPairs
from gapfit.errors import StructureError

# With a cutoff of 5 Å, images fill 4 GB; those of an even smaller cell are too many.
EDGE = 0.03
LOOSE = np.array([True, False, True])

#: Runs a statement after one that warms up; prints what was raised and the memory taken.
_MEASURE = """
import resource, sys
import numpy as np, ase.io, gapfit
from gapfit.cli import main
from gapfit.config import DataConfig
from gapfit.data.dataset import read
from gapfit.errors import GapfitError
from gapfit.active.select import select
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
model = gapfit.load("model.npz")
good, tiny = ase.io.read("good.xyz"), ase.io.read("tiny.xyz")
good.calc = None
model.predict(good)
read("good.xyz", DataConfig(train=["-"]))
before = peak()
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
try:
    {statement}
except GapfitError as error:
    print(error)
print("MB", peak() - before)
"""
DOORS = {
    "read": 'read("tiny.xyz", DataConfig(train=["-"]))',
    "check": 'main(["check", "tiny.xyz"])',
    "predict": "model.predict(tiny)",
    "predict_file": 'main(["predict", "model.npz", "tiny.xyz", "--output", "o.xyz"])',
    "evaluate": 'main(["evaluate", "model.npz", "tiny.xyz"])',
    "calculator": "tiny.calc = gapfit.GAPCalculator(model); tiny.get_forces()",
    "no_skin": "tiny.calc = gapfit.GAPCalculator(model, skin=0); tiny.get_forces()",
    "select": 'select(model, "tiny.xyz", 1)',
    "properties": 'main(["properties", "model.npz", "tiny.xyz", "--samples", "0"])',
}


@pytest.fixture(scope="module")
def folder(si_model, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("doors")
    si_model.save(path / "model.npz")
    tiny = Atoms("Si", cell=np.eye(3) * EDGE, pbc=True)
    tiny.info["energy"] = -1.0
    ase.io.write(path / "tiny.xyz", tiny, format="extxyz")
    ase.io.write(path / "good.xyz", label(silicon()), format="extxyz")
    return path


@pytest.mark.parametrize("door", DOORS)
def test_no_door_lets_a_tiny_cell_take_memory(door, folder):
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE.replace("{statement}", DOORS[door])],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert f"the cell repeats every {EDGE} Å" in said
    assert "Traceback" not in said
    assert float(done.stdout.split("MB")[1]) < 60


def one(cell, pbc=True) -> Frame:
    cell = np.asarray(cell, dtype=float)
    pbc = np.broadcast_to(pbc, 3).copy()
    return Frame(np.array([14]), np.zeros((1, 3)), cell, pbc, source="a.xyz, frame 7")


# Long vectors that span a lattice with a short one.
_HIDDEN = [[9.0, 0, 0], [0, 9, 0], [4.5, 4.5, 0.05]]


@pytest.mark.parametrize(
    ("frame", "length"),
    [
        (one(np.eye(3) * 1e-3), "0.001"),
        (one(np.eye(3) * 1e-6), "1e-06"),
        (one(np.diag([50, 50, 1e-5])), "1e-05"),
        (one(np.diag([0.01, 0.01, 50])), "0.01"),
        (one(np.diag([1e6, 1e6, 0.29])), "0.29"),
        (one(_HIDDEN), "0.1"),
        (one([[9, 0, 0], [0, 9, 0], [9.01, 0, 0.02]], LOOSE), "0.0224"),
        (one([[0, 0, 0], [0, 0.2, 0], [0, 0, 0]], [False, True, False]), "0.2"),
    ],
)
def test_images_closer_than_atoms_may_be_are_refused(frame, length):
    said = "a.xyz, frame 7: the cell repeats every " + re.escape(length) + " Å"
    for search in (lambda f: pair_list(f, 5.0), MovingPairs(5.0, 0.5).of):
        with pytest.raises(StructureError, match=said):
            search(frame)


def test_a_cell_just_long_enough_is_searched():
    frame = one(np.diag([30, 30, MIN_DISTANCE * (1 + 1e-12)]))
    assert pair_list(frame, 1.0).n_pairs == 6


@pytest.mark.parametrize("pbc", [True, False, LOOSE])
def test_atoms_on_a_heap_are_refused(pbc):
    cell = np.eye(3) * (1.0 if pbc is True else 2.0)
    pbc = np.broadcast_to(pbc, 3)
    frame = Frame(np.full(60, 14), np.zeros((60, 3)), cell, pbc.copy())
    with pytest.raises(StructureError, match=rf"per Å³ \(limit {MAX_DENSITY:g}\)"):
        pair_list(frame, 3.0)


def test_a_reach_beyond_memory_is_refused():
    frame = structure_arrays(bulk("Si"), "a.xyz, frame 7")
    said = r"a\.xyz, frame 7: each atom has about \S+ neighbours within 80 Å"
    with pytest.raises(StructureError, match=said):
        pair_list(frame, 80.0)
    with pytest.raises(StructureError, match=said):
        MovingPairs(5.0, 75.0).of(frame)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_cells_without_numbers_are_refused(value):
    with pytest.raises(StructureError, match="NaN or infinity"):
        MovingPairs(5.0, 0.5).of(one(np.diag([5, value, 5])))


def test_huge_cells_are_searched():
    assert pair_list(one(np.eye(3) * 1e6), 5.0).n_pairs == 0
    assert pair_list(one(np.diag([1e6, 1e6, 2.0])), 5.0).n_pairs == 4


@pytest.mark.parametrize("reach", [5.0, 10.0, 20.0])
@pytest.mark.parametrize("name", ["Si", "C", "Cu", "Fe"])
def test_compressed_primitive_cells_are_searched(name, reach):
    atoms = bulk(name)
    atoms.set_cell(atoms.cell * 0.5 ** (1 / 3), scale_atoms=True)
    n = pair_list(structure_arrays(atoms), reach).n_pairs / len(atoms)
    expected = 4 / 3 * np.pi * reach**3 * len(atoms) / atoms.get_volume()
    assert n == pytest.approx(expected, rel=0.15)


def test_thin_structures_are_searched_far():
    """With few neighbours, however many a crystal of their density would have."""
    chain = one([[0, 0, 0], [0, 0, 0], [0, 0, 1.2]], [False, False, True])
    assert pair_list(chain, 60.0).n_pairs == 98
    pair = structure_arrays(Atoms("H2", [[0, 0, 0], [0.7, 0, 0]]))
    assert pair_list(pair, 1000.0).n_pairs == 2


def test_cells_of_denormal_numbers_have_no_volume():
    cell = [[-3, 1e-320, 1], [1e-200, 0, 1e-320], [1e-162, 2e-323, 1e-162]]
    frame = structure_arrays(Atoms("Si", cell=cell))
    assert frame.volume < 1e-100
    assert not frame.has_volume
