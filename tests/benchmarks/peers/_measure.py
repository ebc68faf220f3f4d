"""Rows of the comparison: errors, time and memory of the fit, and time of a step."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import read
from peers._apart import Apart, peak_of_processes
from peers._potential import Data, Labels, Potential, energy_and_forces

Row = dict[str, Any]
_TIMED_ATOMS = 512
#: Every fifth structure is predicted where a set comes without test structures.
_HELD_OUT = 5


def load(folder: Path, n_train: int | None = None) -> Data:
    """Return a set from its folder, with so many of the training structures, or all."""
    files = {
        part: next(iter(sorted(folder.glob(f"{part}.extxyz*"))), None)
        for part in ("train", "test")
    }
    if files["train"] is None:
        raise FileNotFoundError(f"{folder}: no train.extxyz")
    train = read(files["train"], ":")
    for atoms in train:
        _take_reference_labels(atoms)
    if files["test"] is None:
        test = train[_HELD_OUT - 1 :: _HELD_OUT]
        train = [a for n, a in enumerate(train, 1) if n % _HELD_OUT]
    else:
        test = read(files["test"], ":")
    if n_train is not None and n_train < len(train):
        chosen = np.random.default_rng(0).choice(len(train), n_train, replace=False)
        train = [train[n] for n in sorted(chosen)]
    return Data(folder.name, train, test, timed_structure(train))


def _take_reference_labels(atoms: Atoms) -> None:
    """Put labels named ``REF_`` where ASE keeps those without a prefix."""
    from ase.calculators.singlepoint import SinglePointCalculator

    if "REF_energy" in atoms.info:
        atoms.calc = SinglePointCalculator(
            atoms, energy=atoms.info["REF_energy"], forces=atoms.arrays["REF_forces"]
        )


def timed_structure(train: Sequence[Atoms]) -> Atoms:
    """Return the largest structure, repeated along its shortest sides to 512 atoms."""
    atoms = max(train, key=len)
    atoms = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
    while len(atoms) < _TIMED_ATOMS:
        times = np.ones(3, int)
        times[np.argmin(atoms.cell.lengths())] = 2
        atoms = atoms.repeat(times)
    return atoms


def errors(frames: Sequence[Atoms], predictions: Sequence[Labels]) -> Row:
    """Return MAE of energies, meV/atom, MAE and RMSE of force components, eV/Å."""
    energy, forces = [], []
    for atoms, (e, f) in zip(frames, predictions, strict=True):
        reference = energy_and_forces(atoms)
        energy.append(1000 * (e - reference[0]) / len(atoms))
        forces.append((f - reference[1]).ravel())
    flat = np.concatenate(forces)
    return {
        "energy": float(np.mean(np.abs(energy))),
        "forces": float(np.mean(np.abs(flat))),
        "forces_rmse": float(np.sqrt(np.mean(flat**2))),
    }


def cpu_seconds() -> float:
    """Return CPU seconds of this process and of those that it waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


@dataclass
class Trial:
    """A potential on a set, in a process of its own.

    Attributes
    ----------
    potential : Potential
        Not fitted yet.
    data : Data
        The set.
    folder : Path
        For its files; made here.
    """

    potential: Potential
    data: Data
    folder: Path

    def fitted(self) -> Row:
        """Fit and predict; return the row without times of steps."""
        self.folder.mkdir(parents=True)
        potential = self.potential
        began = cpu_seconds()
        trained = potential.fit(self.data, self.folder)
        seconds = cpu_seconds() - began if trained else None
        row = {
            "potential": potential.label,
            "size": potential.size,
            "fit": seconds - (potential.tune_cpu or 0.0) if trained else None,
            "tune": potential.tune_cpu,
            "memory": peak_of_processes() if trained else None,
            "engine": potential.engine,
            "error_bars": "yes" if potential.uncertainty else "no",
        }
        predictions = potential.predict(self.data.test)
        self._turn = potential.turn(self.data.timed)
        return row | errors(self.data.test, predictions)

    def turn(self) -> float:
        """Return CPU seconds of a step on one thread."""
        return self._turn()


def costs(
    turns: Mapping[str, Callable[[], float]], repeats: int, jobs: int = 1
) -> dict[str, float]:
    """Return median seconds of each, taken in turns after one that does not count."""
    with ThreadPoolExecutor(jobs) as pool:
        rounds = [
            list(pool.map(lambda turn: turn(), turns.values()))
            for _ in range(repeats + 1)
        ]
    medians = np.median(rounds[1:], axis=0)
    return dict(zip(turns, map(float, medians), strict=True))


def compared(
    data: Data,
    peers: Mapping[str, ModuleType],
    folder: Path,
    repeats: int,
    only: Sequence[str] = (),
    jobs: int = 1,
) -> list[Row]:
    """Return the rows of a set; a peer that cannot run gives one line instead.

    Parameters
    ----------
    data : Data
        The set.
    peers : mapping of str to module
        With `obstacle` and `potentials`.
    folder : Path
        For the files of the fits.
    repeats : int
        Turns of each step that count.
    only : sequence of str
        Words of which the label has at least one; all, if there are none.
    jobs : int
        Potentials that are fitted, or timed, at the same time.
    """
    processes: dict[str, Apart] = {}
    for name, peer in peers.items():
        if reason := peer.obstacle(data):
            print(f"{data.name}, {name}: left out, {reason}", flush=True)
            continue
        for number, potential in enumerate(peer.potentials(data)):
            if only and not any(word in potential.label for word in only):
                continue
            trial = Trial(potential, data, folder / data.name / f"{name}{number}")
            processes[potential.label] = Apart(trial, potential.label)

    def fitted(process: Apart) -> Row:
        row = process.ask("fitted") | {"set": data.name}
        print(f"{data.name}, {process.name}: {summary(row)}", flush=True)
        return row

    # All processes are there by now: a process with threads should not be forked.
    with ThreadPoolExecutor(jobs) as pool:
        rows = list(pool.map(fitted, processes.values()))
    turns = {name: partial(one.ask, "turn") for name, one in processes.items()}
    seconds = costs(turns, repeats, jobs)
    for process in processes.values():
        process.close()
    for row in rows:
        row["cost"] = 1e6 * seconds[row["potential"]] / len(data.timed)
    return rows


def summary(row: Row) -> str:
    """Return the errors of a row and the cost of its fit in words."""
    text = f"{row['energy']:.2f} meV/atom, {row['forces']:.4f} eV/Å"
    if row["fit"] is None:
        return text
    return f"{text}, fit {row['fit']:.1f} CPU s and {row['memory']:.2f} GB"
