"""Standard deviations keep the symmetries of structures."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from helpers.error_bars import brute_covariance, salt


def rotated(atoms: Atoms, Q: np.ndarray) -> Atoms:
    atoms = atoms.copy()
    atoms.set_cell(atoms.cell @ Q.T)
    atoms.positions = atoms.positions @ Q.T
    return atoms


def rotation(seed: int) -> np.ndarray:
    Q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return Q * np.sign(np.linalg.det(Q))


def test_rotations_turn_the_covariance_of_forces(one_model):
    atoms, Q = salt(12), rotation(0)
    C = brute_covariance(one_model, atoms)["forces"]
    C = C.reshape(8, 3, 8, 3)[np.arange(8), :, np.arange(8)]
    turned = np.einsum("xy,nyz,wz->nxw", Q, C, Q)
    before = one_model.predict(atoms, std=True, observation=False)
    after = one_model.predict(rotated(atoms, Q), std=True, observation=False)
    expected = np.sqrt(np.diagonal(turned, axis1=1, axis2=2))
    np.testing.assert_allclose(after.forces_std, expected, rtol=1e-7)
    assert not np.allclose(after.forces_std, before.forces_std, rtol=1e-2)
    assert after.energy_std == pytest.approx(before.energy_std, rel=1e-7)
    np.testing.assert_allclose(after.energies_std, before.energies_std, rtol=1e-7)


@pytest.mark.parametrize("form", ["sor", "dtc"])
def test_translations_and_permutations(one_model, form):
    atoms = salt(13)
    before = one_model.predict(
        atoms, std=True, novelty=True, observation=False, form=form
    )
    order = np.random.default_rng(1).permutation(8)
    moved = atoms[order]
    moved.positions += [0.3, -1.7, 4.1]
    moved.wrap()
    after = one_model.predict(
        moved, std=True, novelty=True, observation=False, form=form
    )
    assert after.energy_std == pytest.approx(before.energy_std, rel=1e-8)
    np.testing.assert_allclose(after.stress_std, before.stress_std, rtol=1e-8)
    for name in ("energies_std", "forces_std", "novelty"):
        np.testing.assert_allclose(
            getattr(after, name), getattr(before, name)[order], rtol=1e-7, atol=1e-9
        )


@pytest.mark.parametrize("form", ["sor", "dtc"])
def test_a_supercell_is_as_uncertain_as_its_cell(one_model, form):
    """Images err together: the energy's std grows like the number of cells."""
    one = one_model.predict(salt(14), std=True, observation=False, form=form)
    two = one_model.predict(
        salt(14) * (1, 2, 1), std=True, observation=False, form=form
    )
    assert two.energy_std == pytest.approx(2 * one.energy_std, rel=1e-8)
    np.testing.assert_allclose(two.stress_std, one.stress_std, rtol=1e-8)
    images = np.concatenate([one.energies_std, one.energies_std])
    np.testing.assert_allclose(two.energies_std, images, rtol=1e-8)
    if form == "sor":
        # One image alone is moved: less of its prior variance is explained.
        images = np.concatenate([one.forces_std, one.forces_std])
        np.testing.assert_allclose(two.forces_std, images, rtol=1e-8)


def test_equivalent_sites_are_as_uncertain(one_model):
    atoms = bulk("NaCl", "rocksalt", a=5.3, cubic=True)
    atoms.numbers[:] = [14, 32] * 4
    found = one_model.predict(atoms, std=True, novelty=True, observation=False)
    for z in (14, 32):
        own = atoms.numbers == z
        assert np.ptp(found.energies_std[own]) < 1e-9
        assert np.ptp(found.novelty[own]) < 1e-9
    # Symmetry makes the forces zero, whatever the potential.
    assert found.forces_std.max() < 1e-7
    np.testing.assert_allclose(found.stress_std[:3], found.stress_std[0], rtol=1e-7)
    np.testing.assert_allclose(found.stress_std[3:], found.stress_std[3], rtol=1e-7)
