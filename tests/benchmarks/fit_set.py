"""Fit one published set on one core: errors, CPU time by stage and peak memory.

Usage: python tests/benchmarks/fit_set.py TRAIN TEST [--r-cut 5.4] [--n-sparse 1000]
           [--json FILE] ...
Sets are not shipped; data/README.md says where some are.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from _common import Column, Label, Report, Time, parser, peak_memory, script, threads
from _fits import timed_fit

import gapfit
from gapfit.config.sections import DataConfig
from gapfit.data.dataset import read

COLUMNS = (
    Label("n_sparse", "sparse points"),
    Time("cpu", "CPU s"),
    Column("gb", "peak GB", ".2f"),
    Column("energy", "E meV/atom", ".2f"),
    Column("forces", "F eV/Å", ".4f"),
)
STAGES = (Label("stage", "stage"), Column("cpu", "CPU s"))


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__)
    options.add_argument("train", type=Path)
    options.add_argument("test", type=Path)
    options.add_argument("--r-cut", type=float, default=5.4)
    options.add_argument("--n-max", type=int, default=8)
    options.add_argument("--l-max", type=int, default=8)
    options.add_argument("--n-sparse", type=int, default=1000)
    options.add_argument("--delta", type=float, default=1.0)
    options.add_argument("--sigma-energy", type=float, default=0.01)
    options.add_argument("--sigma-forces", type=float, default=0.05)
    options.add_argument("--sparse-method", default="cur")
    options.add_argument("--components", type=int, help="directions of the descriptor")
    return options


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """Return the configuration of the fit."""
    return {
        "data": _labels(args.train).model_dump(),
        "e0": {"method": "least_squares"},
        "run": {"threads": 1},
        # Error bars are not part of what is compared.
        "calibration": {"method": "none"},
        "sigma": {"energy": args.sigma_energy, "forces": args.sigma_forces},
        "terms": [
            {
                "r_cut": args.r_cut,
                "n_max": args.n_max,
                "l_max": args.l_max,
                "n_sparse": args.n_sparse,
                "delta": args.delta,
                "sparse_method": args.sparse_method,
                "components": args.components or "all",
            }
        ],
    }


def _labels(file: Path) -> DataConfig:
    return DataConfig(train=[str(file)], use_stress=False, check_labels=False)


def run(args: argparse.Namespace) -> Report:
    report = Report("fit_set", vars(args))
    report.header(f"{args.train.parent.name}, one thread; RMSE on the test set")
    train, test = (read(str(file), _labels(file)) for file in (args.train, args.test))
    with threads(1):
        fit = timed_fit(train, settings(args))
        errors = gapfit.evaluate(fit.model, test, uncertainty=False)["all"]
    row = {
        "n_sparse": fit.model.n_sparse,
        "cpu": fit.cpu,
        "gb": peak_memory() / 1e9,
        **{kind: errors[kind]["rmse"] for kind in ("energy", "forces")},
    }
    report.table("Fit", COLUMNS, [row])
    report.table(
        "Stages", STAGES, [{"stage": name, "cpu": s} for name, s in fit.stages.items()]
    )
    print(f"\nprojections: {fit.model.record.projections}")
    return report


if __name__ == "__main__":
    script(arguments(), run)
