"""Tests that every descriptor must pass, to inherit from.

A test class names its configurations; each test then runs for all of them::

    class TestMine(DescriptorContract):
        CONFIGS = {"short": MyConfig(r_cut=3.0), "long": MyConfig(r_cut=6.0)}
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from builders import STRUCTURES, config, labelled_frames
from scipy.linalg import cho_factor, cho_solve

import gapfit
from gapfit.config import SparseTermConfig, TermConfig
from gapfit.data.frame import VOIGT, structure_arrays, to_voigt
from gapfit.data.neighbours import Pairs, pairs_of
from gapfit.descriptors.protocol import KernelRows, LocalPrediction
from gapfit.model.terms import FittedTerm, build_term, new_basis
from gapfit.sparse.adapt import adapted
from gapfit.sparse.functions import with_functions
from gapfit.sparse.methods import principal_directions

__all__ = ["DescriptorContract", "PredictionContract", "pairs_for", "term_for"]

#: Central differences of fourth order.
_STEP, _STENCIL = 2e-4, {-2: 1, -1: -8, 1: 8, 2: -1}
_MOST_POINTS = 15


def isolated() -> Atoms:
    """Return atoms without neighbours, of three species."""
    return Atoms("GeSbTe", [[0, 0, 0], [30, 0, 0], [0, 30, 0]])


def pairs_for(term: FittedTerm, *structures: Atoms) -> Pairs:
    return pairs_of([structure_arrays(a) for a in structures], term.descriptor.cutoff)


def term_for(settings: TermConfig, atoms: Atoms) -> FittedTerm:
    """Return a term with environments of moved copies and random coefficients."""
    species = tuple(sorted(set(atoms.numbers.tolist())))
    term = build_term(settings, species, new_basis(settings))
    moved = [atoms.copy() for _ in range(2)]
    for n, copy in enumerate(moved):
        copy.rattle(0.1, seed=n)
    rng, sparse, projections = np.random.default_rng(9), {}, {}
    frames = [structure_arrays(copy) for copy in moved]
    term = adapted(term, frames, term.descriptor.cutoff)
    if term.descriptor.linear:
        return _with_coefficients(with_functions(term, frames, term.descriptor.cutoff))
    for block, found in term.descriptor.environments(pairs_for(term, *moved)).items():
        values = found.values[rng.permutation(len(found.values))[:_MOST_POINTS]]
        if term.descriptor.components != "all":
            U = principal_directions(found.values, term.descriptor.components)
            projections[block], values = U, values @ U
        sparse[block] = values
    term = build_term(settings, species, term.basis, projections)
    return _with_coefficients(replace(term, sparse=sparse))


def _with_coefficients(term: FittedTerm) -> FittedTerm:
    rng = np.random.default_rng(8)
    c = {block: rng.normal(size=len(points)) for block, points in term.sparse.items()}
    return replace(term, coefficients=c)


def coefficients(term: FittedTerm) -> np.ndarray:
    return np.concatenate(list(term.coefficients.values()))


def predicted(term: FittedTerm, *structures: Atoms) -> LocalPrediction:
    pairs = pairs_for(term, *structures)
    return term.predict(pairs, gradients=True, atom_virials=True)


def rows_of(term: FittedTerm, *structures: Atoms) -> KernelRows:
    pairs = pairs_for(term, *structures)
    return term.descriptor.kernel_rows(pairs, term.sparse, gradients=True)


def slope(energy: Callable[[Atoms], float], change: Callable[[float], Atoms]) -> float:
    """Return dE/dx at x = 0 of the structures that `change` makes."""
    sums = sum(c * energy(change(n * _STEP)) for n, c in _STENCIL.items())
    return sums / (12 * _STEP)


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


def with_few_points(settings: TermConfig) -> TermConfig:
    if isinstance(settings, SparseTermConfig):
        return settings.model_copy(update={"n_sparse": 8})
    return settings


class PredictionContract:
    """Tests of a descriptor that only predicts, such as one of imported models."""

    #: Configurations by name.
    CONFIGS: Mapping[str, TermConfig] = {}
    #: Names of structures in tests/builders.py.
    ON = ("silicon", "wire", "cluster", "one_atom", "three_species")
    #: Error of derivatives, relative to the largest.
    PRECISION = 1e-7
    #: Difference of energies and forces that are sums in one way and in another, relative
    #: to the sum of the coefficients; tables make it larger than rounding does.
    SAME = 1e-8

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "settings" in metafunc.fixturenames:
            ids, values = self.CONFIGS.keys(), self.CONFIGS.values()
            metafunc.parametrize("settings", values, ids=ids)
        if "atoms" in metafunc.fixturenames:
            made = [STRUCTURES[name]() for name in self.ON]
            metafunc.parametrize("atoms", made, ids=self.ON)

    def close(self, found, expected, scale: float | None = None) -> None:
        size = np.abs(expected).max(initial=1e-6) if scale is None else scale
        np.testing.assert_allclose(found, expected, rtol=0, atol=self.PRECISION * size)

    def test_forces_and_virials_are_derivatives_of_the_energy(self, settings, atoms):
        term = term_for(settings, atoms)
        assert term.n_sparse
        found = predicted(term, atoms)

        def energy(changed: Atoms) -> float:
            pairs = pairs_for(term, changed)
            return float(term.predict(pairs, gradients=False).energies.sum())

        scale = np.abs(coefficients(term)).sum() * settings.delta**2
        for atom in {0, len(atoms) - 1}:
            expected = [
                -slope(energy, lambda h, a=atom, x=x: moved(atoms, a, x, h))
                for x in range(3)
            ]
            self.close(found.forces[atom], expected, scale)
        expected = [
            -slope(energy, lambda h, x=x, y=y: strained(atoms, x, y, h))
            for x, y in VOIGT
        ]
        self.close(found.virials[0], expected, 10 * scale)
        total = to_voigt(found.atom_virials.sum(axis=0))
        self.close(total, found.virials[0])
        self.close(found.forces.sum(axis=0), np.zeros(3), scale)

    def test_rotations_turn_the_forces(self, settings, atoms):
        term = term_for(settings, atoms)
        turned = atoms.copy()
        turned.rotate(37, (1, 2, -0.5), rotate_cell=True)
        turn = Atoms("H3", np.eye(3))
        turn.rotate(37, (1, 2, -0.5))
        one, other = predicted(term, atoms), predicted(term, turned)
        self.close(other.energies, one.energies)
        self.close(
            other.forces, one.forces @ turn.positions, np.abs(one.forces).max() + 1.0
        )

    def test_the_order_of_atoms_does_not_matter(self, settings, atoms):
        term = term_for(settings, atoms)
        order = np.random.default_rng(0).permutation(len(atoms))
        one, other = predicted(term, atoms), predicted(term, atoms[order])
        self.close(other.energies, one.energies[order])
        self.close(other.forces, one.forces[order], np.abs(one.forces).max() + 1.0)
        self.close(other.virials, one.virials)

    def test_frames_together_equal_frames_apart(self, settings, atoms):
        term = term_for(settings, atoms)
        frames = [atoms, atoms[:1], strained(atoms, 0, 1, 0.05)]
        together, each = predicted(term, *frames), [predicted(term, a) for a in frames]
        for name in ("energies", "forces", "virials", "atom_virials"):
            apart = np.concatenate([getattr(one, name) for one in each])
            self.close(getattr(together, name), apart)

    def test_pickling_keeps_every_bit(self, settings, atoms):
        term = term_for(settings, atoms)
        copy = pickle.loads(pickle.dumps(term))
        one, other = predicted(term, atoms), predicted(copy, atoms)
        np.testing.assert_array_equal(other.energies, one.energies)
        np.testing.assert_array_equal(other.forces, one.forces)

    def test_atoms_without_neighbours_feel_nothing(self, settings):
        term = term_for(settings, STRUCTURES["three_species"]())
        for atoms in (isolated(), isolated()[:1]):
            found = predicted(term, atoms)
            assert np.isfinite(found.energies).all()
            assert found.energies.shape == (len(atoms),)
            np.testing.assert_array_equal(found.forces, np.zeros((len(atoms), 3)))
            np.testing.assert_array_equal(found.virials, np.zeros((1, 6)))

    def test_kernels_are_symmetric_and_positive(self, settings, atoms):
        descriptor = term_for(settings, atoms).descriptor
        for block, points in term_for(settings, atoms).sparse.items():
            K = descriptor.kernel(points, points)
            self.close(K, K.T)
            self.close(descriptor.variances(points), np.diag(K))
            assert points.shape[1] == descriptor.width(block)
            if len(K):
                assert np.linalg.eigvalsh(K).min() > -1e-9 * np.trace(K)

    def test_blocks_have_names_and_carriers(self, settings):
        term = term_for(settings, STRUCTURES["three_species"]())
        descriptor = term.descriptor
        labels = [descriptor.label(block) for block in descriptor.blocks]
        assert len(set(labels)) == len(labels) > 0
        assert all(len(x.split("-")) == settings.symbols_per_block for x in labels)
        for block in descriptor.blocks:
            assert set(descriptor.carriers(block)) <= set(term.species)
        assert tuple(term.sparse) == descriptor.blocks

    def test_environments_are_on_atoms_that_carry_them(self, settings, atoms):
        term = term_for(settings, atoms)
        pairs = pairs_for(term, atoms, atoms)
        found = term.descriptor.environments(pairs)
        for block, own in found.items():
            assert len(own.atoms) == len(own.values)
            carriers = term.descriptor.carriers(block)
            assert np.isin(pairs.numbers[own.atoms], carriers).all()
            if term.descriptor.atomic:
                of_species = np.isin(pairs.numbers, carriers)
                np.testing.assert_array_equal(own.atoms, np.flatnonzero(of_species))

    def test_its_rows_take_no_negative_memory_and_papers_can_be_cited(self, settings):
        descriptor = term_for(settings, STRUCTURES["silicon"]()).descriptor
        sizes = [
            descriptor.buffers_nbytes(
                n, 10.0, descriptor.n_features, gradients=True, threads=1
            )
            for n in (0.0, 100.0, 1e6)
        ]
        assert 0 <= sizes[0] <= sizes[1] <= sizes[2]
        assert all(paper.bibtex and purpose for purpose, paper in descriptor.papers())
        assert all(isinstance(text, str) for text in descriptor.cautions())


class DescriptorContract(PredictionContract):
    """Tests of a descriptor that can be fitted."""

    def test_rows_times_coefficients_are_the_prediction(self, settings, atoms):
        term = term_for(settings, atoms)
        frames = [atoms, strained(atoms, 0, 2, 0.03)]
        rows, found = rows_of(term, *frames), predicted(term, *frames)
        c = coefficients(term)
        energies = found.energies.reshape(2, -1).sum(axis=1)
        atol = self.SAME * (1 + np.abs(c).sum() * settings.delta**2)
        np.testing.assert_allclose(rows.energies @ c, energies, rtol=0, atol=atol)
        np.testing.assert_allclose(rows.forces @ c, found.forces, rtol=0, atol=atol)
        np.testing.assert_allclose(
            rows.virials @ c, found.virials, rtol=0, atol=10 * atol
        )
        pairs = pairs_for(term, *frames)
        alone = term.descriptor.kernel_rows(pairs, term.sparse, gradients=False)
        self.close(alone.energies, rows.energies)
        assert alone.forces.shape == (2 * len(atoms), 3, 0)
        assert alone.virials.shape == (2, 6, 0)

    def test_rows_together_equal_rows_apart(self, settings, atoms):
        term = term_for(settings, atoms)
        frames = [atoms, atoms[:1], strained(atoms, 0, 1, 0.05)]
        together, each = rows_of(term, *frames), [rows_of(term, a) for a in frames]
        for name in ("energies", "forces", "virials"):
            apart = np.concatenate([getattr(one, name) for one in each])
            self.close(getattr(together, name), apart)

    def test_rows_follow_the_order_of_atoms(self, settings, atoms):
        term = term_for(settings, atoms)
        order = np.random.default_rng(0).permutation(len(atoms))
        one, other = rows_of(term, atoms), rows_of(term, atoms[order])
        self.close(other.energies, one.energies)
        self.close(other.forces, one.forces[order], np.abs(one.forces).max() + 1.0)

    def test_no_observation_is_explained_beyond_its_prior(self, settings, atoms):
        term = term_for(settings, atoms)
        rows = rows_of(term, atoms)
        K_n = [rows.energies, np.concatenate(rows.forces), rows.virials[0]]
        whole, first, explained = np.concatenate(K_n), 0, 0.0
        for points in term.sparse.values():
            k = whole[:, first : first + len(points)].T
            first += len(points)
            K = term.descriptor.kernel(points, points)
            K[np.diag_indices_from(K)] *= 1 + 1e-8
            if len(K):
                explained += np.einsum("ml,ml->l", k, cho_solve(cho_factor(K), k))
        found = term.descriptor.prior_variances(pairs_for(term, atoms), gradients=True)
        prior = np.concatenate([found.energies, found.forces.ravel(), found.virials[0]])
        assert (explained <= prior * (1 + 1e-6) + self.PRECISION).all()
        alone = term.descriptor.prior_variances(pairs_for(term, atoms), gradients=False)
        self.close(alone.energies, found.energies)
        assert (alone.forces.shape, alone.virials.shape) == ((0, 3), (0, 6))

    def test_priors_together_equal_priors_apart(self, settings, atoms):
        term = term_for(settings, atoms)
        frames = [atoms, atoms[:1], strained(atoms, 0, 1, 0.05)]

        def priors(*some: Atoms) -> list[np.ndarray]:
            pairs = pairs_for(term, *some)
            return list(
                vars(term.descriptor.prior_variances(pairs, gradients=True)).values()
            )

        each = [priors(a) for a in frames]
        for found, apart in zip(priors(*frames), zip(*each, strict=True), strict=True):
            self.close(found, np.concatenate(apart))

    def test_covariances_add_up_to_the_rows(self, settings, atoms):
        """Covariances of local energies, also of some of the centres."""
        term = term_for(settings, atoms)
        pairs = pairs_for(term, atoms)
        k_m, prior = term.descriptor.covariances(pairs, term.sparse)
        self.close(k_m.sum(axis=0), rows_of(term, atoms).energies[0])
        assert (prior >= 0).all()
        for part in pairs.chunks(max(pairs.n_pairs // 3, 1)):
            own = slice(part.start, part.stop)
            some, some_prior = term.descriptor.covariances(part, term.sparse)
            self.close(some, k_m[own])
            self.close(some_prior, prior[own])

    def test_local_priors_are_kernels_of_the_environments(self, settings, atoms):
        """An atom that carries one environment has its variance; more add up."""
        term = term_for(settings, atoms)
        pairs = pairs_for(term, atoms)
        _, prior = term.descriptor.covariances(pairs, term.sparse)
        if not term.descriptor.atomic:
            total = term.descriptor.prior_variances(pairs, gradients=False).energies[0]
            # A sum of n variables has at most n times the sum of their variances.
            assert total <= len(atoms) * prior.sum() * (1 + 1e-9)
            return
        expected = np.zeros(len(atoms))
        whole = term.descriptor
        if not whole.linear:  # priors are those of the descriptor before projections
            whole = build_term(settings, term.species, term.basis).descriptor
        for own in whole.environments(pairs).values():
            expected[own.atoms] = whole.variances(own.values)
        self.close(prior, expected)

    def test_rows_of_atoms_without_neighbours(self, settings):
        term = term_for(settings, STRUCTURES["three_species"]())
        rows, found = rows_of(term, isolated()), predicted(term, isolated())
        self.close(rows.energies @ coefficients(term), found.energies.sum(), 1.0)
        assert not rows.forces.any()
        assert not rows.virials.any()
        prior = term.descriptor.prior_variances(
            pairs_for(term, isolated()), gradients=True
        )
        assert prior.energies[0] >= 0
        assert not prior.forces.any()
        assert not prior.virials.any()

    def test_a_fit_survives_the_model_file(self, settings, tmp_path):
        frames = labelled_frames(STRUCTURES["three_species"], 3)
        model = gapfit.fit(frames, config() | {"terms": [with_few_points(settings)]})
        model.save(tmp_path / "m.npz")
        loaded = gapfit.load(tmp_path / "m.npz")
        one, other = (m.predict(frames[0], std=True) for m in (model, loaded))
        np.testing.assert_array_equal(other.forces, one.forces)
        np.testing.assert_array_equal(other.energies_std, one.energies_std)
        assert loaded.config.terms == model.config.terms
        assert tuple(loaded.terms[0].sparse) == loaded.terms[0].descriptor.blocks
