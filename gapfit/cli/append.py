"""Add data to a model, without the data that it was fitted to.

The result is the fit of all data with the same sparse points, e0, baseline and sigmas.
With --new-sparse the model also gets sparse points where the new structures are unlike
the earlier ones; the information of the earlier data about these points is neglected, so
check the errors on the earlier data. Do not give structures that were fitted before: they
would count twice.

Labels have the names that the model was fitted with, unless others are given.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict

from gapfit.cli._console import Console
from gapfit.cli._data import print_contents, print_labels
from gapfit.cli._labels import add_label_arguments, given_keys, read_files
from gapfit.cli._models import (
    add_model_arguments,
    change,
    likelihoods,
    new_warnings,
    save,
)
from gapfit.cli._outputs import check_output

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    add_model_arguments(parser)
    parser.add_argument(
        "data", nargs="+", metavar="NEW.extxyz", help="labelled structures"
    )
    parser.add_argument(
        "--new-sparse",
        type=int,
        default=0,
        metavar="N",
        help="largest number of sparse points to add, for each central species of each "
        "SOAP term (default: 0)",
    )
    add_label_arguments(parser, "as the model was fitted")


def run(args: argparse.Namespace, console: Console) -> int:
    """Add the data, print the changes and write the model."""
    from gapfit.fitting.append import append
    from gapfit.model.storage import load_with_sums

    check_output(args.output, inputs=args.data)
    old = load_with_sums(args.model)
    data = old.config.data.model_copy(update=given_keys(args))
    dataset = read_files(args.data, data)
    print_contents(console, f"New data: {', '.join(args.data)}", dataset)
    print_labels(console, dataset)
    console.title("Append")
    with console.progress() as progress:
        new = append(
            old, dataset, data=data, new_sparse=args.new_sparse, progress=progress
        )
    addition = new.record.appended[-1]
    likelihood = likelihoods(old, new)
    console.title("Changed")
    console.table(
        ("", "before", "after"),
        [
            change("frames", old.record.n_frames, new.record.n_frames),
            change("atoms", old.record.n_atoms, new.record.n_atoms),
            *(
                change(f"rows, {kind}", old.record.n_rows[kind], n)
                for kind, n in new.record.n_rows.items()
            ),
            change("sparse points", old.n_sparse, new.n_sparse),
            change("log likelihood", *likelihood.values()),
        ],
    )
    save(console, old, new, args.output)
    if args.json:
        console.result(
            {
                "appended": asdict(addition),
                "n_sparse": {"before": old.n_sparse, "after": new.n_sparse},
                "log_marginal_likelihood": likelihood,
                "warnings": new_warnings(old, new),
            }
        )
    return 0
