"""The compiled core against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import sph_harm_y

from gapfit._core import solid_harmonics

pytestmark = pytest.mark.core

L_MAX = 8


def vectors() -> np.ndarray:
    special = [[0, 0, 0], [0, 0, 1.5], [0, 0, -2], [1, 0, 0], [0, -1, 0]]
    return np.vstack([np.random.default_rng(0).normal(size=(20, 3)), special])


def test_values_equal_scipy():
    R = vectors()
    S, _ = solid_harmonics(R, L_MAX)
    r = np.linalg.norm(R, axis=1)
    theta = np.arctan2(np.hypot(R[:, 0], R[:, 1]), R[:, 2])
    phi = np.arctan2(R[:, 1], R[:, 0])
    for degree in range(L_MAX + 1):
        for m in range(degree + 1):
            Y = (-1) ** m * r**degree * sph_harm_y(degree, m, theta, phi)
            root = np.sqrt(2) if m else 1
            at = degree * degree + degree
            np.testing.assert_allclose(
                S[:, at + m], root * Y.real, atol=1e-12 * r.max() ** 8
            )
            if m:
                np.testing.assert_allclose(
                    S[:, at - m], root * Y.imag, atol=1e-12 * r.max() ** 8
                )


def test_gradients_equal_finite_differences():
    R, h = vectors(), 1e-4
    _, dS = solid_harmonics(R, L_MAX)
    for x in range(3):
        shift = h * np.eye(3)[x]

        def at(n, shift=shift):
            return solid_harmonics(R + n * shift, L_MAX)[0]

        slope = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h)
        np.testing.assert_allclose(dS[:, x], slope, rtol=1e-8, atol=1e-8)


def test_bad_input_raises():
    with pytest.raises(ValueError, match="between 0 and 20"):
        solid_harmonics(np.zeros((1, 3)), 21)
    with pytest.raises(TypeError):
        solid_harmonics(np.zeros((2, 2)), 3)


def test_strided_input_is_taken_as_it_is():
    R = vectors()
    np.testing.assert_array_equal(
        solid_harmonics(R[::2], 4)[0], solid_harmonics(R, 4)[0][::2]
    )
