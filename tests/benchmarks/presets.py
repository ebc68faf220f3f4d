"""Errors and cost of the presets of `gapfit init`, each structure left out in turn.

Usage: python tests/benchmarks/presets.py TRAIN TEST [--r-cut 5.5] [--n-sparse 1000]
           [--sigma-energy 0.006] [--sigma-forces 0.0912] [--repeats N] [--json FILE]
One element. Cutoff, deltas and sigmas are the same for all; costs of a prediction are
ratios to that of the default, measured in turns. "zeta 2" is SOAP with zeta = 2, 32
components and 500 sparse points, with pairs and the cluster expansion of "accurate";
"shared" is "accurate" with the radial functions of the cluster expansion in SOAP, too;
"products" is SOAP with all products of 64 components, and pairs.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from time import process_time

from _common import Column, Label, Report, Row, medians, parser, script, threads

import gapfit
from gapfit.config.sections import TermConfig
from gapfit.config.toml import config_from_dict
from gapfit.data.dataset import Dataset, read
from gapfit.fitting.presets import PRESETS, preset_terms

COLUMNS = (
    Label("preset", "preset"),
    Column("fit", "fit, CPU s", ".0f"),
    Column("energy", "left out meV/atom", ".2f"),
    Column("forces", "left out eV/Å", ".4f"),
    Column("test_energy", "test meV/atom", ".2f"),
    Column("test_forces", "test eV/Å", ".4f"),
    Column("cost", "cost", ".2f"),
)


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__, repeats=7)
    options.add_argument("train", type=Path)
    options.add_argument("test", type=Path)
    options.add_argument("--r-cut", type=float, default=5.5)
    options.add_argument("--n-sparse", type=int, default=1000)
    options.add_argument("--sigma-energy", type=float, default=0.006)
    options.add_argument("--sigma-forces", type=float, default=0.0912)
    return options


def terms_of(args: argparse.Namespace) -> dict[str, list[TermConfig]]:
    """Return the terms of all presets, of zeta = 2, and of products alone."""
    terms: dict[str, list[TermConfig]] = {
        preset: preset_terms(preset, args.r_cut, args.n_sparse, 1) for preset in PRESETS
    }
    soap, *others = terms["accurate"]
    quadratic = {"zeta": 2.0, "components": 32, "n_sparse": 500}
    terms["shared"] = [soap.model_copy(update={"rbf": "bessel"}), *others]
    terms["zeta 2"] = [soap.model_copy(update=quadratic), *others]
    products = {"zeta": 2.0, "components": 64, "n_sparse": 64 * 65 // 2}
    terms["products"] = [soap.model_copy(update=products), others[0]]
    return terms


def fitted(
    terms: list[TermConfig], train: Dataset, args: argparse.Namespace
) -> gapfit.GAPModel:
    settings = {
        "data": {"train": ["in memory"], "check_labels": False, "use_stress": False},
        "e0": {"method": "least_squares"},
        "sigma": {"energy": args.sigma_energy, "forces": args.sigma_forces},
        "terms": terms,
        "calibration": {"method": "none"},
        "run": {"threads": 1},
    }
    return gapfit.fit(train, settings)


def errors(model: gapfit.GAPModel, train: Dataset, test: Dataset) -> Row:
    left_out = gapfit.leave_one_out(model, train, uncertainty=False)["all"]
    tested = gapfit.evaluate(model, test)["all"]
    return {
        "energy": left_out["energy"]["mae"],
        "forces": left_out["forces"]["mae"],
        "test_energy": tested["energy"]["mae"],
        "test_forces": tested["forces"]["mae"],
    }


def run(args: argparse.Namespace) -> Report:
    report = Report("presets", vars(args))
    report.header(f"{args.train}, MAE; cost relative to the default")
    labels = config_from_dict(
        {"data": {"train": ["in memory"], "use_stress": False}, "terms": [{}]}
    ).data
    train, test = read(str(args.train), labels), read(str(args.test), labels)
    with threads(1):
        models, rows = {}, {}
        for name, terms in terms_of(args).items():
            started = process_time()
            models[name] = fitted(terms, train, args)
            seconds = process_time() - started
            rows[name] = {"fit": seconds, **errors(models[name], train, test)}
        largest = max(train.frames, key=lambda frame: frame.n_atoms)
        calls = {
            name: partial(model.predict, largest) for name, model in models.items()
        }
        costs = medians(calls, args.repeats)
    table = [
        {"preset": name, **row, "cost": costs[name] / costs["default"]}
        for name, row in rows.items()
    ]
    report.table("Presets", COLUMNS, table)
    return report


if __name__ == "__main__":
    script(arguments(), run)
