"""How uncertain are properties of silicon? Lattice and elastic constants with error bars.

Potentials drawn from the posterior of the fit give each property many times.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ase.build import bulk

import gapfit
from gapfit.properties import Settings, compute

FIT = Path(__file__).parent.parent / "silicon" / "fit.toml"
NAMES = {
    "a": "structure.a",
    "B": "eos.bulk_modulus",
    "C11": "elastic.C11",
    "C12": "elastic.C12",
    "C44": "elastic.C44",
}


def main(n_samples: int = 30) -> dict[str, tuple[float, float]]:
    """Print and return the value and standard deviation of each property."""
    model = gapfit.fit(config=FIT)
    crystal = bulk("Si", "diamond", 5.47, cubic=True)
    report = compute(
        model, crystal, only=("eos", "elastic"), settings=Settings(samples=n_samples)
    )
    found = {}
    for name, full in NAMES.items():
        own = report.quantities[full]
        assert own.std is not None
        found[name] = (own.value, own.std)
        print(f"{name:4} {own.value:8.3f} ± {own.std:.3f} {own.unit}")
    return found


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
