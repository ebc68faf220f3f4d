"""Reference properties of a crystal by DFT: ``python -m generator.crystal --system Si``.

Elastic constants of the ground-state crystal with relaxed atoms, and formation energies
of relaxed vacancies in small cells at constant volume, with the functional and the
cutoff of the set.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.optimize import BFGS

from .dft import calculator
from .eos import fit_eos, scans
from .plan import Frame
from .settings import SYSTEMS
from .store import read_frames

#: Crystal, spacing of its k-points (1/Å), and supercells of the vacancies: of the cube or
#: the primitive cell, and repetitions.
CRYSTALS: Final = {
    "Si": ("diamond", 0.18, ((True, (1, 1, 1)), (False, (2, 2, 2)))),
    "C": ("diamond", 0.25, ((True, (1, 1, 1)), (False, (2, 2, 2)))),
    "W": ("bcc", 0.20, ((True, (2, 2, 1)), (True, (2, 2, 2)))),
}
#: Strain of the central differences; largest force that is left (eV/Å).
STRAIN, FMAX = 0.01, 0.02


@dataclass(frozen=True)
class Crystal:
    """An elemental crystal and how it is computed.

    Parameters
    ----------
    system : str
        Name of the set.
    phase : str
        Prototype of `ase.build.bulk`.
    a : float
        Lattice constant, Å.
    spacing : float
        Largest k-point spacing of the primitive cell, 1/Å including 2π.
    log : str
        File for GPAW's text output.
    """

    system: str
    phase: str
    a: float
    spacing: float
    log: str

    def cell(self) -> Atoms:
        """Return the primitive cell of the perfect crystal."""
        return bulk(self.system, self.phase, a=self.a)

    def attach(self, atoms: Atoms, spacing: float, unstrained: Atoms) -> Atoms:
        """Give GPAW to a structure, on the grid of the unstrained one."""
        options = {"kgrid": "fine", "kspacing": spacing, "kcell": unstrained.cell}
        frame = Frame(f"{self.system}:crystal:", "crystal", atoms, options=options)
        settings = SYSTEMS[self.system]
        solver = "rmm-diis" if settings.rmm_diis else "davidson"
        atoms.calc = calculator(frame, atoms, settings, solver, self.log)
        return atoms

    def stress(self, component: int, amount: float) -> np.ndarray:
        """Return the stress (6,), GPa, of the primitive cell under strain, relaxed.

        Shears are twice the tensor's, in Voigt's order.
        """
        start = self.cell()
        strain = np.zeros((3, 3))
        row, column = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))[component]
        strain[row, column] += amount / 2
        strain[column, row] += amount / 2
        atoms = start.copy()
        atoms.set_cell(start.cell @ (np.eye(3) + strain), scale_atoms=True)
        self.attach(atoms, self.spacing, start)
        if len(atoms) > 1:
            BFGS(atoms).run(fmax=FMAX, steps=20)
        return atoms.get_stress() / units.GPa

    def elastic(self) -> dict[str, float]:
        """Return C11, C12 and C44, GPa, with relaxed atoms, by central differences."""
        along = (self.stress(0, STRAIN) - self.stress(0, -STRAIN)) / (2 * STRAIN)
        shear = (self.stress(3, STRAIN) - self.stress(3, -STRAIN)) / (2 * STRAIN)
        return {
            "elastic.C11": along[0],
            "elastic.C12": along[1:3].mean(),
            "elastic.C44": shear[3],
        }

    def vacancy(
        self, cubic: bool, repeats: tuple[int, int, int], folder: Path
    ) -> dict[str, float]:
        """Return the formation energy, eV, of a relaxed vacancy at constant volume.

        E(N - 1) - (N - 1)/N E(N), both on the same grid.
        """
        cell = bulk(self.system, self.phase, a=self.a, cubic=cubic)
        perfect = cell.repeat(repeats)
        spacing = SYSTEMS[self.system].k_fine
        defect = perfect.copy()
        del defect[0]
        if self.phase == "diamond":
            # By symmetry alone, atoms around it could only move in or out, as they do
            # in metals.
            defect.rattle(0.02, seed=0)
        energies = []
        for atoms in (perfect, defect):
            self.attach(atoms, spacing, perfect)
            if atoms is defect:
                path = folder / f"{self.system}-vacancy{len(perfect)}.traj"
                BFGS(atoms, trajectory=str(path)).run(fmax=FMAX, steps=60)
            energies.append(atoms.get_potential_energy(force_consistent=True))
        energy = energies[1] - len(defect) / len(perfect) * energies[0]
        return {f"vacancy.energy_{len(perfect)}": energy}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command: write the properties of a system, in the units of gapfit."""
    parser = argparse.ArgumentParser(prog="python -m generator.crystal")
    parser.add_argument("--system", required=True, choices=sorted(CRYSTALS))
    parser.add_argument("--out", type=Path, default=Path("out"))
    args = parser.parse_args(argv)
    args.out.mkdir(exist_ok=True)
    phase, spacing, cells = CRYSTALS[args.system]
    settings = SYSTEMS[args.system]
    train = Path(__file__).parent.parent / settings.folder / "train.extxyz"
    eos = fit_eos(scans(read_frames(train))[phase])
    log = str(args.out / f"{args.system}-crystal.txt")
    crystal = Crystal(args.system, phase, eos.a0, spacing, log)
    found = {"structure.a": eos.a0, "eos.bulk_modulus": eos.bulk_modulus}
    found |= crystal.elastic()
    for cubic, repeats in cells:
        found |= crystal.vacancy(cubic, repeats, args.out)
    values = {name: round(float(value), 4) for name, value in found.items()}
    path = args.out / f"{args.system}-properties.json"
    path.write_text(json.dumps(values, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
