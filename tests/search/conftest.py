"""Searches on small data whose trials are quick."""

from __future__ import annotations

import pytest
from helpers.searches import QuickTrials


@pytest.fixture
def quick(monkeypatch):
    """Trials that take no time but that of their clock."""
    return QuickTrials(monkeypatch)
