"""Cost of the standard deviation of each atom's energy beside energy and forces.

Usage: python tests/benchmarks/std.py [--json FILE] [--repeats N] [--cells N]
                                      [--max-sparse N]
One thread, rattled silicon in the diamond structure. Both are a user's
`GAPModel.predict` of an `ase.Atoms`, neighbour list included, and take turns; the ratio
is the median over the turns. Models have random coefficients and made-up data: times do
not depend on them. "first" is the first prediction with std, which prepares the factors.
A second table has the standard deviations of forces beside the kernel rows that they need,
of energies, forces and virials, as a fit computes them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from _common import MICRO, Column, Label, Report, Row, Time, parser, script, threads
from _models import random_model, silicon, silicon_frames
from terms import local_term

from gapfit import GAPModel
from gapfit.config.sections import Angle3bConfig, Distance2bConfig
from gapfit.data.frame import structure_arrays
from gapfit.data.neighbours import pair_list
from gapfit.gp.posterior import Posterior
from gapfit.gp.whitening import whiten

COLUMNS = (
    Label("model", "terms"),
    Label("n_sparse", "M"),
    Label("n_atoms", "atoms"),
    Time("plain", "E, F"),
    Time("with_std", "E, F, std"),
    Column("over_plain", "ratio", ".2f"),
    Column("first", "first, s", ".2f"),
)


FORCES = (
    Label("n_sparse", "M"),
    Label("n_atoms", "atoms"),
    Time("rows", "rows"),
    Time("forces_std", "forces std"),
    Column("over_rows", "ratio", ".2f"),
    Time("dtc", "with priors (DTC)"),
)


def with_posterior(model: GAPModel) -> GAPModel:
    """Return the model with the factors of made-up data."""
    kernels = (
        term.descriptor.kernel(points, points)
        for term in model.terms
        for points in term.sparse.values()
    )
    whitening = whiten(kernels, 1e-8)
    n = whitening.n_sparse
    phi = np.random.default_rng(4).normal(size=(n, n))
    R = np.linalg.cholesky(np.eye(n) + phi.T @ phi).T
    return replace(model, posterior=Posterior(whitening, R))


def measure(name: str, model: GAPModel, cells: list[int], repeats: int) -> list[Row]:
    """Return one row for each size of the structure."""
    rows: list[Row] = []
    for n in cells:
        atoms = silicon(n)
        plain = partial(model.predict, atoms)
        with_std = partial(model.predict, atoms, std="energies")
        first = seconds_of(with_std)
        pairs = [(seconds_of(plain), seconds_of(with_std)) for _ in range(repeats)]
        without, std = MICRO / len(atoms) * np.median(pairs, axis=0)
        rows.append(
            {
                "model": name,
                "n_sparse": model.n_sparse,
                "n_atoms": len(atoms),
                "plain": without,
                "with_std": std,
                "over_plain": float(np.median([b / a for a, b in pairs])),
                # Structures after the first find the factors ready.
                "first": None if rows else first,
            }
        )
    return rows


def measure_forces(model: GAPModel, cells: list[int], repeats: int) -> list[Row]:
    """Return one row for each size of the structure."""
    rows: list[Row] = []
    for n in cells:
        atoms = silicon(n)
        pairs = pair_list(structure_arrays(atoms), model.cutoff)
        (term,) = model.terms
        own = pairs.within(term.descriptor.cutoff)
        bare = partial(term.descriptor.kernel_rows, own, term.sparse, gradients=True)
        std = partial(model.predict, atoms, std="forces")
        dtc = partial(model.predict, atoms, std="forces", form="dtc")
        found = [
            [seconds_of(call) for call in (bare, std, dtc)] for _ in range(repeats)
        ]
        of_rows, of_std, of_dtc = MICRO / len(atoms) * np.median(found, axis=0)
        rows.append(
            {
                "n_sparse": model.n_sparse,
                "n_atoms": len(atoms),
                "rows": of_rows,
                "forces_std": of_std,
                "over_rows": float(np.median([b / a for a, b, _ in found])),
                "dtc": of_dtc,
            }
        )
    return rows


def seconds_of(call: Callable[[], object]) -> float:
    """Return the CPU time of a call, s."""
    started = time.process_time()
    call()
    return time.process_time() - started


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__, repeats=25)
    options.add_argument(
        "--cells",
        type=int,
        nargs="+",
        default=[3, 4],
        help="silicon cells along an edge (3: 216 atoms, 4: 512)",
    )
    options.add_argument(
        "--max-sparse", type=int, default=4000, help="leave out larger models"
    )
    return options


def run(args: argparse.Namespace) -> Report:
    report = Report("std", vars(args))
    report.header(
        "µs/atom on one thread, Si, SOAP n_max 8, l_max 6, cutoff 5 Å, zeta 4; medians "
        f"of {args.repeats} repeats, taken in turns"
    )
    rows: list[Row] = []
    of_forces: list[Row] = []
    with threads(1):
        for n_sparse in (1000, 2000, 4000):
            if n_sparse > args.max_sparse:
                continue
            frames = silicon_frames(n_sparse)
            soap = random_model(frames, n_sparse)
            models = {"SOAP": soap}
            if n_sparse == 1000:
                pair = local_term(Distance2bConfig(), frames)
                triplets = local_term(Angle3bConfig(r_cut=3.0), frames)
                models["SOAP + 2b"] = replace(soap, terms=(*soap.terms, pair))
                models["SOAP + 2b + 3b 3 Å"] = replace(
                    soap, terms=(*soap.terms, pair, triplets)
                )
            for name, model in models.items():
                rows += measure(name, with_posterior(model), args.cells, args.repeats)
            few = min(args.repeats, 5)
            of_forces += measure_forces(with_posterior(soap), [2, 3], few)
    report.table("Prediction, µs/atom", COLUMNS, rows)
    report.table("Standard deviations of forces, µs/atom", FORCES, of_forces)
    return report


if __name__ == "__main__":
    script(arguments(), run)
