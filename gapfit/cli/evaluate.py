"""Compare a model with reference data: errors by kind and config_type.

Labels have the names that the model was fitted with, unless others are given.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from gapfit.cli._console import Console
from gapfit.cli._labels import add_label_arguments, given_keys, read_files
from gapfit.cli._outputs import check_output
from gapfit.errors import GapfitError

if TYPE_CHECKING:
    from gapfit.evaluation.evaluate import Metrics

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
    parser.add_argument(
        "--no-uncertainty",
        dest="uncertainty",
        action="store_false",
        help="do not compare standard deviations with the errors (faster)",
    )
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="OUT.png",
        help="draw the reliability diagram: share of errors inside each interval",
    )
    add_label_arguments(parser, "as the model was fitted")


def run(args: argparse.Namespace, console: Console) -> int:
    """Print the errors."""
    from gapfit.evaluation.evaluate import evaluate, format_table
    from gapfit.evaluation.leave_one_out import leave_one_out
    from gapfit.model.storage import load

    if args.plot:
        check_output(args.plot, (".png",), inputs=args.data)
    model = load(args.model)
    if args.plot and (model.posterior is None or not args.uncertainty):
        raise GapfitError(
            f"--plot {args.plot}: there are no standard deviations to draw; the model "
            "needs its posterior, and --no-uncertainty must be left out"
        )
    data = model.config.data.model_copy(update=given_keys(args))
    dataset = read_files(args.data, data)
    with console.progress() as progress:
        compared = leave_one_out if args.leave_one_out else evaluate
        metrics = compared(
            model, dataset, uncertainty=args.uncertainty, progress=progress
        )
    if args.json:
        console.result(metrics)
    else:
        title = "Left out in turn" if args.leave_one_out else ", ".join(args.data)
        console.say(f"\n{format_table(metrics, title)}")
    warnings = list(dataset.warnings)
    if not args.leave_one_out and model.record.was_fitted_to(dataset.frames):
        warnings.append(
            "these are the training data, which are predicted better than new ones; "
            "--leave-one-out predicts each structure by the fit without it"
        )
    console.warnings(warnings)
    # Last, so that errors are printed even if there is nothing to draw.
    if args.plot:
        _plot(metrics, args.plot)
    return 0


def _plot(metrics: Metrics, path: Path) -> None:
    """Draw the shares of errors inside central intervals."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from gapfit._support.archive import atomic_write
    from gapfit.gp.reliability import DIAGRAM_LEVELS

    kinds = {
        kind: scores["uncertainty"]
        for kind, scores in metrics["all"].items()
        if "uncertainty" in scores
    }
    if not kinds:
        raise GapfitError(
            f"--plot {path}: there are no errors to draw: the data have no energies, no "
            "stresses, and no forces except those that are zero by symmetry"
        )
    figure = Figure(figsize=(4 * len(kinds), 4), layout="constrained")
    FigureCanvasAgg(figure)
    for ax, (kind, scores) in zip(
        figure.subplots(1, len(kinds), squeeze=False)[0], kinds.items(), strict=True
    ):
        ax.plot([0, 1], [0, 1], color="0.6", lw=1)
        ax.plot(DIAGRAM_LEVELS, scores["diagram"], "o-", label="one scale")
        ax.plot(
            DIAGRAM_LEVELS, scores["by_type"]["diagram"], "s--", label="by config_type"
        )
        ax.set(
            xlabel="probability", title=f"{kind}, {scores['n']} errors", aspect="equal"
        )
    figure.axes[0].set_ylabel("share of errors inside")
    figure.axes[0].legend()
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
