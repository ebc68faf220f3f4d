"""Arrays packed for files and other processes."""

from __future__ import annotations

import numpy as np

from gapfit._support.archive import Packed, unpacked


def test_triangles_are_packed_without_loss():
    upper = np.triu(np.random.default_rng(0).normal(size=(7, 7)))
    packed = np.asarray(Packed(upper))
    np.testing.assert_array_equal(unpacked(packed, 7), upper)
    np.testing.assert_array_equal(packed, upper[np.triu_indices(7)])
