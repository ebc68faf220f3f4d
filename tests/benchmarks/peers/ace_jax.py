"""Linear ACE by ace-jax: noise and the size of the prior by evidence, in JAX on the CPU.

Energies weigh 30 times as much as forces, as in ACEpotentials, whose functions it has.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ase import Atoms
from peers._potential import Data, Labels, Potential, energy_and_forces
from peers.pod import write_extxyz

R_CUT, ORDER = 5.5, 3
WEIGHTS = {"default": {"E": 30.0, "F": 1.0, "V": 1.0}}
#: Largest total degree, by settings.
DEGREES = {"small": 10, "medium": 14}
_ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
_AJ = [sys.executable, "-c", "from ace_jax.cli import main; main()"]


class AceJax(Potential):
    """A linear potential of ace-jax."""

    engine = "ace-jax"

    def __init__(self, label: str, degree: int) -> None:
        self.label, self.degree = f"ace-jax {label}", degree

    def fit(self, data: Data, folder: Path) -> bool:
        write_extxyz(folder / "train.xyz", data.train)
        # Its errors are not read: one structure is the cheapest.
        write_extxyz(folder / "test.xyz", data.train[:1])
        options = {
            "elements": ",".join(data.species),
            "order": ORDER,
            "max-degree": self.degree,
            "rcut": R_CUT,
            "train": "train.xyz",
            "test": "test.xyz",
            "e0": "lsq",
            "weights": json.dumps(WEIGHTS),
            "out": "fit",
        }
        words = [word for key, value in options.items() for word in (f"--{key}", value)]
        done = subprocess.run(
            [*_AJ, "fit", *map(str, words)],
            cwd=folder,
            env=os.environ | {"XLA_FLAGS": _ONE_THREAD, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(
                f"ace-jax failed:\n{(done.stdout + done.stderr)[-2000:]}"
            )
        self.size = done.stdout.partition("-> ")[2].split()[0]
        self.calculator = calculator(folder / "fit" / "model.npz")
        return True

    def predict(self, frames: list[Atoms]) -> list[Labels]:
        found = []
        for atoms in frames:
            copy = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
            copy.calc = self.calculator
            found.append(energy_and_forces(copy))
        return found

    def turn(self, atoms: Atoms) -> Callable[[], float]:
        def measure() -> float:
            began = time.process_time()
            self.calculator.calculate(atoms, ["energy", "forces"])
            return time.process_time() - began

        return measure


def calculator(file: Path) -> Any:
    """Return the calculator of a model, in double precision on one thread."""
    os.environ["XLA_FLAGS"] = _ONE_THREAD
    import jax
    from ace_jax import ACECalculator

    jax.config.update("jax_enable_x64", True)
    return ACECalculator(str(file))


def obstacle(data: Data) -> str:
    """Return why this peer is left out; nothing if it can run."""
    return "" if find_spec("ace_jax") else "ace-jax is missing: pip install '.[peers]'"


def potentials(data: Data) -> list[Potential]:
    """Return the potentials for a set."""
    return [AceJax(label, degree) for label, degree in DEGREES.items()]
