"""Reference calls of learning on the fly, and of labelling every tenth step.

The silicon of examples/onthefly_silicon is heated until it melts. Of the trajectory of the
learning model every tenth structure is labelled, too, and fitted with the same settings:
all of them, fewer at equal distances, and the first ones. All potentials are tested on
structures along a heating by the reference itself, with other random numbers.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ase.io
import numpy as np
from _common import Column, Label, Report, Row, parser, script, threads
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

import gapfit
from gapfit.active.driver import Driver
from gapfit.config.learn import LearnConfig
from gapfit.config.toml import load_config_as

EXAMPLE = Path(__file__).parents[2] / "examples" / "onthefly_silicon"
sys.path.append(str(EXAMPLE))

from silicon_tersoff import tersoff  # noqa: E402

COLUMNS = (
    Label("what", "labelled"),
    Label("share", "share"),
    Column("calls", "calls", "d"),
    Column("energy", "E meV/atom", ".2f"),
    Column("forces", "F eV/Å", ".3f"),
    Column("ratio", "calls / on the fly", ".1f"),
    Column("seconds", "s", ".0f"),
)
_TEST_SEED, _N_TEST = 1000, 100
# Of the structures that are labelled without asking.
_EVENLY, _FIRST = (0.5, 0.33, 0.2, 0.15, 0.1), (0.95, 0.9, 0.85, 0.8, 0.7)
# Of every tenth structure a tenth is fitted alone.
_LEAST_STEPS = 100


def labelled(atoms: Atoms) -> Atoms:
    """Return a structure with the results of the reference."""
    own = Atoms(
        atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc
    )
    own.calc = tersoff()
    results = {"energy": own.get_potential_energy(), "forces": own.get_forces()}
    results["stress"] = own.get_stress()
    own.calc = SinglePointCalculator(own, **results)
    return own


def test_set(config: LearnConfig) -> list[Atoms]:
    """Return structures of a heating by the reference itself."""
    (run,) = config.runs
    driver = Driver(run, ase.io.read(EXAMPLE / run.start), [_TEST_SEED])
    driver.use(tersoff())
    every, found = max(run.steps // _N_TEST, 1), []
    while not driver.is_done:
        driver.advance()
        if driver.step % every == 0:
            found.append(labelled(driver.atoms))
    return found


def measure(model: gapfit.GAPModel, test: Sequence[Atoms]) -> Row:
    errors = gapfit.evaluate(model, test)["all"]
    return {kind: errors[kind]["rmse"] for kind in ("energy", "forces")}


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    found = call()
    return found, time.perf_counter() - started


def compare(config: LearnConfig, folder: Path, test: Sequence[Atoms]) -> list[Row]:
    """Return the rows of one learning and of what labels without asking."""
    model, seconds = timed(lambda: gapfit.learn(config, folder, base=EXAMPLE))
    asked = ase.io.read(folder / "labelled.extxyz", ":")
    n = len(asked)
    rows = [{"what": "on the fly", "calls": n, "seconds": seconds}]
    rows[0] |= measure(model, test)
    path = ase.io.read(folder / "trajectory.extxyz", ":")[1:]
    every_tenth = [labelled(atoms) for atoms in path]
    first = asked[: config.learning.bootstrap]

    def add(what: str, frames: Sequence[Atoms], share: float = 1.0) -> None:
        other, seconds = timed(lambda: gapfit.fit(frames, config.fit))
        row = {"what": what, "share": share, "calls": len(frames), "seconds": seconds}
        rows.append(row | {"ratio": len(frames) / n} | measure(other, test))

    add("every 10th step", every_tenth)
    for share in _EVENLY:
        size = round(share * len(every_tenth))
        chosen = np.linspace(0, len(every_tenth) - 1, size).round().astype(int)
        add("of these, evenly", [every_tenth[k] for k in chosen], share)
    for share in _FIRST:
        size = round(share * len(every_tenth))
        add("of these, the first", [*first, *every_tenth[:size]], share)
    return rows


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__, repeats=1)
    options.add_argument("--steps", type=_steps, default=3000, help="of the heating")
    options.add_argument("--threshold", type=float, help="eV/Å; default: the example's")
    options.add_argument("--refit", type=float, help="default: the example's")
    options.add_argument("--test", type=Path, help="file that keeps the test set")
    options.add_argument("--threads", type=int, default=1)
    return options


def _steps(text: str) -> int:
    if not text.isdecimal() or int(text) < _LEAST_STEPS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a whole number of at least {_LEAST_STEPS}: of fewer steps "
            "the smallest share has no structure to fit"
        )
    return int(text)


def settings(args: argparse.Namespace, seed: int) -> LearnConfig:
    """Return the configuration of the example with what the arguments change."""
    config = load_config_as(LearnConfig, EXAMPLE / "learn.toml")
    runs = [config.runs[0].model_copy(update={"steps": args.steps})]
    forces = args.threshold or config.threshold.forces
    threshold = config.threshold.model_copy(update={"forces": forces})
    refit = args.refit or config.learning.refit
    learning = config.learning.model_copy(update={"refit": refit, "trajectory": 10})
    run = config.run.model_copy(update={"seed": seed})
    changes = {"runs": runs, "threshold": threshold, "learning": learning, "run": run}
    return config.model_copy(update=changes)


def run(args: argparse.Namespace) -> Report:
    logging.getLogger("gapfit").addHandler(logging.NullHandler())
    report = Report("onthefly", vars(args))
    report.header(f"64 atoms of silicon, {args.steps} steps, threads: {args.threads}")
    with threads(args.threads), TemporaryDirectory() as temporary:
        if args.test and args.test.exists():
            test = ase.io.read(args.test, ":")
        else:
            test = test_set(settings(args, 0))
            if args.test:
                ase.io.write(args.test, test)
        for seed in range(args.repeats):
            folder = Path(temporary) / f"seed{seed}"
            rows = compare(settings(args, seed), folder, test)
            report.table(f"Seed {seed}", COLUMNS, rows)
    return report


if __name__ == "__main__":
    script(arguments(), run)
