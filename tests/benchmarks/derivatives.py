"""Finite differences and invariances of a fitted model on structures of a file.

Usage: python tests/benchmarks/derivatives.py [MODEL [DATA]] [--every 9] [--json FILE]
Forces with two steps: the long one sees the kink in the slope of forces at the cutoff,
the short one the rounding of the energy, which grows with the sum of |coefficients|.
Without MODEL, a file, examples/silicon is fitted first; DATA is the test set of silicon
unless it is given.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from _common import Column, Label, Report, Row, parser, script, threads
from _fits import DATA, silicon_model
from ase import Atoms
from ase.io import read

import gapfit
from gapfit.testing import forces_error, invariance_errors, stress_error

COLUMNS = (
    Label("frame", "frame"),
    Label("config_type", "config_type"),
    Column("forces_long", "F 1e-3 Å", ".1e"),
    Column("forces_short", "F 2e-4 Å", ".1e"),
    Column("stress", "stress", ".1e"),
    Column("invariance", "invariance", ".1e"),
)
_MEASURED = [column.key for column in COLUMNS if column.role == "value"]


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__)
    options.add_argument("model", type=Path, nargs="?")
    options.add_argument(
        "data", type=Path, nargs="?", default=DATA / "silicon/test.extxyz"
    )
    options.add_argument("--every", type=int, default=9, help="structures left out")
    return options


def measure(model: gapfit.GAPModel, atoms: Atoms) -> Row:
    """Return the errors of one structure."""
    invariances = invariance_errors(model, atoms, np.random.default_rng(0))
    return {
        "config_type": atoms.info.get("config_type", ""),
        "forces_long": forces_error(model, atoms),
        "forces_short": forces_error(model, atoms, step=2e-4),
        "stress": stress_error(model, atoms),
        "invariance": max(invariances.values()),
    }


def run(args: argparse.Namespace) -> Report:
    model = silicon_model(args.model)
    total = sum(np.abs(c).sum() for t in model.terms for c in t.coefficients.values())
    report = Report("derivatives", vars(args) | {"model": repr(model)})
    report.header(f"{model!r}, sum of |coefficients| {total:.1e} / eV")
    with threads(1):
        rows = [
            {"frame": args.every * n} | measure(model, atoms)
            for n, atoms in enumerate(read(args.data, f"::{args.every}"))
        ]
    worst = {key: max(row[key] for row in rows) for key in _MEASURED}
    rows.append({"frame": "worst"} | worst)
    report.table("Errors of derivatives", COLUMNS, rows)
    return report


if __name__ == "__main__":
    script(arguments(), run)
