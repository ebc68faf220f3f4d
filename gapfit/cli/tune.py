"""Choose deltas, sigmas and more from the training data.

Deltas, the smoothness of ace and the sigmas of forces and virials maximise the log marginal
likelihood; sigma.energy minimises the errors of held-out frames. All stay within limits,
because the likelihood alone makes potentials with holes. Values to scan are set in [tune]
of the configuration:

  [tune]
  scan = { "soap.r_cut" = [4.5, 5.0, 5.5], "soap.atom_sigma" = [0.4, 0.5] }

With --budget the terms are chosen, too: r_cut, the size of soap, sparse points, zeta, and
whether there is ace. The most accurate configurations at every cost are written, numbered
from the fastest, and the choice among them.

Test data are never read. Writes NAME-tuned.toml and a plot of the trials, NAME-tuned.png.
Small errors do not prove that a potential is stable: --stress-test fits the choice and runs
it hot.
"""

from __future__ import annotations

import argparse
import logging
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gapfit.cli._console import Console
from gapfit.cli._next_steps import TUNED_HEADER, tuned_path
from gapfit.cli._outputs import check_output
from gapfit.cli._search import search
from gapfit.cli._tuned_test import (
    add_stress_test_argument,
    stress_test_folder,
    stress_tested,
)
from gapfit.errors import GapfitError

if TYPE_CHECKING:
    from gapfit.config.sections import FitConfig

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("config", type=Path, metavar="CONFIG", help="usually fit.toml")
    parser.add_argument(
        "--budget",
        metavar="TIME",
        help="also choose terms and sizes, within a time such as 20m, 90s or 2h",
    )
    parser.add_argument(
        "--cost",
        metavar="TIME",
        help="with --budget: most accurate within a cost per atom, such as 25us",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="with --budget: go on with a search that was stopped, to a total of TIME",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="configuration to write (default: fit-tuned.toml in the folder of CONFIG)",
    )
    parser.add_argument(
        "--force", action="store_true", help="replace FILE if it exists already"
    )
    add_stress_test_argument(parser)
    parser.add_argument(
        "--json", action="store_true", help="print the trials as JSON and nothing else"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Tune, print the trials and write the best configuration."""
    output: Path = args.output or tuned_path(args.config)
    if args.stress_test:
        stress_test_folder(output)
    if args.budget:
        chosen = search(args, console, output)
    else:
        for option in ("cost", "resume"):
            if getattr(args, option):
                raise GapfitError(f"--{option} is for a search: give its --budget, too")
        chosen = _tune(args, console, output)
    if args.stress_test:
        return stress_tested(chosen, args.config.parent, output, console)
    return 0


def _tune(args: argparse.Namespace, console: Console, output: Path) -> FitConfig:
    """Choose deltas and sigmas; return the choice."""
    from gapfit._support.archive import atomic_write
    from gapfit.config.toml import dump_toml, load_config, resolved_toml
    from gapfit.data.files import require_files
    from gapfit.fitting.trials import format_trials
    from gapfit.fitting.tune import tune

    path: Path = args.config
    plot = output.with_suffix(".png")
    config = load_config(path)
    check_output(output, (".toml",), force=args.force, inputs=[path])
    check_output(plot, force=args.force)
    # Warnings of the library are printed at the end.
    logging.getLogger("gapfit").addHandler(logging.NullHandler())
    require_files(config.data.train, path.parent)
    with console.progress() as progress:
        result = tune(None, config, progress=progress, base=path.parent)
    same = output.parent.resolve() == path.parent.resolve()
    text = (
        dump_toml(result.config) if same else resolved_toml(result.config, path.parent)
    )
    with atomic_write(output) as temporary:
        temporary.write_text(f"{TUNED_HEADER}\n{text}", encoding="utf-8")
    summary = result.summary()
    _plot(summary, plot)
    if args.json:
        console.result(summary)
    console.title("Errors of held-out frames")
    console.say(format_trials(summary))
    console.warnings(list(result.warnings))
    console.title("Written")
    console.say(f"  {output}\n  {plot}")
    console.title("Next")
    console.say(f"  gapfit fit {shlex.quote(str(output))}")
    return result.config


def _plot(summary: dict[str, Any], path: Path) -> None:
    """Draw held-out errors and evidence of all trials."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from gapfit._support.archive import atomic_write

    trials = [summary["given"], *summary["trials"]]
    names = [
        ", ".join(f"{key} = {value}" for key, value in trial["settings"].items())
        for trial in trials
    ]
    names = ["as given", *(name or "tuned" for name in names[1:])]
    panels = {
        "energy, meV/atom": ("energy_mae", 1000.0),
        "forces, eV/Å": ("forces_rmse", 1.0),
        "log evidence": ("log_marginal_likelihood", 1.0),
    }
    shown = {
        title: [factor * trial[key] for trial in trials]
        for title, (key, factor) in panels.items()
        if all(trial[key] is not None for trial in trials)
    }
    figure = Figure(figsize=(10, 1.5 + 0.35 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    best = summary["best"] + 1
    for ax, (title, values) in zip(axes, shown.items(), strict=True):
        ax.plot(values, range(len(names)), "o")
        ax.plot(values[best], best, "o", color="tab:red")
        ax.grid(axis="y", alpha=0.3)
        ax.set_xlabel(title)
    axes[0].set_yticks(range(len(names)), names)
    axes[0].invert_yaxis()
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
