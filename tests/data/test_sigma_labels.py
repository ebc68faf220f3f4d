"""Sigmas that come with frames, as gap_fit reads them."""

from __future__ import annotations

import ase.io
import numpy as np
import pytest
from builders import labelled_frames, silicon

import gapfit
from gapfit.config.sections import DataConfig
from gapfit.data.dataset import read
from gapfit.errors import DataError

CONFIG = {
    "data": {"check_labels": False},
    "terms": [{"type": "distance_2b", "r_cut": 4.0, "n_sparse": 8}],
    "calibration": {"method": "none"},
    "e0": {"Si": 0.0},
}


@pytest.fixture
def frames():
    return labelled_frames(silicon, 3)


def dataset(frames, **options):
    return read(frames, DataConfig(train=["-"], check_labels=False, **options))


def forces(frames, **data):
    model = gapfit.fit(frames, CONFIG | {"data": {"check_labels": False, **data}})
    return model.predict(silicon(9)).forces


def test_totals_are_those_of_gap_fit(frames):
    """They enter as they are: sqrt(n_atoms) times less than per atom."""
    frames[1].info |= {"energy_sigma": 0.5, "virial_sigma": 4.0}
    (_, total, _) = dataset(frames, frame_sigmas="total").frames
    root = np.sqrt(len(frames[1]))
    assert total.energy_sigma == pytest.approx(0.5 / root)
    assert total.virial_sigma == pytest.approx(4.0 / root)
    as_total = forces(frames, frame_sigmas="total")
    frames[1].info |= {"energy_sigma": 0.5 / root, "virial_sigma": 4.0 / root}
    np.testing.assert_allclose(forces(frames), as_total, rtol=0, atol=1e-8)


def test_the_two_meanings_are_told_apart(frames):
    assert not any("per atom" in text for text in dataset(frames).warnings)
    frames[1].info["energy_sigma"] = 0.5
    (text,) = [t for t in dataset(frames).warnings if "sqrt(n_atoms)" in t]
    assert text.startswith("energy_sigma of 1 frame: taken per atom")
    assert 'frame_sigmas = "total"' in text
    for meaning in ("per_atom", "total"):
        quiet = dataset(frames, frame_sigmas=meaning).warnings
        assert not any("sqrt(n_atoms)" in text for text in quiet)


def test_sigmas_of_atoms_by_the_name_of_gap_fit(frames, tmp_path):
    """They win over the sigma of the frame, also after a file."""
    sigmas = np.linspace(0.1, 0.8, 8)
    frames[1].set_array("force_atom_sigma", sigmas)
    frames[1].info["force_sigma"] = 3.0
    frames[2].info["force_sigma"] = 2.0
    ase.io.write(tmp_path / "a.extxyz", frames)
    data = dataset(str(tmp_path / "a.extxyz"))
    first, second, third = data.frames
    assert first.force_sigma is None
    np.testing.assert_allclose(second.force_sigma, sigmas)
    np.testing.assert_allclose(third.force_sigma, 2.0)
    assert "force_atom_sigma" in [line.key for line in data.report]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("force_component_sigma", np.ones((8, 3)), "single force components"),
        ("virial_component_sigma", np.ones(9), "components of the virial"),
        ("hessian_sigma", 0.1, "second derivatives"),
        ("local_property_sigma", 0.1, "local properties"),
    ],
)
def test_sigmas_without_counterpart_are_named(frames, name, value, words):
    if np.shape(value) == (8, 3):
        frames[1].set_array(name, value)
    else:
        frames[1].info[name] = value
    (text,) = [t for t in dataset(frames).warnings if name in t]
    assert "of 1 frame is not used" in text
    assert words in text


@pytest.mark.parametrize("value", [0.0, -0.1, np.nan, np.inf])
def test_impossible_sigmas_are_refused_with_their_frame(frames, value):
    sigmas = np.full(8, 0.1)
    sigmas[5] = value
    frames[2].set_array("force_atom_sigma", sigmas)
    expected = rf"frame 2: force_atom_sigma is {value:g} for atom 5; a sigma must be"
    with pytest.raises(DataError, match=expected):
        dataset(frames)
