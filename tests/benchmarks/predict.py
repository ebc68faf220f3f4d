"""Time of energy, forces and stress per atom by stage, next to dgemm and to QUIP.

Usage: python tests/benchmarks/predict.py [--json FILE] [--repeats N] [--no-quippy]
CPU time of one thread. The total is a user's `GAPModel.predict` of an `ase.Atoms`,
neighbour list included; the stages are times on the wall, which only an idle machine
repeats. "dgemms" are the two bare products of the sum over sparse points in the whole
feature space, also for models that are projected or use the quadratic form. Models
have random coefficients: times do not depend on them. QUIP's include its neighbour list.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _quip
import numpy as np
from _common import (
    MICRO,
    Column,
    Label,
    Report,
    Row,
    Time,
    dgemm_pair,
    medians,
    parser,
    script,
    threads,
)
from _models import Predict, frames_with, mixture, random_model, silicon, silicon_frames
from ase import Atoms

from gapfit import GAPModel

GST = (32, 51, 52)

COLUMNS = (
    Label("case", "structure, basis"),
    Label("n_features", "F"),
    Label("n_sparse", "M"),
    Label("variant", "model"),
    Time("total", "total"),
    Time("neighbours", "nbr list"),
    Column("descriptors", "descr."),
    Column("kernel", "kernel"),
    Column("adjoint", "adjoint"),
    Column("rest", "rest"),
    Column("dgemms", "dgemms"),
    Column("over_dgemms", "total/dgemms", ".2f"),
    Column("kernel_speedup", "kernel vs plain", ".2f"),
    Column("quippy", "QUIP", ".0f"),
    Column("over_gapfit", "QUIP/total", ".1f"),
)


@dataclass(frozen=True)
class Group:
    """Models of one basis and number of sparse points, timed in turns."""

    name: str
    n_max: int
    l_max: int
    n_sparse: int
    variants: dict[str, dict[str, Any]]
    quippy: bool = False


PLAIN: dict[str, Any] = {"plain": {}}
_R80, _R250, _R300 = ({f"r = {r}": {"components": r}} for r in (80, 250, 300))
_ZETA2 = {"zeta 2 quad.": {"zeta": 2}}
SILICON = (
    Group("Si n8 l6", 8, 6, 200, PLAIN),
    Group("Si n8 l6", 8, 6, 1000, PLAIN | _R80 | _ZETA2, quippy=True),
    Group("Si n8 l6", 8, 6, 4000, PLAIN | _R80, quippy=True),
    Group("Si n8 l6", 8, 6, 9000, PLAIN | _ZETA2),
    Group("Si n12 l10", 12, 10, 1000, PLAIN | _R250, quippy=True),
    Group("Si n12 l10", 12, 10, 4000, PLAIN | _R250, quippy=True),
)
MIXTURE = Group("GeSbTe n8 l6", 8, 6, 1000, PLAIN | _R300)


def measure(
    group: Group, atoms: Atoms, frames: list[Atoms], folder: Path | None, repeats: int
) -> list[Row]:
    """Return one row for each model of a group."""
    models = {
        name: random_model(
            frames, group.n_sparse, n_max=group.n_max, l_max=group.l_max, **settings
        )
        for name, settings in group.variants.items()
    }
    predictions = {name: Predict(model, atoms) for name, model in models.items()}
    plain = models["plain"]
    calls: dict[str, Callable[[], None]] = dict(predictions)
    calls["neighbours"] = predictions["plain"].neighbour_list
    calls["dgemms"] = dgemm_pair(_shapes(plain, atoms))
    if folder and group.quippy:
        calls["quippy"] = _quip_call(group, atoms, frames, folder)
    seconds = medians(calls, repeats)
    per_atom = {name: MICRO * s / len(atoms) for name, s in seconds.items()}
    rows = [_row(group, plain, n, p, per_atom) for n, p in predictions.items()]
    for row in rows[1:]:
        row["kernel_speedup"] = rows[0]["kernel"] / row["kernel"]
    return rows


def _shapes(model: GAPModel, atoms: Atoms) -> list[tuple[int, int, int]]:
    term = model.terms[0]
    return [
        (int((atoms.numbers == z).sum()), term.descriptor.n_features, len(points))
        for z, points in term.sparse.items()
    ]


def _quip_call(
    group: Group, atoms: Atoms, frames: list[Atoms], folder: Path
) -> Callable[[], None]:
    model = _quip.fit(folder, frames, group.n_max, group.l_max, group.n_sparse)
    return _quip.prediction(model, atoms)


def _row(
    group: Group,
    model: GAPModel,
    variant: str,
    prediction: Predict,
    per_atom: dict[str, float],
) -> Row:
    stages = MICRO * prediction.stages() / len(prediction.atoms)
    total, neighbours = per_atom[variant], per_atom["neighbours"]
    quippy = per_atom.get("quippy") if "zeta" not in variant else None
    return {
        "case": group.name,
        "n_features": model.terms[0].descriptor.n_features,
        "n_sparse": group.n_sparse,
        "variant": variant,
        "total": total,
        "neighbours": neighbours,
        "descriptors": stages[0],
        "kernel": stages[1],
        "adjoint": stages[2],
        "rest": total - neighbours - float(np.sum(stages)),
        "dgemms": per_atom["dgemms"],
        "over_dgemms": total / per_atom["dgemms"],
        "quippy": quippy,
        "over_gapfit": quippy / total if quippy else None,
    }


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__, repeats=9)
    options.add_argument(
        "--quippy", action=argparse.BooleanOptionalAction, default=_quip.available()
    )
    options.add_argument(
        "--cells",
        type=int,
        default=4,
        help="silicon cells along an edge (4: 512 atoms)",
    )
    options.add_argument(
        "--max-sparse", type=int, default=9000, help="leave out larger models"
    )
    return options


def run(args: argparse.Namespace) -> Report:
    report = Report("predict", vars(args))
    atoms, gst = silicon(args.cells), mixture(3, GST)
    report.header(
        f"µs/atom on one thread, Si {len(atoms)} and GeSbTe {len(gst)} atoms, cutoff "
        f"5 Å, zeta 4; medians of {args.repeats} repeats, taken in turns"
    )
    rows: list[Row] = []
    with threads(1), tempfile.TemporaryDirectory() as folder:
        quip = Path(folder) if args.quippy else None
        for group in SILICON:
            if group.n_sparse <= args.max_sparse:
                frames = silicon_frames(group.n_sparse)
                rows += measure(group, atoms, frames, quip, args.repeats)
        if MIXTURE.n_sparse <= args.max_sparse:
            frames = frames_with(mixture(3, GST, rattle=0.0), MIXTURE.n_sparse)
            rows += measure(MIXTURE, gst, frames, None, args.repeats)
    report.table("Prediction, µs/atom (M: for each species)", COLUMNS, rows)
    return report


if __name__ == "__main__":
    script(arguments(), run)
