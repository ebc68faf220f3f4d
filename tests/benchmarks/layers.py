"""Layers of black phosphorus pulled apart: a fit with and without a DFT-D3 baseline.

Usage: python tests/benchmarks/layers.py TRAIN TEST [--r-cut 5] [--n-sparse 500]
           [--functional pbe] [--json FILE]
The set holds structures with config_type black_P_exfol: a cell of two layers along its
second vector. First table: energies of all of them, from both files, over that of the
widest, by the distance of layers. Second table: mean absolute errors of those of TEST,
which were not fitted, closer and wider than layers that the terms still see.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from _common import Column, Label, Report, Row, parser, script, threads
from ase import Atoms
from ase.io import read

import gapfit

_TYPE = "black_P_exfol"
# Every so many of the structures are in the first table.
_EVERY = 6
ERRORS = (
    Label("fit", "fit"),
    Label("layers", "distance of layers"),
    Column("n", "structures", "d"),
    Column("energy", "E meV/atom", ".2f"),
    Column("forces", "F eV/Å", ".4f"),
)


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__)
    options.add_argument("train", type=Path)
    options.add_argument("test", type=Path)
    options.add_argument("--r-cut", type=float, default=5.0)
    options.add_argument("--n-sparse", type=int, default=500)
    options.add_argument("--functional", default="pbe")
    return options


def fitted(args: argparse.Namespace, dispersion: bool) -> gapfit.GAPModel:
    """Return the fit with or without the baseline."""
    soap = {"type": "soap", "r_cut": args.r_cut, "n_max": 8, "l_max": 6}
    settings = {
        "data": {"train": str(args.train), "check_labels": False},
        "e0": {"method": "least_squares"},
        "sigma": {"energy": 0.001, "forces": 0.05, "virial": 0.05},
        "terms": [
            {"type": "distance_2b", "r_cut": args.r_cut},
            soap | {"n_sparse": args.n_sparse},
        ],
    }
    if dispersion:
        settings["baseline"] = {
            "dispersion": "d3",
            "d3": {"functional": args.functional},
        }
    return gapfit.fit(config=settings)


def distance(atoms: Atoms) -> float:
    """Return the distance of layers, Å."""
    return float(atoms.cell.lengths()[1] / 2)


def labels(frames: list[Atoms]) -> np.ndarray:
    """Return the energies of the DFT, eV/atom."""
    return np.array([a.get_potential_energy() / len(a) for a in frames])


def energies(model: gapfit.GAPModel, frames: list[Atoms]) -> np.ndarray:
    """Return predicted energies, eV/atom."""
    found = model.predict(frames)
    return np.array([p.energy / len(a) for p, a in zip(found, frames, strict=True)])


def curve_columns(frames: list[Atoms]) -> tuple[Column | Label, ...]:
    """Return the columns of the first table: one for each distance."""
    own = tuple(
        Column(f"{distance(a):.2f}", f"{distance(a):.2f}", ".1f") for a in frames
    )
    return (Label("fit", "meV/atom at Å"), *own)


def curve(name: str, values: np.ndarray, frames: list[Atoms]) -> Row:
    """Return energies over that of the last structure, meV/atom."""
    over = 1000 * (values - values[-1])
    return {"fit": name} | {
        f"{distance(a):.2f}": float(e) for a, e in zip(frames, over, strict=True)
    }


def errors(
    name: str, model: gapfit.GAPModel, test: list[Atoms], r_cut: float
) -> list[Row]:
    """Return the errors of structures that were not fitted."""
    # Puckered layers are about 2 Å thick.
    widest = r_cut + 2.0
    rows: list[Row] = []
    for text, keep in ((f"to {widest:g} Å", True), ("wider", False)):
        frames = [a for a in test if (distance(a) <= widest) == keep]
        if frames:
            predicted = model.predict(frames)
            forces = [
                np.abs(p.forces - a.get_forces())
                for p, a in zip(predicted, frames, strict=True)
            ]
            off = np.abs(energies(model, frames) - labels(frames))
            row: Row = {"fit": name, "layers": text, "n": len(frames)}
            row |= {"energy": 1000 * float(off.mean())}
            rows.append(row | {"forces": float(np.concatenate(forces).mean())})
    return rows


def run(args: argparse.Namespace) -> Report:
    report = Report("layers", vars(args))
    report.header("black phosphorus pulled apart, with and without DFT-D3")
    train, test = (
        [a for a in read(file, ":") if a.info.get("config_type") == _TYPE]
        for file in (args.train, args.test)
    )
    pulled = sorted(train + test, key=distance)
    if not pulled:
        raise SystemExit(
            f"{args.train}, {args.test}: no structure has config_type {_TYPE}"
        )
    shown = [*pulled[:-1:_EVERY], pulled[-1]]
    curves, rows = [curve("DFT", labels(shown), shown)], []
    with threads(1):
        for name, dispersion in (("without", False), ("with D3", True)):
            model = fitted(args, dispersion)
            curves.append(curve(name, energies(model, shown), shown))
            rows += errors(name, model, test, args.r_cut)
    report.table("Energy over the widest", curve_columns(shown), curves)
    report.table("Errors of structures that were not fitted", ERRORS, rows)
    return report


if __name__ == "__main__":
    script(arguments(), run)
