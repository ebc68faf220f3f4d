"""A fit of QUIP's gap_fit and two of gapfit at the same settings, one core, in turn.

Usage: python tests/benchmarks/gap_fit.py TRAIN TEST [--n-sparse 1000] [--json FILE]
Same n_max, l_max, cutoff, number of sparse points and sigmas: the same command run by
``gapfit gap_fit``, with QUIP's basis, and gapfit with a basis of its own. Silicon of Zuo et
al. (J. Phys. Chem. A 124, 731, 2020) needs about ten minutes and 4 GB. CPU time, peak
memory and test errors of all.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from subprocess import DEVNULL

import _quip
import numpy as np
from _common import Column, Label, Report, Row, Time, parser, script
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.io import read, write

import gapfit

SIGMA_ENERGY, SIGMA_FORCES = 0.01, 0.05


COLUMNS = (
    Label("program", "program"),
    Time("cpu", "CPU s"),
    Column("gb", "GB", ".2f"),
    Column("energy", "E meV/atom", ".2f"),
    Column("forces", "F eV/Å", ".4f"),
)


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__)
    options.add_argument("train", type=Path)
    options.add_argument("test", type=Path)
    options.add_argument("--r-cut", type=float, default=5.4)
    options.add_argument("--n-max", type=int, default=8)
    options.add_argument("--l-max", type=int, default=8)
    options.add_argument("--n-sparse", type=int, default=1000)
    options.add_argument("--sparse-method", default="fps", help="of gapfit")
    return options


def commands(args: argparse.Namespace, folder: Path) -> list[str]:
    """Write the training data; return the words of the command after the program."""
    frames = [_quip.relabelled(atoms) for atoms in read(args.train, ":")]
    write(folder / "train.xyz", frames, format="extxyz")
    soap = _quip.soap_words(args.n_max, args.l_max, args.r_cut, args.n_sparse)
    return _quip.fit_words(soap, SIGMA_ENERGY, SIGMA_FORCES)


def measured(command: list[str], folder: Path) -> Row:
    """Run a program; return its CPU time, s, and peak memory, GB."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return {"cpu": used.ru_utime + used.ru_stime, "gb": used.ru_maxrss / 1e6}


def of_quip(args: argparse.Namespace) -> Row:
    """Fit and predict with QUIP."""
    from quippy.potential import Potential

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = commands(args, folder)
        row = measured([str(_quip.program()), *words], folder)
        potential = Potential("", param_filename=str(folder / "gap.xml"))
        return row | errors(read(args.test, ":"), potential)


def of_drop_in(args: argparse.Namespace) -> Row:
    """Run the same command by gapfit, and predict."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = commands(args, folder)
        program = [sys.executable, "-m", "gapfit", "gap_fit", "--no-report"]
        row = measured([*program, *words], folder)
        model = gapfit.load(folder / "gap-model" / "model.npz")
        return row | errors(read(args.test, ":"), gapfit.GAPCalculator(model))


def of_gapfit(args: argparse.Namespace) -> Row:
    """Fit and predict with gapfit, in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("fit_set.py"))]
    command += [str(args.train), str(args.test), "--delta", "1.0"]
    for name in ("r_cut", "n_max", "l_max", "n_sparse", "sparse_method"):
        command += [f"--{name.replace('_', '-')}", str(getattr(args, name))]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "fit.json"
        command += ["--json", str(file)]
        subprocess.run(command, stdout=DEVNULL, check=True)
        return json.loads(file.read_text())["tables"]["Fit"]["rows"][0]


def errors(test: list[Atoms], calculator: Calculator) -> dict[str, float]:
    """Return RMSE of energies (meV/atom) and forces (eV/Å)."""
    energy, forces = [], []
    for atoms in test:
        copy = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        copy.calc = calculator
        e = copy.get_potential_energy() - atoms.get_potential_energy()
        energy.append(1000 * e / len(atoms))
        forces.append((copy.get_forces() - atoms.get_forces()).ravel())
    return {
        "energy": float(np.sqrt(np.mean(np.square(energy)))),
        "forces": float(np.sqrt(np.mean(np.concatenate(forces) ** 2))),
    }


def run(args: argparse.Namespace) -> Report:
    report = Report("gap_fit", vars(args))
    report.header(f"{args.train.parent.name}, one thread; RMSE on the test set")
    rows = [
        {"program": "gap_fit"} | of_quip(args),
        {"program": "gapfit gap_fit"} | of_drop_in(args),
        {"program": "gapfit"} | of_gapfit(args),
    ]
    report.table("Fit", COLUMNS, rows)
    return report


if __name__ == "__main__":
    script(arguments(), run)
