"""GAP by QUIP's gap_fit, with the SOAP of gapfit's default, timed in quippy."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import _quip
from ase import Atoms
from ase.io import write
from peers._potential import Data, Labels, Potential

R_CUT, N_SPARSE = 5.5, 1000


class Gap(Potential):
    """A GAP of QUIP."""

    engine = "quippy"
    uncertainty = True

    def __init__(self, n_max: int, l_max: int) -> None:
        self.label = f"gap_fit n{n_max} l{l_max}"
        self.soap = _quip.soap_words(n_max, l_max, R_CUT, N_SPARSE)
        self.size = str(N_SPARSE)

    def fit(self, data: Data, folder: Path) -> bool:
        frames = [_quip.relabelled(atoms) for atoms in data.train]
        write(folder / "train.xyz", frames, format="extxyz")
        subprocess.run(
            [str(_quip.program()), *_quip.fit_words(self.soap, 0.006, 0.09)],
            cwd=folder,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        from quippy.potential import Potential as Quip

        self.potential = Quip("", param_filename=str(folder / "gap.xml"))
        return True

    def predict(self, frames: list[Atoms]) -> list[Labels]:
        return [self._labels(atoms) for atoms in frames]

    def _labels(self, atoms: Atoms) -> Labels:
        copy = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        copy.calc = self.potential
        return copy.get_potential_energy(), copy.get_forces()

    def turn(self, atoms: Atoms) -> Callable[[], float]:
        def measure() -> float:
            began = time.process_time()
            self._labels(atoms)
            return time.process_time() - began

        return measure


def obstacle(data: Data) -> str:
    """Return why this peer is left out; nothing if it can run."""
    return "" if _quip.available() else "QUIP is missing: pip install '.[peers]'"


def potentials(data: Data) -> list[Potential]:
    """Return the potentials for a set."""
    return [Gap(8, 6)]
