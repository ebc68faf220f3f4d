"""Time of kernel rows with derivatives (for fitting), next to dgemm.

Usage: python tests/benchmarks/rows.py [--json FILE] [--repeats N]
One thread. "rate" is that of the dense product of all rows of pairs with all sparse
points of their centre's species, 2 (3 pairs) F M operations, in the time measured; it is
divided by the rate of dgemm for (1000 x F) (F x 1000), measured in turns. Above 1 where
rows are shared by pairs, have fewer active features, or are projected.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from _common import (
    Column,
    Label,
    Report,
    Row,
    Time,
    dgemm_product,
    medians,
    parser,
    script,
    threads,
)
from _models import frames_with, mixture, random_model, silicon
from ase import Atoms

from gapfit import GAPModel
from gapfit.data.frame import structure_arrays
from gapfit.data.neighbours import Pairs, pair_list

GST = (32, 51, 52)
_PEAK = 1000

COLUMNS = (
    Label("case", "case"),
    Label("n_atoms", "atoms"),
    Column("neighbours", "nbrs"),
    Label("n_features", "F"),
    Label("n_sparse", "M"),
    Time("ms_per_atom", "ms/atom", ".3f"),
    Column("gflop", "dense GF/atom", ".3f"),
    Column("rate", "rate GF/s"),
    Column("dgemm_rate", "dgemm GF/s"),
    Column("fraction", "fraction of dgemm", ".2f"),
)


@dataclass(frozen=True)
class Case:
    """One structure and model."""

    name: str
    cells: int
    n_sparse: int
    settings: dict[str, Any] = field(default_factory=dict)
    species: tuple[int, ...] = ()

    def structure(self, cells: int, rattle: float) -> Atoms:
        if self.species:
            return mixture(cells, self.species, rattle=rattle)
        return silicon(cells, rattle=rattle)

    def model(self) -> GAPModel:
        """Return a model with environments of rattled structures."""
        frames = frames_with(self.structure(3, 0.0), self.n_sparse)
        return random_model(frames, self.n_sparse, **self.settings)


_LARGE = {"n_max": 12, "l_max": 10}
CASES = (
    Case("Si n8 l6", 2, 1000),
    Case("Si n8 l6", 2, 5000),
    Case("Si n12 l10", 2, 1000, _LARGE),
    Case("Si n12 l10", 2, 5000, _LARGE),
    Case("Si n8 l6", 1, 1000),
    Case("GeSbTe n8 l6", 2, 1000, species=GST),
    Case("GeSbTe n8 l6 r=300", 2, 1000, {"components": 300}, GST),
)


def measure(case: Case, repeats: int) -> Row:
    """Return the row of one case."""
    model = case.model()
    atoms = case.structure(case.cells, 0.1 if case.species else 0.05)
    pairs = pair_list(structure_arrays(atoms), model.cutoff)
    n_features = model.terms[0].descriptor.n_features
    seconds = medians(
        {
            "rows": _kernel_rows(model, pairs),
            "dgemm": dgemm_product(_PEAK, n_features, _PEAK),
        },
        repeats,
    )
    operations = 2 * 3 * pairs.n_pairs * n_features * case.n_sparse
    rate = operations / seconds["rows"]
    dgemm_rate = 2 * _PEAK * n_features * _PEAK / seconds["dgemm"]
    return {
        "case": case.name,
        "n_atoms": len(atoms),
        "neighbours": pairs.n_pairs / len(atoms),
        "n_features": n_features,
        "n_sparse": case.n_sparse,
        "ms_per_atom": 1e3 * seconds["rows"] / len(atoms),
        "gflop": operations / len(atoms) / 1e9,
        "rate": rate / 1e9,
        "dgemm_rate": dgemm_rate / 1e9,
        "fraction": rate / dgemm_rate,
    }


def _kernel_rows(model: GAPModel, pairs: Pairs) -> Callable[[], object]:
    term = model.terms[0]
    return lambda: term.descriptor.kernel_rows(pairs, term.sparse, gradients=True)


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__, repeats=9)
    options.add_argument(
        "--max-sparse", type=int, default=5000, help="leave out larger models"
    )
    return options


def run(args: argparse.Namespace) -> Report:
    report = Report("rows", vars(args))
    report.header(
        "kernel rows with forces and virial on one thread, cutoff 5 Å; medians of "
        f"{args.repeats} repeats, in turns with dgemm"
    )
    with threads(1):
        rows = [
            measure(case, args.repeats)
            for case in CASES
            if case.n_sparse <= args.max_sparse
        ]
    report.table("Kernel rows (M: for each species)", COLUMNS, rows)
    return report


if __name__ == "__main__":
    script(arguments(), run)
