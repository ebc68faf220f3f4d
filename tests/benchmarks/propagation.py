"""Error bars of averages by reweighting, against real dynamics of the samples.

Usage: python tests/benchmarks/propagation.py [--steps N] [--samples N] [--json FILE]
A small model of silicon is fitted with few sparse points, so that its samples differ. Its
own dynamics are reweighted to the samples, by direct weights and by the cumulant expansion,
and each sample is run as well: mean energy, heat capacity and radial distribution must
agree within their statistical errors. Then the price: the energies of all samples along the
trajectory, over those of one, and over energies and forces. The tables of
docs/how-to/propagate.md come from here.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from _common import Column, Label, Report, Row, Time, medians, parser, script, threads
from ase import Atoms, units

import gapfit
from gapfit.propagation import (
    Reweighting,
    radial_distribution,
    reweight,
    sample_energies,
)
from gapfit.propagation.correlation import standard_error
from gapfit.propagation.reweighting import plain, variance

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from helpers.silicon_dynamics import silicon_dynamics  # noqa: E402

EXAMPLE = ROOT / "examples" / "silicon" / "fit.toml"
TRAIN = ROOT / "data" / "silicon" / "train.extxyz"
GROUPS = (
    *("bulk_rattled", "bulk_eos", "liquid", "amorphous", "vacancy"),
    *("isolated_atom", "interstitial"),
)
NAMES = ("energy", "heat capacity", "rdf")
METHODS = ("direct", "cumulant")
REACH = 6.0


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__, repeats=5)
    options.add_argument("--samples", type=int, default=8)
    options.add_argument("--steps", type=int, default=100_000)
    options.add_argument("--n-sparse", type=int, default=80)
    options.add_argument("--temperature", type=float, default=600.0)
    options.add_argument("--scale", type=float, default=10.0)
    return options


def small_model(n_sparse: int) -> gapfit.GAPModel:
    frames = [
        atoms
        for atoms in ase.io.read(TRAIN, ":")
        if atoms.info["config_type"] in GROUPS
    ]
    soap = {"type": "soap", "r_cut": 4.5, "n_max": 6, "l_max": 4}
    pairs = {"type": "distance_2b", "r_cut": 4.5, "n_sparse": 15}
    settings = {
        "terms": [{**soap, "n_sparse": n_sparse}, pairs],
        "sigma": {"energy": 0.003, "forces": 0.1, "virial": 0.1},
        "data": {"train": ["in memory"], "check_labels": False},
    }
    return gapfit.fit(frames, settings)


def own_averages(
    model: gapfit.GAPModel, frames: list[Atoms], temperature: float
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return averages of a potential along its own trajectory, with standard errors."""
    energies = np.array(
        [found.energy for found in model.predict(frames, forces=False, stress=False)]
    )[:, None]
    rdf = radial_distribution(REACH).function
    counts = np.stack([rdf(atoms) for atoms in frames])
    n_atoms = len(frames[0])
    beta = 1 / (units.kB * temperature)
    nothing = np.zeros(len(frames))
    estimates = (
        plain(energies / n_atoms, nothing),
        variance(plain, beta * energies / np.sqrt(n_atoms), nothing),
        plain(counts, nothing),
    )
    found = {
        name: (e.value, standard_error(e.influence))
        for name, e in zip(NAMES, estimates, strict=True)
    }
    value, error = found["heat capacity"]
    return found | {"heat capacity": (value + 1.5, error)}


def compare(
    predicted: dict[str, Reweighting],
    real: list[dict[str, tuple[np.ndarray, np.ndarray]]],
) -> tuple[list[Row], list[Row]]:
    """Return the energies of the samples, and how well each average agrees."""
    energies, summary = [], []
    for k, run in enumerate(real):
        value, error = run["energy"]
        row: Row = {
            "sample": str(k),
            "md": float(value[0]),
            "md_error": float(error[0]),
        }
        for method, found in predicted.items():
            row[method] = float(found["energy"].samples[k, 0])
        energies.append(row)
    for name in NAMES:
        md = np.stack([run[name][0] for run in real])
        md_error = np.stack([run[name][1] for run in real])
        mean = next(iter(predicted.values()))[name]
        row = {
            "average": name,
            "unit": mean.unit,
            "md_std": _rms(md.std(axis=0, ddof=1)),
        }
        for method, found in predicted.items():
            average = found[name]
            error = np.sqrt(md_error**2 + average.statistical_std**2 + average.noise**2)
            filled = np.abs(mean.value) > 0.02 * np.abs(mean.value).max()
            pulls = ((md - average.samples) / np.where(error > 0, error, 1.0))[
                :, filled
            ]
            low, high = average.interval()
            row |= {
                f"{method}_std": _rms(average.model_std),
                f"{method}_pull": _rms(pulls),
                f"{method}_within": float(
                    np.mean(((low <= md) & (md <= high))[:, filled])
                ),
            }
        row["statistical"] = _rms(mean.statistical_std)
        summary.append(row)
    return energies, summary


def _rms(values: Any) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def price(
    name: str, model: gapfit.GAPModel, frames: list[Atoms], repeats: int
) -> list[Row]:
    """Return times of a trajectory, and their ratios to energies and forces of the fit."""
    few, many = model.sample(32), model.sample(128)
    calls = {
        "32 samples and the mean": lambda: sample_energies(few, frames, n_threads=1),
        "128 samples and the mean": lambda: sample_energies(many, frames, n_threads=1),
        "one sample": lambda: few[0].predict(
            frames, forces=False, stress=False, n_threads=1
        ),
        "energies and forces of one sample": lambda: few[0].predict(
            frames, n_threads=1
        ),
        "energies and forces of the fit": lambda: model.predict(frames, n_threads=1),
    }
    with threads(1):
        seconds = medians(calls, repeats)
    n_atoms = sum(map(len, frames))
    least = seconds["energies and forces of the fit"]
    return [
        {
            "model": name,
            "call": call,
            "us": 1e6 * value / n_atoms,
            "ratio": value / least,
        }
        for call, value in seconds.items()
    ]


def run(args: argparse.Namespace) -> Report:
    report = Report("propagation", vars(args))
    report.header("averages of samples by reweighting, and by their own dynamics")
    model = small_model(args.n_sparse)
    samples = model.sample(args.samples, scale=args.scale)
    T = args.temperature
    frames = silicon_dynamics(model, 1, args.steps, T)
    found = {
        method: reweight(
            model, frames, temperature=T, samples=samples, rdf=REACH, method=method
        )
        for method in METHODS
    }
    for name, value in found["direct"].facts():
        print(f"  {name:<20} {value}")
    for method, result in found.items():
        print(f"\n{method}\n{result.table()}")
    runs = []
    for k, sample in enumerate(samples):
        own = silicon_dynamics(sample, 2 + k, args.steps, T)
        runs.append(own_averages(sample, own, T))
    energies, summary = compare(found, runs)
    report.table(
        "Mean energy of samples, eV/atom",
        [
            Label("sample", "sample"),
            Column("md", "own dynamics", ".5f"),
            Column("md_error", "±", ".5f"),
            Column("direct", "direct", ".5f"),
            Column("cumulant", "cumulant", ".5f"),
        ],
        energies,
    )
    report.table(
        "Spread of samples and agreement (pull: rms of difference over error)",
        [
            Label("average", "average"),
            Label("unit", "unit"),
            Column("md_std", "std, dynamics", ".4g"),
            Column("direct_std", "direct", ".4g"),
            Column("cumulant_std", "cumulant", ".4g"),
            Column("statistical", "statistical", ".2g"),
            Column("direct_pull", "pull direct", ".2f"),
            Column("cumulant_pull", "pull cumulant", ".2f"),
            Column("direct_within", "within direct", ".2f"),
            Column("cumulant_within", "within cumulant", ".2f"),
        ],
        summary,
    )
    report.table(
        "Price on one thread",
        [
            Label("model", "model"),
            Label("call", "energies of"),
            Time("us", "µs/atom"),
            Column("ratio", "ratio", ".2f"),
        ],
        price("this one", model, frames[:32], args.repeats)
        + price("example", gapfit.fit(config=EXAMPLE), frames[:32], args.repeats),
    )
    return report


if __name__ == "__main__":
    script(arguments(), run)
