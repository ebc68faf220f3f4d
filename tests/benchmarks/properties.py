"""Properties of silicon, diamond and tungsten by the potentials of the examples.

Usage: python tests/benchmarks/properties.py [--model Si=FILE ...] [--only LIST]
           [--json FILE]
Without --model, the fits of examples/ are made first. Prints the table of
docs/benchmarks.md: the potential with its error bar, and DFT with the settings of the
training data (data/*/properties.json, made by data/generator/crystal.py). Vacancies are
those of the cells that DFT could afford, and of a cell that is 10 Å wide.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from _common import Report, Row, parser, script
from ase.build import bulk

import gapfit
from gapfit.properties import (
    PROPERTIES,
    Settings,
    compute,
    prototype,
    read_reference,
)
from gapfit.properties.defects import vacancy

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = ROOT / "examples"
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
    ("vacancy.energy_8", "vacancy in 8 places, eV", 2),
    ("vacancy.energy_16", "vacancy in 16 places, eV", 2),
    ("vacancy.energy", "vacancy, eV", 2),
    ("surface.100.energy", "surface 100, J/m²", 2),
    ("surface.110.energy", "surface 110, J/m²", 2),
    ("surface.111.energy", "surface 111, J/m²", 2),
    ("phonon.highest", "highest phonon, THz", 1),
    ("phonon.lowest", "lowest phonon, THz", 1),
    ("nve.drift", "drift, meV/atom/ps", 4),
)
#: Cells of the vacancies: cube or primitive cell, and repetitions.
CELLS = {
    "Si": {8: (True, 1), 16: (False, 2)},
    "C": {8: (True, 1), 16: (False, 2)},
    "W": {8: (True, (2, 2, 1)), 16: (True, 2)},
}


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__, repeats=1)
    options.add_argument("--model", nargs="+", default=[], metavar="Si=FILE")
    options.add_argument("--only", help="properties, separated by commas")
    return options


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
    found = {name: (own.value, own.std) for name, own in report.quantities.items()}
    if "vacancy" in only:
        a = found["structure.a"][0]
        for size, (cubic, repeats) in CELLS[formula].items():
            cell = bulk(formula, name, a=a, cubic=cubic).repeat(repeats)
            energy = vacancy(cell, calculator, width=0.1).energy
            found[f"vacancy.energy_{size}"] = (energy, None)
    return found


def reference(formula: str) -> dict[str, float]:
    """Return what DFT gives."""
    folder = ROOT / "data" / CRYSTALS[formula][1]
    return read_reference(folder / "properties.json")


def markdown(found: dict[str, dict[str, tuple[float, float | None]]]) -> str:
    """Return the table of docs/benchmarks.md."""
    head = [f"{formula} | DFT" for formula in found]
    known = {formula: reference(formula) for formula in found}
    lines = [f"| | {' | '.join(head)} |", "| --- |" + " --: | --: |" * len(found)]
    for key, heading, digits in ROWS:
        cells = []
        for formula, own in found.items():
            value, std = own.get(key, (None, None))
            text = "" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"
            cells.append(text if std is None else f"{text} ± {std:.{digits}f}")
            dft = known[formula].get(key)
            cells.append("" if dft is None else f"{dft:.{digits}f}")
        lines.append(f"| {heading} | {' | '.join(cells)} |")
    return "\n".join(lines)


def run(args: argparse.Namespace) -> Report:
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
    return report


if __name__ == "__main__":
    script(arguments(), run)
