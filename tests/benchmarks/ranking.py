"""Which standard deviation ranks errors best, and which sees what was never fitted.

Usage: python tests/benchmarks/ranking.py rank [NAME|FOLDER ...] [--n-sparse 600]
       python tests/benchmarks/ranking.py outside [FOLDER]
       (--json FILE stands before rank or outside)
`rank`: Spearman correlation of errors of test sets (as in calibration.py) with the
standard deviations of the subset of regressors (SoR) and of the deterministic training
conditional (DTC): force by atom, energy per atom; and of the length of force errors with
the DTC of local energies and with the novelty of atoms.
`outside`: fits crystals of silicon only (data/silicon, and silicon_md_pbe, mlearn_Si and
silicon_gap18 in FOLDER where there is one); share of liquid atoms, and of surface atoms
with fewer than four neighbours, above the 99th percentile of crystal atoms not fitted.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from _common import Column, Label, Report, Row, parser, script, threads
from ase.neighborlist import neighbor_list
from calibration import fitted

import gapfit
from gapfit.gp.reliability import rank_correlation

_DATA = Path(__file__).parents[2] / "data"
_BOND = 2.85
#: config_types of crystals in the shipped set, and in sets that are not shipped.
SHIPPED = ("bulk_eos", "bulk_rattled")
SETS = {
    "silicon_md_pbe": ("md_1500K", "volume"),
    "mlearn_Si": ("Elastic",),
    "silicon_gap18": ("dia",),
}

#: Arguments of the prediction for an atom, by the title of its column.
ATOMS: dict[str, dict[str, Any]] = {
    "force SoR": {"std": "forces", "form": "sor"},
    "force DTC": {"std": "forces", "form": "dtc"},
    "local energy DTC": {"std": "energies"},
    "novelty": {"novelty": True},
}
#: Form of the variance of energies, by the title of its column.
ENERGIES = {"energy SoR": "sor", "energy DTC": "dtc"}
RANKS = (
    Label("set", "test set"),
    *(Column(title, title, ".2f") for title in (*ATOMS, *ENERGIES)),
)
SHARES = (
    Label("set", "set"),
    Label("atoms", "atoms"),
    *(Column(title, title, ".1%") for title in ATOMS),
)


def of_atoms(model: gapfit.GAPModel, atoms: Any, asked: dict[str, Any]) -> np.ndarray:
    """Return one number for each atom."""
    found = model.predict(atoms, calibrated=False, observation=False, **asked)
    if found.forces_std is not None:
        return np.linalg.norm(found.forces_std, axis=1)
    return found.novelty if found.energies_std is None else found.energies_std


def rank(name: str, n_sparse: int) -> Row:
    """Return the rank correlations of one test set."""
    model, test = fitted(name, n_sparse, 1)
    frames = [f for f in test.frames if f.forces is not None]
    frames = [f for f in frames if np.isfinite(f.forces).all()]
    errors = np.concatenate(
        [
            np.linalg.norm(p.forces - f.forces, axis=1)
            for f, p in zip(frames, model.predict(frames), strict=True)
        ]
    )
    row: Row = {"set": Path(name).name}
    for title, asked in ATOMS.items():
        values = np.concatenate([of_atoms(model, f, asked) for f in frames])
        row[title] = rank_correlation(errors, values)
    frames = [f for f in test.frames if f.energy is not None]
    error = np.array([(model.predict(f).energy - f.energy) / f.n_atoms for f in frames])
    for title, form in ENERGIES.items():
        std = [
            model.predict(f, std="energy", observation=False, form=form).energy_std
            / f.n_atoms
            for f in frames
        ]
        row[title] = rank_correlation(error, np.array(std))
    return row


def crystals(
    files: Sequence[Path], is_crystal: Callable[[str], bool]
) -> tuple[list[Any], list[Any], list[Any]]:
    """Return crystals to fit, crystals held out, and all other structures."""
    everything = [a for file in files for a in ase.io.read(file, ":")]
    lone = [a for a in everything if len(a) == 1 and not a.pbc.any()]
    rest = [a for a in everything if len(a) > 1 or a.pbc.any()]
    known = [a for a in rest if is_crystal(a.info["config_type"])]
    held = known[::4]
    fit = [a for n, a in enumerate(known) if n % 4]
    other = [a for a in rest if not is_crystal(a.info["config_type"])]
    return [*lone, *fit], held, other


def outside(where: Path, types: Sequence[str]) -> list[Row]:
    """Return which share of liquid and of surface atoms is seen to be new."""
    files = [where / "train.extxyz", where / "test.extxyz"]
    fit, held, other = crystals(files, lambda kind: kind in types)
    model = gapfit.fit(fit, _settings())
    kinds = [atoms.info["config_type"] for atoms in other]
    groups = {
        "liquid": [a for a, k in zip(other, kinds, strict=True) if k in _LIQUIDS],
        "surface": [
            a for a, k in zip(other, kinds, strict=True) if k.lower() == "surface"
        ],
    }
    rows: list[Row] = [{"set": where.name, "atoms": group} for group in groups]
    for title, asked in ATOMS.items():
        limit = np.quantile(
            np.concatenate([of_atoms(model, a, asked) for a in held]), 0.99
        )
        for row, (group, members) in zip(rows, groups.items(), strict=True):
            values = [of_atoms(model, a, asked) for a in members[:_MOST]]
            if group == "surface":
                values = [
                    v[_few_neighbours(a)] for v, a in zip(values, members, strict=False)
                ]
            together = np.concatenate([np.zeros(0), *values])
            if len(together):
                row[title] = float(np.mean(together > limit))
    return rows


#: Structures of a group that are looked at.
_MOST = 40
_LIQUIDS = ("liquid", "melt", "AIMD-NVT", "liq")


def _few_neighbours(atoms: Any) -> np.ndarray:
    return np.bincount(neighbor_list("i", atoms, _BOND), minlength=len(atoms)) < 4


def _settings() -> dict[str, Any]:
    return {
        "data": {"check_labels": False},
        "e0": {"method": "least_squares"},
        "sigma": {"energy": 0.003, "forces": 0.1, "virial": 0.1},
        "calibration": {"method": "none"},
        "terms": [{"type": "distance_2b"}, {"r_cut": 5.5, "n_sparse": 400}],
    }


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__)
    commands = options.add_subparsers(dest="command", required=True)
    ranks = commands.add_parser("rank")
    ranks.add_argument("names", nargs="*", default=["silicon", "carbon", "tungsten"])
    ranks.add_argument("--n-sparse", type=int, default=600)
    out = commands.add_parser("outside")
    out.add_argument("folder", nargs="?", type=Path)
    return options


def run(args: argparse.Namespace) -> Report:
    report = Report("ranking", vars(args))
    with threads(1):
        if args.command == "rank":
            report.settings["names"] = [Path(name).name for name in args.names]
            report.header("rank correlation of errors and standard deviations")
            rows = [rank(name, args.n_sparse) for name in args.names]
            report.table("Rank correlations", RANKS, rows)
        else:
            report.header("share of atoms above the 99th percentile of crystals")
            sets = {_DATA / "silicon": SHIPPED}
            if args.folder:
                sets |= {args.folder / name: types for name, types in SETS.items()}
            rows = [r for where, types in sets.items() for r in outside(where, types)]
            report.table("Atoms outside the training data", SHARES, rows)
    return report


if __name__ == "__main__":
    script(arguments(), run)
