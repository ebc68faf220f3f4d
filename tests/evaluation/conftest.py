"""A model with a calibration."""

from __future__ import annotations

import pytest
from helpers.error_bars import frames_of, settings

import gapfit


@pytest.fixture(scope="session")
def model() -> gapfit.GAPModel:
    """A model with the calibration that a fit gives it."""
    return gapfit.fit(frames_of(5), settings(calibration={}))
