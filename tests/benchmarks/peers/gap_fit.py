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
from peers._potential import Data, Labels, Potential, energy_and_forces

R_CUT, N_SPARSE = 5.5, 1000
SOAP = (
    "soap n_max={n_max} l_max={l_max} cutoff={r_cut} cutoff_transition_width=0.5 "
    "atom_sigma=0.5 zeta=4 delta=1.0 covariance_type=dot_product n_sparse={n_sparse} "
    "sparse_method=cur_points add_species=T"
)


class Gap(Potential):
    """A GAP of QUIP."""

    engine = "quippy"
    uncertainty = True

    def __init__(self, n_max: int, l_max: int) -> None:
        self.label = f"gap_fit n{n_max} l{l_max}"
        self.soap = SOAP.format(
            n_max=n_max, l_max=l_max, r_cut=R_CUT, n_sparse=N_SPARSE
        )
        self.size = str(N_SPARSE)

    def fit(self, data: Data, folder: Path) -> bool:
        write(folder / "train.xyz", [relabelled(a) for a in data.train], "extxyz")
        options = [
            "at_file=train.xyz",
            f"gap={{{self.soap}}}",
            "default_sigma={0.006 0.09 0.0 0.0}",
            "e0_method=average",
            "energy_parameter_name=dft_energy",
            "force_parameter_name=dft_forces",
            "virial_parameter_name=none",
            "sparse_jitter=1e-8",
            "do_copy_at_file=F",
            "rnd_seed=1",
            "gp_file=gap.xml",
        ]
        subprocess.run(
            [str(_quip.program()), *options],
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


def relabelled(atoms: Atoms) -> Atoms:
    """Return a copy with labels under names that ASE does not take for its own."""
    copy = atoms.copy()
    copy.info["dft_energy"], copy.arrays["dft_forces"] = energy_and_forces(atoms)
    return copy


def obstacle(data: Data) -> str:
    """Return why this peer is left out; nothing if it can run."""
    return "" if _quip.available() else "QUIP is missing: pip install '.[peers]'"


def potentials(data: Data) -> list[Potential]:
    """Return the potentials for a set."""
    return [Gap(8, 6)]
