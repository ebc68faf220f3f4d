"""A model of two species with standard deviations."""

from __future__ import annotations

import pytest
from helpers.error_bars import frames_of, settings

import gapfit


@pytest.fixture(scope="session")
def one_model() -> gapfit.GAPModel:
    return gapfit.fit(frames_of(), settings())
