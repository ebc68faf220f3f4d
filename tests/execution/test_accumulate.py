"""Sums over the data in tasks: the same as in one part."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.sums import FRAMES, fit

from gapfit.execution import merge_tree as tree
from gapfit.execution.accumulate import task_slices


def test_tasks_depend_on_the_data_alone_and_hold_enough_rows():
    sizes = np.full(1000, 50)
    tasks = task_slices(sizes, 100)
    assert [task.start for task in tasks[1:]] == [task.stop for task in tasks[:-1]]
    assert tasks[0].start == 0
    assert tasks[-1].stop == 1000
    assert 25 < len(task_slices(sizes, 4000)) <= tree.FAN
    assert len(task_slices(np.full(100_000, 50), 4000)) == 625
    assert len(task_slices(np.array([5, 5]), 4000)) == 1


@pytest.mark.parametrize("method", ["cholesky", "qr"])
def test_a_fit_in_many_small_tasks_equals_one_in_a_large_one(method, request):
    whole = fit(method)
    request.getfixturevalue("small_tasks")
    cut = fit(method)
    for one, other in zip(whole.predict(FRAMES), cut.predict(FRAMES), strict=True):
        assert one.energy == pytest.approx(other.energy, rel=1e-9)
        np.testing.assert_allclose(one.forces, other.forces, rtol=1e-8, atol=1e-9)
