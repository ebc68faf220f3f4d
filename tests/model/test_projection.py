"""Projections: of the descriptor before the fit, of the finished model after it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from builders import STRUCTURES, config, labelled_frames, random_term, silicon

import gapfit
from gapfit.config.sections import PredictionConfig
from gapfit.data.dataset import read
from gapfit.model.projection import with_lossless_projection
from gapfit.sparse.methods import principal_directions

MANY = {"n_max": 8, "l_max": 6, "n_sparse": 384, "atom_sigma": 0.6}


@pytest.fixture(scope="module")
def frames():
    made = []
    for seed in range(12):
        atoms = silicon(seed) * (2, 1, 1)
        atoms.rattle(0.03, seed=seed)
        made += labelled_frames(atoms.copy, 2)
    return made


@pytest.fixture(scope="module")
def model(frames):
    return gapfit.fit(frames, config(**MANY))


def largest_changes(a, b) -> tuple[float, float]:
    energies = max(
        np.abs(x.energies - y.energies).max() for x, y in zip(a, b, strict=True)
    )
    forces = max(np.abs(x.forces - y.forces).max() for x, y in zip(a, b, strict=True))
    return energies, forces


def test_a_finished_model_is_projected_within_the_stated_tolerances(frames, model):
    (facts,) = model.record.projections
    n_features = model.terms[0].descriptor.n_features
    assert 0 < facts["rank"]["14"] < n_features
    assert facts["n_atoms"] == sum(len(atoms) for atoms in frames)
    (block,) = model.terms[0].prepared
    assert block.points.values.shape == (model.n_sparse, facts["rank"]["14"])
    plain = model.without_projections()
    assert plain.terms[0].prepared[0].points.projection is None
    energies, forces = largest_changes(model.predict(frames), plain.predict(frames))
    assert energies == pytest.approx(facts["energy_error"], rel=1e-3)
    assert forces == pytest.approx(facts["forces_error"], rel=1e-3)
    assert 0 < energies < 1e-6
    assert 0 < forces < 1e-5


def test_looser_tolerances_give_smaller_ranks(frames, model):
    data = read(frames, model.config.data)
    ranks = []
    for factor in (1, 100, 10_000):
        tolerance = PredictionConfig(
            energy_tolerance=1e-6 * factor, forces_tolerance=1e-5 * factor
        )
        term, found = with_lossless_projection(model.terms[0], data.frames, tolerance)
        assert found.energy_error <= tolerance.energy_tolerance
        assert found.forces_error <= tolerance.forces_tolerance
        assert term.lossless[14].shape[1] == found.rank["14"]
        ranks.append(found.rank["14"])
    assert ranks[0] > ranks[1] > ranks[2]


def test_projections_can_be_switched_off(frames):
    off = {"prediction": {"project": False, "quadratic": False}}
    model = gapfit.fit(frames[:6], config(**MANY, zeta=2.0) | off)
    assert model.record.projections == ()
    (block,) = model.terms[0].prepared
    assert block.points.projection is None
    assert not block.quadratic


def test_a_projection_that_saves_nothing_is_not_made(frames):
    model = gapfit.fit(frames, config(n_sparse=10))
    (facts,) = model.record.projections
    assert facts["rank"] == {}
    assert model.terms[0].lossless == {}


def test_zeta_2_is_a_quadratic_form_and_equals_the_sum(frames):
    model = gapfit.fit(frames, config(**MANY, zeta=2.0))
    assert model.terms[0].prepared[0].quadratic
    plain = model.without_projections()
    assert not plain.terms[0].prepared[0].quadratic
    energies, forces = largest_changes(model.predict(frames), plain.predict(frames))
    assert energies < 1e-8
    assert forces < 1e-8


def test_directions_are_the_leading_singular_vectors():
    values = np.random.default_rng(0).normal(size=(200, 12)) * 10.0 ** -np.arange(12)
    _, singular, expected = np.linalg.svd(values, full_matrices=False)
    U = principal_directions(values, 5)
    assert U.shape == (12, 5)
    np.testing.assert_allclose(np.abs(U.T @ expected[:5].T), np.eye(5), atol=1e-6)
    kept = principal_directions(values, 0.9e-3 * singular[0] / singular[0])
    assert kept.shape[1] == (singular >= 0.9e-3 * singular[0]).sum()
    assert principal_directions(values, 99).shape == (12, 12)


@pytest.mark.parametrize("components", [25, 1e-4])
def test_projected_descriptors_fit_as_well(frames, model, components):
    projected = gapfit.fit(frames, config(**MANY, components=components))
    (block,) = projected.terms[0].projections.values()
    assert block.shape[0] == model.terms[0].descriptor.n_features
    assert block.shape[1] < 0.5 * block.shape[0]
    if components == 25:
        assert block.shape[1] == 25
        assert projected.terms[0].sparse[14].shape[1] == 25
    whole, part = (gapfit.evaluate(m, frames)["all"] for m in (model, projected))
    assert part["forces"]["rmse"] < 2 * whole["forces"]["rmse"] + 1e-3


def test_projected_variance_is_positive_and_small_on_data(frames):
    model = gapfit.fit(frames, config(**MANY, components=30))
    known = model.predict(frames[0], std=True).energies_std
    strange = frames[0].copy()
    strange.rattle(0.5, seed=9)
    unknown = model.predict(strange, std=True).energies_std
    assert np.all(known > 0)
    assert unknown.mean() > 3 * known.mean()


@pytest.mark.parametrize("components", [20, 3])
def test_projection_does_not_hide_what_is_unknown(frames, components):
    alone = Atoms("Si2", [[0, 0, 0], [20, 0, 0]])
    whole, projected = (
        gapfit.fit(frames[:8], config(**MANY, components=kept))
        .predict(alone, std=True)
        .energies_std
        for kept in ("all", components)
    )
    assert np.all(projected > 0.9 * whole)


def test_weights_of_absent_species_are_noted(frames, caplog):
    model = gapfit.fit(frames[:2], config(species_weights={"Ge": 2.0, "Si": 1.0}))
    expected = "[[terms]] 1: species_weights of Ge have no effect: the data contain Si"
    assert expected in model.record.warnings
    assert expected in caplog.text


@pytest.mark.parametrize(
    "soap",
    [
        MANY,
        {**MANY, "components": 20},
        {"rbf": "polynomial", "compression": "mu2", "zeta": 2.0},
    ],
    ids=["lossless", "components", "polynomial"],
)
def test_everything_survives_the_model_file(tmp_path, frames, soap):
    model = gapfit.fit(frames[:8], config(**soap))
    model.save(tmp_path / "m.npz")
    loaded = gapfit.load(tmp_path / "m.npz")
    for a, b in ((model, loaded), (m.without_projections() for m in (model, loaded))):
        x, y = (m.predict(frames[-1], std=True) for m in (a, b))
        assert x.energy == y.energy
        np.testing.assert_array_equal(x.forces, y.forces)
        np.testing.assert_array_equal(x.energies_std, y.energies_std)
    assert loaded.record.projections == model.record.projections


def test_projected_and_shortened_blocks_compose():
    term = random_term(
        STRUCTURES["three_species"](), components=18, repeat=40, n_max=4, l_max=3
    )
    prepared = term.descriptor.prepare(
        term.sparse,
        term.coefficients,
        projections={z: np.eye(18)[:, :12] for z in term.sparse},
    )
    for block, z in zip(prepared, term.sparse, strict=True):
        assert block.points.projection.shape == (term.descriptor.n_features, 12)
        np.testing.assert_array_equal(block.points.values, term.sparse[z][:, :12])
    again = replace(term, lossless={z: np.eye(18) for z in term.sparse})
    assert again.prepared[0].points.values.shape[1] == 18
