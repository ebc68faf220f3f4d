"""The command line: ``gapfit init | check | tune | fit`` and what is done with a model.

Nothing heavy is imported here: every command imports what it needs when it runs.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence

from gapfit.cli import (
    append,
    calibrate,
    check,
    cite,
    convert,
    evaluate,
    export_lammps,
    fit,
    info,
    init,
    lammps,
    learn,
    predict,
    properties,
    refit,
    report,
    select,
    serve,
    tune,
)
from gapfit.cli._console import Console
from gapfit.errors import GapfitError

__all__ = ["main"]

_COMMANDS = (
    init,
    check,
    tune,
    fit,
    report,
    append,
    refit,
    calibrate,
    learn,
    evaluate,
    predict,
    properties,
    select,
    info,
    serve,
    export_lammps,
    lammps,
    convert,
    cite,
)

_DESCRIPTION = "Fit, check and run Gaussian Approximation Potentials."
_EPILOG = """\
a first fit:
  gapfit init train.extxyz --test test.extxyz    writes a commented fit.toml
  gapfit check fit.toml                          looks for mistakes in the data
  gapfit tune fit.toml                           writes fit-tuned.toml: better sigmas
  gapfit fit fit.toml                            writes fit-model/model.npz and report.html

exit status: 0 success, 1 bad input, 2 wrong usage, 130 interrupted
"""


class _Version(argparse.Action):
    """Print the version; looked up only when asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from gapfit import __version__

        print(f"gapfit {__version__}")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    debug = argparse.ArgumentParser(add_help=False)
    debug.add_argument(
        "--debug",
        action="store_true",
        default=argparse.SUPPRESS,
        help="show the traceback of an error",
    )
    parser = argparse.ArgumentParser(
        prog="gapfit",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[debug],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in _COMMANDS:
        name = module.__name__.rpartition(".")[2].replace("_", "-")
        summary = (module.__doc__ or "").partition("\n")[0].rstrip(".")
        command = commands.add_parser(
            name,
            help=summary[0].lower() + summary[1:],
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            parents=[debug],
            allow_abbrev=False,
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; those of the process by default.

    Returns
    -------
    int
        0 for success, 1 for bad input, 130 when interrupted. Wrong usage leaves through
        ``SystemExit`` with status 2, as argparse does.
    """
    args = _parser().parse_args(argv)
    console = Console(json_only=getattr(args, "json", False))
    try:
        return int(args.run(args, console))
    except KeyboardInterrupt:
        print("gapfit: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if getattr(args, "debug", False):
            traceback.print_exc()
        first, *rest = _message(error).split("\n")
        rest = [line if line.startswith(" ") else f"  {line}" for line in rest]
        print("\n".join([f"gapfit: error: {first}", *rest]), file=sys.stderr)
        return 1


def _message(error: Exception) -> str:
    if isinstance(error, GapfitError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error)
    if isinstance(error, MemoryError):
        return "the memory is exhausted; lower n_sparse or run.memory"
    return (
        f"unexpected {type(error).__name__}: {error}; this is a mistake in gapfit: run "
        "again with --debug and report it"
    )
