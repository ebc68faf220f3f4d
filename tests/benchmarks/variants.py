"""Errors and costs of several choices of terms, fitted to the same structures.

Usage: python tests/benchmarks/variants.py TRAIN [TEST] [--terms JSON ...] [--frames 150]
           [--held-out 60] [--sigma-energy 0.003] [--sigma-forces 0.1] [--repeats N]
           [--json FILE]
Each JSON is a list of tables [[terms]]; by default SOAP and pairs with all densities and
with 12, 10 and 8 channels. Structures of TRAIN are drawn at random; without TEST so are
others of it that are held out. One thread. Predictions of the largest structure, repeated
to at least 200 atoms, take turns, and so do the kernel rows of a few structures.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import process_time

import ase
import ase.io
import numpy as np
from _common import MICRO, Column, Label, Report, Row, medians, parser, script, threads

import gapfit
from gapfit.data.dataset import as_dataset
from gapfit.evaluation.speed import timed_cell
from gapfit.model.rows import row_block

#: Structures whose rows are timed.
ROW_FRAMES = 6
PAIR = {"type": "distance_2b", "r_cut": 5.0}
SOAP = {"r_cut": 5.5, "n_max": 8, "l_max": 6, "n_sparse": 300}
DEFAULT = [[PAIR, {**SOAP, "channels": channels}] for channels in ("all", 12, 10, 8)]
COLUMNS = (
    Label("number", "terms"),
    Label("features", "features"),
    Column("fit", "fit, CPU s", ".1f"),
    Column("energy", "meV/atom", ".2f"),
    Column("forces", "eV/Å", ".4f"),
    Column("predict", "µs/atom", ".1f"),
    Column("rows", "rows, µs/atom", ".0f"),
)


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__, repeats=7)
    options.add_argument("train", type=Path)
    options.add_argument("test", type=Path, nargs="?")
    options.add_argument("--terms", type=json.loads, nargs="+", default=DEFAULT)
    options.add_argument("--frames", type=int, default=150)
    options.add_argument("--held-out", type=int, default=60)
    options.add_argument("--sigma-energy", type=float, default=0.003)
    options.add_argument("--sigma-forces", type=float, default=0.1)
    return options


def split(args: argparse.Namespace) -> tuple[list[ase.Atoms], list[ase.Atoms]]:
    frames = [a for a in ase.io.read(args.train, ":") if len(a) > 1]
    order = np.random.default_rng(0).permutation(len(frames))
    if args.test:
        test = [a for a in ase.io.read(args.test, ":") if len(a) > 1]
        return [frames[n] for n in order[: args.frames]], test
    test = [frames[n] for n in order[: args.held_out]]
    rest = order[args.held_out : args.held_out + args.frames]
    return [frames[n] for n in rest], test


def fitted(
    terms: list[Row], train: list[ase.Atoms], args: argparse.Namespace
) -> gapfit.GAPModel:
    return gapfit.fit(
        train,
        {
            "data": {"train": ["memory"], "check_labels": False, "use_stress": False},
            "e0": {"method": "least_squares"},
            "sigma": {"energy": args.sigma_energy, "forces": args.sigma_forces},
            "terms": terms,
            "calibration": {"method": "none"},
            "run": {"threads": 1},
        },
    )


def row_call(model: gapfit.GAPModel, frames: list[ase.Atoms]) -> Callable[[], object]:
    part = as_dataset(frames[:ROW_FRAMES], model.config, None).frames
    return partial(row_block, part, model.terms, model.e0, model.config.sigma)


def run(args: argparse.Namespace) -> Report:
    report = Report("variants", vars(args))
    train, test = split(args)
    report.header(f"{args.train}: {len(train)} structures, {len(test)} to test")
    models: dict[str, gapfit.GAPModel] = {}
    table: list[Row] = []
    with threads(1):
        for number, terms in enumerate(args.terms, 1):
            print(f"{number}: {json.dumps(terms)}")
            begin = process_time()
            model = models[str(number)] = fitted(terms, train, args)
            seconds = process_time() - begin
            errors = gapfit.evaluate(model, test, uncertainty=False)["all"]
            table.append(
                {
                    "number": str(number),
                    "features": " + ".join(
                        str(term.descriptor.n_features) for term in model.terms
                    ),
                    "fit": seconds,
                    "energy": errors["energy"]["mae"],
                    "forces": errors["forces"]["mae"],
                }
            )
        cell = timed_cell(as_dataset(test, model.config, None).frames)
        n_row_atoms = sum(map(len, test[:ROW_FRAMES]))
        predictions = medians(
            {key: partial(model.predict, cell) for key, model in models.items()},
            args.repeats,
        )
        rows = medians(
            {key: row_call(model, test) for key, model in models.items()}, args.repeats
        )
    for key, row in zip(models, table, strict=True):
        row["predict"] = MICRO * predictions[key] / cell.n_atoms
        row["rows"] = MICRO * rows[key] / n_row_atoms
    report.table("Variants", COLUMNS, table)
    return report


if __name__ == "__main__":
    script(arguments(), run)
