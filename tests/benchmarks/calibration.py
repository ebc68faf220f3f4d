"""Whether error bars hold on test sets that neither fit nor calibration has seen.

Usage: python tests/benchmarks/calibration.py [NAME|FOLDER ...] [--n-sparse 600]
       [--rows 10000] [--json FILE]
NAME is one of the examples (silicon, carbon, tungsten, ...), fitted with its fit.toml; a
FOLDER holds train.extxyz or train.extxyz.gz and test.extxyz, fitted with SOAP and pairs
at default sigmas. Calibrated by leave-one-out on the training data only. Of forces and
energies of each test set, and of all together: share inside ±1 and ±1.96 std, with one
scale and with that of each config_type, root mean square of error / std, miscalibration
area, rank correlation (forces: by atom), share inside conformal intervals of 68 and 95 %,
and the shares of single config_types. Last, of force components in groups of geometry,
with one scale: config_types and six clusters of environments, those with 300 components.
Their share inside ±1 std has a noise, as they come from few structures: the standard
deviation over draws of as many of these structures. The last row says how many groups
would be within 5 points with exact bars, which that noise alone moves.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from _common import Column, Label, Report, Row, parser, script, threads
from _groups import geometry_groups
from scipy.stats import norm

import gapfit
from gapfit._support.progress import silent
from gapfit.baseline.baseline import targets
from gapfit.config.sections import DataConfig
from gapfit.config.toml import load_config
from gapfit.data.dataset import read
from gapfit.data.frame import Frame
from gapfit.data.observations import Quantity
from gapfit.evaluation.residuals import Residuals, predicted_residuals
from gapfit.evaluation.scores import ScoreTally

_EXAMPLES = Path(__file__).parents[2] / "examples"
# Fewer observations say nothing about a config_type.
_LEAST = {"energy": 8, "forces": 60}

SETS = (
    Label("set", "test set"),
    Label("kind", "kind"),
    Column("n", "n", "d"),
    Column("coverage_68", "68 %", ".0%"),
    Column("coverage_95", "95 %", ".0%"),
    Column("rms_z", "rms z", ".2f"),
    Column("miscalibration_area", "area", ".3f"),
    Column("rank", "rank", ".2f"),
    Column("typed_68", "by type 68", ".0%"),
    Column("typed_95", "95", ".0%"),
    Column("typed_rms_z", "rms z", ".2f"),
    Column("typed_area", "area", ".3f"),
    Column("interval_68", "conf. 68", ".0%"),
    Column("interval_95", "95", ".0%"),
)
TYPES = (
    Label("set", "test set"),
    Label("kind", "kind"),
    Label("config_type", "config_type"),
    Column("n", "n", "d"),
    Column("coverage_68", "68 %", ".0%"),
    Column("coverage_95", "95 %", ".0%"),
)
GROUPS = (
    Label("set", "test set"),
    Label("group", "group"),
    Column("n", "components", "d"),
    Column("coverage_68", "68 %", ".0%"),
    Column("noise_68", "noise", ".1%"),
    Column("coverage_95", "95 %", ".0%"),
    Column("interval_68", "conf. 68", ".0%"),
    Column("interval_95", "95", ".0%"),
)
_LEVELS = {"68": 0.683, "95": 0.95}
_LEAST_COMPONENTS, _LEAST_STRUCTURES, _NEAR, _DRAWS = 300, 3, 0.05, 2000
_SHARES = [column.key for column in SETS if column.form == ".0%"]


def fitted(name: str, n_sparse: int, rows: int) -> tuple[gapfit.GAPModel, Any]:
    """Return a model and its test data."""
    folder = Path(name)
    if (_EXAMPLES / name / "fit.toml").exists():
        base = _EXAMPLES / name
        config = load_config(base / "fit.toml")
        calibration = config.calibration.model_copy(update={"rows": rows})
        config = config.model_copy(update={"calibration": calibration})
        test = read(config.data.test, config.data, base=base)
        return gapfit.fit(config=config, base=base), test
    train = next(folder.glob("train.extxyz*"))
    settings = {
        "data": {"train": str(train), "check_labels": False},
        "e0": {"method": "least_squares"},
        "sigma": {"energy": 0.003, "forces": 0.1, "virial": 0.1},
        "calibration": {"rows": rows},
        "terms": [{"type": "distance_2b"}, {"r_cut": 5.5, "n_sparse": n_sparse}],
    }
    test = read(str(folder / "test.extxyz"), DataConfig(train=["x"]))
    return gapfit.fit(config=settings), test


def residuals(
    model: gapfit.GAPModel, test: Any
) -> tuple[list[Frame], list[list[Residuals]]]:
    """Return the structures of the test data and the residuals of each."""
    frames = targets(test.frames, model.baseline, model.config.sigma, silent)
    return frames, [list(predicted_residuals(model, frame)) for frame in frames]


def by_geometry(
    name: str,
    model: gapfit.GAPModel,
    frames: list[Frame],
    found: list[list[Residuals]],
) -> list[Row]:
    """Return coverages of force components in groups of geometry."""
    tally, labels = ScoreTally(model.calibration), geometry_groups(model, frames)
    parts, first = [], 0
    for frame, own in zip(frames, found, strict=True):
        of_atoms = np.repeat(labels[first : first + frame.n_atoms], 3)
        first += frame.n_atoms
        for part in own:
            if part.quantity is Quantity.FORCES and len(part.error) == len(of_atoms):
                kept = part.informative
                z = np.abs(part.error / tally.std(part))[kept]
                types = np.repeat(frame.config_type, len(z))
                number = np.full(len(z), len(parts))
                parts.append((z, number, of_atoms[kept].astype(str), types))
    forces = tally.calibration.kinds[Quantity.FORCES]
    quantiles = {name: forces.quantile(float(name) / 100) for name in _LEVELS}
    z, structures, clusters, types = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    rows = []
    for kind, names in (("cluster", clusters), ("type", types)):
        for group in np.unique(names):
            own_z = z[names == group]
            if len(own_z) >= _LEAST_COMPONENTS and group:
                row: Row = {
                    "set": name,
                    "group": f"{kind} {group}",
                    "n": len(own_z),
                    "coverage_68": float(np.mean(own_z <= 1)),
                    "noise_68": noise(own_z <= 1, structures[names == group]),
                    "coverage_95": float(np.mean(own_z <= 1.96)),
                }
                for level, most in quantiles.items():
                    inside = None if most is None else float(np.mean(own_z <= most))
                    row[f"interval_{level}"] = inside
                rows.append(row)
    return rows


def noise(inside: np.ndarray, structures: np.ndarray) -> float | None:
    """Return the standard deviation of a share over draws of structures.

    None from fewer than three structures.
    """
    _, numbers, counts = np.unique(structures, return_inverse=True, return_counts=True)
    if len(counts) < _LEAST_STRUCTURES:
        return None
    sums = np.bincount(numbers, inside)
    drawn = np.random.default_rng(0).integers(0, len(counts), (_DRAWS, len(counts)))
    return float((sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)).std())


def near(rows: list[Row]) -> Row:
    """Return the shares of groups that are within 5 points of 68.3 and 95 %."""
    out: Row = {"set": "within 5 points", "group": f"{len(rows)} groups"}
    for name, level in _LEVELS.items():
        for key in (f"coverage_{name}", f"interval_{name}"):
            shares = [row[key] for row in rows if row[key] is not None]
            out[key] = float(np.mean([abs(x - level) <= _NEAR for x in shares]))
    return out | {"n": sum(row["n"] for row in rows)}


def of_exact_bars(rows: list[Row]) -> Row:
    """Return the share of groups within 5 points of 68 % if noise alone moved them."""
    deviations = np.array([row["noise_68"] for row in rows if row["noise_68"]])
    out: Row = {"set": "exact bars", "group": f"{len(deviations)} groups"}
    if len(deviations):
        near_68 = 2 * norm.cdf(_NEAR / deviations) - 1
        out["coverage_68"] = float(near_68.mean())
    return out


def row(name: str, kind: str, scores: dict[str, Any]) -> Row:
    """Return the row of one test set and kind."""
    typed = scores["by_type"]
    return {
        "set": name,
        "kind": kind,
        "n": scores["n"],
        "coverage_68": scores["coverage_68"],
        "coverage_95": scores["coverage_95"],
        "rms_z": scores["rms_z"],
        "miscalibration_area": scores["miscalibration_area"],
        "rank": scores.get("rank_atoms") or scores["rank"],
        "typed_68": typed["coverage_68"],
        "typed_95": typed["coverage_95"],
        "typed_rms_z": typed["rms_z"],
        "typed_area": typed["miscalibration_area"],
        "interval_68": scores.get("interval_68"),
        "interval_95": scores.get("interval_95"),
    }


def by_type(name: str, kind: str, scores: dict[str, Any]) -> list[Row]:
    """Return coverages of the config_types with enough observations, by their scale."""
    rows = []
    for group, found in sorted(scores.items()):
        if group != "all" and kind in found and found[kind]["n"] >= _LEAST[kind]:
            shares = found[kind]["by_type"]
            rows.append(
                {
                    "set": name,
                    "kind": kind,
                    "config_type": group,
                    "n": found[kind]["n"],
                    "coverage_68": shares["coverage_68"],
                    "coverage_95": shares["coverage_95"],
                }
            )
    return rows


def together(rows: list[Row], kind: str) -> Row:
    """Return the shares of all observations of one kind."""
    mine = [row for row in rows if row["kind"] == kind]
    total = sum(row["n"] for row in mine)
    out: Row = {"set": "together", "kind": kind, "n": total}
    for key in _SHARES:
        if all(row[key] is not None for row in mine):
            out[key] = sum(row["n"] * row[key] for row in mine) / total
    return out


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__)
    options.add_argument("names", nargs="*", default=["silicon", "carbon", "tungsten"])
    options.add_argument("--n-sparse", type=int, default=600)
    options.add_argument("--rows", type=int, default=10_000)
    return options


def run(args: argparse.Namespace) -> Report:
    names = [Path(name).name for name in args.names]
    report = Report("calibration", vars(args) | {"names": names})
    report.header("error bars on test sets")
    sets: list[Row] = []
    types: list[Row] = []
    groups: list[Row] = []
    for name, label in zip(args.names, names, strict=True):
        with threads(1):
            model, test = fitted(name, args.n_sparse, args.rows)
            tally = ScoreTally(model.calibration)
            frames, found = residuals(model, test)
            for part in (own for parts in found for own in parts):
                tally.add(part)
            groups += by_geometry(label, model, frames, found)
        scores = tally.scores()
        for kind in ("forces", "energy"):
            if kind in scores["all"]:
                sets.append(row(label, kind, scores["all"][kind]))
                types += by_type(label, kind, scores)
    sets += [together(sets, kind) for kind in sorted({row["kind"] for row in sets})]
    report.table("Test sets", SETS, sets)
    report.table("config_types, each with its own scale", TYPES, types)
    if groups:
        report.table(
            "Geometry, one scale",
            GROUPS,
            [*groups, near(groups), of_exact_bars(groups)],
        )
    return report


if __name__ == "__main__":
    script(arguments(), run)
