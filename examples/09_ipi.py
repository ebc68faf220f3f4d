"""Quantum nuclei: path integrals of silicon with i-PI, forces from `gapfit serve`.

Needs i-PI (pip install ".[ipi]"). Runs ipi_silicon/input.xml (8 atoms, 8 beads, 300 K) in
the folder ipi/. Prints the kinetic energy of the nuclei: classical, by i-PI, of quantum
oscillators with the crystal's frequencies; and the drift of i-PI's conserved energy.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import units
from ase.build import bulk
from ase.io import write
from ase.vibrations import Vibrations
from common import HERE, options, potential, run

import gapfit

T, BEADS = 300.0, 8
BIN = Path(sys.executable).parent


def start(folder: Path, name: str, *words: str) -> subprocess.Popen:
    command = [BIN / name, *words]
    with (folder / f"{name}.log").open("w") as log:
        return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)


def oscillators(crystal, folder: Path) -> float:
    """Return the kinetic energy of the crystal's modes as oscillators, eV."""
    vibrations = Vibrations(crystal, name=str(folder / "modes"))
    vibrations.clean()  # of an earlier potential
    vibrations.run()
    modes = vibrations.get_energies().real[3:]
    own = modes / 4 / np.tanh(modes / (2 * units.kB * T))
    return 1.5 * units.kB * T + float(own.sum())


def main(arguments: Sequence[str] = ()) -> dict[str, float]:
    """Return the kinetic energies, eV, and the drift of what is conserved, eV/atom."""
    given = options(__doc__, steps=1000).parse_args(arguments)
    model, folder = potential(given.model), Path("ipi")
    folder.mkdir(exist_ok=True)
    model.save(folder / "silicon.npz")
    crystal = bulk("Si", a=5.475, cubic=True)
    write(folder / "crystal.extxyz", crystal)
    address = f"gapfit{os.getpid()}"
    text = (HERE / "ipi_silicon" / "input.xml").read_text()
    text = text.replace(">gapfit<", f">{address}<")
    (folder / "input.xml").write_text(text.replace(">1000<", f">{given.steps}<"))
    server = start(folder, "i-pi", "input.xml")
    words = ("serve", "silicon.npz", "--structure", "crystal.extxyz", "--wait", "20")
    client = start(folder, "gapfit", *words, "--unix", address, "--std-of", "energies")
    if failed := client.wait():
        server.terminate()
    if server.wait() or failed:
        raise SystemExit("".join(path.read_text() for path in folder.glob("*.log")))

    crystal.calc = gapfit.GAPCalculator(model, uncertainty=False)
    out = np.loadtxt(folder / "silicon.out")
    found = {
        "classical": 1.5 * len(crystal) * units.kB * T,
        "i-PI": out[len(out) // 2 :, 4].mean(),
        "oscillators": oscillators(crystal, folder),
        "drift": float(np.ptp(out[:, 2])) / len(crystal) / BEADS,
    }
    for name, value in found.items():
        print(f"{name:12}{value:8.4f} eV")
    return found


if __name__ == "__main__":
    run(main)
