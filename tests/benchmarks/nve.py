"""Conservation of energy and speed of molecular dynamics with a fitted potential.

Usage: python tests/benchmarks/nve.py [MODEL] [--ps 5] [--temperature 1000]
           [--timestep 1.0] [--repeats N] [--json FILE]
Silicon, 64 atoms: equilibrated with a Langevin thermostat, then a trajectory at constant
energy. Drift: slope of a straight line through the total energy; fluctuation: rms
deviation from it. Repeats are trajectories with other random numbers. Without MODEL, a
file, examples/silicon is fitted first.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from _common import MICRO, Column, Label, Report, Row, Time, parser, script, threads
from _fits import silicon_model
from ase import Atoms, units
from ase.build import bulk
from ase.constraints import FixCom
from ase.md.langevin import Langevin
from ase.md.verlet import VelocityVerlet

import gapfit

COLUMNS = (
    Label("seed", "seed"),
    Column("drift", "drift meV/atom/ps", ".5f"),
    Column("fluctuation", "rms meV/atom", ".4f"),
    Column("temperature", "mean T / K"),
    Column("steps_per_second", "steps/s", ".0f"),
    Time("us_per_atom", "µs/atom/step"),
)
_EQUILIBRATION_PS = 1.0


def equilibrated(model: gapfit.GAPModel, args: argparse.Namespace, seed: int) -> Atoms:
    """Return a warm crystal whose centre of mass stays where it is."""
    atoms = bulk("Si", a=args.lattice, cubic=True) * (2, 2, 2)
    atoms.calc = gapfit.GAPCalculator(model, uncertainty=False)
    atoms.set_constraint(FixCom())
    Langevin(
        atoms,
        args.timestep * units.fs,
        temperature_K=args.temperature,
        friction=0.01 / units.fs,
        fixcm=False,
        rng=np.random.default_rng(seed),
    ).run(round(1000 * _EQUILIBRATION_PS / args.timestep))
    return atoms


def trajectory(
    atoms: Atoms, args: argparse.Namespace
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return times (ps), total energies (eV/atom), temperatures (K), seconds taken."""
    n_steps = max(round(1000 * args.ps / args.timestep), 2)
    energies, temperatures = np.empty((2, n_steps + 1))
    dynamics = VelocityVerlet(atoms, args.timestep * units.fs)

    def record() -> None:
        energies[dynamics.nsteps] = atoms.get_total_energy() / len(atoms)
        temperatures[dynamics.nsteps] = atoms.get_temperature()

    dynamics.attach(record)
    started = time.perf_counter()
    dynamics.run(n_steps)
    wall = time.perf_counter() - started
    times = 1e-3 * args.timestep * np.arange(n_steps + 1)
    return times, energies, temperatures, wall


def measure(model: gapfit.GAPModel, args: argparse.Namespace, seed: int) -> Row:
    """Return the row of one trajectory."""
    atoms = equilibrated(model, args, seed)
    times, energies, temperatures, wall = trajectory(atoms, args)
    line = np.polyfit(times, energies, 1)
    residual = energies - np.polyval(line, times)
    per_second = (len(times) - 1) / wall
    return {
        "seed": seed,
        "drift": 1e3 * line[0],
        "fluctuation": 1e3 * float(np.sqrt(np.mean(residual**2))),
        "temperature": float(temperatures.mean()),
        "steps_per_second": per_second,
        "us_per_atom": MICRO / per_second / len(atoms),
    }


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__, repeats=1)
    options.add_argument("model", type=Path, nargs="?", help="model file of silicon")
    options.add_argument("--ps", type=float, default=5.0, help="length, ps")
    options.add_argument("--temperature", type=float, default=1000.0, help="K")
    options.add_argument("--timestep", type=float, default=1.0, help="fs")
    options.add_argument("--lattice", type=float, default=5.47, help="constant, Å")
    options.add_argument("--threads", type=int, default=1)
    return options


def run(args: argparse.Namespace) -> Report:
    model = silicon_model(args.model)
    report = Report("nve", vars(args) | {"model": repr(model)})
    report.header(
        f"{model!r}, 64 atoms, {args.ps:g} ps in steps of {args.timestep:g} fs after "
        f"{_EQUILIBRATION_PS:g} ps at {args.temperature:g} K; trajectories: "
        f"{args.repeats}, threads: {args.threads}"
    )
    with threads(args.threads):
        rows = [measure(model, args, seed) for seed in range(args.repeats)]
    if len(rows) > 1:
        middle = {c.key: float(np.median([r[c.key] for r in rows])) for c in COLUMNS}
        rows.append(middle | {"seed": "median"})
    report.table("Constant energy", COLUMNS, rows)
    return report


if __name__ == "__main__":
    script(arguments(), run)
