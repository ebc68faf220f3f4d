"""Input that all tests of faults share."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.faults import fill


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    """Return a folder with the input of all cases."""
    folder = tmp_path_factory.mktemp("inputs") / "folder"
    folder.mkdir()
    fill(folder)
    return folder
