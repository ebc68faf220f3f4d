"""Properties of silicon, diamond and tungsten by the potentials of the examples.

Usage: python tests/benchmarks/properties.py [--model Si=FILE ...] [--only LIST]
           [--json FILE]
Without --model, the fits of examples/ are made first. Prints the table of the README:
the potential with its error bar, and PBE where the shipped data have it: lattice constants
(data/README.md) and bulk moduli (printed by examples/02_evaluate.py, volumes within 15 %).
Elsewhere the place is empty.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from _common import Report, Row, parser

import gapfit
from gapfit.properties import PROPERTIES, Settings, compute, prototype

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
#: Formula, prototype and example.
CRYSTALS = {
    "Si": ("diamond", "silicon"),
    "C": ("diamond", "carbon"),
    "W": ("bcc", "tungsten"),
}
#: Name in the report, heading of the row, decimals.
ROWS = (
    ("structure.a", "a, Å", 3),
    ("eos.bulk_modulus", "B, GPa", 0),
    ("elastic.C11", "C11, GPa", 0),
    ("elastic.C12", "C12, GPa", 0),
    ("elastic.C44", "C44, GPa", 0),
    ("vacancy.energy", "vacancy, eV", 2),
    ("surface.100.energy", "surface 100, J/m²", 2),
    ("surface.110.energy", "surface 110, J/m²", 2),
    ("surface.111.energy", "surface 111, J/m²", 2),
    ("phonon.highest", "highest phonon, THz", 1),
    ("phonon.lowest", "lowest phonon, THz", 1),
    ("nve.drift", "drift, meV/atom/ps", 4),
)
#: PBE, from the shipped data.
PBE: dict[str, dict[str, float]] = {
    "Si": {
        "structure.a": 5.476,
        "eos.bulk_modulus": 88.2,
    },
    "C": {
        "structure.a": 3.573,
        "eos.bulk_modulus": 434.2,
    },
    "W": {
        "structure.a": 3.184,
        "eos.bulk_modulus": 303.2,
    },
}


def arguments() -> argparse.Namespace:
    options = parser(__doc__, repeats=1)
    options.add_argument("--model", nargs="+", default=[], metavar="Si=FILE")
    options.add_argument("--only", help="properties, separated by commas")
    return options.parse_args()


def properties(
    formula: str, files: dict[str, str], only: list[str]
) -> dict[str, tuple[float, float | None]]:
    """Return value and standard deviation of each property of one crystal."""
    name, example = CRYSTALS[formula]
    if formula in files:
        model = gapfit.load(files[formula])
    else:
        model = gapfit.fit(config=EXAMPLES / example / "fit.toml")
    calculator = gapfit.GAPCalculator(model, uncertainty=False)
    crystal = prototype(name, formula, calculator)
    report = compute(model, crystal, only=only, settings=Settings())
    for text in report.warnings:
        print(f"{formula}: {text}")
    return {name: (own.value, own.std) for name, own in report.quantities.items()}


def markdown(found: dict[str, dict[str, tuple[float, float | None]]]) -> str:
    """Return the table of the README."""
    head = [f"{formula} | PBE" for formula in found]
    lines = [f"| | {' | '.join(head)} |", "| --- |" + " --: | --: |" * len(found)]
    for key, heading, digits in ROWS:
        cells = []
        for formula, own in found.items():
            value, std = own.get(key, (None, None))
            text = "" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"
            cells.append(text if std is None else f"{text} ± {std:.{digits}f}")
            known = PBE[formula].get(key)
            cells.append("" if known is None else f"{known:.{digits}f}")
        lines.append(f"| {heading} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    args = arguments()
    files = dict(text.split("=", 1) for text in args.model)
    only = args.only.split(",") if args.only else list(PROPERTIES)
    report = Report("properties", vars(args))
    report.header("silicon, diamond and tungsten by the fits of the examples")
    found = {formula: properties(formula, files, only) for formula in CRYSTALS}
    print(f"\n{markdown(found)}")
    rows: list[Row] = [
        {"crystal": formula, "name": name, "value": value, "std": std}
        for formula, own in found.items()
        for name, (value, std) in own.items()
    ]
    report.tables["Properties"] = rows
    report.write(args.json)


if __name__ == "__main__":
    main()
