"""The command line: ``gapfit init | check | tune | fit`` and commands that use a model.

Start-up is fast because every command imports its libraries only when it runs.
"""

from __future__ import annotations

import argparse
import difflib
import itertools
import sys
import traceback
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from gapfit._support.termination import Terminated
from gapfit.cli import (
    append,
    calibrate,
    check,
    cite,
    compare,
    completion,
    convert,
    data,
    evaluate,
    export_lammps,
    export_metatomic,
    fit,
    gap_fit,
    info,
    init,
    lammps,
    learn,
    methods,
    predict,
    propagate,
    properties,
    refit,
    report,
    reproduce,
    schema,
    select,
    serve,
    stress_test,
    tune,
)
from gapfit.cli._console import Console
from gapfit.cli._environment import environment_warnings
from gapfit.cli._signals import orderly_end
from gapfit.errors import GapfitError, bounded

__all__ = ["command_parser", "main"]

#: Modules of the commands, by the headings of ``gapfit --help``.
_GROUPS = {
    "data": (init, check, data),
    "fit": (fit, tune, append, refit, calibrate, learn),
    "model": (info, evaluate, compare, report, properties, stress_test),
    "paper": (cite, methods, reproduce),
    "use": (predict, propagate, select, serve),
    "exchange": (gap_fit, convert, export_lammps, lammps, export_metatomic),
    "setup": (schema, completion),
}

_DESCRIPTION = "Fit, check and run Gaussian Approximation Potentials."
# Without braces around the names of all commands.
_USAGE = "gapfit [-h] [--debug] [--version] COMMAND ..."
_EPILOG = """\
first fit:
  gapfit init train.extxyz --test test.extxyz   writes a commented fit.toml
  gapfit check fit.toml                         looks for errors in the data
  gapfit tune fit.toml                          writes fit-tuned.toml: better sigmas
  gapfit fit fit-tuned.toml                     writes model and report to
                                                fit-tuned-model

exit status: 0 success, 1 bad input or a failed stress test, 2 wrong usage,
  130 interrupted, 143 terminated (SIGTERM)
"""


class _Version(argparse.Action):
    """Print the version; looked up only when asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from gapfit import __version__

        print(f"gapfit {__version__}")
        parser.exit()


class _Parser(argparse.ArgumentParser):
    """A parser that says which option may have taken an argument that is missing."""

    def error(self, message: str) -> NoReturn:
        greedy = [
            action.option_strings[-1]
            for action in self._actions
            if action.option_strings and action.nargs in ("*", "+")
        ]
        _, are_missing, names = message.partition(" are required: ")
        files = ", ".join(name for name in names.split(", ") if name[:1] != "-")
        if greedy and are_missing and files:
            message += (
                f"; all words after {' or '.join(greedy)} belong to it: write {files} "
                "before"
            )
        super().error(message)


def command_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    debug = _Parser(add_help=False)
    debug.add_argument(
        "--debug",
        action="store_true",
        default=argparse.SUPPRESS,
        help="show the traceback of an error",
    )
    parser = _Parser(
        prog="gapfit",
        usage=_USAGE,
        description=_DESCRIPTION,
        epilog=f"{_listing()}\n{_EPILOG}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[debug],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    # The epilog lists the commands: argparse has no headings among subcommands.
    commands = parser.add_subparsers(
        prog="gapfit", metavar="COMMAND", required=True, help=argparse.SUPPRESS
    )
    for module in itertools.chain(*_GROUPS.values()):
        command = commands.add_parser(
            _name(module),
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            parents=[debug],
            allow_abbrev=False,
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def _name(module: ModuleType) -> str:
    named = module.__name__.rpartition(".")[2].replace("_", "-")
    return str(getattr(module, "NAME", named))


def _listing() -> str:
    """Return the commands with the first line of their help, under headings."""
    lines = []
    for group, modules in _GROUPS.items():
        lines.append(f"{group}:")
        for module in modules:
            summary = (module.__doc__ or "").partition("\n")[0].rstrip(".")
            text = summary[0].lower() + summary[1:]
            lines.append(f"  {_name(module):<14} {text}")
        lines.append("")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        Command-line arguments; those of the process by default.

    Returns
    -------
    int
        0 for success, 1 for bad input or a failed stress test, 130 when interrupted, 143
        after SIGTERM. Wrong usage raises ``SystemExit`` with status 2, as argparse does.
    """
    parser = command_parser()
    args = parser.parse_args(_known_command(argv, parser))
    console = Console(json_only=getattr(args, "json", False))
    for text in environment_warnings():
        print(f"gapfit: warning: {bounded(text)}", file=sys.stderr)
    try:
        with orderly_end():
            return int(args.run(args, console))
    except Terminated as end:
        print(f"gapfit: stopped by {end}", file=sys.stderr)
        return end.status
    except KeyboardInterrupt:
        print("gapfit: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if getattr(args, "debug", False):
            traceback.print_exc()
        first, *lines = bounded(_message(error)).split("\n")
        lines += getattr(error, "__notes__", [])
        lines = [line if line.startswith(" ") else f"  {line}" for line in lines]
        print("\n".join([f"gapfit: error: {first}", *lines]), file=sys.stderr)
        return 1


def _known_command(
    argv: Sequence[str] | None, parser: argparse.ArgumentParser
) -> list[str]:
    """Return the arguments; refuse an unknown command with the nearest name.

    ``gapfit help`` and ``gapfit help COMMAND`` stand for ``--help``.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    place = next((n for n, word in enumerate(words) if not word.startswith("-")), None)
    if place is None:
        return words
    names = [_name(module) for module in itertools.chain(*_GROUPS.values())]
    if words[place] == "help":
        del words[place]
        if len(words) == place:
            return [*words, "--help"]
        words = [*words[: place + 1], "--help"]
    if words[place] not in names:
        near = [name for name in names if name.startswith(words[place])]
        near += difflib.get_close_matches(words[place], names, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}? " if near else ""
        parser.error(
            f"there is no command {words[place]!r}; {hint}`gapfit --help` lists all"
        )
    return words


def _message(error: Exception) -> str:
    if isinstance(error, GapfitError):
        return str(error)
    if isinstance(error, OSError):
        from gapfit._support.disk import sentence

        return sentence(error)
    if isinstance(error, MemoryError):
        return "out of memory; lower n_sparse or run.memory"
    return (
        f"unexpected {type(error).__name__}: {error}; this is a bug in gapfit: run "
        "again with --debug and report it"
    )
