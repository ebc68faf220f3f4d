"""Print the papers to cite for a model."""

from __future__ import annotations

import argparse
from pathlib import Path

from gapfit.cli._console import Console

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="usually model.npz")
    parser.add_argument(
        "--bibtex", action="store_true", help="print BibTeX and nothing else"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Print the references."""
    from gapfit.citations import papers
    from gapfit.model.storage import load

    cited = list(papers(load(args.model)))
    if args.bibtex:
        console.say("\n\n".join(paper.bibtex for _, paper in cited))
        return 0
    console.title("Please cite gapfit (CITATION.cff), and for")
    for purpose, paper in cited:
        console.say(f"  {purpose}\n    {paper.text}")
    return 0
