"""Holes of fitted potentials by the ratio of delta to sigma.forces, in hot dynamics.

Usage: python tests/benchmarks/holes.py TRAIN TEST [--deltas 3 10 ...] [--steps 2500]
           [--n-sparse 500] [--json FILE]
Indium phosphide with the settings of `gapfit init`, solved by QR. The sigmas are those of
the table in docs/how-to/tune.md, a fit for each delta. 64 atoms are heated from 300 to
3000 K (Langevin, 2 fs); it ends 3 eV/atom below the crystal.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from _common import Column, Label, Report, Row, parser, script, threads
from _dynamics import thermostat
from ase.build import bulk

import gapfit
from gapfit.evaluation.evaluate import evaluate

COLUMNS = (
    Label("delta", "delta eV"),
    Label("sigmas", "sigma E/F/V"),
    Label("ratio", "ratio 1/Å"),
    Column("energy", "MAE meV/atom", ".3f"),
    Column("forces", "MAE eV/Å", ".4f"),
    Column("lowest", "lowest eV/atom", ".2f"),
)
#: Deltas of both terms, eV, and sigmas of energy, forces and virial.
_CASES = (
    (3.0, (0.002, 0.05, 0.05)),
    (1.0, (0.0005, 0.0136, 0.026)),
    (1.41, (0.0005, 0.0188, 0.0506)),
    (3.0, (0.001, 0.03, 0.03)),
    (10.0, (0.002, 0.05, 0.05)),
    (3.0, (0.0005, 0.0136, 0.026)),
    (10.0, (0.001, 0.03, 0.03)),
    (30.0, (0.002, 0.05, 0.05)),
)
_COLD, _HOT, _END = 300.0, 3000.0, -3.0
_STEP = 2.0


def fitted(args: argparse.Namespace) -> gapfit.GAPModel:
    """Return the fit with the proposed settings, with its sums."""
    config = gapfit.propose([args.train]).config
    soap = config.terms[0].model_copy(update={"n_sparse": args.n_sparse})
    changed = {
        "terms": [soap, *config.terms[1:]],
        "solver": config.solver.model_copy(update={"method": "qr"}),
        "prediction": config.prediction.model_copy(update={"project": False}),
        "calibration": config.calibration.model_copy(update={"method": "none"}),
    }
    return gapfit.fit(None, config.model_copy(update=changed))


def lowest(model: gapfit.GAPModel, steps: int) -> float:
    """Return the lowest energy on the way, above that of the crystal, eV/atom."""
    atoms = bulk("InP", "zincblende", a=5.83, cubic=True) * (2, 2, 2)
    atoms.calc = gapfit.GAPCalculator(model, uncertainty=False)
    crystal = found = atoms.get_potential_energy() / len(atoms)
    dynamics = thermostat(atoms, _STEP, _COLD, np.random.default_rng(1))
    for step in range(steps):
        heated = min(1.0, step / (0.8 * steps))
        dynamics.set_temperature(temperature_K=_COLD + heated * (_HOT - _COLD))
        dynamics.run(1)
        found = min(found, atoms.get_potential_energy() / len(atoms))
        if found - crystal < _END:
            break
    return float(found - crystal)


def measure(first: gapfit.GAPModel, case: tuple, args: argparse.Namespace) -> Row:
    """Return the row of one delta.

    The potential depends on ratios of sigmas to deltas alone, so the fit is that of the
    first delta with other sigmas.
    """
    delta, sigmas = case
    factor = first.config.terms[0].delta / delta
    names = ("energy", "forces", "virial")
    sigma = {name: factor * s for name, s in zip(names, sigmas, strict=True)}
    model = gapfit.refit(first, sigma=sigma)
    errors = evaluate(model, args.test, uncertainty=False)["all"]
    return {
        "delta": f"{delta:g}",
        "sigmas": "/".join(f"{s:g}" for s in sigmas),
        "ratio": f"{delta / sigmas[1]:.0f}",
        "energy": errors["energy"]["mae"],
        "forces": errors["forces"]["mae"],
        "lowest": lowest(model, args.steps),
    }


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__)
    options.add_argument("train", type=Path)
    options.add_argument("test", type=Path)
    options.add_argument("--deltas", type=float, nargs="+", help="only these, eV")
    options.add_argument("--steps", type=int, default=2500)
    options.add_argument("--n-sparse", type=int, default=500)
    return options


def run(args: argparse.Namespace) -> Report:
    report = Report("holes", vars(args))
    report.header(f"{args.train.name}, {args.n_sparse} SOAP points for each species")
    with threads(1):
        first = fitted(args)
        cases = [c for c in _CASES if not args.deltas or c[0] in args.deltas]
        rows = [measure(first, case, args) for case in cases]
    report.table("Heated from 300 to 3000 K", COLUMNS, rows)
    return report


if __name__ == "__main__":
    script(arguments(), run)
