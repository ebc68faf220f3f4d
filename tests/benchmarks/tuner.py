"""Test errors and cost of the potentials that `gapfit tune --budget` finds.

Usage: python tests/benchmarks/tuner.py CONFIG [--budget 6m] [--cpu] [--labels JSON]
           [--json FILE]
       python tests/benchmarks/tuner.py TRAIN TEST ...
CONFIG is a fit.toml with test data, such as examples/silicon/fit.toml; for TRAIN and TEST
that of `gapfit init`. It is fitted as it is, and the search starts from it, with the
training data alone. With --cpu the budget is of CPU time, which other processes change
less. One thread.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from _common import Column, Label, Report, Row, parser, script, threads

import gapfit
from gapfit.config.sections import DataConfig, FitConfig
from gapfit.config.toml import load_config
from gapfit.data.dataset import Dataset, as_dataset, read
from gapfit.evaluation.speed import measured_microseconds, timed_cell
from gapfit.search import SearchResult, tune_within
from gapfit.search.budget import parse_time

COLUMNS = (
    Label("terms", "terms"),
    Column("cost", "µs/atom", ".1f"),
    Column("held_out_energy", "held out meV/atom", ".2f"),
    Column("held_out_forces", "held out eV/Å (RMSE)", ".4f"),
    Column("energy", "test meV/atom", ".2f"),
    Column("forces", "test eV/Å", ".4f"),
)


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__)
    options.add_argument("files", type=Path, nargs="+", metavar="FILE")
    options.add_argument("--budget", default="6m")
    options.add_argument("--cpu", action="store_true")
    options.add_argument("--labels", type=json.loads, default={}, help="keys of [data]")
    options.add_argument("--state", type=Path, help="file of the trials, gone on with")
    return options


def given(args: argparse.Namespace) -> tuple[FitConfig, Path]:
    """Return the configuration to start from, and the folder of its paths."""
    if len(args.files) == 1:
        config, base = load_config(args.files[0]), args.files[0].parent
    else:
        train, test = map(str, args.files)
        labels = DataConfig(train=[train], test=[test], **args.labels)
        config, base = gapfit.propose(train, labels).config, Path()
    run = config.run.model_copy(update={"threads": 1})
    return config.model_copy(update={"run": run}), base


def tested(name: str, config: FitConfig, train: Dataset, test: Dataset) -> Row:
    """Return errors on the test set, and cost, of a fit."""
    calibration = config.calibration.model_copy(update={"method": "none"})
    model = gapfit.fit(train, config.model_copy(update={"calibration": calibration}))
    errors = gapfit.evaluate(model, test)["all"]
    return {
        "terms": name,
        "cost": measured_microseconds(model, timed_cell(train.frames)),
        "energy": errors["energy"]["mae"],
        "forces": errors["forces"]["mae"],
    }


def searched(
    config: FitConfig, train: Dataset, args: argparse.Namespace
) -> SearchResult:
    clock = time.process_time if args.cpu else time.monotonic
    started = clock()
    result = tune_within(
        parse_time(args.budget),
        train,
        config,
        clock=clock,
        state=args.state,
        resume=bool(args.state and args.state.exists()),
    )
    full = sum(t.rung == len(result.part_sizes) - 1 for t in result.records)
    print(
        f"{len(result.records)} trials, {full} with all {result.part_sizes[-1]} frames, "
        f"in {clock() - started:.0f} s of {args.budget}"
    )
    print("\n".join(result.warnings), flush=True)
    return result


def run(args: argparse.Namespace) -> Report:
    report = Report("tuner", vars(args))
    report.header(f"{args.files[0]}, budget {args.budget}; MAE of test data")
    config, base = given(args)
    with threads(1):
        train = as_dataset(None, config, base)
        test = read(config.data.test, config.data, base=base)
        rows = [tested("given", config, train, test)]
        result = searched(config, train, args)
        best = result.best().name
        for point in result.front():
            errors = point.trial.held_out
            name = f"{'* ' if point.name == best else ''}{point.name}"
            row = tested(name, point.config, train, test)
            row |= {
                "held_out_energy": 1000 * errors.energy_mae,
                "held_out_forces": errors.forces_rmse,
            }
            rows.append(row)
    report.table("Front (* chosen)", COLUMNS, rows)
    return report


if __name__ == "__main__":
    script(arguments(), run)
