"""Evaluate a potential: errors, error bars, and equations of state beside DFT.

Prints mean errors on structures that the fit has not seen, by kind; how many of them the
standard deviations cover; then volumes and bulk moduli of the crystals in the data set.
"""

from __future__ import annotations

from collections.abc import Sequence

from common import HERE, SYSTEMS, options, potential, run
from phases import Comparison, compare

import gapfit
from gapfit.evaluation.evaluate import Metrics, format_table

PHASES = {
    "silicon": ("diamond", "betatin", "sc", "hcp", "bcc", "fcc"),
    "carbon": ("diamond", "bcc", "fcc", "sc"),
    "tungsten": ("bcc", "fcc", "hcp", "sc"),
    "phosphorus": ("black", "sc"),
    "ge2sb2te5": ("hex",),
    "fe7cr2ni": ("fcc4-0",),
}


def main(arguments: Sequence[str] = ()) -> tuple[Metrics, dict[str, Comparison]]:
    """Return the errors, and the crystals' equations of state beside DFT."""
    parser = options(__doc__)
    parser.add_argument("system", nargs="?", default="silicon", choices=SYSTEMS)
    parser.add_argument("--test", nargs="+", help="default: data/SYSTEM/test.extxyz")
    given = parser.parse_args(arguments)
    data = HERE.parent / "data" / given.system
    model = potential(given.model, given.system)
    metrics = gapfit.evaluate(model, given.test or data / "test.extxyz")
    print(format_table(metrics, f"{given.system}, test"))
    return metrics, compare(model, data, PHASES[given.system])


if __name__ == "__main__":
    run(main)
