"""Learning on the fly of copper by EMT, which counts its calls."""

from __future__ import annotations

import json
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

import gapfit

THRESHOLD = 0.025


class Counting(Calculator):
    """EMT that keeps count, and fails or says nonsense when it is told to.

    What it says does not hang on what it was asked before: no list of neighbours is kept.
    """

    implemented_properties = EMT.implemented_properties

    def __init__(self) -> None:
        super().__init__()
        self.n_calls = 0
        self.failures: list[int] = []
        self.nonsense: list[int] = []

    def calculate(self, atoms=None, properties=(), system_changes=all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        self.n_calls += 1
        if self.n_calls in self.failures:
            raise RuntimeError("no convergence")
        emt = EMT()
        emt.calculate(self.atoms, ["energy", "forces", "stress"], all_changes)
        self.results = dict(emt.results)
        if self.n_calls in self.nonsense:
            self.results["forces"] = self.results["forces"] * np.nan


def alike_crystals(folder: Path, n_frames: int, seed: int = 0) -> list[Atoms]:
    """Return labelled copper crystals that differ by small displacements; write them."""
    frames = []
    for n in range(n_frames):
        atoms = bulk("Cu", cubic=True) * (2, 2, 2)
        atoms.rattle(0.08, seed=10 * seed + n)
        atoms.calc = EMT()
        labels = ("energy", "forces", "stress")
        results = {name: atoms.calc.get_property(name, atoms) for name in labels}
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    ase.io.write(folder / "first.extxyz", frames)
    return frames


def of_alike_crystals(threshold: float, run: dict) -> dict:
    """Return a configuration that begins with them, eV/Å."""
    return {
        "data": {"train": "first.extxyz"},
        "e0": {"method": "least_squares"},
        "run": {"threads": 1},
        "sigma": {"energy": 0.001, "forces": 0.05},
        "terms": [
            {"r_cut": 5.0, "n_sparse": 160},
            {"type": "distance_2b", "r_cut": 5.0},
        ],
        "threshold": {"forces": threshold, "every": 10},
        "runs": [run],
    }


def settings(tmp_path: Path, *runs: dict, **tables: object) -> dict:
    if not (tmp_path / "cu.extxyz").exists():
        ase.io.write(tmp_path / "cu.extxyz", bulk("Cu", cubic=True) * (2, 1, 1))
    hot = {"steps": 60, "timestep": 4.0, "temperature": 300, "final_temperature": 3000}
    return {
        "e0": {"method": "least_squares"},
        "run": {"threads": 1},
        "terms": [{"r_cut": 4.0, "n_max": 4, "l_max": 3, "n_sparse": 40}],
        "threshold": {"forces": THRESHOLD, "every": 5},
        "runs": [{"start": "cu.extxyz", **run} for run in runs or (hot,)],
        **tables,
        "learning": {"bootstrap": 2, "save": 10, "refit": 1.0}
        | dict(tables.get("learning", {})),
    }


def learn(config, folder, calculator=None, **options):
    options = {"base": folder.parent, "reference": calculator or Counting(), **options}
    return gapfit.learn(config, folder, **options)


def log(folder: Path) -> list[dict]:
    path = folder / "log.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def same_outcome(folder: Path, other: Path) -> None:
    for name in ("labelled.extxyz", "log.jsonl", "trajectory.extxyz"):
        assert (folder / name).read_bytes() == (other / name).read_bytes(), name
    models = [gapfit.load(path / "model.npz") for path in (folder, other)]
    for a, b in zip(*(model.terms for model in models), strict=True):
        for block, coefficients in a.coefficients.items():
            np.testing.assert_array_equal(coefficients, b.coefficients[block])


def config_of(whole, tmp_path: Path) -> dict:
    ase.io.write(tmp_path / "cu.extxyz", ase.io.read(whole[0].parent / "cu.extxyz"))
    runs = {"steps": 60, "timestep": 4.0, "final_temperature": 3000}
    return settings(tmp_path, runs, {"method": "fire", "steps": 10})
