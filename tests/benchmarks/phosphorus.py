"""Fit a published set of phosphorus as examples/phosphorus does: errors and CPU time.

Usage: python tests/benchmarks/phosphorus.py TRAIN TEST [--n-sparse 1000]
The set is not shipped; its DFT settings may differ from those of data/phosphorus, since
nothing of the latter is used. Errors are by config_type, and by the size of the force.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from threadpoolctl import threadpool_limits

import gapfit
from gapfit.config.sections import DataConfig
from gapfit.data.dataset import read

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "examples"))

fit_example = importlib.import_module("01_fit")

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


def main() -> None:
    args = arguments()
    options = ["--train", args.train, "--test", args.test]
    with threadpool_limits(1):
        started = time.process_time()
        with TemporaryDirectory() as folder:
            options += ["--output", f"{folder}/phosphorus.npz"]
            model, _ = fit_example.main(
                ["phosphorus", *options, "--n-sparse", str(args.n_sparse)]
            )
        print(f"\nCPU time {time.process_time() - started:.1f} s")
    for part in ("train", "test"):
        print_by_size(model, getattr(args, part), part)


if __name__ == "__main__":
    main()
