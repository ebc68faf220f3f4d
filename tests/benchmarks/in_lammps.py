"""Speed of models in LAMMPS next to Python and QUIP, and energy along trajectories.

Usage: python tests/benchmarks/in_lammps.py [--json FILE] [--repeats N] [--no-quippy]
           [--no-nve] [--no-speed] [--no-std]
Speed: one thread for each rank, models with random coefficients. "pair" is what LAMMPS
calls the time in the potential, of its slowest rank; "step" is all of a step of molecular
dynamics. Python is `GAPModel.predict` of an `ase.Atoms` without standard deviations, with
("predict") and without ("core") its neighbour list. Energy: models fitted to the data of
the examples, the same start and time step in LAMMPS and in ASE. Drift: slope of a straight
line through the total energy; rms: deviation from it. Standard deviations of forces: a step
on average with none, with them in every step, and as often as `export-lammps` proposes.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import _quip
import numpy as np
from _common import MICRO, Column, Label, Report, Row, Time, parser, script, threads
from _models import Predict, frames_with, mixture, random_model, silicon, silicon_frames
from ase import Atoms
from ase.build import bulk
from ase.io import iread

import gapfit
from gapfit.lammps.build import build_plugin
from gapfit.lammps.export import export_lammps
from gapfit.lammps.force_std import steps_between
from gapfit.model.force_factor import ForceFactor

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from helpers.lammps_runs import STYLE, beginning, launch, standard, write_data  # noqa: E402
from helpers.lammps_trajectories import Trajectory, by_ase, by_lammps, start  # noqa: E402

GST = (32, 51, 52)
SPEED = (
    Label("case", "structure"),
    Label("n_atoms", "atoms"),
    Label("what", "evaluated by"),
    Time("pair", "pair µs/atom"),
    Time("step", "step µs/atom"),
    Column("over_core", "pair/core", ".3f"),
    Column("faster", "times one rank", ".2f"),
    Column("quippy", "QUIP/pair", ".1f"),
)
ENERGY = (
    Label("case", "structure"),
    Label("n_atoms", "atoms"),
    Label("step", "step fs"),
    Label("what", "by"),
    Column("drift", "drift meV/atom/ps", ".5f"),
    Column("rms", "rms meV/atom", ".5f"),
    Column("first", "max |Δx| Å, 10 steps", ".1e"),
    Column("middle", "100", ".1e"),
    Column("last", "1000", ".1e"),
    Column("energy", "max |ΔE| meV/atom", ".1e"),
)
STD = (
    Label("case", "structure"),
    Label("n_atoms", "atoms"),
    Label("rank", "potentials"),
    Label("every", "every"),
    Time("step", "step µs/atom"),
    Column("over", "times no std", ".2f"),
    Column("each", "a potential / a step", ".2f"),
)
#: Potentials that standard deviations of forces are computed with.
RANK = 32
N_STEPS = 1000
#: Times of one turn, µs/atom, under names of the table's columns.
Turn = Callable[[], Row]


class InLammps:
    """Short molecular dynamics in LAMMPS; every call returns its times."""

    def __init__(
        self,
        plugin: Path,
        model: gapfit.GAPModel,
        atoms: Atoms,
        folder: Path,
        *,
        ranks: int = 1,
        newton: str = "on",
        force_std: ForceFactor | None = None,
        every: int = 0,
        n_steps: int | None = None,
    ) -> None:
        self.folder, self.ranks, self.n_atoms = folder, ranks, len(atoms)
        folder.mkdir()
        export_lammps(model, folder / "p.gapfit", force_std=force_std)
        types = " ".join(write_data(folder / "data.lmp", atoms))
        self.n_steps = n_steps or max(12000 // len(atoms), 20)
        head = beginning(plugin, atoms, newton=newton) + STYLE.format(types=types)
        if every:
            head += f"\nfix std all pair {every} gapfit forces_std 1"
        # Forces of random coefficients are huge.
        self.script = (
            f"{head}\ntimestep 1e-7\nneigh_modify every 10 delay 0 check no\n"
            f"fix move all nve\nrun 3\nrun {self.n_steps}\n"
        )

    def __call__(self) -> Row:
        done = launch(self.folder, self.script, self.ranks)
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        longest = re.findall(r"^Pair .*?\|.*?\|.*?\| *([\d.e+-]+)", done.stdout, re.M)
        loops = re.findall(r"^Loop time of ([\d.e+-]+)", done.stdout, re.M)
        scale = MICRO / self.n_steps / self.n_atoms
        return {"pair": scale * float(longest[-1]), "step": scale * float(loops[-1])}


def timed(call: Callable[[], object], n_atoms: int, n_calls: int) -> Turn:
    """Return turns of a Python call."""

    def turn() -> Row:
        started = time.perf_counter()
        for _ in range(n_calls):
            call()
        return {"pair": MICRO * (time.perf_counter() - started) / n_calls / n_atoms}

    return turn


def in_turns(turns: dict[str, Turn], repeats: int) -> dict[str, Row]:
    """Return the medians of each, after one turn that does not count."""
    found: dict[str, list[Row]] = {name: [] for name in turns}
    for _ in range(repeats + 1):
        for name, turn in turns.items():
            found[name].append(turn())
    return {
        name: {key: float(np.median([row[key] for row in rows[1:]])) for key in rows[0]}
        for name, rows in found.items()
    }


def speed(
    case: str,
    plugin: Path,
    model: gapfit.GAPModel,
    atoms: Atoms,
    folder: Path,
    args: argparse.Namespace,
    quip: Callable[[], None] | None,
) -> list[Row]:
    """Return the rows of one structure."""
    predict = Predict(model, atoms)
    turns: dict[str, Turn] = {
        "predict": timed(predict, len(atoms), 10),
        "neighbours": timed(predict.neighbour_list, len(atoms), 10),
    }
    for ranks in (1, 2):
        for newton in ("on", "off"):
            name = f"LAMMPS, {ranks} rank{'s' * (ranks > 1)}, newton {newton}"
            own = folder / f"{case}_{ranks}_{newton}"
            turns[name] = InLammps(
                plugin, model, atoms, own, ranks=ranks, newton=newton
            )
    if quip:
        turns["QUIP"] = timed(quip, len(atoms), 1)
    found = in_turns(turns, args.repeats)
    core = found["predict"]["pair"] - found.pop("neighbours")["pair"]
    rows: list[Row] = [{"what": "Python, core", "pair": core}]
    rows += [{"what": name} | row for name, row in found.items()]
    one = found["LAMMPS, 1 rank, newton on"]
    for row in rows:
        row |= {"case": case, "n_atoms": len(atoms), "over_core": row["pair"] / core}
        if "ranks" in row["what"]:
            row["faster"] = one["step"] / row["step"]
        if quip and "LAMMPS, 1" in row["what"]:
            row["quippy"] = found["QUIP"]["pair"] / row["pair"]
    return rows


def all_speeds(plugin: Path, folder: Path, args: argparse.Namespace) -> list[Row]:
    """Return the rows of silicon and of Ge, Sb and Te."""
    frames = silicon_frames(args.sparse)
    settings = {"n_max": 8, "l_max": 6, "zeta": 4}
    model = random_model(frames, args.sparse, **settings)
    atoms = standard(silicon(4))
    quip = None
    if args.quippy:
        file = _quip.fit(folder, frames, 8, 6, args.sparse)
        quip = _quip.prediction(file, atoms)
    rows = speed("Si", plugin, model, atoms, folder, args, quip)
    frames = frames_with(mixture(3, GST, rattle=0.0), args.sparse)
    for channels, cells in (("all", 3), ("all", 5), (10, 3), (10, 5)):
        model = random_model(frames, args.sparse, **settings, channels=channels)
        name = f"GeSbTe, {channels} channels, {cells}"
        gst = standard(mixture(cells, GST))
        rows += speed(name, plugin, model, gst, folder, args, None)
    return rows


def force_deviations(
    case: str, plugin: Path, model: gapfit.GAPModel, atoms: Atoms, folder: Path, n: int
) -> list[Row]:
    """Return the rows of standard deviations of forces, medians of `n` repeats."""
    values = np.random.default_rng(0).normal(size=(RANK, model.n_sparse))
    factor = ForceFactor(values, 0.1, 0.2, 1)
    often = (0, 1, steps_between(RANK))
    turns: dict[str, Turn] = {
        str(every): InLammps(
            plugin,
            model,
            atoms,
            folder / f"{case}_std_{every}",
            force_std=factor,
            every=every,
            n_steps=2 * often[-1],
        )
        for every in often
    }
    found = in_turns(turns, n)
    none, rows = found["0"]["step"], []
    for every in often:
        step = found[str(every)]["step"]
        row: Row = {"every": every or "-", "step": step, "over": step / none}
        if every:
            row["each"] = (step - none) * every / RANK / none
        rows.append({"case": case, "n_atoms": len(atoms), "rank": RANK} | row)
    return rows


def all_force_deviations(
    plugin: Path, folder: Path, args: argparse.Namespace
) -> list[Row]:
    """Return the rows of silicon and of Ge, Sb and Te."""
    settings = {"n_max": 8, "l_max": 6, "zeta": 4}
    rows = []
    for case, frames, atoms in (
        ("Si", silicon_frames(args.sparse), silicon(3)),
        (
            "GeSbTe",
            frames_with(mixture(3, GST, rattle=0.0), args.sparse),
            mixture(2, GST),
        ),
    ):
        model = random_model(frames, args.sparse, **settings)
        own = standard(atoms)
        rows += force_deviations(case, plugin, model, own, folder, args.repeats)
    return rows


def structures() -> dict[str, tuple[Atoms, float]]:
    """Return structures and time steps, ps, by the name of their data."""
    crystals = iread(ROOT / "data" / "ge2sb2te5" / "train.extxyz")
    salt = next(f for f in crystals if f.info["config_type"] == "rock_salt")
    return {
        "silicon": (bulk("Si", a=5.47, cubic=True) * (2, 2, 2), 0.001),
        "tungsten": (bulk("W", a=3.18, cubic=True) * (3, 3, 3), 0.002),
        "ge2sb2te5": (salt * (2, 2, 2), 0.002),
    }


def energies(case: str, plugin: Path, folder: Path) -> list[Row]:
    """Return the rows of one structure."""
    atoms, step = structures()[case]
    model = gapfit.fit(config=ROOT / "examples" / case / "fit.toml")
    atoms = start(atoms, 600.0)
    own = folder / case
    own.mkdir()
    found = {
        "ASE": by_ase(model, atoms, step, N_STEPS),
        "LAMMPS": by_lammps(plugin, model, atoms, own, step, N_STEPS),
    }
    ase, lammps = found.values()
    apart = np.abs(lammps.positions - ase.positions)
    rows = [_energy_row(what, t, step, len(atoms)) for what, t in found.items()]
    rows[1] |= {"first": apart[:11].max(), "middle": apart[:101].max()}
    rows[1] |= {"last": apart.max()}
    rows[1]["energy"] = 1e3 * np.abs(lammps.energies - ase.energies).max() / len(atoms)
    return [{"case": case, "n_atoms": len(atoms), "step": 1e3 * step} | r for r in rows]


def _energy_row(what: str, found: Trajectory, step: float, n_atoms: int) -> Row:
    times = step * np.arange(len(found.energies))
    values = 1e3 * (found.energies - found.energies[0]) / n_atoms
    line = np.polyfit(times, values, 1)
    rms = float(np.sqrt(np.mean((values - np.polyval(line, times)) ** 2)))
    return {"what": what, "drift": float(line[0]), "rms": rms}


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__, repeats=5)
    options.add_argument(
        "--quippy", action=argparse.BooleanOptionalAction, default=_quip.available()
    )
    options.add_argument("--speed", action=argparse.BooleanOptionalAction, default=True)
    options.add_argument("--std", action=argparse.BooleanOptionalAction, default=True)
    options.add_argument("--nve", action=argparse.BooleanOptionalAction, default=True)
    options.add_argument("--sparse", type=int, default=1000, help="points of a species")
    return options


def run(args: argparse.Namespace) -> Report:
    report = Report("in_lammps", vars(args))
    report.header(
        f"{args.sparse} sparse points of each species, n_max 8, l_max 6, cutoff 5 Å, "
        f"zeta 4; medians of {args.repeats} repeats, taken in turns"
    )
    with threads(1), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plugin = build_plugin(folder)
        if args.speed:
            rows = all_speeds(plugin, folder, args)
            report.table("Speed", SPEED, rows)
        if args.std:
            rows = all_force_deviations(plugin, folder, args)
            report.table("Standard deviations of forces", STD, rows)
        if args.nve:
            rows = [
                row for case in structures() for row in energies(case, plugin, folder)
            ]
            report.table(f"{N_STEPS} steps at constant energy", ENERGY, rows)
    return report


if __name__ == "__main__":
    script(arguments(), run)
