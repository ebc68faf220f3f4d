"""Prior variances: double sums, finite differences, posterior algebra, symmetries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from builders import STRUCTURES, random_term, silicon, three_species
from scipy.linalg import cho_factor, cho_solve

from gapfit.config.sections import Angle3bConfig, Distance2bConfig, SoapConfig
from gapfit.data.frame import VOIGT, structure_arrays
from gapfit.data.neighbours import concatenate, pair_list, pairs_of, separate
from gapfit.descriptors.blocks import pair_key
from gapfit.descriptors.cluster_priors import Clusters, cluster_priors
from gapfit.descriptors.kernels import DotProductKernel, ProductKernel
from gapfit.descriptors.protocol import PriorVariances
from gapfit.descriptors.soap_priors import soap_priors
from gapfit.errors import StructureError
from gapfit.model.terms import FittedTerm, build_term, new_basis
from gapfit.testing import ROUNDING

# Smooth where it ends, or finite differences would be as rough.
SMOOTH = {"function": "poly", "r0": 4.5, "c": 1.0, "m": 3.0}
SOAP = {"type": "soap", "r_cut": 4.0, "n_max": 3, "l_max": 3, "delta": 1.3}
SOAP |= {"weighting": SMOOTH}
PAIR = {"type": "distance_2b", "r_cut": 4.5, "width": 2.2, "theta": 0.6, "delta": 1.1}
TRIPLET = {
    "type": "angle_3b",
    "r_cut": 3.4,
    "width": 1.7,
    "theta": [1.1, 1.4, 0.9],
    "delta": 0.4,
}
CONFIGS = {
    "soap": SoapConfig,
    "distance_2b": Distance2bConfig,
    "angle_3b": Angle3bConfig,
}
TERMS = {
    "soap": SOAP,
    "zeta 1": SOAP | {"zeta": 1},
    "zeta 1.5": SOAP | {"zeta": 1.5},
    "zeta 2": SOAP | {"zeta": 2},
    "zeta 2.5": SOAP | {"zeta": 2.5},
    "mu1nu1": SOAP | {"compression": "mu1nu1"},
    "mu2": SOAP | {"compression": "mu2", "zeta": 2},
    "2b": PAIR,
    "3b": TRIPLET,
}
STEP, STENCIL = 2e-3, {-2: 1, -1: -8, 1: 8, 2: -1}


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
        half = 0.5 * descriptor.switch(r)[0]
        return {b: (half[keys == b], r[keys == b, None]) for b in descriptor.blocks}
    found = {}
    for block, own in descriptor.environments(pairs).items():
        weight = np.ones(len(own.values))
        if term.config.type == "angle_3b":
            root = np.sqrt(own.values[:, 1])
            for r in (own.values[:, 0] - root) / 2, (own.values[:, 0] + root) / 2:
                weight *= descriptor.switch(r)[0]
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
        [
            slope_variance(term, lambda h, a=a, x=x: moved(atoms, a, x, h))
            for x in range(3)
        ]
        for a in some
    ]
    np.testing.assert_allclose(found.forces[some], expected, rtol=5e-6, atol=1e-7)
    expected = [
        slope_variance(term, lambda h, x=x, y=y: strained(atoms, x, y, h))
        for x, y in VOIGT
    ]
    np.testing.assert_allclose(found.virials[0], expected, rtol=5e-6, atol=1e-7)


def rows_of(term: FittedTerm, atoms: Atoms) -> np.ndarray:
    """Return k_m of energy, forces and virials, (1 + 3 n_atoms + 6, n_sparse)."""
    pairs = pair_list(structure_arrays(atoms), term.descriptor.cutoff)
    rows = term.descriptor.kernel_rows(pairs, term.sparse, gradients=True)
    parts = rows.energies, np.concatenate(rows.forces), rows.virials[0]
    return np.concatenate(parts)


def explained(term: FittedTerm, atoms: Atoms) -> np.ndarray:
    """Return k_m^T (K_mm + jitter)^-1 k_m of energy, forces and virials."""
    rows, total, first = rows_of(term, atoms), 0.0, 0
    for points in term.sparse.values():
        k_m = rows[:, first : first + len(points)].T
        first += len(points)
        K = term.descriptor.kernel(points, points)
        K[np.diag_indices_from(K)] *= 1 + 1e-11
        total = total + np.einsum("ml,ml->l", k_m, cho_solve(cho_factor(K), k_m))
    return np.asarray(total)


def with_points(term: FittedTerm, structures: list[Atoms]) -> FittedTerm:
    """Return a term that has all environments of some structures as sparse points."""
    pairs = pairs_of([structure_arrays(a) for a in structures], term.descriptor.cutoff)
    found = term.descriptor.environments(pairs)
    return replace(term, sparse={block: own.values for block, own in found.items()})


def flat(found: PriorVariances) -> np.ndarray:
    return np.concatenate([found.energies, found.forces.ravel(), found.virials.ravel()])


@pytest.mark.parametrize("kind", ["soap", "zeta 2.5", "2b", "3b"])
def test_sparse_points_explain_the_prior_as_they_become_dense(kind):
    """Energies follow from the environments, derivatives from those of moved copies."""
    atoms = STRUCTURES["sheared"]()
    settings = TERMS[kind] | ({"r_cut": 3.0} if kind == "3b" else {})
    term = with_points(term_of(atoms, **settings), [atoms])
    prior = flat(priors(term, atoms))
    first = explained(term, atoms)
    assert first[0] == pytest.approx(prior[0], rel=1e-6)
    assert (first < prior * (1 + 1e-9)).all()
    copies = [
        moved(atoms, a, x, h) for a in range(4) for x in range(3) for h in (-0.02, 0.02)
    ]
    copies += [strained(atoms, x, y, h) for x, y in VOIGT for h in (-0.01, 0.01)]
    second = explained(with_points(term, [atoms, *copies]), atoms)
    assert (second < prior * (1 + 1e-9)).all()
    np.testing.assert_allclose(second, prior, rtol=2e-3)


def test_priors_of_terms_add():
    """The energy of a mixture of terms is explained by the sparse points of both."""
    atoms = silicon()
    terms = [
        with_points(term_of(atoms, **TERMS[kind]), [atoms]) for kind in ("soap", "2b")
    ]
    prior = sum(priors(term, atoms).energies[0] for term in terms)
    found = sum(explained(term, atoms)[0] for term in terms)
    assert found == pytest.approx(prior, rel=1e-6)


@pytest.mark.parametrize("components", [5, 0.9])
def test_projections_leave_the_prior_that_of_the_whole_descriptor(components):
    atoms = three_species()
    term = random_term(atoms, n_max=3, l_max=2, components=components)
    whole = build_term(term.config, term.species, term.basis)
    assert term.projections
    np.testing.assert_array_equal(flat(priors(term, atoms)), flat(priors(whole, atoms)))


@pytest.mark.parametrize("name", ["silicon", "wire", "three_species", "one_atom"])
def test_engines_agree(name):
    atoms = STRUCTURES[name]()
    native = term_of(atoms, **SOAP)
    settings = native.config.model_copy(update={"engine": "dscribe"})
    slow = build_term(settings, native.species, native.basis)
    expected = flat(priors(native, atoms))
    np.testing.assert_allclose(
        flat(priors(slow, atoms)), expected, rtol=1e-8, atol=1e-8 * expected.max()
    )


@pytest.mark.parametrize("kind", ["soap", "2b", "3b"])
def test_rotations_keep_the_traces(kind):
    atoms = three_species()
    term = term_of(atoms, **TERMS[kind])
    rotated = atoms.copy()
    rotated.rotate(37, (1, 2, -0.5), rotate_cell=True)
    one, other = priors(term, atoms), priors(term, rotated)
    assert other.energies == pytest.approx(one.energies, rel=1e-9)
    np.testing.assert_allclose(other.forces.sum(1), one.forces.sum(1), rtol=1e-8)
    norm = np.array([1, 1, 1, 2, 2, 2])
    assert other.virials @ norm == pytest.approx(one.virials @ norm, rel=1e-8)
    assert not np.allclose(other.forces, one.forces, rtol=0.01)


@pytest.mark.parametrize("kind", TERMS)
def test_an_atom_among_its_images_feels_no_force(kind):
    atoms = STRUCTURES["one_atom"]()
    atoms.set_cell(atoms.cell * 0.8, scale_atoms=True)
    found = priors(term_of(atoms, **TERMS[kind]), atoms)
    np.testing.assert_allclose(found.forces, 0.0, atol=1e-20)
    assert (found.virials > 0).all()


@pytest.mark.parametrize("kind", TERMS)
def test_copies_of_a_cell_vary_together(kind):
    atoms = STRUCTURES["wire"]()
    term = term_of(atoms, **TERMS[kind])
    one, two = priors(term, atoms), priors(term, atoms * (1, 1, 2))
    np.testing.assert_allclose(two.energies, 4 * one.energies, rtol=1e-10)
    np.testing.assert_allclose(two.virials, 4 * one.virials, rtol=1e-9)


@pytest.mark.parametrize("kind", ["soap", "2b", "3b"])
def test_frames_stand_for_themselves(kind):
    alone = Atoms("Ge", positions=[[0, 0, 0]])
    frames = [
        three_species(),
        alone,
        three_species()[:3],
        Atoms("TeSb", [[0] * 3, [0, 2, 2]]),
    ]
    term = term_of(frames[0], **TERMS[kind])
    together, each = priors(term, *frames), [priors(term, a) for a in frames]
    expected = PriorVariances.joined(each)
    for found, own in zip(
        vars(together).values(), vars(expected).values(), strict=True
    ):
        np.testing.assert_allclose(found, own, rtol=1e-12, atol=1e-30)
    assert each[1].energies == pytest.approx([1.3**2 if kind == "soap" else 0.0])
    np.testing.assert_array_equal(flat(each[1])[1:], 0.0)


@pytest.mark.parametrize("kind", ["soap", "2b", "3b"])
def test_energies_alone(kind):
    atoms = silicon()
    term = term_of(atoms, **TERMS[kind])
    pairs = pair_list(structure_arrays(atoms), term.descriptor.cutoff)
    found = term.descriptor.prior_variances(pairs, gradients=False)
    expected = priors(term, atoms).energies
    ROUNDING.check(found.energies, expected)
    assert (found.forces.shape, found.virials.shape) == ((0, 3), (0, 6))


@pytest.mark.parametrize("kind", ["soap", "2b", "3b"])
def test_unknown_species_are_named(kind):
    atoms = silicon()
    term = term_of(atoms, **TERMS[kind])
    atoms.numbers[3] = 6
    with pytest.raises(StructureError, match="unknown species C"):
        priors(term, atoms)


def test_only_chosen_centres_have_energies():
    """Sums over the blocks of single central species make up the whole."""
    atoms = three_species()
    whole = term_of(atoms, **SOAP)
    parts = [
        priors(term_of(atoms, **SOAP, centres=[symbol]), atoms)
        for symbol in ("Ge", "Sb", "Te")
    ]
    np.testing.assert_allclose(sum(flat(p) for p in parts), flat(priors(whole, atoms)))


@pytest.mark.parametrize("most_bytes", [1.0, 2e5])
def test_groups_of_atoms_change_nothing(most_bytes):
    atoms = three_species()
    soap = term_of(atoms, **SOAP).descriptor
    pairs = pair_list(structure_arrays(atoms), soap.cutoff)
    whole, parts = (
        soap_priors(
            soap.engine,
            soap.dot_product,
            soap.species,
            soap.blocks,
            pairs,
            gradients=True,
            **sizes,
        )
        for sizes in ({}, {"most_bytes": most_bytes, "chunk_rows": 3})
    )
    np.testing.assert_allclose(flat(parts), flat(whole), rtol=1e-10)


@pytest.mark.parametrize(("n_sides", "width"), [(1, 1), (2, 3)], ids=["2b", "3b"])
def test_parts_of_the_kernel_matrix_change_nothing(n_sides, width):
    rng, n, n_atoms = np.random.default_rng(2), 90, 8
    clusters = Clusters(
        atoms=rng.integers(0, n_atoms, (n, 1 + n_sides)),
        R=rng.normal(size=(n, n_sides, 3)),
        s=rng.uniform(size=n),
        ds=rng.normal(size=(n, n_sides, 3)),
        q=rng.uniform(1, 3, (n, width)),
        dq=rng.normal(size=(n, n_sides, 3, width)),
    )
    kernel = ProductKernel(1.2, (0.7, 1.1, 0.9)[:width])
    whole, *parts = (
        cluster_priors([clusters], kernel, n_atoms, gradients=True, side=side)
        for side in (512, 7, 40)
    )
    for part in parts:
        np.testing.assert_allclose(flat(part), flat(whole), rtol=1e-10)


@pytest.mark.parametrize("zeta", [1, 1.5, 2, 2.5, 3, 4])
def test_curvature_is_the_slope_of_the_slope(zeta):
    kernel, dots = DotProductKernel(1.7, zeta), np.array([-0.6, 0.2, 0.7, 1.0])
    ends = [kernel.value_and_slope(dots + h)[1] for h in (1e-5, -1e-5)]
    expected = (ends[0] - ends[1]) / 2e-5
    np.testing.assert_allclose(kernel.curvature(dots), expected, atol=1e-8)
    at_zero = 2 * 1.7**2 if zeta == 2 else 0.0
    assert kernel.curvature(np.zeros(1)) == pytest.approx([at_zero])


def test_separate_undoes_concatenate():
    frames = [silicon(), STRUCTURES["one_atom"](), Atoms("Si"), STRUCTURES["wire"]()]
    parts = [pair_list(structure_arrays(a), 4.0) for a in frames]
    for found, part in zip(separate(concatenate(parts)), parts, strict=True):
        for name, value in vars(part).items():
            np.testing.assert_array_equal(getattr(found, name), value)
