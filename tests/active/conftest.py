"""Models that learn and choose, and a learning that nobody disturbed."""

from __future__ import annotations

import pytest
from ase import Atoms
from builders import cluster, config, label, slab, wire
from helpers.learning import Counting, learn, settings
from helpers.selection import calm

import gapfit


@pytest.fixture(scope="session")
def model():
    """A model that knows diamond and nothing else."""
    return gapfit.fit(calm(4), config(n_sparse=12, zeta=4, atom_sigma=0.4))


@pytest.fixture(scope="session")
def varied() -> list[Atoms]:
    """Labelled structures that range from known to unknown."""
    frames = [*calm(4, seed=50), *calm(3, rattle=0.15, seed=60), label(wire())]
    return [*frames, label(slab()), label(cluster())]


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """Return the folder of a learning that nobody disturbed, its model and statuses."""
    folder, calculator, told = tmp_path_factory.mktemp("whole"), Counting(), []
    runs = {"steps": 60, "timestep": 4.0, "final_temperature": 3000}
    config = settings(folder, runs, {"method": "fire", "steps": 10})
    model = learn(config, folder / "out", calculator, report=told.append)
    return folder / "out", model, told, calculator.n_calls
