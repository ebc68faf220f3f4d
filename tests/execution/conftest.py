"""Tasks that are as small as can be."""

from __future__ import annotations

import numpy as np
import pytest

from gapfit.execution import merge_tree as tree
from gapfit.execution import tasks as summation
from gapfit.fitting import fit_prepared as fitting


@pytest.fixture
def one_frame_each(monkeypatch):
    """Make every frame a task and the tree three levels high."""

    def one_each(sizes: np.ndarray, n_sparse: int) -> list[slice]:
        return [slice(n, n + 1) for n in range(len(sizes))]

    monkeypatch.setattr(fitting, "task_slices", one_each)
    monkeypatch.setattr(tree, "FAN", 3)


@pytest.fixture
def small_tasks(monkeypatch, one_frame_each):
    """Do the same, with a checkpoint after each task."""
    monkeypatch.setattr(summation, "_LEAST_INTERVAL", 0.0)
    monkeypatch.setattr(summation, "_INTERVALS", 0.0)
