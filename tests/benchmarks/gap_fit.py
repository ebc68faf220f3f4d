"""A fit of QUIP's gap_fit and one of gapfit at the same settings, one core, in turn.

Usage: python tests/benchmarks/gap_fit.py TRAIN TEST [--n-sparse 1000] [--json FILE]
Same n_max, l_max, cutoff, number of sparse points and sigmas; silicon of Zuo et al. (J.
Phys. Chem. A 124, 731, 2020) needs about ten minutes and 4 GB. CPU time, peak memory
and test errors of both.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from subprocess import DEVNULL

import _quip
import numpy as np
from _common import Column, Label, Report, Row, Time, parser, script
from ase import Atoms
from ase.io import read, write

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


def of_quip(args: argparse.Namespace) -> Row:
    """Fit and predict with QUIP."""
    from quippy.potential import Potential

    train, test = (read(file, ":") for file in (args.train, args.test))

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frames = []
        for atoms in train:
            copy = atoms.copy()
            copy.info["dft_energy"] = atoms.get_potential_energy()
            copy.arrays["dft_forces"] = atoms.get_forces()
            frames.append(copy)
        write(folder / "train.xyz", frames, format="extxyz")
        soap = (
            f"soap n_max={args.n_max} l_max={args.l_max} cutoff={args.r_cut} "
            "cutoff_transition_width=0.5 atom_sigma=0.5 zeta=4 delta=1.0 "
            f"covariance_type=dot_product n_sparse={args.n_sparse} "
            "sparse_method=cur_points add_species=T"
        )
        options = [
            "at_file=train.xyz",
            f"gap={{{soap}}}",
            f"default_sigma={{{SIGMA_ENERGY} {SIGMA_FORCES} 0.0 0.0}}",
            "e0_method=average",
            "energy_parameter_name=dft_energy",
            "force_parameter_name=dft_forces",
            "virial_parameter_name=none",
            "sparse_jitter=1e-8",
            "do_copy_at_file=F",
            "rnd_seed=1",
            "gp_file=gap.xml",
        ]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [str(_quip.program()), *options]
        subprocess.run(command, cwd=folder, env=environment, check=True, stdout=DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        potential = Potential("", param_filename=str(folder / "gap.xml"))
        found = []
        for atoms in test:
            copy = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
            copy.calc = potential
            found.append((copy.get_potential_energy(), copy.get_forces()))
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu": cpu, "gb": after.ru_maxrss / 1e6, **errors(test, found)}


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


def errors(
    test: list[Atoms], found: list[tuple[float, np.ndarray]]
) -> dict[str, float]:
    """Return RMSE of energies (meV/atom) and forces (eV/Å)."""
    energy = [
        1000 * (e - atoms.get_potential_energy()) / len(atoms)
        for atoms, (e, _) in zip(test, found, strict=True)
    ]
    forces = np.concatenate(
        [
            (f - atoms.get_forces()).ravel()
            for atoms, (_, f) in zip(test, found, strict=True)
        ]
    )
    return {
        "energy": float(np.sqrt(np.mean(np.square(energy)))),
        "forces": float(np.sqrt(np.mean(forces**2))),
    }


def run(args: argparse.Namespace) -> Report:
    report = Report("gap_fit", vars(args))
    report.header(f"{args.train.parent.name}, one thread; RMSE on the test set")
    rows = [
        {"program": "gap_fit"} | of_quip(args),
        {"program": "gapfit"} | of_gapfit(args),
    ]
    report.table("Fit", COLUMNS, rows)
    return report


if __name__ == "__main__":
    script(arguments(), run)
