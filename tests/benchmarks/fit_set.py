"""Fit one published set on one core: errors, CPU time by stage and peak memory.

Usage: python tests/benchmarks/fit_set.py TRAIN TEST [--r-cut 5.4] [--n-sparse 1000] ...
Prints one JSON object. Sets are not shipped; data/README.md says where some are.
"""

from __future__ import annotations

import argparse
import json
import resource
import time

from threadpoolctl import threadpool_limits

import gapfit
from gapfit.config.sections import DataConfig
from gapfit.data.dataset import read


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("--r-cut", type=float, default=5.4)
    parser.add_argument("--n-max", type=int, default=8)
    parser.add_argument("--l-max", type=int, default=8)
    parser.add_argument("--n-sparse", type=int, default=1000)
    parser.add_argument("--delta", type=float, default=1.0)
    parser.add_argument("--sigma-energy", type=float, default=0.01)
    parser.add_argument("--sigma-forces", type=float, default=0.05)
    parser.add_argument("--sparse-method", default="cur")
    parser.add_argument("--components", type=int, help="directions of the descriptor")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    labels = DataConfig(train=[args.train], use_stress=False, check_stress=False)
    train = read(args.train, labels)
    settings = {
        "data": {"train": args.train, "use_stress": False, "check_stress": False},
        "e0": {"method": "least_squares"},
        "run": {"threads": 1},
        # Error bars are not part of what is compared.
        "calibration": {"method": "none"},
        "sigma": {"energy": args.sigma_energy, "forces": args.sigma_forces},
        "terms": [
            {
                "r_cut": args.r_cut,
                "n_max": args.n_max,
                "l_max": args.l_max,
                "n_sparse": args.n_sparse,
                "delta": args.delta,
                "sparse_method": args.sparse_method,
                "components": args.components or "all",
            }
        ],
    }
    stages: dict[str, list[float]] = {}

    def progress(stage: str, done: int, total: int) -> None:
        now = time.process_time()
        stages.setdefault(stage, [now, now])[1] = now

    with threadpool_limits(1):
        started = time.process_time()
        model = gapfit.fit(train, settings, progress=progress)
        cpu = time.process_time() - started
        errors = gapfit.evaluate(model, read(args.test, labels), uncertainty=False)[
            "all"
        ]
    result = {
        "cpu_s": round(cpu, 1),
        "stages_cpu_s": {k: round(b - a, 1) for k, (a, b) in stages.items()},
        "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "n_sparse": model.n_sparse,
        "shortcuts": model.record.projections,
        "test": errors,
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
