"""What `gapfit select` saves in labels, and the time it takes.

Usage: python tests/benchmarks/selection.py [--sets TRAIN TEST] [--by std:atom ...]
           [--json FILE] [--start 0.04] [--n-sparse 400] [--r-cut 5] [--repeats 3]
           [--pool 5000]
TRAIN and TEST are labelled. A small random share of TRAIN gives a first model, the rest
is the pool: of 20 % of it, chosen in one batch, and of 20 % and 35 %, drawn at random, a
new model is fitted with the same settings. Repeats are other random shares. Then 50 of
--pool structures of rattled silicon are chosen on two threads with a model of 1000 sparse
points; the time is that of the whole call, reading apart.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _common import Column, Label, Report, Row, Time, parser, script, threads
from _models import silicon
from ase import Atoms

import gapfit
from gapfit.config.sections import DataConfig
from gapfit.data.dataset import Dataset, read
from gapfit.data.frame import Frame
from gapfit.data.isolated import is_isolated

LEARNING = (
    Label("seed", "seed"),
    Label("how", "chosen by"),
    Label("share", "share"),
    Column("n_frames", "frames", "d"),
    Column("n_atoms", "atoms", "d"),
    Column("forces", "forces eV/Å", ".4f"),
    Column("energy", "energy meV/atom", ".2f"),
    Column("seconds", "s"),
)
TIMES = (
    Label("atoms", "atoms each"),
    Label("by", "by"),
    Column("wall", "wall s"),
    Time("cpu", "CPU s"),
)
_LABELS = DataConfig(train=["-"], use_stress=False, check_labels=False)
_SELECTED, _RANDOM = 0.2, (0.2, 0.35)


def settings(args: argparse.Namespace) -> dict[str, Any]:
    soap = {"r_cut": args.r_cut, "n_max": 8, "l_max": 6, "n_sparse": args.n_sparse}
    return {
        "data": _LABELS.model_dump(),
        "e0": {"method": "least_squares"},
        "sigma": {"energy": 0.002, "forces": 0.1},
        "prediction": {"project": False},
        "terms": [{"type": "distance_2b", "r_cut": args.r_cut}, soap],
    }


class Learner:
    """Fits to a first share of the data and more, and errors on the test set."""

    def __init__(self, args: argparse.Namespace, seed: int) -> None:
        self.args = args
        every = list(read(str(args.sets[0]), _LABELS).frames)
        self.test = read(str(args.sets[1]), _LABELS)
        others = [frame for frame in every if not is_isolated(frame)]
        order = np.random.default_rng(seed).permutation(len(others))
        n_start = round(args.start * len(others))
        self.start = [frame for frame in every if is_isolated(frame)]
        self.start += [others[n] for n in order[:n_start]]
        self.pool = [others[n] for n in order[n_start:]]

    def fit(self, more: Sequence[Frame] = ()) -> gapfit.GAPModel:
        return gapfit.fit(Dataset([*self.start, *more]), settings(self.args))

    def row(self, more: Sequence[Frame]) -> Row:
        errors = gapfit.evaluate(self.fit(more), self.test)["all"]
        return {
            "n_frames": len(more),
            "n_atoms": sum(frame.n_atoms for frame in more),
            **{kind: errors[kind]["rmse"] for kind in ("forces", "energy")},
        }


def learning(args: argparse.Namespace, seed: int) -> Iterator[Row]:
    """Yield errors of fits to the start, to random shares and to what was selected."""
    learner = Learner(args, seed)
    size = len(learner.pool)
    yield {"seed": seed, "how": "start", "share": 0.0, **learner.row([])}
    drawn = np.random.default_rng(seed + 1000).permutation(size)
    for share in _RANDOM:
        more = [learner.pool[n] for n in drawn[: round(share * size)]]
        yield {"seed": seed, "how": "random", "share": share, **learner.row(more)}
    first, bare = learner.fit(), [as_atoms(frame) for frame in learner.pool]
    for how in args.by:
        by, _, per = how.partition(":")
        started = time.perf_counter()
        chosen = gapfit.select(first, bare, round(_SELECTED * size), by=by, per=per)
        seconds = time.perf_counter() - started
        more = [learner.pool[n] for n in chosen.indices]
        found = {"seed": seed, "how": how, "share": _SELECTED, "seconds": seconds}
        yield found | learner.row(more)


def as_atoms(frame: Frame) -> Atoms:
    return Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=frame.pbc)


def pool_of(n: int, cells: int) -> list[Atoms]:
    """Return crystals rattled by 0.05 to 0.25 Å."""
    rattles = np.random.default_rng(0).uniform(0.05, 0.25, n)
    return [silicon(cells, rattle=x, seed=k) for k, x in enumerate(rattles)]


def times(args: argparse.Namespace) -> list[Row]:
    """Return how long it takes to choose 50."""
    train = pool_of(200, 2)
    for k, atoms in enumerate(train):
        rng = np.random.default_rng(k)
        atoms.info["energy"] = float(rng.normal())
        atoms.arrays["forces"] = rng.normal(size=(len(atoms), 3))
    args = argparse.Namespace(r_cut=args.r_cut, n_sparse=1000, pool=args.pool)
    model = gapfit.fit(train, settings(args))
    rows = []
    for cells in (1, 2):
        pool = pool_of(args.pool, cells)
        for by in ("novelty", "std", "d-optimal"):
            wall, cpu = time.perf_counter(), time.process_time()
            gapfit.select(model, pool, 50, by=by, n_threads=2)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            rows.append({"atoms": len(pool[0]), "by": by, "wall": wall, "cpu": cpu})
    return rows


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__, repeats=3)
    options.add_argument("--sets", nargs=2, type=Path, metavar=("TRAIN", "TEST"))
    options.add_argument("--by", nargs="+", default=["std:atom"], metavar="BY:PER")
    options.add_argument("--start", type=float, default=0.04)
    options.add_argument("--n-sparse", type=int, default=400)
    options.add_argument("--r-cut", type=float, default=5.0)
    options.add_argument("--pool", type=int, default=5000, help="0: no times")
    return options


def run(args: argparse.Namespace) -> Report:
    report = Report("selection", vars(args))
    report.header("test errors after 20 % selected or 35 % at random; time of 50 picks")
    if args.sets:
        with threads(1):
            rows = [row for k in range(args.repeats) for row in learning(args, k)]
        report.table(f"Learning, {args.n_sparse} sparse points", LEARNING, rows)
    if args.pool:
        with threads(2):
            rows = times(args)
        report.table(f"50 of {args.pool}, two threads", TIMES, rows)
    return report


if __name__ == "__main__":
    script(arguments(), run)
