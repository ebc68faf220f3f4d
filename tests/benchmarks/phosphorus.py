"""Fit a published set of phosphorus as examples/phosphorus does: errors and CPU time.

Usage: python tests/benchmarks/phosphorus.py TRAIN TEST [--n-sparse 1000]
The set is not shipped; its DFT settings may differ from those of data/phosphorus, since
nothing of the latter is used. Errors are by config_type, and by the size of the force.
"""

from __future__ import annotations

import argparse
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

import gapfit
from gapfit.config import DataConfig, E0Config, load_config
from gapfit.data import read
from gapfit.evaluation import format_table
from gapfit.fitting.proposal import without_isolated_atom

CONFIG = Path(__file__).resolve().parents[2] / "examples" / "phosphorus" / "fit.toml"

#: Sizes of the force, eV/Å.
EDGES = (0, 0.5, 2, 10, 50, np.inf)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("--n-sparse", type=int, default=1000)
    return parser.parse_args()


def print_by_size(model: gapfit.GAPModel, file: str, part: str) -> None:
    """Print the errors of force vectors in ranges of their length."""
    frames = read(file, DataConfig(train=[file], check_stress=False)).frames
    forces = np.concatenate([frame.forces for frame in frames])
    found = np.concatenate([p.forces for p in model.predict(frames)])
    size = np.linalg.norm(forces, axis=1)
    error = np.linalg.norm(found - forces, axis=1)
    print(f"\n{part}: |F|, eV/Å{'atoms':>12}{'MAE':>9}{'MAE / mean |F|':>17}")
    for low, high in pairwise(EDGES):
        inside = (size >= low) & (size < high)
        if inside.any():
            mae, mean = error[inside].mean(), size[inside].mean()
            n, span = inside.sum(), f"{low:g} .. {high:g}"
            print(f"{span:<20}{n:>8}{mae:>9.3f}{mae / max(mean, 1e-9):>17.3f}")


def fit(train: str, n_sparse: int) -> gapfit.GAPModel:
    """Return the fit with the settings of the example."""
    config = load_config(CONFIG)
    data = read(train, DataConfig(train=[train]))
    terms = [
        term.model_copy(update={"n_sparse": n_sparse}) if term.type == "soap" else term
        for term in config.terms
    ]
    changes: dict[str, object] = {"terms": terms}
    if without_isolated_atom(data.frames):
        changes["e0"] = E0Config(method="least_squares")
    return gapfit.fit(data, config.model_copy(update=changes))


def main() -> None:
    args = arguments()
    with threadpool_limits(1):
        started = time.process_time()
        model = fit(args.train, args.n_sparse)
        for part in ("train", "test"):
            print(format_table(gapfit.evaluate(model, getattr(args, part)), part))
        print(f"\nCPU time {time.process_time() - started:.1f} s")
    for part in ("train", "test"):
        print_by_size(model, getattr(args, part), part)


if __name__ == "__main__":
    main()
