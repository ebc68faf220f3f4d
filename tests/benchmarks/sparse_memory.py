"""Choose sparse points of a large set: time, and memory beyond that of the set.

Usage: python tests/benchmarks/sparse_memory.py [--environments 50000 | --full]
       [--memory "100 MB"] [--methods cur fps ...] [--n-sparse 1000] [--json FILE]

Each method runs in a process of its own, so that the peak is its own. The set is
rattled silicon in cells of 216 atoms; --full is 1 000 000 environments with the default
of run.memory, 4 GB, of which a quarter is for the choice.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

import numpy as np
from _common import Column, Label, Report, Time, parser, peak_memory, script
from ase.build import bulk
from threadpoolctl import threadpool_limits

from gapfit.config.sections import RunConfig, SoapConfig
from gapfit.data.frame import Frame, structure_arrays
from gapfit.model.terms import build_term, new_basis
from gapfit.sparse.choice_memory import SHARE_OF_MEMORY
from gapfit.sparse.choose import choose_sparse_points
from gapfit.sparse.methods import unique_rows

COLUMNS = (
    Label("method", "method"),
    Label("environments", "environments"),
    Label("n_sparse", "sparse points"),
    Column("all_mb", "all, MB", ".0f"),
    Column("granted_mb", "granted, MB", ".0f"),
    Column("peak_mb", "peak, MB", ".0f"),
    Time("cpu_s", "CPU, s", ".2f"),
    Column("passes", "passes", "d"),
)
METHODS = ["random", "cur", "fps", "kmeans"]


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__)
    options.add_argument("--environments", type=int, default=50_000)
    options.add_argument("--full", action="store_true")
    options.add_argument("--memory", help="as run.memory; default 100 MB")
    options.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    options.add_argument("--n-sparse", type=int, default=1000)
    options.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    return options


def silicon_set(n_environments: int) -> list[Frame]:
    """Return rattled silicon at several volumes and temperatures."""
    cell, rng = bulk("Si", cubic=True) * (3, 3, 3), np.random.default_rng(0)
    frames = []
    for _ in range(-(-n_environments // len(cell))):
        atoms = cell.copy()
        atoms.set_cell(atoms.cell * rng.uniform(0.97, 1.03), scale_atoms=True)
        atoms.positions += rng.normal(scale=rng.uniform(0.02, 0.25), size=(216, 3))
        frames.append(structure_arrays(atoms))
    return frames


def measure(args: argparse.Namespace) -> dict[str, object]:
    frames = silicon_set(args.environments)
    method = args.methods[0]
    config = SoapConfig(n_sparse=args.n_sparse, sparse_method=method)
    term = build_term(config, (14,), new_basis(config))
    granted = SHARE_OF_MEMORY * RunConfig(memory=args.memory).memory_bytes
    stages: set[str] = set()
    # Imports and first calls are no part of it.
    choose_sparse_points(frames[:1], [term], 0, lambda *step: None, lambda text: None)
    before, started = peak_memory(), time.process_time()
    with threadpool_limits(1):
        chosen = choose_sparse_points(
            frames,
            [term],
            0,
            lambda stage, done, total: stages.add(stage),
            lambda text: print(text, file=sys.stderr),
            memory=granted,
        )[0]
    points = chosen.sparse[14]
    assert len(unique_rows(points)) == len(points)
    n_environments = sum(frame.n_atoms for frame in frames)
    return {
        "method": method,
        "environments": n_environments,
        "all_mb": n_environments * points.shape[1] * 8 / 1e6,
        "granted_mb": granted / 1e6,
        "peak_mb": (peak_memory() - before) / 1e6,
        "cpu_s": time.process_time() - started,
        "passes": sum(stage.startswith("environments") for stage in stages),
        "n_sparse": len(points),
    }


def run(args: argparse.Namespace) -> Report:
    report = Report("sparse_memory", vars(args))
    report.header("choice of the sparse points of rattled silicon, one thread")
    n_environments = 1_000_000 if args.full else args.environments
    memory = args.memory or ("4 GB" if args.full else "100 MB")
    rows = []
    for method in args.methods:
        command = [sys.executable, __file__, "--alone", "--methods", method]
        command += ["--environments", str(n_environments)]
        command += ["--memory", memory, "--n-sparse", str(args.n_sparse)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    report.table("memory and time", COLUMNS, rows)
    return report


if __name__ == "__main__":
    if "--alone" in sys.argv:
        print(json.dumps(measure(arguments().parse_args())))
    else:
        script(arguments(), run)
