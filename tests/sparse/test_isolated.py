"""Isolated atoms are sparse points, and models meet their energies."""

from __future__ import annotations

from dataclasses import replace

import ase.io
import numpy as np
import pytest
from ase import Atoms
from builders import DATA

import gapfit
from gapfit.config.sections import DataConfig, SigmaConfig
from gapfit.data.dataset import read
from gapfit.data.frame import structure_arrays
from gapfit.data.neighbours import pairs_of
from gapfit.data.sigmas import frame_sigmas

SILICON = DATA / "silicon" / "train.extxyz"


@pytest.fixture(scope="module")
def frames():
    """Return structures: the isolated atom first."""
    structures = ase.io.read(SILICON, ":")
    types = ("isolated_atom", "bulk_rattled")
    return sorted(
        (a for a in structures if a.info["config_type"] in types),
        key=lambda atoms: len(atoms) > 1,
    )


def fit(frames, **term):
    return gapfit.fit(
        frames,
        {
            "data": {"check_labels": False},
            "terms": [{"r_cut": 4.0, "n_max": 4, "l_max": 3, "n_sparse": 40, **term}],
            "calibration": {"method": "none"},
        },
    )


def isolated_row(model) -> np.ndarray:
    descriptor = model.terms[0].descriptor
    pairs = pairs_of([structure_arrays(Atoms("Si"))], descriptor.cutoff)
    return descriptor.environments(pairs)[14].values[0]


@pytest.mark.parametrize(
    "term",
    [
        {},
        {"sparse_method": "random"},
        {"sparse_method": "fps"},
        {"sparse_method": "kmeans"},
        {"components": 20},
    ],
    ids=["cur", "random", "fps", "kmeans", "components"],
)
def test_the_isolated_atom_is_a_sparse_point(frames, term):
    model = fit(frames, **term)
    (points,) = model.terms[0].sparse.values()
    assert len(points) == 40
    distances = np.abs(points - isolated_row(model)).max(axis=1)
    assert np.sort(distances)[0] < 1e-6 < np.sort(distances)[1]
    energy = frames[0].get_potential_energy()
    assert model.predict(Atoms("Si")).energy == pytest.approx(energy, abs=2e-3)


def test_without_isolated_atoms_nothing_is_replaced(frames):
    model = gapfit.fit(
        frames[1:],
        {
            "data": {"check_labels": False},
            "e0": {"method": "least_squares"},
            "terms": [{"r_cut": 4.0, "n_max": 4, "l_max": 3, "n_sparse": 40}],
            "calibration": {"method": "none"},
        },
    )
    (points,) = model.terms[0].sparse.values()
    assert np.abs(points - isolated_row(model)).max(axis=1).min() > 1e-3


def test_quotas_are_kept(frames):
    model = fit(frames, config_type_n_sparse={"isolated_atom": 0})
    (points,) = model.terms[0].sparse.values()
    assert np.abs(points - isolated_row(model)).max(axis=1).min() > 1e-3


def test_the_sigma_of_isolated_atoms(frames):
    atom = read(frames[:1], DataConfig(train=["-"])).frames[0]
    config = SigmaConfig(energy=0.002)
    assert frame_sigmas(atom, config)[0] == 1e-4
    assert frame_sigmas(atom, SigmaConfig(isolated=0.01))[0] == 0.01
    assert frame_sigmas(replace(atom, energy_sigma=0.01), config)[0] == 0.01
    by_type = SigmaConfig.model_validate(
        {"energy": 0.002, "config_types": {"isolated_atom": {"energy": 0.03}}}
    )
    assert frame_sigmas(atom, by_type)[0] == 0.03
    near = replace(atom, cell=8.0 * np.eye(3), pbc=np.ones(3, dtype=bool))
    assert frame_sigmas(near, config)[0] == 0.002
    far = replace(near, cell=10.0 * np.eye(3))
    assert frame_sigmas(far, config)[0] == 1e-4


def test_only_atoms_of_the_energy_e0_are_followed_closely(frames):
    """Neither other spin states nor the end of an equation of state are."""
    atom = read(frames[:1], DataConfig(train=["-"])).frames[0]
    config, e0 = SigmaConfig(energy=0.002), {14: atom.energy}
    assert frame_sigmas(atom, config, e0)[0] == 1e-4
    other = replace(atom, energy=atom.energy + 0.1)
    assert frame_sigmas(other, config, e0)[0] == 0.002
    box = replace(atom, cell=12.0 * np.eye(3), pbc=np.ones(3, dtype=bool))
    curve = replace(box, energy=atom.energy - 0.05, config_type="eos")
    assert frame_sigmas(curve, config, e0)[0] == 0.002
    assert frame_sigmas(replace(box, config_type="eos"), config)[0] == 0.002
    assert frame_sigmas(replace(box, config_type="eos"), config, e0)[0] == 1e-4
