"""CPU time of a whole fit: silicon as in examples/silicon, with fewer sparse points.

Usage: python tests/benchmarks/fit.py [--n-sparse 200] [--repeats 3] [--json FILE]
One thread; from the files in data/silicon to the finished model, calibration included.
Medians of the repeats, after one fit with few sparse points that does not count.
"""

from __future__ import annotations

import argparse

import numpy as np
from _common import Column, Label, Report, Time, parser, script, threads
from _fits import EXAMPLES, TimedFit, example, timed_fit

COLUMNS = (
    Label("n_sparse", "sparse points"),
    Time("cpu", "CPU s", ".2f"),
    Column("fastest", "fastest", ".2f"),
    Column("slowest", "slowest", ".2f"),
)
# Short stages are too noisy to be judged.
STAGES = (Label("stage", "stage"), Column("cpu", "CPU s", ".2f"))
_WARM_UP = 20


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__, repeats=3)
    options.add_argument("--n-sparse", type=int, default=200)
    return options


def fitted(n_sparse: int) -> TimedFit:
    return timed_fit(None, example("silicon", n_sparse), base=EXAMPLES / "silicon")


def stages(fits: list[TimedFit]) -> list[dict[str, object]]:
    """Return the median of each stage, and of the time between them."""
    parts = [
        {**fit.stages, "the rest": fit.cpu - sum(fit.stages.values())} for fit in fits
    ]
    return [
        {"stage": stage, "cpu": float(np.median([part[stage] for part in parts]))}
        for stage in parts[0]
    ]


def run(args: argparse.Namespace) -> Report:
    report = Report("fit", vars(args))
    report.header(f"CPU time on one thread, medians of {args.repeats} fits")
    with threads(1):
        fitted(_WARM_UP)
        fits = [fitted(args.n_sparse) for _ in range(args.repeats)]
    seconds = [fit.cpu for fit in fits]
    row = {
        "n_sparse": fits[0].model.n_sparse,
        "cpu": float(np.median(seconds)),
        "fastest": min(seconds),
        "slowest": max(seconds),
    }
    report.table("Whole fit", COLUMNS, [row])
    report.table("Stages of the fit", STAGES, stages(fits))
    return report


if __name__ == "__main__":
    script(arguments(), run)
