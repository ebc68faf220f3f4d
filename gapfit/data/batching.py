"""Frames in batches, and samples of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gapfit.data.frame import Frame

__all__ = [
    "batches",
    "sample_frames",
]

# Frames whose pairs are counted for the estimate of the memory.
_SAMPLED_FRAMES = 20
_SAMPLED_ATOMS = 400


def batches(
    sizes: Sequence[int] | np.ndarray, max_size: int, *, start: int = 0
) -> Iterator[slice]:
    """Yield slices of consecutive items whose sizes add up to at most `max_size`."""
    total, first = 0, start
    for n in range(start, len(sizes)):
        if total and total + sizes[n] > max_size:
            yield slice(first, n)
            total, first = 0, n
        total += sizes[n]
    if first < len(sizes):
        yield slice(first, len(sizes))


def sample_frames(frames: Sequence[Frame]) -> list[Frame]:
    """Return evenly spread frames with a few hundred atoms together."""
    spread = frames[:: -(-len(frames) // _SAMPLED_FRAMES)]
    sizes = np.cumsum([frame.n_atoms for frame in spread])
    return list(spread[: max(1, int(np.searchsorted(sizes, _SAMPLED_ATOMS)))])
