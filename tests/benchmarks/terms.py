"""Cost of pair and three-body terms beside SOAP: energy, forces and stress per atom.

Usage: python tests/benchmarks/terms.py [--json FILE] [--repeats N] [--cells N]
One thread, rattled silicon in the diamond structure, SOAP with M = 1000. The total is a
user's `GAPModel.predict` of an `ase.Atoms`, neighbour list included; "own" is the
prediction of the pair or three-body term alone, given the neighbours. Models have random
coefficients: times do not depend on them.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
from _common import (
    MICRO,
    Column,
    Label,
    Report,
    Row,
    Time,
    medians,
    parser,
    script,
    threads,
)
from _models import Predict, random_model, silicon, silicon_frames
from ase import Atoms

from gapfit import GAPModel
from gapfit.config.sections import Angle3bConfig, Distance2bConfig, TermConfig
from gapfit.data.frame import structure_arrays
from gapfit.data.neighbours import pair_list, pairs_of
from gapfit.model.terms import FittedTerm, build_term

N_SPARSE = 1000

COLUMNS = (
    Label("model", "terms"),
    Column("n_triplets", "triplets/atom"),
    Time("total", "total"),
    Column("over_soap", "total/SOAP", ".3f"),
    Time("own", "own, µs/atom", ".2f"),
    Column("per_triplet", "own, µs/triplet", ".3f"),
)


def local_term(config: TermConfig, frames: list[Atoms]) -> FittedTerm:
    """Return a pair or three-body term with shapes of the frames as sparse points."""
    term = build_term(config, (14,), {})
    pairs = pairs_of([structure_arrays(f) for f in frames], term.descriptor.cutoff)
    rng = np.random.default_rng(3)
    (block, found), *_ = term.descriptor.environments(pairs).items()
    chosen = found.values[rng.choice(len(found.values), config.n_sparse)]
    coefficients = {block: rng.normal(size=len(chosen))}
    return replace(term, sparse={block: chosen}, coefficients=coefficients)


class Alone:
    """Prediction of one term, given the neighbours within its cutoff."""

    def __init__(self, term: FittedTerm, atoms: Atoms) -> None:
        self.term = term
        self.pairs = pair_list(structure_arrays(atoms), term.descriptor.cutoff)
        found = term.descriptor.environments(self.pairs)
        self.n_environments = sum(len(own.values) for own in found.values())

    def __call__(self) -> None:
        self.term.predict(self.pairs, gradients=True)


def measure(soap: GAPModel, atoms: Atoms, frames: list[Atoms], n: int) -> list[Row]:
    """Return one row for SOAP and for each set of terms beside it."""
    pair = local_term(Distance2bConfig(), frames)
    triplets = {
        f"3b {config.r_cut:g} Å": local_term(config, frames)
        for config in (Angle3bConfig(r_cut=r_cut) for r_cut in (3.0, 3.5, 4.2))
    }
    sets = {"SOAP": (), "SOAP + 2b": (pair,)}
    sets |= {f"SOAP + 2b + {name}": (pair, term) for name, term in triplets.items()}
    calls = {
        name: Predict(replace(soap, terms=(*soap.terms, *more)), atoms)
        for name, more in sets.items()
    }
    alone = {name: Alone(more[-1], atoms) for name, more in sets.items() if more}
    own = {f"own {name}": call for name, call in alone.items()}
    seconds = medians({**calls, **own}, n)
    per_atom = {name: MICRO * s / len(atoms) for name, s in seconds.items()}
    rows = []
    for name, more in sets.items():
        row: Row = {"model": name, "total": per_atom[name]}
        row["over_soap"] = per_atom[name] / per_atom["SOAP"]
        row["own"] = per_atom.get(f"own {name}")
        if more and more[-1] is not pair:
            row["n_triplets"] = alone[name].n_environments / len(atoms)
            row["per_triplet"] = row["own"] / row["n_triplets"]
        rows.append(row)
    return rows


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__, repeats=9)
    options.add_argument(
        "--cells",
        type=int,
        default=4,
        help="silicon cells along an edge (4: 512 atoms)",
    )
    return options


def run(args: argparse.Namespace) -> Report:
    report = Report("terms", vars(args))
    atoms = silicon(args.cells)
    report.header(
        f"µs/atom on one thread, Si {len(atoms)} atoms, SOAP n_max 8, l_max 6, cutoff 5 "
        f"Å, M = {N_SPARSE}; medians of {args.repeats} repeats, taken in turns"
    )
    with threads(1):
        frames = silicon_frames(N_SPARSE)
        soap = random_model(frames, N_SPARSE)
        rows = measure(soap, atoms, frames, args.repeats)
    report.table("Prediction, µs/atom", COLUMNS, rows)
    return report


if __name__ == "__main__":
    script(arguments(), run)
