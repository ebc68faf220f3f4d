"""Sigmas that grow with the labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from builders import config, label, labelled_frames, silicon

import gapfit
from gapfit.config.sections import DataConfig, SigmaConfig, SigmaOverride
from gapfit.data.dataset import read
from gapfit.data.sigmas import (
    frame_sigmas,
    heights,
    with_automatic_sigmas,
)

LABELS = DataConfig(train=["in memory"], check_labels=False)


@pytest.fixture
def frames():
    lone = label(Atoms("Si", [[0, 0, 0]]))
    return list(read([*labelled_frames(silicon, 4), lone], LABELS).frames)


def test_heights_are_above_the_lowest_of_the_composition(frames):
    per_atom = np.array([frame.energy / frame.n_atoms for frame in frames])
    expected = np.r_[per_atom[:4] - per_atom[:4].min(), 0.0]
    np.testing.assert_allclose(heights(frames), expected)
    without = [replace(frame, energy=None) for frame in frames]
    assert heights(without) == [0.0] * 5


def test_sigmas_add_in_quadrature_to_those_of_the_config_type(frames):
    sigma = SigmaConfig(
        energy=0.01,
        forces=0.1,
        forces_relative=0.2,
        energy_relative=0.3,
        config_types={"odd": SigmaOverride(forces=0.5)},
    )
    grown = with_automatic_sigmas(frames, frames, sigma)
    for frame, height in zip(grown, heights(frames), strict=True):
        base = 0.5 if frame.config_type == "odd" else 0.1
        size = np.linalg.norm(frame.forces, axis=1)
        energy, forces, virial = frame_sigmas(frame, sigma)
        n = frame.n_atoms
        least = 0.01 if n > 1 else sigma.isolated
        assert energy == pytest.approx(np.sqrt(n * (least**2 + (0.3 * height) ** 2)))
        expected = np.sqrt(base**2 + (0.2 * size) ** 2)
        np.testing.assert_allclose(forces, np.repeat(expected[:, None], 3, axis=1))
        assert virial == pytest.approx(sigma.virial * np.sqrt(n))


def test_sigmas_of_frames_win(frames):
    own = replace(frames[0], energy_sigma=0.7, force_sigma=np.full(8, 0.9))
    sigma = SigmaConfig(forces_relative=0.5, energy_relative=0.5)
    (kept,) = with_automatic_sigmas([own], [own], sigma)
    assert kept.energy_sigma == 0.7
    np.testing.assert_array_equal(kept.force_sigma, own.force_sigma)


def test_without_fractions_nothing_changes(frames):
    assert with_automatic_sigmas(frames, frames, SigmaConfig()) == frames


def test_a_fit_follows_small_forces_more_closely():
    """Large forces made wrong on purpose spoil the fit less when they count less."""
    rng = np.random.default_rng(0)
    train = labelled_frames(silicon, 6)
    wrong = silicon(77)
    wrong.rattle(0.3, seed=5)
    label(wrong)
    forces = wrong.calc.results["forces"]
    wrong.calc.results["forces"] = forces * (1 + 0.5 * rng.normal(size=(8, 1)))
    settings = config() | {"sigma": {"energy": 0.01, "forces": 0.02}}
    plain = gapfit.fit([*train, wrong], settings)
    settings["sigma"] = {**settings["sigma"], "forces_relative": 0.5}
    robust = gapfit.fit([*train, wrong], settings)
    a, b = (
        gapfit.evaluate(model, train)["all"]["forces"]["rmse"]
        for model in (plain, robust)
    )
    assert np.abs(forces).max() > 5
    assert b < 0.9 * a
