"""Scale the standard deviations of a model to the errors it makes.

DATA are labelled structures that were not fitted, or exactly the training data: then
each structure is predicted by the fit without it, as in `gapfit fit`.
"""

from __future__ import annotations

import argparse
import logging

from gapfit.cli._console import Console
from gapfit.cli._labels import add_label_arguments, given_keys, read_files
from gapfit.cli._models import add_model_arguments, new_warnings
from gapfit.cli._outputs import check_output

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    add_model_arguments(parser, "run.store_posterior")
    parser.add_argument("data", nargs="+", metavar="DATA", help="labelled structures")
    parser.add_argument(
        "--fitted",
        action="store_true",
        default=None,
        help="DATA were fitted, but are only a part of the training data (without this "
        "they count as new structures, whose errors look too small)",
    )
    parser.add_argument(
        "--rows",
        type=int,
        metavar="N",
        help="largest number of observations (default: calibration.rows of the fit)",
    )
    add_label_arguments(parser, "as the model was fitted")


def run(args: argparse.Namespace, console: Console) -> int:
    """Calibrate, print the scales and write the model."""
    from gapfit.evaluation.calibrate import calibrate
    from gapfit.model.calibration import format_calibration
    from gapfit.model.storage import load

    # Warnings of the library are part of the model and printed at the end.
    logging.getLogger("gapfit").addHandler(logging.NullHandler())
    check_output(args.output, inputs=args.data)
    # With the training sums, which the new model keeps.
    model = load(args.model, training_sums=True)
    data = model.config.data.model_copy(update=given_keys(args))
    dataset = read_files(args.data, data)
    with console.progress() as progress:
        new = calibrate(
            model, dataset, fitted=args.fitted, n_rows=args.rows, progress=progress
        )
    assert new.calibration is not None
    new.save(args.output)
    if args.json:
        console.result(new.calibration.as_dict())
    else:
        console.say(f"\n{format_calibration(new.calibration)}")
        console.say(f"\nWritten to {args.output}")
    console.warnings([*dataset.warnings, *new_warnings(model, new)])
    return 0
