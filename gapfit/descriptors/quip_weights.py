"""The random numbers by which QUIP mixes densities: the same in every fit.

Each atomic number has a sequence of its own, so that a species is mixed alike beside any
others (Darby et al., Phys. Rev. Lett. 131, 028001 (2023)). Numbers are normally
distributed: Marsaglia's polar method, the second number of each pair left out, on the
generator of Park and Miller (Commun. ACM 31, 1192 (1988)). Found by comparison with
quippy.
"""

from __future__ import annotations

import numpy as np

__all__ = ["mixing_weights"]

_FACTOR, _MODULUS = 16_807, 2_147_483_647
#: Steps of the generator before the first number.
_SKIPPED = 100
#: Seeds of the first and of the second density of a product, before Z is added.
_FIRST, _SECOND = 200, 400


def mixing_weights(key: int, shape: tuple[int, ...], *, second: bool) -> np.ndarray:
    """Return the weights of one species, or of radial functions.

    Parameters
    ----------
    key : int
        Atomic number, or number of radial functions, and what the seed is shifted by.
    shape : tuple of int
        Shape of the array, which is filled with the last index fastest.
    second : bool
        Whether the weights are those of the second density of a product.

    Returns
    -------
    float64 array of this shape
        Normally distributed numbers.
    """
    state = (key + (_SECOND if second else _FIRST)) * pow(_FACTOR, _SKIPPED, _MODULUS)
    values = np.empty(int(np.prod(shape)))
    for k in range(len(values)):
        square = 0.0
        while not 0.0 < square < 1.0:
            x, state = _uniform(state)
            y, state = _uniform(state)
            square = x * x + y * y
        values[k] = x * np.sqrt(-2.0 * np.log(square) / square)
    return values.reshape(shape)


def _uniform(state: int) -> tuple[float, int]:
    """Return a number between -1 and 1, and the next state."""
    state = state * _FACTOR % _MODULUS
    return 2.0 * (state / _MODULUS) - 1.0, state
