"""Moment tensor potentials by motep: functions as in MLIP, fitted by BFGS.

The weights are motep's. BFGS starts from random radial functions, fits every fifth
structure of the training data, and ends after a number of steps that takes minutes, not at
a minimum. Least squares then fit the linear coefficients to all.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from _common import threads
from ase import Atoms
from peers._moments import Moments
from peers._potential import Data, Labels, Potential, energy_and_forces

R_CUT, N_RADIAL = 5.5, 8
#: Steps of BFGS by level.
STEPS = {10: 150, 16: 40}
_FIFTH = 5
_MINIMIZED = ["energy", "forces"]


class Mtp(Potential):
    """A moment tensor potential of a level."""

    engine = "motep"

    def __init__(self, level: int, steps: int) -> None:
        self.label, self.level, self.steps = f"MTP level {level}", level, steps

    def fit(self, data: Data, folder: Path) -> bool:
        from motep.optimizers import LLSOptimizer, ScipyMinimizeOptimizer

        self.table = untrained(data, self.level)
        options = {"method": "BFGS", "options": {"maxiter": self.steps}}
        with threads(1):
            few = loss(data.train[::_FIFTH], self.table)
            LLSOptimizer(few, minimized=_MINIMIZED).optimize()
            ScipyMinimizeOptimizer(few).optimize(**options)
            LLSOptimizer(loss(data.train, self.table), minimized=_MINIMIZED).optimize()
        self.size = str(len(self.table.moment_coeffs) + self.table.radial_coeffs.size)
        return True

    def predict(self, frames: list[Atoms]) -> list[Labels]:
        from motep.calculator import make_calculator

        found = []
        for atoms in frames:
            copy = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
            copy.calc = make_calculator(self.table)
            found.append(energy_and_forces(copy))
        return found

    def turn(self, atoms: Atoms) -> Callable[[], float]:
        from motep.calculator import make_calculator

        calculator = make_calculator(self.table)

        def measure() -> float:
            began = time.process_time()
            calculator.calculate(atoms)
            return time.process_time() - began

        return measure


def loss(frames: list[Atoms], table: Any) -> Any:
    """Return motep's loss of energies and forces: it takes all labels that are there."""
    from ase.calculators.singlepoint import SinglePointCalculator
    from motep.loss import LossFunction, LossSetting

    bare = []
    for atoms in frames:
        energy, forces = energy_and_forces(atoms)
        copy = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        copy.calc = SinglePointCalculator(copy, energy=energy, forces=forces)
        bare.append(copy)
    return LossFunction(bare, table, LossSetting(stress_weight=0.0))


def untrained(data: Data, level: int) -> Any:
    """Return a potential of motep with random radial functions."""
    from motep.potentials.mtp.data import MTPData

    moments = Moments(level)
    table = MTPData(
        radial_basis={
            "type": "RBChebyshev",
            "min": shortest_distance(data.train),
            "max": R_CUT,
            "size": N_RADIAL,
        },
        radial_funcs_count=1 + max(mu for mu, *_ in moments.basic),
        alpha_moments_count=len(moments),
        alpha_index_basic_count=len(moments.basic),
        alpha_index_basic=np.array(list(moments.basic), np.int32),
        alpha_index_times_count=len(moments.times),
        alpha_index_times=np.array(moments.times, np.int32),
        alpha_scalar_moments=len(moments.scalars),
        alpha_moment_mapping=np.array(moments.scalars, np.int32),
    )
    table.species = sorted({int(z) for atoms in data.train for z in atoms.numbers})
    table.initialize(np.random.default_rng(0))
    return table


def shortest_distance(frames: list[Atoms]) -> float:
    """Return the smallest distance of two atoms, Å."""
    from matscipy.neighbours import neighbour_list

    return float(min(neighbour_list("d", a, R_CUT).min(initial=R_CUT) for a in frames))


def obstacle(data: Data) -> str:
    """Return why this peer is left out; nothing if it can run."""
    return "" if find_spec("motep") else "motep is missing: pip install '.[peers]'"


def potentials(data: Data) -> list[Potential]:
    """Return the potentials for a set."""
    return [Mtp(level, steps) for level, steps in STEPS.items()]
