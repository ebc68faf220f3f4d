"""The benchmark of Zuo et al. (J. Phys. Chem. A 124, 731, 2020), tuned on training data.

Usage: python tests/benchmarks/mlearn.py FOLDER ... [--n-sparse 2000] [--scan-n-sparse 500]
           [--preset accurate] [--tune-n-sparse 0] [--json FILE] ...
Each FOLDER, named mlearn_Si and so on, holds train.extxyz and test.extxyz of one element
(not shipped; .gz is fine). `gapfit tune` scans r_cut, the width of the atoms and zeta with
few sparse points, then chooses sigmas and deltas with many (or --tune-n-sparse), all from
the training data; stress is fitted where the check of the labels finds nothing wrong.
Trials, errors on the test set, leave-one-out errors, and those of the published potentials.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from _common import Column, Label, Report, Row, Time, parser, script, threads
from _tuning import preset_tables, tables, tuned, with_points

import gapfit
from gapfit.config.sections import DataConfig, E0Config
from gapfit.config.toml import config_from_dict
from gapfit.data.dataset import Dataset, read
from gapfit.data.e0 import resolve_e0
from gapfit.evaluation.evaluate import format_table
from gapfit.fitting.label_check import label_warnings
from gapfit.fitting.presets import PRESETS
from gapfit.fitting.scan import with_settings
from gapfit.fitting.trials import format_trials
from gapfit.fitting.tune import tune

#: Best published MAE of GAP and MTP: meV/atom, eV/Å.
PUBLISHED = {
    "Ni": (0.42, 0.01),
    "Cu": (0.41, 0.01),
    "Li": (0.49, 0.01),
    "Mo": (2.24, 0.09),
    "Si": (2.21, 0.06),
    "Ge": (1.79, 0.05),
}
SCAN = {
    "soap.r_cut": [4.5, 5.0, 6.0],
    "soap.atom_sigma": [0.4, 0.6],
    "soap.zeta": [3.0, 6.0],
}
LEAST_SQUARES = E0Config(method="least_squares")


ERRORS = (
    Label("element", "element"),
    Label("kind", "MAE of"),
    Column("test", "test", ".3f"),
    Column("left_out", "left out", ".3f"),
    Column("published", "published", ".2f"),
)
TIMES = (
    Label("element", "element"),
    Time("tune", "tune CPU s", ".0f"),
    Time("fit", "fit CPU s", ".0f"),
)


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__)
    options.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    options.add_argument("--n-sparse", type=int, default=2000)
    options.add_argument("--r-cut", type=float, default=5.5)
    options.add_argument("--atom-sigma", type=float, default=0.5)
    options.add_argument("--n-max", type=int, default=8)
    options.add_argument("--l-max", type=int, default=8)
    options.add_argument("--scan-n-sparse", type=int, default=500, help="0: no scan")
    options.add_argument("--scan", type=json.loads, default=SCAN)
    options.add_argument("--tune-options", type=json.loads, default={}, help="[tune]")
    options.add_argument("--terms", type=json.loads, help="other terms altogether")
    options.add_argument("--preset", choices=PRESETS, help="terms of `gapfit init`")
    options.add_argument(
        "--tune-n-sparse", type=int, default=0, help="points to choose sigmas with"
    )
    options.add_argument("--no-stress", action="store_true")
    return options


def found(folder: Path, part: str) -> str:
    """Return the file of a part, compressed or not."""
    return str(next(iter(sorted(folder.glob(f"{part}.extxyz*")))))


def settings(args: argparse.Namespace, train: Dataset) -> dict[str, Any]:
    """Return the configuration before tuning."""
    frames = train.frames
    warnings = label_warnings(frames, resolve_e0(frames, LEAST_SQUARES).e0)
    doubts = [text for text in warnings if "stress" in text]
    for text in doubts:
        print(f"stress left out: {text}")
    return {
        "data": {
            "train": ["in memory"],
            "check_labels": False,
            "use_stress": not doubts and not args.no_stress,
        },
        "e0": {"method": "least_squares"},
        "terms": args.terms or terms(args),
        "run": {"threads": 1},
        "tune": args.tune_options,
    }


def terms(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the terms: those of a preset, or SOAP and pairs."""
    if args.preset:
        return preset_tables(args.preset, args.r_cut, args.n_sparse - 20, 1)
    soap = {
        "r_cut": args.r_cut,
        "atom_sigma": args.atom_sigma,
        "n_max": args.n_max,
        "l_max": args.l_max,
        "n_sparse": args.n_sparse - 20,
    }
    return [{"type": "distance_2b", "r_cut": min(args.r_cut, 5.0)}, soap]


def scanned(args: argparse.Namespace, train: Dataset, start: dict[str, Any]) -> None:
    """Put the best values of a scan with few sparse points into the configuration."""
    options = {**args.tune_options, "scan": args.scan}
    few = with_points(start, args.scan_n_sparse) | {"tune": options}
    result = tune(train, few)
    print(format_trials(result.summary()))
    config = with_settings(config_from_dict(start), result.best.settings)
    start["terms"] = tables(config.terms)


def measure(folder: Path, args: argparse.Namespace) -> tuple[list[Row], Row]:
    """Return the errors and the times of one element."""
    element = folder.name.rpartition("_")[2]
    train_file, test_file = (found(folder, part) for part in ("train", "test"))
    everything = DataConfig(train=[train_file], check_labels=False)
    start = settings(args, read(train_file, everything))
    labels = DataConfig(**start["data"])
    train, test = read(train_file, labels), read(test_file, everything)
    started = time.process_time()
    if args.scan_n_sparse:
        scanned(args, train, start)
    result, config = tuned(train, start, args.tune_n_sparse)
    chosen = time.process_time()
    model = gapfit.fit(train, config)
    fitted = time.process_time()
    left_out = gapfit.leave_one_out(model, train, uncertainty=False)
    errors = gapfit.evaluate(model, test)
    print(format_trials(result.summary()))
    print(f"{model}, sigmas: {config.sigma.model_dump()}")
    print(format_table(errors, "test"))
    print(format_table(left_out, "left out in turn"), flush=True)
    rows = [
        {
            "element": element,
            "kind": kind,
            "test": errors["all"][kind]["mae"],
            "left_out": left_out["all"][kind]["mae"],
            "published": goal,
        }
        for kind, goal in zip(("energy", "forces"), PUBLISHED[element], strict=True)
    ]
    return rows, {"element": element, "tune": chosen - started, "fit": fitted - chosen}


def run(args: argparse.Namespace) -> Report:
    report = Report("mlearn", vars(args))
    report.header("tuned on the training data, one thread; MAE in meV/atom and eV/Å")
    errors: list[Row] = []
    times: list[Row] = []
    with threads(1):
        for folder in args.folders:
            rows, seconds = measure(folder, args)
            errors += rows
            times.append(seconds)
    report.table("Errors", ERRORS, errors)
    report.table("Times", TIMES, times)
    return report


if __name__ == "__main__":
    script(arguments(), run)
