"""Choose deltas, sigmas and more from the training data, and write a configuration.

Deltas and the sigmas of forces and virials maximise the log marginal likelihood;
sigma.energy minimises the errors of held-out frames; values to scan stand in
[optimize] of the configuration:

  [optimize]
  scan = { "soap.r_cut" = [4.5, 5.0, 5.5], "soap.sigma" = [0.4, 0.5] }

Test data are never read. Writes NAME-tuned.toml and a plot of the trials beside it.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from gapfit.cli._console import Console
from gapfit.errors import GapfitError

if TYPE_CHECKING:
    from gapfit.tuning import Tuning

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("config", type=Path, metavar="CONFIG", help="usually fit.toml")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="configuration to write (default: beside CONFIG: fit-tuned.toml)",
    )
    parser.add_argument(
        "--force", action="store_true", help="replace FILE if it exists already"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the trials as JSON and nothing else"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Tune, print the trials and write the best configuration."""
    from gapfit._sources import require_files
    from gapfit.config_file import dump_toml, load_config, resolved_toml
    from gapfit.storage import atomic_write
    from gapfit.tuning import format_trials, tune

    path: Path = args.config
    output: Path = args.output or path.with_name(f"{path.stem}-tuned.toml")
    if output.exists() and not args.force:
        raise GapfitError(
            f"{output}: exists already; replace it with --force, or choose another "
            "file with --output"
        )
    config = load_config(path)
    require_files(config.data.train, path.parent)
    with console.progress() as progress:
        result = tune(None, config, progress=progress, base=path.parent)
    same = output.parent.resolve() == path.parent.resolve()
    text = (
        dump_toml(result.config) if same else resolved_toml(result.config, path.parent)
    )
    with atomic_write(output) as temporary:
        temporary.write_text(f"# Written by gapfit tune.\n{text}", encoding="utf-8")
    plot = output.with_suffix(".png")
    _plot(result, plot)
    if args.json:
        console.result(result.summary())
    console.title("Errors of held-out frames")
    console.say(format_trials(result))
    console.warnings(list(result.warnings))
    console.title("Written")
    console.say(f"  {output}\n  {plot}")
    console.title("Next")
    console.say(f"  gapfit fit {shlex.quote(str(output))}")
    return 0


def _plot(tuning: Tuning, path: Path) -> None:
    """Draw held-out errors and evidence of all trials."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from gapfit.storage import atomic_write

    names = [
        ", ".join(f"{k}={v}" for k, v in trial.settings.items()) or "as given"
        for trial in tuning.trials
    ]
    columns = {
        "energy, meV/atom": [
            1000 * trial.held_out.energy_mae for trial in tuning.trials
        ],
        "forces, eV/Å": [trial.held_out.forces_rmse for trial in tuning.trials],
        "log evidence": [trial.log_marginal_likelihood for trial in tuning.trials],
    }
    figure = Figure(figsize=(10, 1.5 + 0.35 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(columns), sharey=True)
    best = tuning.trials.index(tuning.best)
    for ax, (title, values) in zip(axes, columns.items(), strict=True):
        ax.plot(values, range(len(names)), "o-")
        ax.plot(values[best], best, "o", color="tab:red")
        ax.set_xlabel(title)
    axes[0].set_yticks(range(len(names)), names)
    axes[0].invert_yaxis()
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
