"""Files and tables of `gapfit tune --budget`: the front, its plot, and the state."""

from __future__ import annotations

import argparse
import logging
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from gapfit._support.termination import Terminated
from gapfit.cli._console import Console
from gapfit.cli._next_steps import TUNED_HEADER
from gapfit.cli._outputs import check_output
from gapfit.errors import GapfitError

if TYPE_CHECKING:
    from gapfit.config.sections import FitConfig
    from gapfit.search.result import SearchResult

__all__ = ["search"]


def search(args: argparse.Namespace, console: Console, output: Path) -> FitConfig:
    """Search within the time, print and write the front; return the choice."""
    from gapfit.config.toml import load_config
    from gapfit.data.files import require_files
    from gapfit.search.budget import parse_cost, parse_time
    from gapfit.search.driver import tune_within

    path: Path = args.config
    seconds = parse_time(args.budget)
    most = parse_cost(args.cost) if args.cost else None
    config = load_config(path)
    files = _Files(output, path)
    files.check(force=args.force or args.resume)
    if args.resume and not files.state.exists():
        raise GapfitError(f"{files.state}: there is no search to resume")
    # Warnings of the library are printed at the end.
    logging.getLogger("gapfit").addHandler(logging.NullHandler())
    require_files(config.data.train, path.parent)
    try:
        with console.progress() as progress:
            result = tune_within(
                seconds,
                None,
                config,
                most_microseconds=most,
                progress=progress,
                base=path.parent,
                state=files.state,
                resume=args.resume,
                report=files.write,
            )
    except (KeyboardInterrupt, Terminated):
        if files.latest is not None:
            _plot(files.latest, files.plot)
            _print(console, files.latest, files)
        raise
    files.write(result)
    _plot(result, files.plot)
    if args.json:
        console.result(result.summary())
    _print(console, result, files)
    return result.best().config


class _Files:
    """The files of a search beside each other.

    Attributes
    ----------
    output, plot, state : Path
        The chosen configuration, the plot of the front, the trials so far.
    latest : SearchResult or None
        What the files show.
    """

    def __init__(self, output: Path, config: Path) -> None:
        self.output, self._config = output, config
        self.plot = output.with_suffix(".png")
        self.state = output.with_suffix(".state.json")
        self.latest: SearchResult | None = None

    def point(self, number: int) -> Path:
        """Return the file of a point of the front, numbered from 1."""
        return self.output.with_name(f"{self.output.stem}-{number}.toml")

    def check(self, *, force: bool) -> None:
        """Refuse files that cannot be written, or exist already."""
        check_output(self.output, (".toml",), force=force, inputs=[self._config])
        for path in (self.plot, self.state, *self._points()):
            check_output(path, force=force, inputs=[self._config])

    def write(self, result: SearchResult) -> None:
        """Write the front and the choice, if they are new."""
        before, self.latest = self.latest, result
        front, best = result.front(), result.best()
        if before is not None and (before.front(), before.best()) == (front, best):
            return
        for number, point in enumerate(front, start=1):
            self._write(self.point(number), point.config)
        for path in self._points():
            if path not in [self.point(n + 1) for n in range(len(front))]:
                path.unlink()
        self._write(self.output, best.config)

    def _points(self) -> list[Path]:
        """Return the files of points that exist."""
        name = re.compile(re.escape(self.output.stem) + r"-[0-9]+\.toml")
        files = self.output.absolute().parent.iterdir()
        return sorted(
            self.output.with_name(file.name)
            for file in files
            if name.fullmatch(file.name)
        )

    def _write(self, path: Path, config: FitConfig) -> None:
        from gapfit._support.archive import atomic_write
        from gapfit.config.toml import dump_toml, resolved_toml

        base = self._config.parent
        same = path.parent.resolve() == base.resolve()
        text = dump_toml(config) if same else resolved_toml(config, base)
        with atomic_write(path) as temporary:
            temporary.write_text(f"{TUNED_HEADER}\n{text}", encoding="utf-8")


def _print(console: Console, result: SearchResult, files: _Files) -> None:
    """Print the front, the warnings and the files."""
    from gapfit.search.front import SLACK
    from gapfit.search.result import format_front

    n_trials, sizes = len(result.records), result.part_sizes
    console.title("Pareto front of held-out errors and cost")
    console.say(format_front(result))
    full = sum(task.rung == len(sizes) - 1 for task in result.records)
    console.say(
        f"  * chosen: the cheapest within {100 * SLACK:.0f} % of the smallest error"
        + (
            f" of those up to {result.most_microseconds:g} µs/atom"
            if result.most_microseconds
            else ""
        )
    )
    console.say(
        f"  {n_trials} trials, {full} of them with all {sizes[-1]} frames"
        + ("; nothing is left to try" if result.complete else "")
    )
    console.warnings(list(result.warnings))
    console.title("Written")
    count = len(result.front())
    console.say(f"  {files.output}\n  {files.point(1)}")
    if count > 1:
        console.say(
            f"  ... to {files.point(count).name}, the front from fast to accurate"
        )
    console.say(f"  {files.plot}\n  {files.state}, for --resume")
    console.title("Next")
    console.say(f"  gapfit fit {shlex.quote(str(files.output))}")


def _plot(result: SearchResult, path: Path) -> None:
    """Draw errors over costs of all trials with the largest part, and their front."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from gapfit._support.archive import atomic_write

    measured = all(trial.microseconds is not None for _, trial in result.finished())

    def cost(trial: object) -> float:
        name = "microseconds" if measured else "operations"
        return float(getattr(trial, name))

    front, best = [point.trial for point in result.front()], result.best().trial
    trials = [trial for _, trial in result.finished()]
    panels = {
        "energy, meV/atom": lambda trial: 1000 * trial.held_out.energy_mae,
        "forces, eV/Å": lambda trial: trial.held_out.forces_rmse,
        "score": lambda trial: trial.error,
    }
    figure = Figure(figsize=(12, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(panels))
    for ax, (title, error) in zip(axes, panels.items(), strict=True):
        ax.plot([cost(t) for t in trials], [error(t) for t in trials], "o", alpha=0.4)
        ax.plot([cost(t) for t in front], [error(t) for t in front], "o-")
        ax.plot(cost(best), error(best), "o", color="tab:red")
        ax.set_xscale("log")
        ax.set_xlabel("µs/atom" if measured else "operations per atom")
        ax.set_ylabel(f"held out: {title}")
        ax.grid(alpha=0.3)
    for number, trial in enumerate(front, start=1):
        axes[-1].annotate(str(number), (cost(trial), trial.error))
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
