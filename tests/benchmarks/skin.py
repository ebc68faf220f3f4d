"""What dynamics costs with neighbours that are kept, by skin.

Usage: python tests/benchmarks/skin.py [MODEL] [--temperature 300] [--repeats N]
           [--max-cells 8] [--json FILE]
Silicon in ASE, one thread, without standard deviations: CPU time of a step of 1 fs in µs
per atom, the skins in turns, beside that of a neighbour list alone. Without MODEL, a
file, examples/silicon is fitted first.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from _common import (
    MICRO,
    Column,
    Label,
    Report,
    Row,
    Time,
    medians,
    parser,
    script,
    threads,
)
from _fits import silicon_model
from _models import silicon
from ase import Atoms, units
from ase.md.verlet import VelocityVerlet

import gapfit
from gapfit.data.frame import structure_arrays
from gapfit.data.neighbours import pair_list

#: Å
SKINS = (0.0, 0.3, 0.5, 0.7, 1.0)
#: Cells along each direction, and steps in a turn.
SIZES = {2: 300, 4: 60, 8: 20}

COLUMNS = (
    Label("n_atoms", "atoms"),
    Time("list", "list alone", ".2f"),
    *(Time(f"skin {skin}", f"skin {skin}", ".2f") for skin in SKINS),
    *(Column(f"every {skin}", f"search every ({skin})", ".0f") for skin in SKINS[1:]),
)


def moving(model: gapfit.GAPModel, cells: int, skin: float, T: float) -> VelocityVerlet:
    """Return dynamics from a crystal whose atoms have twice the wanted energy."""
    atoms: Atoms = silicon(cells, rattle=0.0)
    atoms.calc = gapfit.GAPCalculator(model, uncertainty=False, n_threads=1, skin=skin)
    widths = np.sqrt(atoms.get_masses()[:, None] * units.kB * 2 * T)
    rng = np.random.default_rng(0)
    atoms.set_momenta(widths * rng.normal(size=(len(atoms), 3)))
    dynamics = VelocityVerlet(atoms, units.fs)
    dynamics.run(20)
    return dynamics


def measure(
    model: gapfit.GAPModel, cells: int, n_steps: int, args: argparse.Namespace
) -> Row:
    runs = {skin: moving(model, cells, skin, args.temperature) for skin in SKINS}
    atoms = runs[0.0].atoms
    before = {skin: run.atoms.calc.pairs.n_searches for skin, run in runs.items()}
    seconds: dict[float, list[float]] = {skin: [] for skin in SKINS}
    for _ in range(args.repeats):
        for skin, dynamics in runs.items():
            started = time.process_time()
            dynamics.run(n_steps)
            seconds[skin].append(time.process_time() - started)
    frame = structure_arrays(atoms)
    alone = medians({"list": lambda: pair_list(frame, model.cutoff)}, 9)["list"]
    row: Row = {"n_atoms": len(atoms), "list": MICRO * alone / len(atoms)}
    for skin, found in seconds.items():
        n_searches = runs[skin].atoms.calc.pairs.n_searches - before[skin]
        row[f"skin {skin}"] = MICRO * float(np.median(found)) / n_steps / len(atoms)
        row[f"every {skin}"] = args.repeats * n_steps / max(n_searches, 1)
    return row


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__, repeats=7)
    options.add_argument("model", type=Path, nargs="?", help="model file of silicon")
    options.add_argument("--temperature", type=float, default=300.0, help="K")
    options.add_argument(
        "--max-cells", type=int, default=max(SIZES), help="leave out larger crystals"
    )
    return options


def run(args: argparse.Namespace) -> Report:
    model = silicon_model(args.model)
    report = Report("skin", vars(args) | {"model": repr(model)})
    report.header(f"{model!r}, {args.temperature:g} K, µs per atom and step")
    with threads(1):
        rows = [
            measure(model, cells, n_steps, args)
            for cells, n_steps in SIZES.items()
            if cells <= args.max_cells
        ]
    report.table("Dynamics", COLUMNS, rows)
    return report


if __name__ == "__main__":
    script(arguments(), run)
