"""Errors and costs of several choices of terms, fitted to the same structures.

Usage: python tests/benchmarks/variants.py TRAIN [TEST] [--terms JSON ...] [--frames 150]
           [--held-out 60] [--sigma-energy 0.003] [--sigma-forces 0.1] [--tune]
           [--repeats N] [--json FILE]
       python tests/benchmarks/variants.py CONFIG.toml [--soap JSON ...] [--ace] [--tune]
Each JSON of --terms is a list of tables [[terms]]; by default SOAP and pairs with all
densities and with 12, 10 and 8 channels. Structures of TRAIN are drawn at random; without
TEST so are others of it that are held out. A configuration brings data, sigmas and
baseline; its terms are fitted with the keys of each JSON of --soap in those of SOAP, and
with --ace each also with 379 functions of contracted densities. With --tune deltas and
sigmas are chosen first, from the training data. One thread. Predictions of the largest
structure, repeated to at least 200 atoms, take turns, and so do the kernel rows of a few
structures.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import process_time

import ase
import ase.io
import numpy as np
from _common import MICRO, Column, Label, Report, Row, medians, parser, script, threads

import gapfit
from gapfit.config.sections import FitConfig
from gapfit.config.toml import config_from_dict, load_config
from gapfit.data.dataset import Dataset, as_dataset, read
from gapfit.data.frame import Frame
from gapfit.evaluation.speed import timed_cell
from gapfit.fitting.trials import format_trials
from gapfit.fitting.tune import tune
from gapfit.model.rows import row_block

#: Structures whose rows are timed.
ROW_FRAMES = 6
PAIR = {"type": "distance_2b", "r_cut": 5.0}
SOAP = {"r_cut": 5.5, "n_max": 8, "l_max": 6, "n_sparse": 300}
DEFAULT = [[PAIR, {**SOAP, "channels": channels}] for channels in ("all", 12, 10, 8)]
ACE = {"type": "ace", "radial": "contracted", "n_max": [4, 2], "l_max": [3, 2]}
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
    options.add_argument("train", type=Path, help="or a configuration")
    options.add_argument("test", type=Path, nargs="?")
    options.add_argument("--terms", type=json.loads, nargs="+", default=DEFAULT)
    options.add_argument("--frames", type=int, default=150)
    options.add_argument("--held-out", type=int, default=60)
    options.add_argument("--sigma-energy", type=float, default=0.003)
    options.add_argument("--sigma-forces", type=float, default=0.1)
    options.add_argument("--soap", type=json.loads, nargs="+", default=[{}])
    options.add_argument("--ace", action="store_true")
    options.add_argument("--tune", action="store_true")
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


def from_files(args: argparse.Namespace) -> tuple[FitConfig, Dataset, Dataset]:
    """Return a configuration without a choice of terms, and the data."""
    config = config_from_dict(
        {
            "data": {"train": ["memory"], "check_labels": False, "use_stress": False},
            "e0": {"method": "least_squares"},
            "sigma": {"energy": args.sigma_energy, "forces": args.sigma_forces},
            "terms": [{}],
        }
    )
    train, test = (as_dataset(frames, config, None) for frames in split(args))
    return config, train, test


def from_config(args: argparse.Namespace) -> tuple[FitConfig, Dataset, Dataset]:
    """Return a configuration and its data."""
    config, base = load_config(args.train), args.train.parent
    test = read(config.data.test, config.data, base=base)
    return config, as_dataset(None, config, base), test


def choices(config: FitConfig, args: argparse.Namespace) -> list[list[Row]]:
    """Return the terms of a configuration with the changes that are asked for."""
    tables = [t.model_dump(exclude_unset=True) | {"type": t.type} for t in config.terms]
    out = []
    for keys in args.soap:
        terms = [t | (keys if t["type"] == "soap" else {}) for t in tables]
        out.append(terms)
        if args.ace:
            r_cut = max(term.r_cut for term in config.terms if term.type == "soap")
            out.append([*terms, ACE | {"r_cut": r_cut}])
    return out


def fitted(
    terms: list[Row], train: Dataset, config: FitConfig, args: argparse.Namespace
) -> gapfit.GAPModel:
    data = {"train": ["memory"]}
    changed = {
        "terms": config_from_dict({"data": data, "terms": terms}).terms,
        "calibration": config.calibration.model_copy(update={"method": "none"}),
        "run": config.run.model_copy(update={"threads": 1}),
    }
    config = config.model_copy(update=changed)
    if args.tune:
        result = tune(train, config)
        print(format_trials(result.summary()))
        config = result.config
    return gapfit.fit(train, config)


def row_call(model: gapfit.GAPModel, frames: Sequence[Frame]) -> Callable[[], object]:
    part = frames[:ROW_FRAMES]
    return partial(row_block, part, model.terms, model.e0, model.config.sigma)


def run(args: argparse.Namespace) -> Report:
    report = Report("variants", vars(args))
    given = args.train.suffix == ".toml"
    config, train, test = from_config(args) if given else from_files(args)
    frames = test.frames
    report.header(
        f"{args.train}: {len(train.frames)} structures, {len(frames)} to test"
    )
    models: dict[str, gapfit.GAPModel] = {}
    table: list[Row] = []
    with threads(1):
        for number, terms in enumerate(
            choices(config, args) if given else args.terms, 1
        ):
            print(f"{number}: {json.dumps(terms)}")
            begin = process_time()
            model = models[str(number)] = fitted(terms, train, config, args)
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
        cell = timed_cell(frames)
        n_row_atoms = sum(frame.n_atoms for frame in frames[:ROW_FRAMES])
        predictions = medians(
            {key: partial(model.predict, cell) for key, model in models.items()},
            args.repeats,
        )
        rows = medians(
            {key: row_call(model, frames) for key, model in models.items()},
            args.repeats,
        )
    for key, row in zip(models, table, strict=True):
        row["predict"] = MICRO * predictions[key] / cell.n_atoms
        row["rows"] = MICRO * rows[key] / n_row_atoms
    report.table("Variants", COLUMNS, table)
    return report


if __name__ == "__main__":
    script(arguments(), run)
