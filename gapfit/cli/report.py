"""Write a page about a fit: errors, figures, uncertainty, settings.

The page is a single file that works offline in any browser and can be printed; its
figures are also written as PNG to a folder named after the page. `gapfit fit` writes the
same page without the learning curve, which takes a pass over half of the training data
and four over the test data.

  gapfit report fit-model
  gapfit report fit-model --properties diamond

Results of `gapfit properties --output DIR` are part of the page if DIR is in RUNDIR, and
so are those of `gapfit stress-test`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gapfit._support.resources import in_words
from gapfit.cli._console import Console
from gapfit.cli._outputs import check_output

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "rundir",
        type=Path,
        metavar="RUNDIR",
        help="folder that `gapfit fit` wrote, or a model file",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE.html",
        help="the page, replaced if it exists (default: RUNDIR/report.html; for a model "
        "file in its folder: report.html for model.npz, NAME-report.html for NAME.npz)",
    )
    for name, adjective in (("train", "training"), ("test", "test")):
        parser.add_argument(
            f"--{name}",
            nargs="+",
            default=[],
            metavar="FILE",
            help=f"{adjective} data (default: the files of the configuration)",
        )
    parser.add_argument(
        "--properties",
        nargs="+",
        default=[],
        metavar="PROTOTYPE",
        help="compute lattice, equation of state and elastic constants of crystals: "
        "diamond, rocksalt:NaCl",
    )
    parser.add_argument(
        "--stress-test",
        action="store_true",
        help="run `gapfit stress-test --quick` for it (results of an earlier one are shown "
        "anyway)",
    )
    for name, content in (
        ("learning-curve", "learning curve"),
        ("dimers", "dimers"),
        ("uncertainty", "comparison of standard deviations with errors"),
    ):
        parser.add_argument(
            f"--no-{name}",
            dest=name.replace("-", "_"),
            action="store_false",
            help=f"leave out the {content}",
        )
    parser.add_argument(
        "--json", action="store_true", help="print JSON and nothing else"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Gather, draw and write."""
    from gapfit.report import ReportOptions, gather, require_folder, write

    path = _output(args.rundir, args.output)
    check_output(path, (".html",), inputs=[*args.train, *args.test])
    require_folder(path)
    wanted = ReportOptions(
        train=args.train,
        test=args.test,
        learning_curve=args.learning_curve,
        dimers=args.dimers,
        uncertainty=args.uncertainty,
        prototypes=args.properties,
        stress_test=args.stress_test,
    )
    with console.progress() as progress:
        contents = gather(args.rundir, wanted, progress)
        progress("figures", 0, 1)
        written = write(contents, path)
        progress("figures", 1, 1)
    if args.json:
        console.result(
            {
                "page": str(written[0]),
                "figures": [str(file) for file in written[1:]],
                "notes": list(contents.notes),
            }
        )
    console.warnings(list(contents.notes))
    console.title("Written")
    for file in written:
        console.say(f"  {file}  {in_words(file.stat().st_size)}")
    return 0


def _output(place: Path, given: Path | None) -> Path:
    """Return the file of the page."""
    if given is None:
        if place.is_dir():
            return place / "report.html"
        name = "report" if place.name == "model.npz" else f"{place.stem}-report"
        return place.with_name(f"{name}.html")
    return given
