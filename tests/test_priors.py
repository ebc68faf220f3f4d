"""Prior variances: double sums, finite differences, posterior algebra, symmetries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from conftest import STRUCTURES, random_term, silicon, three_species
from scipy.linalg import cho_factor, cho_solve

from gapfit.assembly import pairs_of
from gapfit.config import Angle3bConfig, Distance2bConfig, SoapConfig
from gapfit.descriptors import PriorVariances, soap_priors
from gapfit.errors import StructureError
from gapfit.frame import VOIGT, structure_arrays
from gapfit.kernels import DotProductKernel
from gapfit.neighbours import concatenate, pair_list, separate
from gapfit.pair_table import pair_key, switch
from gapfit.terms import FittedTerm, build_term, new_basis

SOAP = {"type": "soap", "r_cut": 4.0, "n_max": 3, "l_max": 3, "delta": 1.3}
PAIR = {"type": "distance_2b", "r_cut": 4.5, "width": 0.8, "theta": 0.6, "delta": 1.1}
TRIPLET = {
    "type": "angle_3b",
    "r_cut": 3.4,
    "width": 0.9,
    "theta": [1.1, 1.4, 0.9],
    "delta": 0.4,
}
CONFIGS = {"soap": SoapConfig, "distance_2b": Distance2bConfig, "angle_3b": Angle3bConfig}
TERMS = {
    "soap": SOAP,
    "zeta 1": SOAP | {"zeta": 1},
    "zeta 2": SOAP | {"zeta": 2},
    "zeta 2.5": SOAP | {"zeta": 2.5},
    "mu1nu1": SOAP | {"compression": "mu1nu1"},
    "mu2": SOAP | {"compression": "mu2", "zeta": 2},
    "2b": PAIR,
    "3b": TRIPLET,
}
STEP, STENCIL = 4e-3, {-2: 1, -1: -8, 1: 8, 2: -1}


def term_of(atoms: Atoms, **settings: object) -> FittedTerm:
    config = CONFIGS[settings["type"]](**settings)
    basis = new_basis(config) if settings["type"] == "soap" else {}
    return build_term(config, tuple(sorted(set(atoms.numbers.tolist()))), basis)


def priors(term: FittedTerm, *atoms: Atoms) -> PriorVariances:
    pairs = pairs_of([structure_arrays(a) for a in atoms], term.descriptor.cutoff)
    return term.descriptor.prior_variances(pairs, gradients=True)


def weighted(term: FittedTerm, atoms: Atoms) -> dict[int, tuple[np.ndarray, ...]]:
    """Return the weights and arguments of g in the energy by block."""
    descriptor = term.descriptor
    pairs = pair_list(structure_arrays(atoms), descriptor.cutoff)
    if term.config.type == "distance_2b":
        r = np.linalg.norm(pairs.R, axis=1)
        ends = zip(pairs.numbers[pairs.i], pairs.numbers[pairs.j], strict=True)
        keys = np.array([pair_key(int(a), int(b)) for a, b in ends])
        half = 0.5 * switch(r, descriptor.cutoff, descriptor.switch_width)[0]
        return {b: (half[keys == b], r[keys == b, None]) for b in descriptor.blocks}
    found = {}
    for block, own in descriptor.environments(pairs).items():
        weight = np.ones(len(own.values))
        if term.config.type == "angle_3b":
            root = np.sqrt(own.values[:, 1])
            for r in (own.values[:, 0] - root) / 2, (own.values[:, 0] + root) / 2:
                weight *= switch(r, descriptor.cutoff, descriptor.switch_width)[0]
        found[block] = weight, own.values
    return found


def variance(term: FittedTerm, sums: list[tuple[float, Atoms]]) -> float:
    """Return the variance of a weighted sum of energies: all kernels, one by one."""
    total = 0.0
    known = [(factor, weighted(term, atoms)) for factor, atoms in sums]
    for block in term.descriptor.blocks:
        c = np.concatenate([factor * own[block][0] for factor, own in known])
        values = np.concatenate([own[block][1] for _, own in known])
        total += c @ term.descriptor.kernel(values, values) @ c
    return total


def moved(atoms: Atoms, atom: int, x: int, distance: float) -> Atoms:
    out = atoms.copy()
    out.positions[atom, x] += distance
    return out


def strained(atoms: Atoms, x: int, y: int, strain: float) -> Atoms:
    deformation = np.eye(3)
    deformation[x, y] += strain / 2
    deformation[y, x] += strain / 2
    out = atoms.copy()
    out.set_cell(atoms.cell @ deformation)
    out.positions = atoms.positions @ deformation
    return out


def slope_variance(term: FittedTerm, change) -> float:
    """Return the variance of dE/dx, differences of fourth order in both arguments."""
    sums = [(c / (12 * STEP), change(n * STEP)) for n, c in STENCIL.items()]
    return variance(term, sums)


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("kind", TERMS)
def test_variances_equal_differences_of_the_double_sum(kind, name):
    atoms = STRUCTURES[name]()
    term = term_of(atoms, **TERMS[kind])
    found = priors(term, atoms)
    assert found.energies == pytest.approx([variance(term, [(1.0, atoms)])], rel=1e-10)
    some = sorted({0, len(atoms) // 2, len(atoms) - 1})
    expected = [
        [slope_variance(term, lambda h, a=a, x=x: moved(atoms, a, x, h)) for x in range(3)]
        for a in some
    ]
    np.testing.assert_allclose(found.forces[some], expected, rtol=1e-6, atol=1e-8)
    expected = [
        slope_variance(term, lambda h, x=x, y=y: strained(atoms, x, y, h))
        for x, y in VOIGT
    ]
    np.testing.assert_allclose(found.virials[0], expected, rtol=1e-6, atol=1e-8)
