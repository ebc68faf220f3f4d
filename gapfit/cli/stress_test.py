"""Test a potential where molecular dynamics may take it.

Dimers and trimers to 0.5 Å, compression and expansion, single defects, random structures
with close contacts, dynamics up to twice the melting temperature, at -10, 0 and 10 GPa, of
slabs and of a cluster. A test ends at its first failure: a hole in the energy, atoms that
collapse, lost atoms, a temperature or energy that runs away, a standard deviation beyond
its alarm. The structure is saved. The exit status is 1 if a test failed.

  gapfit stress-test fit-model/model.npz
  gapfit stress-test model.npz crystal.extxyz --data train.extxyz

The crystal is that of lowest energy in the training data, which also say how close atoms
come. `gapfit report` shows the results.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gapfit.cli._console import Console
from gapfit.cli._outputs import make_output_folder
from gapfit.errors import GapfitError

if TYPE_CHECKING:
    from gapfit.model.gap_model import GAPModel
    from gapfit.robustness.results import StressReport

__all__ = ["add_arguments", "print_results", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="usually model.npz")
    parser.add_argument(
        "structures",
        nargs="*",
        type=Path,
        metavar="STRUCTURE",
        help="crystals to test, the first of each file (default: that of lowest energy in "
        "the data, with most species)",
    )
    parser.add_argument(
        "--data",
        nargs="+",
        default=[],
        metavar="FILE",
        help="labelled structures for the bounds (default: the training data of MODEL)",
    )
    parser.add_argument(
        "--only",
        metavar="LIST",
        help="tests among data,dimers,trimers,volume,defects,contacts,hot,pressure,"
        "surfaces,cluster (default: all)",
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--steps", type=int, metavar="N", help="steps of the hot dynamics (2000)"
    )
    length.add_argument("--quick", action="store_true", help="the same as --steps 300")
    parser.add_argument(
        "--temperature",
        type=float,
        metavar="K",
        help="highest temperature (default: twice the estimated melting temperature)",
    )
    parser.add_argument(
        "--seed", type=int, metavar="N", help="seed of momenta and positions (0)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for stress_test.json and the structures of failures (default: "
        "stress-test beside model.npz, NAME-stress-test beside NAME.npz)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print JSON and nothing else"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Test, print and write."""
    from gapfit.cli._data import first_structure
    from gapfit.model.storage import load
    from gapfit.robustness import TESTS, StressSettings, stress_test
    from gapfit.robustness.files import RESULTS, default_folder, write_results
    from gapfit.robustness.results import QUICK

    names = ("steps", "seed", "temperature")
    given = {name: getattr(args, name) for name in names}
    given = {name: value for name, value in given.items() if value is not None}
    if args.quick:
        given["steps"] = QUICK
    settings = StressSettings(**given)
    only = args.only.replace(" ", "").split(",") if args.only else tuple(TESTS)
    model = load(args.model)
    structures = [first_structure(path) for path in args.structures]
    data = _data(args, model)
    folder = args.output or default_folder(args.model)
    make_output_folder(folder, RESULTS)
    with console.progress() as progress:
        report = stress_test(
            model,
            structures,
            data=data,
            only=only,
            settings=settings,
            progress=progress,
        )
    paths = write_results(report, folder)
    if args.json:
        console.result(report.as_dict())
    print_results(console, report)
    console.title("Written")
    for path in paths:
        console.say(f"  {path}")
    return 0 if report.passed else 1


def _data(args: argparse.Namespace, model: GAPModel) -> Any:
    """Return the labelled data: those given, or those of the fit where they are."""
    from gapfit.data.files import require_files
    from gapfit.robustness.files import training_data

    if args.data:
        require_files(args.data, Path())
        return args.data
    dataset = training_data(model, args.model)
    if dataset is None and not args.structures:
        names = ", ".join(model.config.data.train) or "its file names none"
        raise GapfitError(
            f"{args.model}: its training data ({names}) are not there; name a crystal to "
            "test, or labelled data with --data"
        )
    return dataset or ()


def print_results(console: Console, report: StressReport) -> None:
    """Print the verdicts."""
    bounds = report.bounds
    console.title(f"Stress test of {', '.join(report.crystals)}")
    closest = ", ".join(f"{pair} {d:.2f}" for pair, d in bounds["closest"].items())
    melting = f"{bounds['melting']} K, estimated from the {bounds['melting_from']}"
    console.rows([("shortest distances, Å", closest), ("melting temperature", melting)])
    console.say()
    head = ("", "verdict", "lowest", "closest", "std", "time")
    units = ("", "", "meV/atom", "of data", "meV/atom", "s")
    console.table(
        head,
        [
            units,
            *(
                (
                    verdict.name,
                    verdict.outcome,
                    _shown(verdict.lowest, 1e3, 0),
                    _shown(verdict.closest, 1.0, 2),
                    _shown(verdict.std, 1e3, 0),
                    f"{verdict.seconds:.1f}",
                )
                for verdict in report.verdicts
            ),
        ],
    )
    console.say(
        "\n  lowest: lowest energy above that of the crystal. closest: shortest"
    )
    console.say("  distance over that in the data. std: largest of the energy.")
    failed = [verdict for verdict in report.verdicts if not verdict.passed]
    if failed:
        console.title("First failures")
        console.rows([(verdict.name, verdict.failure or "") for verdict in failed])
    skipped = [(v.name, reason) for v in report.verdicts for reason in v.skipped]
    if skipped:
        console.title("Skipped")
        console.rows(skipped)
    console.warnings(list(report.notes))


def _shown(value: float | None, factor: float, digits: int) -> str:
    """Return a number, never -0; a hyphen for none."""
    return "-" if value is None else f"{round(factor * value, digits) + 0.0:.{digits}f}"
