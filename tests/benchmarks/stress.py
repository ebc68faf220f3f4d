"""What virials bring: errors with and without them, at the tuned sigmas.

Usage: python tests/benchmarks/stress.py TRAIN TEST [--n-sparse 500]
For sets whose stress labels are sound (silicon of Zuo et al., J. Phys. Chem. A 124, 731,
2020). Both fits share sigmas, deltas and sparse points; only the virials are left out of
one. Prints test and leave-one-out errors of both, and their ratios.
"""

from __future__ import annotations

import argparse

from threadpoolctl import threadpool_limits

import gapfit
from gapfit.config.sections import DataConfig
from gapfit.data.dataset import read


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("--r-cut", type=float, default=5.5)
    parser.add_argument("--n-sparse", type=int, default=500)
    return parser.parse_args()


def main() -> None:
    args = arguments()
    soap = {"r_cut": args.r_cut, "n_sparse": args.n_sparse}
    start = {
        "data": {"train": args.train, "check_stress": False},
        "e0": {"method": "least_squares"},
        "run": {"threads": 1},
        "terms": [{"type": "distance_2b"}, soap],
    }
    train, test = (
        read(file, DataConfig(train=[file], check_stress=False))
        for file in (args.train, args.test)
    )
    rows = {}
    with threadpool_limits(1):
        tuned = gapfit.tune(train, start).config
        for name, use in (("with", True), ("without", False)):
            data = tuned.data.model_copy(update={"use_stress": use})
            frames = read(args.train, data)
            model = gapfit.fit(frames, tuned.model_copy(update={"data": data}))
            rows[name] = gapfit.evaluate(model, test)["all"]
    print(f"sigmas {tuned.sigma.energy} / {tuned.sigma.forces} / {tuned.sigma.virial}")
    print(
        f"{'virials':10}{'E, meV/atom':>13}{'F, eV/Å':>10}{'stress, GPa':>13}  (RMSE)"
    )
    for name, row in rows.items():
        values = [row[kind]["rmse"] for kind in ("energy", "forces", "stress")]
        print(f"{name:10}{values[0]:13.2f}{values[1]:10.4f}{values[2]:13.3f}")
    for kind in ("energy", "forces", "stress"):
        ratio = rows["with"][kind]["rmse"] / rows["without"][kind]["rmse"]
        print(f"{kind}: with / without {ratio:.3f}")


if __name__ == "__main__":
    main()
