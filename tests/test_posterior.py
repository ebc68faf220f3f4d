"""Standard deviations against the exact process and the algebra of the posterior."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from conftest import cluster, config, label, silicon, slab
from scipy.linalg import block_diag
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import (
    ConstantKernel,
    DotProduct,
    Exponentiation,
)
from test_gaussian_process import descriptors, one_atom_cells

import gapfit
from gapfit.data.dataset import read
from gapfit.data.frame import VOIGT, Frame, structure_arrays
from gapfit.data.neighbours import pairs_of
from gapfit.errors import GapfitError
from gapfit.gp.observations import RowBlock
from gapfit.gp.posterior import Posterior
from gapfit.gp.whitening import Whitening
from gapfit.model.row_variances import atom_variances
from gapfit.model.rows import row_block

METHODS = ("cholesky", "qr")
# Smooth where it ends, or finite differences would be as rough.
SMOOTH = {"function": "poly", "r0": 3.8, "c": 1.0, "m": 3.0}
SOAP = {"r_cut": 3.8, "n_max": 3, "l_max": 2, "n_sparse": 12, "zeta": 3}
PAIR = {"type": "distance_2b", "r_cut": 4.0, "n_sparse": 5, "delta": 1.0, "theta": 0.5}
# Sigmas and jitter are so large that the normal equations hold without whitening.
SIGMA = {
    "energy": 0.1,
    "forces": 1.0,
    "virial": 1.0,
    "config_types": {"odd": {"energy": 0.3, "forces": 2.5}},
}
KINDS = ("energy", "forces", "virial")


def salt(seed: int) -> Atoms:
    """Return a rattled, strained crystal of two species."""
    rng = np.random.default_rng(seed)
    atoms = bulk("NaCl", "rocksalt", a=5.1, cubic=True)
    atoms.numbers[:] = [14, 32] * 4
    strain = np.eye(3) + 0.04 * rng.normal(size=(3, 3))
    atoms.set_cell(atoms.cell @ strain, scale_atoms=True)
    atoms.rattle(0.15, rng=rng)
    return atoms


def molecule(seed: int) -> Atoms:
    atoms = cluster()
    atoms.numbers[::2] = 32
    atoms.rattle(0.1, seed=seed)
    return atoms


def frames_of(n: int = 3) -> list[Atoms]:
    found = [label(salt(k), config_type="odd" if k % 2 else "even") for k in range(n)]
    return [*found, label(molecule(1), config_type="molecule")]


def settings(method: str = "cholesky", **more: object) -> dict:
    wanted = {
        "terms": [PAIR, SOAP],
        "sigma": SIGMA,
        "solver": {"method": method, "jitter": 1e-4},
        "calibration": {"method": "none"},
    }
    return config() | wanted | more


@pytest.fixture(scope="module", params=METHODS)
def model(request) -> gapfit.GAPModel:
    return gapfit.fit(frames_of(), settings(request.param))


@pytest.fixture(scope="module")
def one_model() -> gapfit.GAPModel:
    return gapfit.fit(frames_of(), settings())


def frame_of(model: gapfit.GAPModel, atoms: Atoms) -> Frame:
    """Return a structure with labels, so that it has rows."""
    return read([label(atoms.copy())], model.config.data).frames[0]


def rows_of(model: gapfit.GAPModel, frames: list[Frame]) -> RowBlock:
    return row_block(frames, model.terms, model.e0, model.config.sigma)


def kernel_matrix(model: gapfit.GAPModel) -> np.ndarray:
    """Return K_mm with the jitter of the fit."""
    blocks = [t.descriptor.kernel(p, p) for t in model.terms for p in t.sparse.values()]
    jitter = model.info["jitter"]
    return block_diag(
        *(
            K + own * np.mean(np.diag(K)) * np.eye(len(K))
            for K, own in zip(blocks, jitter, strict=True)
        )
    )


def normal_matrix(model: gapfit.GAPModel) -> np.ndarray:
    """Return K_mm + K_mn Λ^-1 K_nm."""
    train = rows_of(model, read(frames_of(), model.config.data).frames)
    scaled = train.K / train.sigma[:, None]
    return kernel_matrix(model) + scaled.T @ scaled


def brute_covariance(model: gapfit.GAPModel, atoms: Atoms) -> dict[str, np.ndarray]:
    """Return the covariance of energy, forces and virial from normal equations."""
    block = rows_of(model, [frame_of(model, atoms)])
    whole = block.K @ np.linalg.solve(normal_matrix(model), block.K.T)
    return {
        kind: whole[np.ix_(own, own)]
        for n, kind in enumerate(KINDS)
        for own in [np.flatnonzero(block.kind == n)]
    }


def unexplained(model: gapfit.GAPModel, atoms: Atoms) -> dict[str, np.ndarray]:
    """Return what the sparse points leave of the prior variances."""
    pairs = pairs_of([structure_arrays(atoms)], model.cutoff)
    prior = np.zeros(0)
    found = [
        t.descriptor.prior_variances(pairs.within(t.descriptor.cutoff), gradients=True)
        for t in model.terms
    ]
    for name in ("energies", "forces", "virials"):
        own = sum(np.ravel(getattr(part, name)) for part in found)
        prior = np.concatenate([prior, own])
    block = rows_of(model, [frame_of(model, atoms)])
    explained = block.K @ np.linalg.solve(kernel_matrix(model), block.K.T)
    left = prior - np.diag(explained)
    return {kind: left[block.kind == n] for n, kind in enumerate(KINDS)}


@pytest.mark.parametrize("form", ["sor", "dtc"])
def test_variances_equal_the_algebra_of_the_posterior(model, form):
    """k (K_mm + K_mn Λ^-1 K_nm)^-1 k^T; DTC adds k(L, L) - k K_mm^-1 k^T."""
    atoms = salt(77)
    expected = {k: np.diag(C).copy() for k, C in brute_covariance(model, atoms).items()}
    if form == "dtc":
        for kind, left in unexplained(model, atoms).items():
            assert left.min() > 1e-3 * expected[kind].max()
            expected[kind] += left
    found = model.predict(atoms, std=True, calibrated=False, form=form)
    close = {"rtol": 1e-8, "atol": 0}
    np.testing.assert_allclose(found.energy_std**2, expected["energy"][0], **close)
    np.testing.assert_allclose(
        found.forces_std.ravel() ** 2, expected["forces"], **close
    )
    virials = (found.stress_std * atoms.get_volume()) ** 2
    np.testing.assert_allclose(virials, expected["virial"], **close)
    assert found.n_negative == 0


def test_forms_of_several_structures_are_those_of_each(one_model):
    """Batches of structures of different size keep their order."""
    some = [salt(5), molecule(4), slab_of_two(), salt(6)]
    together = one_model.predict(some, std=True, novelty=True, form="dtc")
    for atoms, found in zip(some, together, strict=True):
        alone = one_model.predict(atoms, std=True, novelty=True, form="dtc")
        for name in ("energy_std", "energies_std", "forces_std", "novelty"):
            np.testing.assert_allclose(
                getattr(found, name), getattr(alone, name), rtol=1e-9, atol=1e-12
            )
        if atoms.cell.rank == 3:
            np.testing.assert_allclose(found.stress_std, alone.stress_std, rtol=1e-9)
        else:
            assert found.stress_std is None


@pytest.mark.parametrize("form", ["sor", "dtc"])
def test_parts_of_the_work_change_nothing(monkeypatch, one_model, form):
    """Rows of one structure, pairs of one atom, seven rows at a time."""
    some = [salt(5), molecule(4), salt(6)]
    whole = one_model.predict(some, std=True, novelty=True, form=form)
    monkeypatch.setattr("gapfit.model.row_variances._ROW_BYTES", 1.0)
    monkeypatch.setattr("gapfit.model.row_variances._CHUNK_PAIRS", 1)
    monkeypatch.setattr("gapfit.model.row_variances._CHUNK", 7)
    monkeypatch.setattr("gapfit.model.gap_model._BATCH_ATOMS", 20)
    pieces = one_model.predict(some, std=True, novelty=True, form=form)
    for a, b in zip(whole, pieces, strict=True):
        for name in ("energy_std", "energies_std", "forces_std", "novelty"):
            np.testing.assert_allclose(
                getattr(a, name), getattr(b, name), rtol=1e-9, atol=1e-12
            )


def test_energies_of_atoms_equal_the_algebra_of_the_posterior():
    """Terms of all kinds, one of them for atoms of one species only."""
    triplet = {"type": "angle_3b", "r_cut": 3.4, "n_sparse": 4, "delta": 0.3}
    own = SOAP | {"r_cut": 3.0, "centres": ["Ge"], "delta": 0.5}
    model = gapfit.fit(frames_of(), settings(terms=[own, PAIR, SOAP, triplet]))
    atoms = salt(8)
    pairs = pairs_of([structure_arrays(atoms)], model.cutoff)
    parts = [
        t.descriptor.covariances(pairs.within(t.descriptor.cutoff), t.sparse)
        for t in model.terms
    ]
    k, prior = np.hstack([k for k, _ in parts]), sum(prior for _, prior in parts)
    left = prior - np.einsum("nm,mn->n", k, np.linalg.solve(kernel_matrix(model), k.T))
    known = np.einsum("nm,mn->n", k, np.linalg.solve(normal_matrix(model), k.T))
    found = model.predict(atoms, std="energies", novelty=True)
    np.testing.assert_allclose(found.energies_std**2, left + known, rtol=1e-8)
    np.testing.assert_allclose(found.novelty, np.sqrt(left / prior), rtol=1e-8)


def slab_of_two() -> Atoms:
    atoms = slab()
    atoms.numbers[::2] = 32
    return atoms


@pytest.mark.parametrize("config_type", ["even", "odd"])
def test_observations_have_the_noise_of_the_fit(one_model, config_type):
    atoms = salt(31)
    own = SIGMA | SIGMA["config_types"].get(config_type, {})
    frame = replace(structure_arrays(atoms), config_type=config_type)
    bare = one_model.predict(frame, std=True)
    noisy = one_model.predict(frame, std=True, observation=True)
    root, volume = np.sqrt(len(atoms)), atoms.get_volume()
    for name, sigma in (
        ("energy_std", own["energy"] * root),
        ("forces_std", own["forces"]),
        ("stress_std", own["virial"] * root / volume),
    ):
        expected = np.sqrt(np.square(getattr(bare, name)) + sigma**2)
        np.testing.assert_allclose(getattr(noisy, name), expected, rtol=1e-12)
    # No reference calculation gives energies of atoms.
    np.testing.assert_array_equal(noisy.energies_std, bare.energies_std)


def test_sigmas_of_a_frame_are_those_of_its_observations(one_model):
    atoms = salt(31)
    frame = replace(
        structure_arrays(atoms),
        energy_sigma=0.5,
        force_sigma=np.linspace(0.1, 0.8, 8),
        virial_sigma=2.0,
    )
    bare = one_model.predict(atoms, std=True)
    noisy = one_model.predict(frame, std=True, observation=True)
    added = np.sqrt(noisy.forces_std**2 - bare.forces_std**2)
    np.testing.assert_allclose(added, np.tile(frame.force_sigma, (3, 1)).T, rtol=1e-9)
    of_energy = np.sqrt(noisy.energy_std**2 - bare.energy_std**2)
    assert of_energy == pytest.approx(0.5 * np.sqrt(8), rel=1e-9)


def test_only_what_is_asked_is_returned(one_model):
    atoms = salt(1)
    every = one_model.predict(atoms, std=True)
    names = {f"{kind}_std": kind for kind in ("energy", "energies", "forces", "stress")}
    for name, kind in names.items():
        for asked in (kind, (kind,)):
            found = one_model.predict(atoms, std=asked, forces=False, stress=False)
            np.testing.assert_allclose(
                getattr(found, name), getattr(every, name), rtol=1e-12
            )
            assert all(getattr(found, other) is None for other in {*names} - {name})
            assert found.forces is None
            assert found.stress is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"std": "force"}, "std = 'force': there is no such standard deviation"),
        ({"std": ("energy", "novelty")}, "std = 'novelty'"),
        ({"std": True, "form": "DTC"}, "form = 'DTC'.*sor, dtc"),
    ],
)
def test_unknown_standard_deviations_are_refused(one_model, given, message):
    with pytest.raises(GapfitError, match=message):
        one_model.predict(salt(1), **given)


@pytest.mark.parametrize("asked", [{"std": "forces"}, {"novelty": True}])
def test_a_model_without_posterior_says_so(one_model, asked):
    bare = replace(one_model, posterior=None)
    with pytest.raises(GapfitError, match="store_posterior = true"):
        bare.predict(salt(1), **asked)
    with pytest.raises(GapfitError, match="store_posterior = true"):
        bare.sample(2)


# The exact process: every training environment is a sparse point.


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
    found = model.predict(new, std=("energy", "energies"), form="dtc")
    np.testing.assert_allclose([p.energy + 1.0 for p in found], mean, atol=1e-8)
    assert std.min() > 0.03
    for name in ("energies_std", "energy_std"):
        of_model = [np.ravel(getattr(p, name))[0] for p in found]
        np.testing.assert_allclose(of_model, std, rtol=0, atol=1e-8)


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
    found = model.predict(new, std=True, form="dtc")
    assert found.energy + 8.0 == pytest.approx(mean[0], abs=1e-8)
    assert found.energy_std**2 == pytest.approx(variance[0], rel=1e-8)
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


# Symmetries.


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
    before = one_model.predict(atoms, std=True)
    after = one_model.predict(rotated(atoms, Q), std=True)
    expected = np.sqrt(np.diagonal(turned, axis1=1, axis2=2))
    np.testing.assert_allclose(after.forces_std, expected, rtol=1e-7)
    assert not np.allclose(after.forces_std, before.forces_std, rtol=1e-2)
    assert after.energy_std == pytest.approx(before.energy_std, rel=1e-7)
    np.testing.assert_allclose(after.energies_std, before.energies_std, rtol=1e-7)


@pytest.mark.parametrize("form", ["sor", "dtc"])
def test_translations_and_permutations(one_model, form):
    atoms = salt(13)
    before = one_model.predict(atoms, std=True, novelty=True, form=form)
    order = np.random.default_rng(1).permutation(8)
    moved = atoms[order]
    moved.positions += [0.3, -1.7, 4.1]
    moved.wrap()
    after = one_model.predict(moved, std=True, novelty=True, form=form)
    assert after.energy_std == pytest.approx(before.energy_std, rel=1e-8)
    np.testing.assert_allclose(after.stress_std, before.stress_std, rtol=1e-8)
    for name in ("energies_std", "forces_std", "novelty"):
        np.testing.assert_allclose(
            getattr(after, name), getattr(before, name)[order], rtol=1e-7, atol=1e-9
        )


@pytest.mark.parametrize("form", ["sor", "dtc"])
def test_a_supercell_is_as_uncertain_as_its_cell(one_model, form):
    """Images err together: the energy's std grows like the number of cells."""
    one = one_model.predict(salt(14), std=True, form=form)
    two = one_model.predict(salt(14) * (1, 2, 1), std=True, form=form)
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
    found = one_model.predict(atoms, std=True, novelty=True)
    for z in (14, 32):
        own = atoms.numbers == z
        assert np.ptp(found.energies_std[own]) < 1e-9
        assert np.ptp(found.novelty[own]) < 1e-9
    # Symmetry makes the forces zero, whatever the potential.
    assert found.forces_std.max() < 1e-7
    np.testing.assert_allclose(found.stress_std[:3], found.stress_std[0], rtol=1e-7)
    np.testing.assert_allclose(found.stress_std[3:], found.stress_std[3], rtol=1e-7)


def test_a_contradictory_posterior_is_counted(one_model):
    """Where more is explained than there is, the variance is that of SoR alone."""
    known, some = one_model.posterior, [salt(1), salt(2)]
    left = [np.concatenate(list(unexplained(one_model, a).values())) for a in some]
    explained = []
    for atoms in some:
        K = rows_of(one_model, [frame_of(one_model, atoms)]).K
        of = np.linalg.solve(kernel_matrix(one_model), K.T)
        explained.append(np.einsum("nm,mn->n", K, of))
    # So much more is explained by a smaller U that half of the variances are negative.
    more = np.median(left[0] / explained[0])
    smaller = tuple(U / np.sqrt(1 + more) for U in known.whitening.cholesky)
    wrong = Posterior(Whitening(smaller, known.whitening.jitter), known.R)
    broken, kinds = replace(one_model, posterior=wrong), ("energy", "forces", "stress")
    found = broken.predict(some, std=kinds, form="dtc")
    sor = broken.predict(some, std=kinds)
    for n, (dtc, own) in enumerate(zip(found, sor, strict=True)):
        negative = left[n] < more * explained[n]
        assert 0 < negative.sum() < 31
        assert dtc.n_negative == negative.sum()
        assert own.n_negative == 0
        below = negative[1:25].reshape(8, 3)
        np.testing.assert_array_equal(dtc.forces_std[below], own.forces_std[below])
        assert (dtc.forces_std[~below] > own.forces_std[~below]).all()
    assert found[0].n_negative != found[1].n_negative
    good = one_model.predict(some, std=True, novelty=True, form="dtc")
    assert [own.n_negative for own in good] == [0, 0]


def test_no_share_of_an_atom_is_negative(one_model):
    known = one_model.posterior
    halves = tuple(0.5 * U for U in known.whitening.cholesky)
    wrong = Posterior(Whitening(halves, known.whitening.jitter), known.R)
    found = replace(one_model, posterior=wrong).predict(salt(1), novelty=True)
    assert found.n_negative == 8
    np.testing.assert_array_equal(found.novelty, 0.0)


# Novelty.


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
        atoms.calc.results["novelty"], one_model.predict(atoms, novelty=True).novelty
    )
    assert "energies_std" not in atoms.calc.results


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


def test_novelty_is_the_share_that_the_sparse_points_leave(one_model):
    """Of local energies, one-atom cells: sqrt(1 - k K_mm^-1 k^T / k(x, x))."""
    atoms = Atoms("Si", cell=[2.6, 2.7, 3.1], pbc=True)
    left = unexplained(one_model, atoms)["energy"][0]
    block = rows_of(one_model, [frame_of(one_model, atoms)])
    k = block.K[0]
    prior = left + k @ np.linalg.solve(kernel_matrix(one_model), k)
    found = one_model.predict(atoms, novelty=True, std="energy", form="dtc")
    assert found.novelty[0] == pytest.approx(np.sqrt(left / prior), rel=1e-8)
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
