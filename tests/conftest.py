"""Models and settings that all tests share."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from builders import (
    SOAP,
    THREE_BODY,
    TWO_BODY,
    ZBL,
    cluster,
    config,
    label,
    labelled_frames,
    sheared,
    silicon,
    slab,
    three_species,
)
from threadpoolctl import threadpool_limits

import gapfit
from gapfit.descriptors.row_points import RowPoints


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Keep BLAS from waiting for its own threads on a busy machine."""
    with threadpool_limits(limits=1):
        yield


@pytest.fixture
def all_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make kernel rows of SOAP from all features, not within fewer directions."""
    monkeypatch.setattr(RowPoints, "of", lambda self, species, points: points)


@pytest.fixture(scope="session")
def si_model() -> gapfit.GAPModel:
    frames = labelled_frames(silicon, 4) + labelled_frames(sheared, 4)
    frames += [label(slab()), label(cluster())]
    return gapfit.fit(frames, config())


@pytest.fixture(scope="session")
def gst_model() -> gapfit.GAPModel:
    return gapfit.fit(labelled_frames(three_species), config(n_sparse=20))


@pytest.fixture(scope="session")
def si_full() -> gapfit.GAPModel:
    """Return a model with more than one term and a baseline."""
    frames = labelled_frames(silicon, 4) + labelled_frames(sheared, 4)
    soap = {**SOAP, "n_sparse": 30}
    return gapfit.fit(
        [*frames, label(slab())],
        {**config(), "terms": [soap, TWO_BODY], "baseline": ZBL},
    )


@pytest.fixture(scope="session")
def gst_full() -> gapfit.GAPModel:
    """Return a model of three species with every type of term."""
    soap = {**SOAP, "n_sparse": 20, "zeta": 2, "compression": "mu1nu1"}
    return gapfit.fit(
        labelled_frames(three_species),
        {**config(), "terms": [TWO_BODY, soap, THREE_BODY], "baseline": ZBL},
    )


@pytest.fixture
def model_for(si_model, gst_model):
    """Return the model that knows the species of a structure."""

    def choose(name: str) -> gapfit.GAPModel:
        return gst_model if name == "three_species" else si_model

    return choose


@pytest.fixture(scope="session")
def plugin(tmp_path_factory) -> Path:
    """Return the LAMMPS plugin, built once for the LAMMPS that is installed."""
    from gapfit.lammps.build import PLUGIN, build_plugin

    fcntl = pytest.importorskip("fcntl")  # not on Windows
    if not any(map(shutil.which, ("c++", "g++", "clang++"))):
        pytest.skip("there is no C++ compiler")

    # Processes of pytest-xdist have folders side by side.
    root = tmp_path_factory.getbasetemp()
    folder = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "plugin"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        built = folder / PLUGIN
        return built if built.exists() else build_plugin(folder)
