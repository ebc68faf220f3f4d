"""How uncertain are properties of silicon? Lattice and elastic constants with error bars.

Potentials drawn from the posterior of the fit give each property many times. Prints value
and standard deviation (lattice constant, bulk modulus, elastic constants), beside DFT with
the settings of the data, or experiment (McSkimin & Andreatch, J. Appl. Phys. 35, 2161
(1964)) where there is none.
"""

from __future__ import annotations

from collections.abc import Sequence

from ase.build import bulk
from common import options, potential, run

from gapfit.properties import Settings, compute

#: Name here, name in the report, value to compare with, and where it is from.
PROPERTIES = (
    ("a", "structure.a", 5.476, "DFT"),
    ("B", "eos.bulk_modulus", 88.2, "DFT"),
    ("C11", "elastic.C11", 165.6, "experiment"),
    ("C12", "elastic.C12", 63.9, "experiment"),
    ("C44", "elastic.C44", 79.5, "experiment"),
)


def main(arguments: Sequence[str] = ()) -> dict[str, tuple[float, float, float]]:
    """Return value, standard deviation and what to compare with."""
    parser = options(__doc__)
    parser.add_argument("--samples", type=int, default=30, help="of the posterior")
    given = parser.parse_args(arguments)
    crystal = bulk("Si", "diamond", 5.47, cubic=True)
    report = compute(
        potential(given.model),
        crystal,
        only=("eos", "elastic"),
        settings=Settings(samples=given.samples),
    )
    found = {}
    for name, full, reference, source in PROPERTIES:
        own = report.quantities[full]
        assert own.std is not None
        found[name] = own.value, own.std, reference
        text = f"{name:4} {own.value:8.3f} ± {own.std:.3f} {own.unit:4}"
        print(f"{text} {source}: {reference}")
    return found


if __name__ == "__main__":
    run(main)
