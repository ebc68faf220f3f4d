"""Novelty: what sparse points leave unexplained of an atom."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from builders import config, label
from helpers.error_bars import (
    PAIR,
    SMOOTH,
    SOAP,
    frame_of,
    kernel_matrix,
    molecule,
    rows_of,
    salt,
    settings,
    unexplained,
)

import gapfit
from gapfit.data.frame import structure_arrays
from gapfit.data.neighbours import pairs_of
from gapfit.model.row_variances import atom_variances
from gapfit.testing import DENSE_ALGEBRA


def test_novelty_alone_is_that_beside_energies(one_model):
    frames = [salt(1), molecule(3)]
    for a, b in zip(
        one_model.predict(frames, novelty=True),
        one_model.predict(frames, novelty=True, std="energies"),
        strict=True,
    ):
        assert a.energies_std is None
        np.testing.assert_allclose(a.novelty, b.novelty, rtol=1e-6, atol=1e-9)
    atoms = salt(1)
    atoms.calc = gapfit.GAPCalculator(one_model, uncertainty="novelty")
    atoms.get_forces()
    np.testing.assert_array_equal(
        atoms.calc.extra_results["novelty"],
        one_model.predict(atoms, novelty=True).novelty,
    )
    assert "energies_std" not in atoms.calc.extra_results


def test_novelty_of_species_that_the_largest_term_does_not_describe():
    terms = [
        PAIR,
        SOAP | {"centres": ["Si"]},
        SOAP | {"centres": ["Ge"], "n_sparse": 4},
    ]
    model = gapfit.fit([label(salt(k)) for k in range(3)], config() | {"terms": terms})
    frames = [salt(1), molecule(3), Atoms("Ge", positions=[[0, 0, 0]])]
    for atoms in frames:
        pairs = pairs_of([structure_arrays(atoms)], model.cutoff)
        expected = atom_variances(model.terms, model.posterior, pairs).unexplained
        found = model.predict(atoms, novelty=True).novelty
        np.testing.assert_allclose(found, np.sqrt(expected), rtol=1e-5)


def test_atoms_that_no_term_describes_are_not_novel():
    terms = [SOAP | {"centres": ["Si"]}]
    model = gapfit.fit([label(salt(k)) for k in range(3)], config() | {"terms": terms})
    atoms = salt(1)
    found = model.predict(atoms, novelty=True).novelty
    assert (found[atoms.symbols == "Ge"] == 0).all()
    assert (found[atoms.symbols == "Si"] > 0).all()


def test_novelty_is_the_share_that_the_sparse_points_leave(one_model):
    """Of local energies, one-atom cells: sqrt(1 - k K_mm^-1 k^T / k(x, x))."""
    atoms = Atoms("Si", cell=[2.6, 2.7, 3.1], pbc=True)
    left = unexplained(one_model, atoms)["energy"][0]
    block = rows_of(one_model, [frame_of(one_model, atoms)])
    k = block.K[0]
    prior = left + k @ np.linalg.solve(kernel_matrix(one_model), k)
    found = one_model.predict(atoms, novelty=True, std="energy", form="dtc")
    DENSE_ALGEBRA.check(found.novelty[0], np.sqrt(left / prior))
    assert found.energies_std is None


@pytest.fixture(scope="module")
def dense() -> gapfit.GAPModel:
    """All environments of crystals of one species; the central atom hardly counts."""
    soap = SOAP | {"n_sparse": 1000, "zeta": 4, "weighting": SMOOTH | {"w0": 1e-3}}
    return gapfit.fit(
        [pure(k, z) for z in (14, 32) for k in range(2)],
        settings(terms=[soap], solver={"jitter": 1e-9}),
    )


def pure(seed: int, z: int) -> Atoms:
    atoms = salt(seed)
    atoms.numbers[:] = z
    return label(atoms)


def test_novelty_from_the_data_to_the_unknown(dense):
    known = dense.predict(pure(0, 14), novelty=True)
    assert known.novelty.max() < 1e-3
    lone = dense.predict(Atoms("Ge", positions=[[0, 0, 0]]), novelty=True)
    among_others = pure(0, 32)
    among_others.numbers[0] = 14
    foreign = dense.predict(among_others, novelty=True)
    assert lone.novelty[0] > 0.99
    assert foreign.novelty[0] > 0.99
    # From a training structure to a far looser one, each atom is ever less known.
    grown = []
    for scale in (1.0, 1.04, 1.08, 1.12, 1.2, 1.3):
        atoms = pure(0, 14)
        atoms.set_cell(atoms.cell * scale, scale_atoms=True)
        grown.append(dense.predict(atoms, novelty=True).novelty)
    assert (np.diff(grown, axis=0) > 0).all()
    assert np.max(grown) < 1.0
