"""Learn on the fly: 64 silicon atoms are heated until they melt (26 s).

Where a standard deviation passes its threshold, the reference (ASE's Tersoff potential) is
asked, and the model learns. Prints a line for each call; at the end their number, and the
errors in crystal and liquid. `gapfit learn onthefly_silicon/learn.toml` does the same.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import ase.io
import numpy as np
from common import HERE, run

import gapfit
from gapfit.active.simulation import Status
from gapfit.config.learn import LearnConfig
from gapfit.config.toml import load_config_as

FOLDER = HERE / "onthefly_silicon"
sys.path.append(str(FOLDER))

from silicon_tersoff import tersoff  # noqa: E402


def tell(status: Status) -> None:
    if error := status.event:
        found = [status.look.largest]
        found += [error["forces_largest_error"], error["forces_rmse"]]
        where = f"{status.calls:>5}{status.step:>7}{status.temperature:>8.0f}"
        print(where, *(f"{x:8.2f}" for x in found), flush=True)


def moved(atoms: ase.Atoms, start: ase.Atoms) -> float:
    """Return the root of the mean square displacement, Å."""
    return float(np.linalg.norm(atoms.positions - start.positions) / len(atoms) ** 0.5)


def evaluate(model: gapfit.GAPModel, frames: Sequence[ase.Atoms]) -> dict[str, float]:
    """Return RMSE on some structures, which the reference labels now."""
    for atoms in (some := frames[:: max(len(frames) // 10, 1)]):
        atoms.calc = tersoff()
        atoms.get_stress()
    errors = gapfit.evaluate(model, some)["all"]
    return {kind: errors[kind]["rmse"] for kind in ("energy", "forces")}


def main(arguments: Sequence[str] = ()) -> tuple[int, dict[str, dict[str, float]]]:
    """Return the number of reference calls, and the errors in crystal and liquid."""
    parser = argparse.ArgumentParser(description="Learn silicon while it is heated.")
    parser.add_argument("steps", type=int, nargs="?", default=3000)
    parser.add_argument("--output", type=Path, default=Path("on_the_fly"))
    parser.add_argument("--resume", action="store_true", help="go on if it was killed")
    given = parser.parse_args(arguments)
    config = load_config_as(LearnConfig, FOLDER / "learn.toml")
    runs = [config.runs[0].model_copy(update={"steps": given.steps})]
    config = config.model_copy(update={"runs": runs})
    print(" call   step  T / K  std, eV/Å   largest error, RMSE before")
    options = {"resume": given.resume, "base": FOLDER, "report": tell}
    model = gapfit.learn(config, given.output, **options)
    labelled = ase.io.read(given.output / "labelled.extxyz", ":")
    print(f"{len(labelled)} reference calculations for {given.steps} steps")
    learned = {atoms.info.get("step") for atoms in labelled}
    path = ase.io.read(given.output / "trajectory.extxyz", ":")
    phases: dict[str, list[ase.Atoms]] = {"crystal": [], "liquid": []}
    for atoms in (atoms for atoms in path[1:] if atoms.info["step"] not in learned):
        phases["liquid" if moved(atoms, path[0]) > 1.0 else "crystal"].append(atoms)
    errors = {name: evaluate(model, own) for name, own in phases.items() if own}
    for name, own in errors.items():
        print(f"{name}: {own['energy']:.1f} meV/atom, {own['forces']:.2f} eV/Å")
    return len(labelled), errors


if __name__ == "__main__":
    run(main)
