"""Learn on the fly: 64 silicon atoms are heated until they melt (26 s).

Usage: python 05_on_the_fly.py [STEPS] [--output FOLDER] [--resume]
Where a standard deviation passes its threshold, the reference (ASE's Tersoff potential) is
asked, and the model learns. `gapfit learn onthefly_silicon/learn.toml` does the same.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import ase.io
import numpy as np
from ase.build import bulk
from ase.calculators.tersoff import Tersoff, TersoffParameters

import gapfit
from gapfit.active import Status

# Tersoff, Phys. Rev. B 39, 5566 (1989), with a wider switch: R = 3.1, D = 0.5 Å.
# Order: m, gamma, lambda3, c, d, h, n, beta, lambda2, B, R, D, lambda1, A.
PARAMETERS = (3, 1, 0, 1.0039e5, 16.217, -0.59825, 0.78734, 1.1e-6, 1.7322)
PARAMETERS += (471.18, 3.1, 0.5, 2.4799, 1830.8)
SOAP = {"type": "soap", "r_cut": 3.8, "atom_sigma": 0.35, "n_sparse": 300}
CONFIG = {
    "sigma": {"energy": 0.001, "forces": 0.003, "virial": 0.01},
    "e0": {"Si": 0.0},
    "terms": [{"type": "distance_2b", "r_cut": 3.6}, SOAP],
    "threshold": {"forces": 0.5, "every": 30},  # eV/Å; steps
    "learning": {"bootstrap": 5},  # frames for the first model
}
HEATING = {"timestep": 2.0, "temperature": 300.0, "final_temperature": 7000.0}


def tersoff() -> Tersoff:
    return Tersoff({("Si",) * 3: TersoffParameters.from_list(list(PARAMETERS))})


def report(status: Status) -> None:
    if event := status.event:
        row = f"{status.calls:>5}{status.step:>7}{status.temperature:>8.0f}"
        row += f"{status.reading.largest:9.2f}{event['forces_largest_error']:9.2f}"
        print(f"{row}{event['forces_rmse']:9.2f}", flush=True)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("steps", type=int, nargs="?", default=3000)
    parser.add_argument("--output", type=Path, default=Path("on_the_fly"))
    parser.add_argument("--resume", action="store_true", help="go on after a kill")
    given = parser.parse_args(words)
    ase.io.write("crystal.extxyz", bulk("Si", a=5.432, cubic=True) * (2, 2, 2))
    run = HEATING | {"start": "crystal.extxyz", "steps": given.steps}
    options = {"reference": tersoff(), "resume": given.resume, "report": report}
    print(" call   step  T / K  std, eV/Å   largest error, RMSE before")
    model = gapfit.learn(CONFIG | {"runs": [run]}, given.output, **options)

    labelled = ase.io.read(given.output / "labelled.extxyz", ":")
    print(f"{len(labelled)} reference calculations for {given.steps} steps")
    learned = {atoms.info.get("step") for atoms in labelled}
    path = ase.io.read(given.output / "trajectory.extxyz", ":")
    phases: dict[str, list] = {"crystal": [], "liquid": []}
    for atoms in (atoms for atoms in path[1:] if atoms.info["step"] not in learned):
        moved = np.linalg.norm(atoms.positions - path[0].positions) / len(atoms) ** 0.5
        phases["liquid" if moved > 1.0 else "crystal"].append(atoms)
    for name, frames in phases.items():
        sample = frames[:: max(len(frames) // 10, 1)]
        for atoms in sample:
            atoms.calc = tersoff()
            atoms.get_stress()
        if sample:
            errors = gapfit.evaluate(model, sample)["all"]
            energy, forces = errors["energy"]["rmse"], errors["forces"]["rmse"]
            print(f"{name}: {energy:.1f} meV/atom, {forces:.2f} eV/Å")


if __name__ == "__main__":
    main()
