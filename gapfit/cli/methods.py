"""Print the paragraph of a paper on how a potential was fitted."""

from __future__ import annotations

import argparse
from pathlib import Path

from gapfit.cli._console import Console

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="usually model.npz")
    parser.add_argument(
        "--latex",
        action="store_true",
        help="LaTeX; `gapfit cite --bibtex` has the keys",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Print the paragraph."""
    from gapfit.methods import methods_text
    from gapfit.model.storage import load

    console.say(methods_text(load(args.model), latex=args.latex))
    return 0
