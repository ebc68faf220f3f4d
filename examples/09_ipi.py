"""Quantum nuclei: path integrals of silicon with i-PI, forces from `gapfit serve`.

Usage: python 09_ipi.py [STEPS] [--model MODEL.npz] [--input INPUT.xml]
Needs i-PI (pip install ipi). Runs 8 atoms with 8 beads at 300 K in the folder ipi/. Prints
the kinetic energy of the nuclei: classical, by i-PI, and of quantum oscillators with the
crystal's frequencies; and the drift of i-PI's conserved energy.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.io import write
from ase.vibrations import Vibrations

import gapfit

HERE, BIN = Path(__file__).parent, Path(sys.executable).parent
INPUT = HERE / "ipi_silicon" / "input.xml"
T, BEADS = 300.0, 8


def start(folder: Path, name: str, *words: str) -> subprocess.Popen:
    with (folder / f"{name}.log").open("w") as log:
        return subprocess.Popen(
            [BIN / name, *words], cwd=folder, stdout=log, stderr=log
        )


def oscillators(crystal: Atoms, folder: Path) -> float:
    """Return the kinetic energy of the crystal's modes as oscillators, eV."""
    vibrations = Vibrations(crystal, name=str(folder / "modes"))
    vibrations.clean()
    vibrations.run()
    modes = vibrations.get_energies().real[3:]
    kinetic = modes / 4 / np.tanh(modes / (2 * units.kB * T))
    return 1.5 * units.kB * T + float(kinetic.sum())


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("steps", type=int, nargs="?", default=1000)
    parser.add_argument("--model", type=Path, help="default: --config is fitted first")
    parser.add_argument("--config", type=Path, default=HERE / "silicon" / "fit.toml")
    parser.add_argument("--input", type=Path, default=INPUT)
    given = parser.parse_args(words)
    model = gapfit.load(given.model) if given.model else gapfit.fit(config=given.config)
    (folder := Path("ipi")).mkdir(exist_ok=True)
    model.save(folder / "silicon.npz")
    crystal = bulk("Si", a=5.475, cubic=True)
    write(folder / "crystal.extxyz", crystal)
    address = f"gapfit{os.getpid()}"
    text = given.input.read_text().replace(">gapfit<", f">{address}<")
    (folder / "input.xml").write_text(text.replace(">1000<", f">{given.steps}<"))
    server = start(folder, "i-pi", "input.xml")
    options = f"--structure crystal.extxyz --unix {address} --std-of energies --wait 20"
    client = start(folder, "gapfit", "serve", "silicon.npz", *options.split())
    if failed := client.wait():
        server.terminate()
    if server.wait() or failed:
        raise SystemExit("".join(path.read_text() for path in folder.glob("*.log")))

    crystal.calc = gapfit.GAPCalculator(model, uncertainty=False)
    out = np.loadtxt(folder / "silicon.out")
    print(f"classical   {1.5 * len(crystal) * units.kB * T:9.5f} eV")
    print(f"i-PI        {out[len(out) // 2 :, 4].mean():9.5f} eV")
    print(f"oscillators {oscillators(crystal, folder):9.5f} eV")
    print(f"drift       {np.ptp(out[:, 2]) / len(crystal) / BEADS:9.5f} eV per bead")


if __name__ == "__main__":
    main()
