"""Kernel rows within the directions of the sparse points: the same, with less work."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from builders import STRUCTURES

from gapfit.config import SoapConfig
from gapfit.data.frame import structure_arrays
from gapfit.data.neighbours import concatenate, pair_list
from gapfit.descriptors.row_points import RowPoints, SparsePoints, spanned
from gapfit.model.terms import FittedTerm, build_term, new_basis
from gapfit.threads import use_threads

NAMES = ("energies", "forces", "virials")


def with_points(atoms, n_copies: int, **settings) -> FittedTerm:
    """Return a term with environments of moved copies as sparse points."""
    soap = SoapConfig(r_cut=5.0, n_max=8, l_max=4, **settings)
    term = build_term(soap, tuple(sorted(set(atoms.numbers.tolist()))), new_basis(soap))
    sparse: dict[int, list[np.ndarray]] = {z: [] for z in term.species}
    for seed in range(n_copies):
        copy = atoms.copy()
        copy.rattle(0.1, seed=seed)
        for z, found in term.descriptor.environments(pairs_of(term, copy)).items():
            sparse[z].append(found.values)
    term.sparse.update({z: np.concatenate(v) for z, v in sparse.items()})
    return term


def pairs_of(term, atoms):
    return pair_list(structure_arrays(atoms), term.descriptor.cutoff)


def core_rows(term, atoms, points: list[SparsePoints]) -> dict[str, np.ndarray]:
    """Return the rows that the core gives for points as they are."""
    from gapfit import _core
    from gapfit.data.neighbours import core_pairs

    pairs, kernel = pairs_of(term, atoms), term.descriptor.dot_product
    n = sum(len(part.values) for part in points)
    rows = [np.zeros((k, n)) for k in (1, 3 * len(atoms), 6)]
    term.descriptor.engine._core.add_rows(
        core_pairs(pairs, term.species),
        [_core.Points(part.values, part.projection) for part in points],
        kernel.delta,
        kernel.zeta,
        *rows,
        1,
    )
    shapes = [(1, n), (len(atoms), 3, n), (1, 6, n)]
    return {
        name: part.reshape(shape)
        for name, part, shape in zip(NAMES, rows, shapes, strict=True)
    }


@pytest.mark.parametrize(
    ("name", "n_copies", "settings"),
    [
        ("silicon", 30, {"rbf": "equispaced_gaussians"}),
        ("silicon", 30, {"rbf": "poly3", "zeta": 2.5}),
        ("three_species", 40, {"rbf": "equispaced_gaussians"}),
        ("three_species", 40, {"rbf": "equispaced_gaussians", "compression": "mu2"}),
    ],
)
def test_rows_are_those_of_all_features(name, n_copies, settings):
    atoms = STRUCTURES[name]()
    term = with_points(atoms, n_copies, **settings)
    points = [SparsePoints(term.sparse[z]) for z in term.species]
    row_points = RowPoints(term.descriptor.engine.features)
    fewer = [row_points.of(n, part) for n, part in enumerate(points)]
    assert all(part.projection is not None for part in fewer)
    atoms.rattle(0.05, seed=99)
    plain = core_rows(term, atoms, points)
    found = term.descriptor.kernel_rows(
        pairs_of(term, atoms), term.sparse, gradients=True
    )
    for part in NAMES:
        scale = np.abs(plain[part]).max()
        np.testing.assert_allclose(
            getattr(found, part), plain[part], rtol=0, atol=1e-11 * scale
        )
        assert not np.array_equal(getattr(found, part), plain[part])


@pytest.mark.parametrize("name", ["silicon", "three_species"])
def test_structures_unlike_the_points_keep_eight_digits(name):
    """Atoms at random places come closer than those of all sparse points."""
    term = with_points(STRUCTURES[name](), 40, rbf="equispaced_gaussians")
    points = [SparsePoints(term.sparse[z]) for z in term.species]
    atoms = STRUCTURES[name]()
    places = np.random.default_rng(5).random((len(atoms), 3))
    atoms.set_scaled_positions(places)
    assert atoms.get_all_distances(mic=True)[np.triu_indices(len(atoms), 1)].min() < 1.5
    plain = core_rows(term, atoms, points)
    pairs = pairs_of(term, atoms)
    found = term.descriptor.kernel_rows(pairs, term.sparse, gradients=True)
    for part in NAMES:
        scale = np.abs(plain[part]).max()
        np.testing.assert_allclose(
            getattr(found, part), plain[part], rtol=0, atol=1e-8 * scale
        )


@pytest.mark.parametrize("name", ["silicon", "three_species"])
@pytest.mark.parametrize("shape", ["blocks", "overlapping", "full", "few", "nothing"])
def test_any_projection_is_the_same_as_points_with_all_features(name, shape):
    """U^T q · v = q · U v, whichever parts of U are zero."""
    atoms = STRUCTURES[name]()
    term = with_points(atoms, 1)
    F = term.descriptor.n_features
    rng = np.random.default_rng(4)
    U = rng.normal(size=(F, 24)) / np.sqrt(F)
    column, feature = np.arange(24), np.arange(F)[:, None]
    if shape == "blocks":
        U[feature * 24 // F != column] = 0.0
    elif shape == "overlapping":
        U[np.abs(feature * 24 / F - column) > 5] = 0.0
    elif shape == "few":
        U[:, 3:20] = 0.0
        U[: F // 2] = 0.0
    elif shape == "nothing":
        U[:] = 0.0
    values = [rng.normal(size=(5, 24)) for _ in term.species]
    found = core_rows(term, atoms, [SparsePoints(v, U) for v in values])
    wanted = core_rows(term, atoms, [SparsePoints(v @ U.T) for v in values])
    for part in NAMES:
        scale = np.abs(wanted[part]).max()
        np.testing.assert_allclose(
            found[part], wanted[part], rtol=0, atol=1e-13 * scale
        )
    assert np.abs(wanted["forces"]).max() > 0 or shape == "nothing"


def test_without_virials_the_other_rows_are_the_same():
    atoms = STRUCTURES["three_species"]()
    term = with_points(atoms, 2)
    pairs = pairs_of(term, atoms)
    every, fewer = (
        term.descriptor.kernel_rows(pairs, term.sparse, gradients=True, virials=virials)
        for virials in (True, False)
    )
    np.testing.assert_array_equal(every.energies, fewer.energies)
    np.testing.assert_allclose(
        every.forces, fewer.forces, rtol=0, atol=1e-14 * np.abs(every.forces).max()
    )
    assert fewer.virials.shape == (1, 6, 0)


def test_directions_are_found_again_for_other_points_alone():
    atoms = STRUCTURES["silicon"]()
    term = with_points(atoms, 30, rbf="equispaced_gaussians")
    (values,) = term.sparse.values()
    row_points = RowPoints(term.descriptor.engine.features)
    first = row_points.of(0, SparsePoints(values))
    assert row_points.of(0, SparsePoints(values)) is first
    assert row_points.of(0, SparsePoints(values.copy())) is not first
    assert len(pickle.dumps(row_points)) < values.nbytes / 10


def test_points_without_common_directions_stay_as_they_are():
    values = np.random.default_rng(0).normal(size=(50, 20))
    parts = [slice(0, 8), slice(8, 20)]
    assert spanned(values, parts).projection is None
    values[:, 8:] = values[:, 8:9] * np.arange(12)
    found = spanned(values, parts)
    assert found.projection is not None
    assert found.values.shape == (50, 9)
    np.testing.assert_allclose(found.values @ found.projection.T, values, atol=1e-12)
    few = SparsePoints(values[:0])
    assert RowPoints.of(RowPoints(None), 0, few) is few  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["silicon", "three_species"])
def test_rows_do_not_depend_on_the_threads(name):
    """Each product depends on its row and its sparse point alone: the same bits."""
    term = with_points(STRUCTURES[name](), 40, rbf="equispaced_gaussians")
    atoms = STRUCTURES[name]()
    atoms.rattle(0.05, seed=99)
    pairs, found = pairs_of(term, atoms), []
    for n_threads in (1, 2, 5):
        with use_threads(n_threads):
            found.append(
                term.descriptor.kernel_rows(pairs, term.sparse, gradients=True)
            )
    for part in NAMES:
        for other in found[1:]:
            np.testing.assert_array_equal(getattr(other, part), getattr(found[0], part))


def test_rows_do_not_depend_on_the_structures_beside():
    term = with_points(STRUCTURES["silicon"](), 40, rbf="equispaced_gaussians")
    frames = []
    for seed in range(5):
        atoms = STRUCTURES["silicon"]()
        atoms.rattle(0.05, seed=seed)
        frames.append(pairs_of(term, atoms))
    n_atoms = len(atoms)

    def rows(pairs):
        return term.descriptor.kernel_rows(pairs, term.sparse, gradients=True)

    together = rows(concatenate(frames))
    for n, pairs in enumerate(frames):
        alone = rows(pairs)
        np.testing.assert_array_equal(together.energies[n], alone.energies[0])
        np.testing.assert_array_equal(together.virials[n], alone.virials[0])
        here = slice(n * n_atoms, (n + 1) * n_atoms)
        np.testing.assert_array_equal(together.forces[here], alone.forces)


def test_species_without_atoms_have_rows_of_zeros():
    """Projections of species that a structure lacks are not looked at."""
    whole = STRUCTURES["three_species"]()
    term, rng = with_points(whole, 3), np.random.default_rng(4)
    shape = term.descriptor.n_features, 5
    points = [
        SparsePoints(rng.normal(size=(7, 5)), rng.normal(size=shape))
        for _ in term.species
    ]
    ends = np.cumsum([0] + [len(part.values) for part in points])
    z = term.species[1]
    atoms = whole[whole.numbers == z]
    rows = core_rows(term, atoms, points)
    own = slice(ends[1], ends[2])
    for name in NAMES:
        others = np.delete(rows[name], own, axis=-1)
        assert not others.any()
        assert rows[name][..., own].any()
