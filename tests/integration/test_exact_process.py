"""The sparse GP against scikit-learn's exact one, and rows against predictions."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from builders import (
    STRUCTURES,
    config,
    label,
    labelled_frames,
    silicon,
    three_species,
)
from helpers.error_bars import SMOOTH, SOAP, settings
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import (
    ConstantKernel,
    DotProduct,
    Exponentiation,
)

import gapfit
from gapfit.data.dataset import read
from gapfit.data.frame import VOIGT, structure_arrays
from gapfit.data.neighbours import pairs_of
from gapfit.model.rows import row_block
from gapfit.testing import DENSE_ALGEBRA, OTHER_PROGRAM, SAME_POTENTIAL

SIGMA = 0.01


def one_atom_cells(n: int, seed: int) -> list[Atoms]:
    """Return crystals of one atom per cell: each energy is one local energy."""
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(n):
        cell = 2.7 * (np.eye(3) + 0.25 * rng.normal(size=(3, 3)))
        atoms = Atoms("Si", cell=cell, pbc=True)
        lengths = atoms.cell.lengths()
        if lengths.min() < 1.5 or atoms.get_volume() < 10:
            continue
        energy = float(np.sum(np.exp(-lengths)) * 5 - 4)
        atoms.calc = SinglePointCalculator(atoms, energy=energy)
        frames.append(atoms)
    return frames


@pytest.fixture(scope="module")
def full_gp():
    """Every environment a sparse point, energies only: the sparse GP is exact."""
    train = one_atom_cells(30, seed=0)
    settings = config(n_sparse=1000, delta=2.0, zeta=4)
    settings["e0"] = {"Si": -1.0}
    settings["sigma"] = {"energy": SIGMA}
    settings["solver"] = {"jitter": 1e-13}
    model = gapfit.fit(train, settings)
    kernel = ConstantKernel(2.0**2, "fixed") * Exponentiation(
        DotProduct(0.0, sigma_0_bounds="fixed"), 4
    )
    exact = GaussianProcessRegressor(kernel, alpha=SIGMA**2, optimizer=None)
    energies = np.array([a.get_potential_energy() for a in train]) + 1.0
    exact.fit(descriptors(model, train), energies)
    return model, exact


def descriptors(model: gapfit.GAPModel, frames: list[Atoms]) -> np.ndarray:
    pairs = pairs_of([structure_arrays(a) for a in frames], model.cutoff)
    return model.terms[0].descriptor.environments(pairs)[14].values


def test_predictions_equal_scikit_learn(full_gp):
    model, exact = full_gp
    assert model.n_sparse == model.record.n_rows["energy"]
    test = one_atom_cells(20, seed=1)
    mean, std = exact.predict(descriptors(model, test), return_std=True)
    found = model.predict(test, std=True, observation=False)
    np.testing.assert_allclose([p.energy + 1.0 for p in found], mean, atol=1e-7)
    np.testing.assert_allclose([p.energies_std[0] for p in found], std, atol=1e-6)


def test_evidence_equals_scikit_learn(full_gp):
    model, exact = full_gp
    assert model.record.log_marginal_likelihood == pytest.approx(
        exact.log_marginal_likelihood_value_, rel=1e-6
    )


def test_uncertainty_grows_from_the_data_to_the_prior(full_gp):
    model, _ = full_gp
    known = model.predict(one_atom_cells(30, seed=0), std=True, observation=False)
    lone = model.predict(
        Atoms("Si", positions=[[0, 0, 0]]), std=True, observation=False
    )
    near = max(p.energies_std[0] for p in known)
    # A sparse point in the data is known to about the noise.
    assert 0 < near < 1.2 * SIGMA
    assert 5 * near < lone.energies_std[0] <= 2.0


@pytest.mark.parametrize("build", [silicon, three_species, STRUCTURES["slab"]])
def test_kernel_rows_times_coefficients_are_the_predictions(model_for, build):
    """K_nm c from forward-mode derivatives equals the adjoint's energies and forces."""
    atoms = [build(), build()]
    atoms[1].rattle(0.1, seed=9)
    model = model_for("three_species" if build is three_species else "silicon")
    frames = [structure_arrays(a) for a in atoms]
    pairs = pairs_of(frames, model.cutoff)
    term = model.terms[0]
    rows = term.descriptor.kernel_rows(pairs, term.sparse, gradients=True)
    c = np.concatenate([term.coefficients[z] for z in term.sparse])
    for n, prediction in enumerate(model.predict(atoms)):
        e0 = sum(model.e0[int(z)] for z in frames[n].numbers)
        assert rows.energies[n] @ c + e0 == pytest.approx(prediction.energy, abs=1e-8)
        own = pairs.frame == n
        np.testing.assert_allclose(rows.forces[own] @ c, prediction.forces, atol=1e-8)
        stress = -(rows.virials[n] @ c) / frames[n].volume
        SAME_POTENTIAL.check(stress, prediction.stress)


@pytest.mark.parametrize("method", ["cholesky", "qr"])
def test_the_fit_minimises_the_regularised_loss(method):
    """Perturbing the coefficients only makes the loss of the design notes worse."""
    from gapfit.config.toml import config_from_dict

    settings = config(n_sparse=15) | {"solver": {"method": method}}
    parsed = config_from_dict(settings)
    data = read(labelled_frames(silicon, 3), parsed.data)
    model = gapfit.fit(data, parsed)
    block = row_block(data.frames, model.terms, model.e0, parsed.sigma)
    term = model.terms[0]
    K_mm = term.descriptor.kernel(term.sparse[14], term.sparse[14])
    jitter = model.record.jitter[0] * np.mean(np.diag(K_mm))

    def loss(c: np.ndarray) -> float:
        misfit = (block.K @ c - block.y) / block.sigma
        return float(misfit @ misfit + c @ K_mm @ c + jitter * c @ c)

    best = term.coefficients[14]
    rng = np.random.default_rng(0)
    for _ in range(10):
        direction = rng.normal(size=len(best)) * np.abs(best) * 1e-3
        assert loss(best + direction) > loss(best)
        assert loss(best - direction) > loss(best)


def test_total_energies_of_several_atoms_equal_the_exact_process():
    """Energies are sums: mean and variance of local energies from A K A^T + Λ."""
    train = labelled_frames(silicon, 3)
    settings = config(n_sparse=1000, delta=1.5)
    settings["e0"] = {"Si": -2.0}
    settings["sigma"] = {"energy": SIGMA}
    settings["solver"] = {"jitter": 1e-13}
    settings["data"] = settings["data"] | {"use_forces": False, "use_stress": False}
    model = gapfit.fit(train, settings)
    kernel = model.terms[0].descriptor.kernel
    known, new = descriptors(model, train), descriptors(model, [silicon(seed=77)])
    A = np.kron(np.eye(3), np.ones((1, 8)))
    noise = 8 * SIGMA**2 * np.eye(3)
    covariance = A @ kernel(known, known) @ A.T + noise
    y = np.array([a.get_potential_energy() for a in train]) + 2.0 * 8
    cross = kernel(new, known) @ A.T
    mean = cross @ np.linalg.solve(covariance, y)
    variance = np.diag(kernel(new, new) - cross @ np.linalg.solve(covariance, cross.T))
    found = model.predict(silicon(seed=77), std=True, observation=False)
    np.testing.assert_allclose(found.energies + 2.0, mean, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.energies_std, np.sqrt(variance), rtol=0, atol=1e-6)


@pytest.fixture(scope="module")
def exact_cells():
    train = one_atom_cells(14, seed=3)
    wanted = config(n_sparse=1000, delta=2.0, zeta=6) | {
        "e0": {"Si": -1.0},
        "sigma": {"energy": 0.05},
        "solver": {"jitter": 1e-14},
        "calibration": {"method": "none"},
    }
    model = gapfit.fit(train, wanted)
    kernel = ConstantKernel(4.0, "fixed") * Exponentiation(
        DotProduct(0.0, sigma_0_bounds="fixed"), 6
    )
    exact = GaussianProcessRegressor(kernel, alpha=0.05**2, optimizer=None)
    exact.fit(
        descriptors(model, train),
        np.array([a.get_potential_energy() for a in train]) + 1.0,
    )
    assert model.n_sparse == len(train)
    return model, exact


def test_the_exact_process_of_local_energies_is_scikit_learns(exact_cells):
    model, exact = exact_cells
    new = one_atom_cells(20, seed=4)
    mean, std = exact.predict(descriptors(model, new), return_std=True)
    found = model.predict(
        new, std=("energy", "energies"), observation=False, form="dtc"
    )
    OTHER_PROGRAM.check([p.energy + 1.0 for p in found], mean)
    assert std.min() > 0.03
    for name in ("energies_std", "energy_std"):
        of_model = [np.ravel(getattr(p, name))[0] for p in found]
        OTHER_PROGRAM.check(of_model, std)


def moved(atoms: Atoms, atom: int, x: int, step: float) -> Atoms:
    atoms = atoms.copy()
    atoms.positions[atom, x] += step
    return atoms


def strained(atoms: Atoms, x: int, y: int, step: float) -> Atoms:
    atoms, strain = atoms.copy(), np.eye(3)
    strain[x, y] += step / 2
    strain[y, x] += step / 2
    atoms.set_cell(atoms.cell @ strain, scale_atoms=True)
    return atoms


def test_the_exact_process_of_derivatives():
    """Forces and stress are finite differences of energies whose kernel is known."""
    atoms, h = silicon(8)[:4], 5e-3
    atoms.set_cell([5.6, 5.3, 4.9])
    train = [label(atoms_of(atoms, k)) for k in range(4)]
    soap = SOAP | {"weighting": SMOOTH, "n_sparse": 1000, "zeta": 4, "delta": 1.5}
    model = gapfit.fit(
        train,
        settings(
            terms=[soap],
            e0={"Si": -2.0},
            sigma={"energy": 0.02},
            solver={"jitter": 1e-13},
            data=config()["data"] | {"use_forces": False, "use_stress": False},
        ),
    )
    assert model.n_sparse == 16
    # -dE/dx by a stencil of fourth order: a sum of energies of displaced structures.
    stencil = {k: -w / (12 * h) for k, w in {-2: 1, -1: -8, 1: 8, 2: -1}.items()}
    new = atoms_of(atoms, 9)
    sums = [{0.0: (new, 1.0)}]
    for change, places in (
        (moved, [(n, x) for n in range(4) for x in range(3)]),
        (strained, VOIGT),
    ):
        for place in places:
            shifted = {k: (change(new, *place, k * h), w) for k, w in stencil.items()}
            sums.append(shifted)
    structures = [own for parts in sums for own, _ in parts.values()]
    A = np.zeros((len(sums), len(structures)))
    column = 0
    for row, parts in enumerate(sums):
        for _, w in parts.values():
            A[row, column] = w
            column += 1
    A = np.kron(A, np.ones(4))
    A_train = np.kron(np.eye(4), np.ones(4))
    kernel = model.terms[0].descriptor.kernel
    q, q_train = descriptors(model, structures), descriptors(model, train)
    K = A_train @ kernel(q_train, q_train) @ A_train.T + 4 * 0.02**2 * np.eye(4)
    cross = A @ kernel(q, q_train) @ A_train.T
    y = np.array([a.get_potential_energy() for a in train]) + 4 * 2.0
    mean = cross @ np.linalg.solve(K, y)
    prior = np.einsum("ai,ij,aj->a", A, kernel(q, q), A, optimize=True)
    variance = prior - np.einsum("an,na->a", cross, np.linalg.solve(K, cross.T))
    found = model.predict(new, std=True, observation=False, form="dtc")
    assert found.energy + 8.0 == pytest.approx(mean[0], abs=1e-8)
    DENSE_ALGEBRA.check(found.energy_std**2, variance[0])
    np.testing.assert_allclose(found.forces.ravel(), mean[1:13], atol=1e-6)
    # What the differences leave of the cancellation of prior and explained.
    rough = {"rtol": 2e-6, "atol": 1e-9 * prior[1:].max()}
    np.testing.assert_allclose(found.forces_std.ravel() ** 2, variance[1:13], **rough)
    volume = new.get_volume()
    np.testing.assert_allclose(-found.stress * volume, mean[13:], atol=1e-6)
    of_virials = (found.stress_std * volume) ** 2
    np.testing.assert_allclose(of_virials, variance[13:], **rough)


def atoms_of(atoms: Atoms, seed: int) -> Atoms:
    atoms = atoms.copy()
    atoms.rattle(0.25, seed=300 + seed)
    return atoms
