"""Polynomial potentials of pypolymlp, fitted to structures in memory.

Its functions have no constant, so energies of isolated atoms matter: the lowest energy in
the training data plus the measured cohesive energy (Kittel, Introduction to Solid State
Physics). The strength of its ridge regression is chosen on a tenth of the training data;
then all are fitted.
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
from peers._potential import Data, Labels, Potential, energy_and_forces

#: eV per atom.
COHESIVE = {"Ni": 4.44, "Cu": 3.49, "Li": 1.63, "Mo": 6.82, "Si": 4.63, "Ge": 3.85}
#: Radial functions, and angular momenta of products of two and more densities.
SIZES = {
    "small": {
        "gaussian_params2": (0.0, 4.5, 5),
        "gtinv_order": 3,
        "gtinv_maxl": (4, 4),
    },
    "large": {
        "gaussian_params2": (0.0, 5.0, 7),
        "gtinv_order": 3,
        "gtinv_maxl": (8, 4),
    },
}
R_CUT = 5.5
_TENTH = 10


class Polymlp(Potential):
    """A polynomial potential."""

    engine = "pypolymlp"

    def __init__(self, label: str, options: dict[str, Any]) -> None:
        self.label, self.options = f"polymlp {label}", options

    def fit(self, data: Data, folder: Path) -> bool:
        from pypolymlp.calculator.properties import Properties

        frames = data.train
        kept = [atoms for n, atoms in enumerate(frames) if n % _TENTH]
        with threads(1):
            trial = self._fitted(data, kept, frames[::_TENTH], (-4.0, 2.0, 7))
            strength = float(np.log10(trial.summary.alpha))
            final = self._fitted(data, frames, frames[::_TENTH], (strength,) * 2 + (1,))
        self.size = str(final.n_features)
        self.e0 = isolated(data, data.species[0])
        self.properties = Properties(params=final.parameters, coeffs=final.coeffs)
        return True

    def _fitted(
        self,
        data: Data,
        train: list[Atoms],
        test: list[Atoms],
        strengths: tuple[float, float, int],
    ) -> Any:
        from pypolymlp.mlp_dev.pypolymlp import Pypolymlp

        fit = Pypolymlp()
        fit.set_params(
            elements=tuple(data.species),
            include_stress=False,
            cutoff=R_CUT,
            model_type=4,
            max_p=2,
            reg_alpha_params=strengths,
            atomic_energy=tuple(isolated(data, symbol) for symbol in data.species),
            **self.options,
        )
        fit.set_datasets_structures(
            *map(structures, (train, test)),
            *(
                np.array([energy for energy, _ in map(energy_and_forces, part)])
                for part in (train, test)
            ),
            *(
                [forces.T for _, forces in map(energy_and_forces, part)]
                for part in (train, test)
            ),
        )
        fit.fit()
        return fit

    def predict(self, frames: list[Atoms]) -> list[Labels]:
        found = [self.properties.eval(one) for one in structures(frames)]
        # Its energies are those above isolated atoms.
        return [
            (energy + len(atoms) * self.e0, forces.T)
            for atoms, (energy, forces, _) in zip(frames, found, strict=True)
        ]

    def turn(self, atoms: Atoms) -> Callable[[], float]:
        [structure] = structures([atoms])

        def measure() -> float:
            began = time.process_time()
            self.properties.eval(structure, use_openmp=False)
            return time.process_time() - began

        return measure


def isolated(data: Data, symbol: str) -> float:
    """Return the energy of an isolated atom, eV."""
    lowest = min(energy_and_forces(atoms)[0] / len(atoms) for atoms in data.train)
    return lowest + COHESIVE[symbol]


def structures(frames: list[Atoms]) -> list[Any]:
    """Return structures of one element as pypolymlp has them."""
    from pypolymlp.core.data_format import PolymlpStructure

    return [
        PolymlpStructure(
            axis=atoms.cell.array.T,
            positions=atoms.get_scaled_positions().T,
            n_atoms=[len(atoms)],
            elements=atoms.get_chemical_symbols(),
            types=[0] * len(atoms),
        )
        for atoms in frames
    ]


def obstacle(data: Data) -> str:
    """Return why this peer is left out; nothing if it can run."""
    if not find_spec("pypolymlp"):
        return "pypolymlp is missing: pip install pypolymlp (needs Eigen)"
    if len(data.species) > 1:
        # The small settings have 10908 functions of two elements.
        return "too many functions of several elements for minutes of a CPU"
    if data.species[0] not in COHESIVE:
        return f"no cohesive energy of {data.species[0]}"
    return ""


def potentials(data: Data) -> list[Potential]:
    """Return the potentials for a set."""
    return [Polymlp(label, options) for label, options in SIZES.items()]
