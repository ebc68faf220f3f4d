"""Linear ACE: the functions of python-ace, fitted by ridge regression.

The prior of a coefficient falls with the degree of its function. Its size, and the weight
of energies against forces, are chosen by errors of five parts of the training data that
are left out in turn. python-ace itself fits nonlinear ACE, with TensorFlow.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import numpy as np
from _common import threads
from ase import Atoms
from peers._potential import Data, Labels, Potential, energy_and_forces
from scipy.linalg import cho_factor, cho_solve

R_CUT = 5.5
#: Radial functions and angular momenta of products of one to four densities.
SIZES = {
    "small": ([12, 5, 3, 2], [0, 4, 3, 1]),
    "medium": ([15, 7, 4, 2], [0, 5, 3, 2]),
}
WEIGHTS = (3.0, 10.0, 30.0, 100.0)
RIDGES = tuple(10.0**power for power in range(-6, 3))
_PARTS = 5


class LinearAce(Potential):
    """A linear potential of python-ace."""

    engine = "python-ace, without neighbours"

    def __init__(self, label: str, sizes: tuple[list[int], list[int]]) -> None:
        self.label, self.sizes = f"linear ACE {label}", sizes

    def fit(self, data: Data, folder: Path) -> bool:
        from pyace import ACEBBasisSet
        from pyace.asecalc import PyACECalculator

        with threads(1):
            basis = ACEBBasisSet(configuration(data.species, *self.sizes))
            coefficients = regression(design(basis, data))
        self.e0 = dict(zip(data.species, coefficients, strict=False))
        values = coefficients[len(data.species) :]
        basis.basis_coeffs = values.tolist()
        self.size = str(len(values))
        calculator = PyACECalculator(basis)
        self.calculator = calculator
        basis.to_ACECTildeBasisSet().save_yaml(str(folder / "p.yace"))
        self.file = folder / "p.yace"
        return True

    def predict(self, frames: list[Atoms]) -> list[Labels]:
        return [self._labels(atoms) for atoms in frames]

    def _labels(self, atoms: Atoms) -> Labels:
        copy = atoms.copy()
        copy.calc = self.calculator
        isolated = sum(self.e0[symbol] for symbol in atoms.get_chemical_symbols())
        return copy.get_potential_energy() + isolated, copy.get_forces()

    def turn(self, atoms: Atoms) -> Callable[[], float]:
        from pyace.asecalc import PyACECalculator

        calculator = PyACECalculator(
            str(self.file), recursive_evaluator=True, recursive=True
        )
        environment = calculator.get_atomic_env(atoms)

        def measure() -> float:
            began = time.process_time()
            calculator.ace.compute(environment, compute_projections=False)
            return time.process_time() - began

        return measure


def configuration(species: list[str], n_max: list[int], l_max: list[int]) -> object:
    """Return the settings of python-ace."""
    from pyace import create_multispecies_basis_config

    kinds = {"nradmax_by_orders": n_max, "lmax_by_orders": l_max}
    return create_multispecies_basis_config(
        {
            "deltaSplineBins": 0.001,
            "elements": species,
            "embeddings": {
                "ALL": {
                    "npot": "FinnisSinclairShiftedScaled",
                    "fs_parameters": [1, 1],
                    "ndensity": 1,
                }
            },
            "bonds": {
                "ALL": {
                    "radbase": "SBessel",
                    "radparameters": [5.25],
                    "rcut": R_CUT,
                    "dcut": 0.01,
                    "NameOfCutoffFunction": "cos",
                }
            },
            "functions": {"ALL": kinds},
        }
    )


class Design:
    """Sums of squares of the rows, by part of the data, energies and forces apart.

    Attributes
    ----------
    grams : dict of (part, quantity) to (n + 1, n + 1) array
        Of the columns and the labels, the last column; scaled by the prior.
    counts : dict of (part, quantity) to int
        Rows.
    scale : (n,) array
        Coefficients are scaled ones times this.
    """

    def __init__(
        self,
        rows: dict[str, np.ndarray],
        parts: dict[str, np.ndarray],
        scale: np.ndarray,
    ) -> None:
        self.scale = scale
        self.grams: dict[tuple[int, str], np.ndarray] = {}
        self.counts: dict[tuple[int, str], int] = {}
        for (quantity, A), part in product(rows.items(), range(_PARTS)):
            own = A[parts[quantity] == part] * np.append(scale, 1.0)
            self.grams[part, quantity] = own.T @ own
            self.counts[part, quantity] = len(own)

    def solution(self, weight: float, ridge: float, without: int = -1) -> np.ndarray:
        """Return scaled coefficients of all parts but one."""
        weights = {"energy": weight**2, "forces": 1.0}
        total = sum(
            weights[quantity] * gram
            for (part, quantity), gram in self.grams.items()
            if part != without
        )
        A, b = total[:-1, :-1].copy(), total[:-1, -1]
        A[np.diag_indices_from(A)] += ridge
        return cho_solve(cho_factor(A), b)

    def score(self, weight: float, ridge: float) -> float:
        """Return the product of both mean square errors of the parts left out."""
        squares = {"energy": 0.0, "forces": 0.0}
        for part in range(_PARTS):
            x = np.append(self.solution(weight, ridge, part), -1.0)
            for quantity in squares:
                squares[quantity] += x @ self.grams[part, quantity] @ x
        return squares["energy"] * squares["forces"]


def design(basis: object, data: Data) -> Design:
    """Return the rows of the training data, energies per atom."""
    import pandas as pd
    from pyace.linearacefit import LinearACEDataset, generate_data

    table = pd.DataFrame({"ase_atoms": data.train})
    made = LinearACEDataset(basis, table)
    n_frames, n_atoms = len(data.train), made.total_number_of_atoms
    values = np.zeros((n_frames + 3 * n_atoms, made.nfunc))
    chunks = (0, n_frames), (0, n_atoms)
    mapper = made.elements_mapper_dict
    generate_data(made.df, basis, values, *chunks, made.cutoff, mapper)
    labels = [energy_and_forces(atoms) for atoms in data.train]
    sizes = np.array([len(atoms) for atoms in data.train])
    shares = np.array(
        [
            [atoms.get_chemical_symbols().count(s) / len(atoms) for s in data.species]
            for atoms in data.train
        ]
    )
    energies = np.array([energy for energy, _ in labels]) / sizes
    forces = np.concatenate([forces.ravel() for _, forces in labels])
    rows = {
        "energy": np.column_stack([shares, values[:n_frames], energies]),
        "forces": np.column_stack(
            [np.zeros((3 * n_atoms, shares.shape[1])), values[n_frames:], forces]
        ),
    }
    parts = np.random.default_rng(0).permutation(n_frames) % _PARTS
    spread = np.sqrt(np.mean(values[n_frames:] ** 2, axis=0)) + 1e-12
    # The constants are hardly held back.
    scale = np.append(np.full(shares.shape[1], 100.0), 1 / spread / degrees(basis))
    return Design(rows, {"energy": parts, "forces": parts.repeat(3 * sizes)}, scale)


def degrees(basis: object) -> np.ndarray:
    """Return radial index plus angular momentum of each function, summed over factors."""
    functions = [
        function
        for first, others in zip(basis.basis_rank1, basis.basis, strict=True)
        for function in (*first, *others)
    ]
    return np.array([sum(f.ns) + sum(f.ls) for f in functions], dtype=float)


def regression(made: Design) -> np.ndarray:
    """Return the coefficients with the best weight and ridge."""
    best = min(product(WEIGHTS, RIDGES), key=lambda pair: made.score(*pair))
    return made.scale * made.solution(*best)


def obstacle(data: Data) -> str:
    """Return why this peer is left out; nothing if it can run."""
    missing = [name for name in ("pyace", "pandas") if not find_spec(name)]
    return "python-ace is missing: pip install '.[peers]'" if missing else ""


def potentials(data: Data) -> list[Potential]:
    """Return the potentials for a set."""
    sizes = SIZES if len(data.species) == 1 else {"small": SIZES["small"]}
    return [LinearAce(label, one) for label, one in sizes.items()]
