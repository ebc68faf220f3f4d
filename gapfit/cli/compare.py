"""Compare fits: errors, cost per atom, and settings that differ.

Names are those of the folders of the models. The least error of each line has a star.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gapfit.cli._console import Console
from gapfit.cli._labels import add_label_arguments, given_keys, read_files

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "models",
        nargs="+",
        type=Path,
        metavar="MODEL",
        help="two or more: model.npz, or the folder of a fit",
    )
    parser.add_argument(
        "--data",
        nargs="+",
        required=True,
        metavar="DATA",
        help="labelled structures, usually test data",
    )
    parser.add_argument(
        "--json", action="store_true", help="print JSON and nothing else"
    )
    add_label_arguments(parser, "as the first model was fitted")


def run(args: argparse.Namespace, console: Console) -> int:
    """Print the comparison."""
    from gapfit.evaluation.comparison import compare, loaded

    models = loaded(args.models)
    first = next(iter(models.values()))
    labels = first.config.data.model_copy(update=given_keys(args))
    dataset = read_files(args.data, labels)
    with console.progress() as progress:
        found = compare(models, dataset, progress=progress)
    if args.json:
        console.result(found.as_dict())
    else:
        console.say(f"\n{found.n_structures} structures of {', '.join(args.data)}\n")
        console.say(found.table())
    fitted = [
        name
        for name, model in models.items()
        if model.record.was_fitted_to(dataset.frames)
    ]
    console.warnings(
        list(dataset.warnings)
        + [
            f"{name} was fitted to these data, which it predicts better than new ones"
            for name in fitted
        ]
    )
    return 0
