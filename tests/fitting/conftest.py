"""Fits that are appended to, and fits whose settings are tuned."""

from __future__ import annotations

import pytest
from builders import (
    labelled_frames,
    silicon,
)
from helpers import refits, tuning
from helpers.appended import calm

import gapfit


@pytest.fixture(scope="session")
def case() -> tuning.Case:
    overrides = {"odd": {"energy": 0.01, "forces": 0.1}}
    settings = tuning.settings(sigma={"config_types": overrides})
    return tuning.Case(tuning.frames_of(), settings)


@pytest.fixture(scope="session")
def frames():
    return labelled_frames(silicon)


@pytest.fixture(scope="session", params=refits.METHODS)
def model(request, frames):
    return gapfit.fit(frames, refits.settings(request.param))


@pytest.fixture(scope="session", params=refits.METHODS)
def narrow(request):
    """A model that knows diamond and nothing else."""
    return gapfit.fit(
        calm(), refits.settings(request.param, n_sparse=12, atom_sigma=0.4, zeta=4)
    )
