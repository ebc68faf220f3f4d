"""The gain from virials: errors with and without them, at the tuned sigmas.

Usage: python tests/benchmarks/stress.py TRAIN TEST [--n-sparse 500] [--json FILE]
For sets whose stress labels are sound (silicon of Zuo et al., J. Phys. Chem. A 124, 731,
2020). Both fits share sigmas, deltas and sparse points; only the virials are left out of
one. Test errors of both, and their ratios.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from _common import Column, Label, Report, Row, parser, script, threads

import gapfit
from gapfit.config.sections import DataConfig
from gapfit.data.dataset import read

KINDS = ("energy", "forces", "stress")
COLUMNS = (
    Label("virials", "virials"),
    Column("energy", "E meV/atom", ".2f"),
    Column("forces", "F eV/Å", ".4f"),
    Column("stress", "stress GPa", ".3f"),
)


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__)
    options.add_argument("train", type=Path)
    options.add_argument("test", type=Path)
    options.add_argument("--r-cut", type=float, default=5.5)
    options.add_argument("--n-sparse", type=int, default=500)
    return options


def measure(args: argparse.Namespace) -> tuple[gapfit.FitConfig, list[Row]]:
    """Return the tuned settings, and the errors with and without virials."""
    start = {
        "data": {"train": str(args.train), "check_labels": False},
        "e0": {"method": "least_squares"},
        "run": {"threads": 1},
        "terms": [
            {"type": "distance_2b"},
            {"r_cut": args.r_cut, "n_sparse": args.n_sparse},
        ],
    }
    train, test = (
        read(str(file), DataConfig(train=[str(file)], check_labels=False))
        for file in (args.train, args.test)
    )
    tuned = gapfit.tune(train, start).config
    rows = []
    for name, use in (("with", True), ("without", False)):
        data = tuned.data.model_copy(update={"use_stress": use})
        frames = read(str(args.train), data)
        model = gapfit.fit(frames, tuned.model_copy(update={"data": data}))
        errors = gapfit.evaluate(model, test)["all"]
        rows.append({"virials": name} | {kind: errors[kind]["rmse"] for kind in KINDS})
    return tuned, rows


def run(args: argparse.Namespace) -> Report:
    report = Report("stress", vars(args))
    report.header(f"{args.train.parent.name}; RMSE on the test set")
    with threads(1):
        tuned, rows = measure(args)
    sigma = tuned.sigma
    print(f"sigmas {sigma.energy} / {sigma.forces} / {sigma.virial}")
    ratios = {kind: rows[0][kind] / rows[1][kind] for kind in KINDS}
    rows.append({"virials": "with / without"} | ratios)
    report.table("Virials", COLUMNS, rows)
    return report


if __name__ == "__main__":
    script(arguments(), run)
