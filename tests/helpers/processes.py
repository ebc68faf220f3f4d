"""What other processes compute: they import it by this module's name."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
from ase.build import bulk

import gapfit
from gapfit.execution import accumulate


def supercell(n: int = 3):
    atoms = bulk("Si", cubic=True) * (n, n, n)
    atoms.rattle(0.1, seed=3)
    return atoms


def forces_of(path: str, n_threads: int) -> np.ndarray:
    return gapfit.load(path).predict(supercell(), n_threads=n_threads).forces


def die_once(flag: str) -> None:
    """Make this worker kill itself at its first task, unless one has done so."""

    def deadly(self, *args, **options):
        if not Path(flag).exists():
            Path(flag).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, *args, **options)

    original = accumulate.RowBuilder.sum_up
    accumulate.RowBuilder.sum_up = deadly
