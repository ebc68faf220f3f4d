"""Compare a model with reference data: errors by kind and config_type.

The labels are looked for under the names the model was fitted with, unless others are
given.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gapfit.cli._console import Console
from gapfit.cli._labels import add_label_arguments, given_keys, read_files

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="usually model.npz")
    parser.add_argument("data", nargs="+", metavar="DATA", help="labelled structures")
    parser.add_argument(
        "--json", action="store_true", help="print JSON and nothing else"
    )
    parser.add_argument(
        "--leave-one-out",
        action="store_true",
        help="DATA are the training data: predict each structure by the fit without it",
    )
    add_label_arguments(parser, "as the model was fitted")


def run(args: argparse.Namespace, console: Console) -> int:
    """Print the errors."""
    from gapfit.evaluation import evaluate, format_table
    from gapfit.left_out import leave_one_out
    from gapfit.storage import load

    model = load(args.model)
    data = model.config.data.model_copy(update=given_keys(args))
    dataset = read_files(args.data, data)
    with console.progress() as progress:
        judge = leave_one_out if args.leave_one_out else evaluate
        metrics = judge(model, dataset, progress=progress)
    if args.json:
        console.result(metrics)
    else:
        title = "Left out in turn" if args.leave_one_out else ", ".join(args.data)
        console.say(f"\n{format_table(metrics, title)}")
    console.warnings(list(dataset.warnings))
    return 0
