"""Fit a published set of phosphorus as examples/phosphorus does: errors and CPU time.

Usage: python tests/benchmarks/phosphorus.py TRAIN TEST [--n-sparse 1000] [--json FILE]
The set is not shipped; its DFT settings may differ from those of data/phosphorus, since
nothing of the latter is used. Errors are by config_type, and by the size of the force.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from _common import Column, Label, Report, Row, Time, parser, script, threads
from _fits import TimedFit, example, timed_fit

import gapfit
from gapfit.config import DataConfig, E0Config
from gapfit.data import read
from gapfit.fitting.proposal import without_isolated_atom

#: Sizes of the force, eV/Å.
EDGES = (0, 0.5, 2, 10, 50, np.inf)
FIT = (Label("n_sparse", "sparse points"), Time("cpu", "CPU s"))
ERRORS = (
    Label("part", "part"),
    Label("config_type", "config_type"),
    Column("energy", "E meV/atom", ".2f"),
    Column("forces", "F eV/Å", ".3f"),
)
SIZES = (
    Label("part", "part"),
    Label("size", "|F|, eV/Å"),
    Column("n_atoms", "atoms", "d"),
    Column("mae", "MAE", ".3f"),
    Column("relative", "MAE / mean |F|", ".3f"),
)


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__)
    options.add_argument("train", type=Path)
    options.add_argument("test", type=Path)
    options.add_argument("--n-sparse", type=int, default=1000)
    return options


def fit(train: Path, n_sparse: int) -> TimedFit:
    """Return the fit with the settings of the example."""
    config = example("phosphorus", n_sparse)
    data = read(str(train), DataConfig(train=[str(train)]))
    if without_isolated_atom(data.frames):
        config = config.model_copy(update={"e0": E0Config(method="least_squares")})
    return timed_fit(data, config)


def by_type(part: str, errors: dict[str, Any]) -> list[Row]:
    """Return the RMSE of each config_type."""
    return [
        {"part": part, "config_type": name}
        | {k: found[k]["rmse"] for k in ("energy", "forces") if k in found}
        for name, found in errors.items()
    ]


def by_size(part: str, model: gapfit.GAPModel, file: Path) -> list[Row]:
    """Return the errors of force vectors in ranges of their length."""
    frames = read(str(file), DataConfig(train=[str(file)], check_labels=False)).frames
    forces = np.concatenate([frame.forces for frame in frames])
    found = np.concatenate([p.forces for p in model.predict(frames)])
    size = np.linalg.norm(forces, axis=1)
    error = np.linalg.norm(found - forces, axis=1)
    rows: list[Row] = []
    for low, high in pairwise(EDGES):
        inside = (size >= low) & (size < high)
        if inside.any():
            mae, mean = float(error[inside].mean()), float(size[inside].mean())
            row = {"part": part, "size": f"{low:g} .. {high:g}"}
            row |= {"n_atoms": int(inside.sum()), "mae": mae}
            rows.append(row | {"relative": mae / max(mean, 1e-9)})
    return rows


def run(args: argparse.Namespace) -> Report:
    report = Report("phosphorus", vars(args))
    report.header(f"{args.train.parent.name} with the settings of the example; RMSE")
    parts = {"train": args.train, "test": args.test}
    with threads(1):
        done = fit(args.train, args.n_sparse)
        errors: list[Row] = []
        sizes: list[Row] = []
        for part, file in parts.items():
            errors += by_type(part, gapfit.evaluate(done.model, str(file)))
            sizes += by_size(part, done.model, file)
    report.table("Fit", FIT, [{"n_sparse": done.model.n_sparse, "cpu": done.cpu}])
    report.table("Errors", ERRORS, errors)
    report.table("Errors by size of the force", SIZES, sizes)
    return report


if __name__ == "__main__":
    script(arguments(), run)
