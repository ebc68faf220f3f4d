"""Rows of the comparison: errors, CPU time of the fit, and time of a step."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import read
from peers._potential import Data, Labels, Potential, energy_and_forces

Row = dict[str, Any]
_TIMED_ATOMS = 512
#: Every fifth structure is predicted where a set comes without test structures.
_HELD_OUT = 5


def load(folder: Path) -> Data:
    """Return a set from its folder."""
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


def fitted(potential: Potential, data: Data, folder: Path) -> Row:
    """Fit and predict; return the row without times of steps."""
    folder.mkdir(parents=True)
    began = cpu_seconds()
    trained = potential.fit(data, folder)
    seconds = cpu_seconds() - began if trained else None
    row = {
        "potential": potential.label,
        "size": potential.size,
        "fit": seconds - (potential.tune_cpu or 0.0) if trained else None,
        "tune": potential.tune_cpu,
        "engine": potential.engine,
        "error_bars": "yes" if potential.uncertainty else "no",
    }
    return row | errors(data.test, potential.predict(data.test))


def costs(turns: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, float]:
    """Return median seconds of each, taken in turns after one that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in turns}
    for number in range(repeats + 1):
        for name, turn in turns.items():
            value = turn()
            if number:
                seconds[name].append(value)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def compared(
    data: Data,
    peers: Mapping[str, ModuleType],
    folder: Path,
    repeats: int,
    only: Sequence[str] = (),
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
    """
    rows, turns = [], {}
    for name, peer in peers.items():
        if reason := peer.obstacle(data):
            print(f"{data.name}, {name}: left out, {reason}", flush=True)
            continue
        for number, potential in enumerate(peer.potentials(data)):
            if only and not any(word in potential.label for word in only):
                continue
            place = folder / data.name / f"{name}{number}"
            row = fitted(potential, data, place) | {"set": data.name}
            turns[potential.label] = potential.turn(data.timed)
            rows.append(row)
            print(f"{data.name}, {potential.label}: {summary(row)}", flush=True)
    seconds = costs(turns, repeats)
    for row in rows:
        row["cost"] = 1e6 * seconds[row["potential"]] / len(data.timed)
    return rows


def summary(row: Row) -> str:
    """Return the errors of a row and the time of its fit in words."""
    text = f"{row['energy']:.2f} meV/atom, {row['forces']:.4f} eV/Å"
    return text if row["fit"] is None else f"{text}, fit {row['fit']:.1f} CPU s"
