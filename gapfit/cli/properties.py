"""Compute properties of a crystal: lattice, elasticity, defects, phonons.

The crystal is a file, or a prototype: sc, fcc, bcc, diamond, hcp, rocksalt, zincblende,
cesiumchloride, fluorite, wurtzite. It is relaxed first. Error bars come from the
posterior: the spread of potentials drawn from it (lattice, equation of state, elastic
constants), or the standard deviation of an energy difference (vacancy, surfaces, dimers).
vacancy.energy is that of the larger of two supercells; vacancy.size_effect, its difference
from the smaller one, estimates the interaction of the vacancy with its images.

  gapfit properties MODEL --prototype diamond --element Si
  gapfit properties MODEL crystal.extxyz --only eos,elastic --reference dft.toml

A reference file contains values under the names of the table, in its units:

  [elastic]
  C11 = 153
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gapfit.cli._console import Console
from gapfit.cli._outputs import make_output_folder
from gapfit.errors import GapfitError

if TYPE_CHECKING:
    from gapfit.model.gap_model import GAPModel
    from gapfit.properties.quantities import ReferenceComparison
    from gapfit.properties.results import Report, Settings

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="usually model.npz")
    parser.add_argument(
        "structure",
        type=Path,
        nargs="?",
        metavar="STRUCTURE",
        help="crystal, its conventional cell (the first structure of the file)",
    )
    parser.add_argument("--prototype", metavar="NAME", help="instead of a file")
    parser.add_argument(
        "--element",
        metavar="FORMULA",
        help="formula of the prototype: Si, NaCl (default: the only species of MODEL)",
    )
    parser.add_argument(
        "--lattice",
        type=float,
        metavar="A",
        help="lattice constant of the prototype to start from, Å (default: from a scan)",
    )
    parser.add_argument(
        "--only",
        metavar="LIST",
        help="properties among structure,eos,elastic,vacancy,surface,dimer,phonon,nve "
        "(default: all)",
    )
    parser.add_argument(
        "--reference",
        type=Path,
        metavar="FILE",
        help="values to compare with, JSON or TOML",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for properties.json, the relaxed crystal and plots",
    )
    parser.add_argument(
        "--json", action="store_true", help="print JSON and nothing else"
    )
    group = parser.add_argument_group("settings")
    for name, kind, unit, text in (
        (
            "samples",
            int,
            "N",
            "potentials drawn from the posterior; 0: no error bars (30)",
        ),
        ("seed", int, "N", "seed of samples and momenta (0)"),
        ("width", float, "Å", "least distance of opposite faces of supercells (10)"),
        ("planes", str, "LIST", "surfaces: 100,110,1-10 (default: low-index planes)"),
        ("temperature", float, "K", "temperature of the dynamics (300)"),
        ("timestep", float, "fs", "time step of the dynamics (1)"),
        ("steps", int, "N", "steps of the dynamics (2000)"),
    ):
        group.add_argument(f"--{name}", type=kind, metavar=unit, help=text)


def run(args: argparse.Namespace, console: Console) -> int:
    """Compute, compare, print and write."""
    from gapfit.cli._property_plots import draw
    from gapfit.model.storage import load
    from gapfit.properties import PROPERTIES, compared, compute, read_reference

    reference = read_reference(args.reference) if args.reference else {}
    settings = _settings(args)
    if args.output:
        make_output_folder(args.output, "properties.json")
    only = args.only.replace(" ", "").split(",") if args.only else PROPERTIES
    model = load(args.model)
    notes: list[str] = []
    crystal = _crystal(args, model, notes)
    with console.progress() as progress:
        report = compute(
            model, crystal, only=only, settings=settings, progress=progress
        )
    report.warnings[:0] = notes
    comparison, messages = compared(report.quantities, reference)
    results = report.as_dict()
    if args.reference:
        results["comparison"] = {
            name: deviation.as_dict() for name, deviation in comparison.items()
        }
    if args.json:
        console.result(results)
    console.title(f"Properties of {report.crystal.get_chemical_formula()}")
    console.table(*_table(report, comparison))
    console.warnings([*report.warnings, *messages])
    if args.output:
        console.title("Written")
        for path in _write(results, report, args.output) + draw(report, args.output):
            console.say(f"  {path}")
    return 0


def _settings(args: argparse.Namespace) -> Settings:
    from gapfit.properties import Settings

    names = ("samples", "seed", "width", "temperature", "timestep", "steps")
    given = {name: getattr(args, name) for name in names}
    given = {name: value for name, value in given.items() if value is not None}
    if args.planes is not None:
        given["planes"] = [_plane(text) for text in args.planes.split(",")]
    return Settings(**given)


def _plane(text: str) -> tuple[int, int, int]:
    indices = re.fullmatch(r"\s*(-?\d)\s*(-?\d)\s*(-?\d)\s*", text)
    if not indices:
        raise GapfitError(f"--planes {text}: give three digits per plane, such as 1-10")
    return int(indices[1]), int(indices[2]), int(indices[3])


def _crystal(args: argparse.Namespace, model: GAPModel, notes: list[str]) -> Any:
    """Return the structure of the command line."""
    from gapfit.calculator import GAPCalculator
    from gapfit.cli._data import first_structure
    from gapfit.properties import prototype

    if (args.structure is None) == (args.prototype is None):
        raise GapfitError("give a STRUCTURE, or a --prototype with its --element")
    if args.structure is not None:
        if args.element is not None or args.lattice is not None:
            raise GapfitError(
                "--element and --lattice go with --prototype, not with a file"
            )
        return first_structure(args.structure)
    formula = args.element
    if formula is None:
        from ase.data import chemical_symbols

        symbols = [chemical_symbols[z] for z in model.species]
        if len(symbols) > 1:
            raise GapfitError(
                f"--prototype {args.prototype}: {args.model} has several species, "
                f"{', '.join(symbols)}; choose with --element"
            )
        formula = symbols[0]
    calculator = GAPCalculator(model, uncertainty=False)
    return prototype(args.prototype, formula, calculator, args.lattice, notes=notes)


def _table(
    report: Report, comparison: dict[str, ReferenceComparison]
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return head and body of the table."""
    head: tuple[str, ...] = ("", "value", "± std", "unit")
    if comparison:
        head += ("reference", "deviation", "relative")
    body = []
    for name, quantity in report.quantities.items():
        value, std = quantity.value, quantity.std
        digits = _digits(value if std is None else 100 * std)
        line: tuple[str, ...] = (
            name,
            _signed(value, digits, "-"),
            "" if std is None else f"{std:.{digits}f}",
            quantity.unit,
        )
        reference = comparison.get(name)
        if comparison and reference is not None:
            share = (
                ""
                if reference.relative is None
                else f"{_signed(100 * reference.relative, 1)} %"
            )
            deviation = _signed(reference.deviation, digits)
            line += (f"{reference.reference:g}", deviation, share)
        elif comparison:
            line += ("", "", "")
        body.append(line)
    return head, body


def _signed(value: float, digits: int, sign: str = "+") -> str:
    """Return a rounded number, never -0.0."""
    return f"{round(value, digits) + 0.0:{sign}.{digits}f}"


def _digits(value: float) -> int:
    """Return the number of decimals that show four digits, between 1 and 5.

    Examples
    --------
    >>> _digits(5.475), _digits(306.2), _digits(0.0)
    (3, 1, 3)
    """
    from math import floor, log10

    return min(max(3 - floor(log10(abs(value))), 1), 5) if value else 3


def _write(results: dict[str, Any], report: Report, folder: Path) -> list[Path]:
    """Write the numbers and the crystal; return the paths."""
    from ase.io import write

    from gapfit._support.archive import atomic_write
    from gapfit.cli._console import to_json

    numbers, crystal = folder / "properties.json", folder / "crystal.extxyz"
    with atomic_write(numbers) as temporary:
        temporary.write_text(to_json(results), encoding="utf-8")
    with atomic_write(crystal) as temporary:
        write(temporary, report.crystal, format="extxyz")
    return [numbers, crystal]
