"""Finite differences and invariances of a fitted model on structures of a file.

Usage: python tests/benchmarks/derivatives.py MODEL DATA [--every 9]
Forces with two steps: the long one sees the kink in the slope of forces at the cutoff,
the short one the rounding of the energy, which grows with the sum of |coefficients|.
"""

from __future__ import annotations

import argparse

import numpy as np
from ase.io import read
from threadpoolctl import threadpool_limits

import gapfit
from gapfit.testing import forces_error, invariance_errors, stress_error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--every", type=int, default=9)
    args = parser.parse_args()
    model = gapfit.load(args.model)
    total = sum(np.abs(c).sum() for t in model.terms for c in t.coefficients.values())
    print(f"sum of |coefficients| {total:.1e} / eV")
    print(f"{'':<20}{'F 1e-3 Å':>10}{'F 2e-4 Å':>10}{'stress':>10}{'invariance':>12}")
    worst = np.zeros(4)
    with threadpool_limits(1):
        for atoms in read(args.data, f"::{args.every}"):
            errors = np.array(
                [
                    forces_error(model, atoms),
                    forces_error(model, atoms, step=2e-4),
                    stress_error(model, atoms),
                    max(
                        invariance_errors(
                            model, atoms, np.random.default_rng(0)
                        ).values()
                    ),
                ]
            )
            worst = np.maximum(worst, errors)
            line = "".join(f"{error:10.1e}" for error in errors)
            print(f"{atoms.info.get('config_type', ''):<20}{line}")
    print(f"{'worst':<20}" + "".join(f"{error:10.1e}" for error in worst))


if __name__ == "__main__":
    main()
