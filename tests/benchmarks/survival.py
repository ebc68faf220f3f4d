"""Whether the potentials of the examples survive long hot dynamics.

Usage: python tests/benchmarks/survival.py [silicon] [carbon] [tungsten] [--ps 100]
           [--seeds 10] [--json FILE]
The examples are fitted first. A crystal is held by a Langevin thermostat at a temperature
about or above its melting point (silicon 1500 K, 64 atoms, 2 fs; carbon 3000 K, 64 atoms,
1 fs; tungsten 3500 K, 54 atoms, 2 fs), then runs at constant energy for a twentieth of the
time, for the drift. A run dies when two atoms are closer than 0.7 of the shortest distance
in the training data, when the energy is 0.5 eV/atom below the crystal, or when the
temperature is twice the thermostat's. They are looked at every 20 steps.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from _common import Column, Label, Report, Row, parser, script, threads
from _dynamics import thermostat, warm
from _fits import EXAMPLES, example
from ase import Atoms, units
from ase.build import bulk
from ase.constraints import FixCom
from ase.md.md import MolecularDynamics
from ase.md.verlet import VelocityVerlet

import gapfit

COLUMNS = (
    Label("system", "system"),
    Label("seed", "seed"),
    Column("picoseconds", "ps survived", ".1f"),
    Label("end", "end"),
    Column("closest", "closest Å", ".2f"),
    Column("lowest", "lowest eV/atom", ".2f"),
    Column("hottest", "hottest K", ".0f"),
    Column("drift", "drift meV/atom/ps", ".4f"),
)
_LOOK = 20
_CLOSE, _FALLEN, _HOT = 0.7, -0.5, 2.0
#: Of the thermostat, 1/fs.
_FRICTION = 0.005


@dataclass(frozen=True)
class System:
    """A crystal, the temperature of its thermostat (K), and the time step (fs)."""

    crystal: Atoms
    temperature: float
    step: float


SYSTEMS = {
    "silicon": System(bulk("Si", a=5.47, cubic=True) * (2, 2, 2), 1500.0, 2.0),
    "carbon": System(bulk("C", a=3.57, cubic=True) * (2, 2, 2), 3000.0, 1.0),
    "tungsten": System(bulk("W", a=3.18, cubic=True) * (3, 3, 3), 3500.0, 2.0),
}


class Look:
    """Extremes of a run, and why it has died."""

    def __init__(self, atoms: Atoms, system: System, shortest: float) -> None:
        self.atoms, self.system = atoms, system
        self._limit = _CLOSE * shortest
        self._crystal = atoms.get_potential_energy() / len(atoms)
        self.closest, self.lowest, self.hottest = np.inf, 0.0, 0.0

    def __call__(self) -> str:
        """Look at the atoms; return what is wrong, empty if nothing is."""
        atoms = self.atoms
        distances = atoms.get_all_distances(mic=True)
        closest = float(distances[np.triu_indices(len(atoms), 1)].min())
        fallen = float(atoms.get_potential_energy() / len(atoms) - self._crystal)
        hot = float(atoms.get_temperature())
        self.closest = min(self.closest, closest)
        self.lowest = min(self.lowest, fallen)
        self.hottest = max(self.hottest, hot)
        if closest < self._limit:
            return "close contact"
        if fallen < _FALLEN:
            return "hole"
        return "too hot" if hot > _HOT * self.system.temperature else ""


def shortest_distance(model: gapfit.GAPModel) -> float:
    """Return the shortest distance of two atoms in the training data, Å."""
    return min(pair.closest or np.inf for pair in model.record.pairs)


def looks(dynamics: MolecularDynamics, look: Look, steps: int) -> Iterator[str]:
    """Run so many steps; yield what is wrong every few of them."""
    for _ in range(steps // _LOOK):
        dynamics.run(_LOOK)
        yield look()


def survived(model: gapfit.GAPModel, name: str, seed: int, picoseconds: float) -> Row:
    """Return the row of one run."""
    system = SYSTEMS[name]
    atoms = system.crystal.copy()
    atoms.calc = gapfit.GAPCalculator(model, uncertainty=False)
    rng = np.random.default_rng(seed)
    look = Look(atoms, system, shortest_distance(model))
    warm(atoms, system.temperature, rng)
    atoms.set_constraint(FixCom())
    langevin = thermostat(atoms, system.step, system.temperature, rng, _FRICTION)
    steps, done, wrong = round(1000 * picoseconds / system.step), 0, ""
    for wrong in looks(langevin, look, steps):
        done += _LOOK
        if wrong:
            break
    drift = (
        None if wrong else drift_of(atoms, system, look, max(steps // 20, 10 * _LOOK))
    )
    return {
        "system": f"{name}, {system.temperature:g} K",
        "seed": str(seed),
        "picoseconds": done * system.step / 1000,
        "end": wrong or "alive",
        "closest": look.closest,
        "lowest": look.lowest,
        "hottest": look.hottest,
        "drift": drift,
    }


def drift_of(atoms: Atoms, system: System, look: Look, steps: int) -> float:
    """Return the slope of the total energy at constant energy, meV/atom/ps."""
    totals = []
    for _ in looks(VelocityVerlet(atoms, system.step * units.fs), look, steps):
        totals.append(atoms.get_total_energy() / len(atoms))
    times = _LOOK * system.step / 1000 * np.arange(len(totals))
    return float(1000 * np.polyfit(times, totals, 1)[0])


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__)
    options.add_argument("names", nargs="*", metavar="NAME", help="of these examples")
    options.add_argument("--ps", type=float, default=100.0)
    options.add_argument("--seeds", type=int, default=10)
    return options


def run(args: argparse.Namespace) -> Report:
    report = Report("survival", vars(args))
    report.header(
        f"{args.ps:g} ps for each of {args.seeds} seeds, then constant energy"
    )
    rows: list[Row] = []
    with threads(1):
        for name in args.names or SYSTEMS:
            model = gapfit.fit(config=example(name), base=EXAMPLES / name)
            rows += [survived(model, name, n, args.ps) for n in range(args.seeds)]
    report.table("Hot dynamics", COLUMNS, rows)
    return report


if __name__ == "__main__":
    script(arguments(), run)
