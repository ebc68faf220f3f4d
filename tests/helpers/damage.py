"""Files changed as bad disks, broken copies and mistaken hands change them."""

from __future__ import annotations

import numpy as np


def damaged(whole: bytes, rng: np.random.Generator) -> bytes:
    """Return the bytes of a file after one random accident."""
    data = bytearray(whole)
    length = int(rng.integers(1, 16))
    first, second = rng.integers(0, max(len(data) - 16, 1), 2)
    match rng.integers(0, 6):
        case 0:
            data[first] ^= 1 << rng.integers(0, 8)
        case 1:
            data[first : first + length] = rng.bytes(length)
        case 2:
            del data[first : first + length]
        case 3:
            data[first:first] = data[:length]
        case 4:
            del data[first:]
        case _:
            one, two = data[first : first + 8], data[second : second + 8]
            data[first : first + 8], data[second : second + 8] = two, one
    return bytes(data)
