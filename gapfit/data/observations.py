"""Observations: energies, forces and virials, and how many there are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gapfit.data.frame import Frame

__all__ = [
    "KINDS",
    "count_rows",
    "row_counts",
]

#: Kinds of observations.
KINDS = ("energy", "forces", "virial")


def row_counts(frames: Sequence[Frame]) -> np.ndarray:
    """Return how many observations of each kind each frame holds, (n_frames, 3) int64."""
    counts = np.zeros((len(frames), len(KINDS)), dtype=np.int64)
    for n, frame in enumerate(frames):
        known = 0 if frame.forces is None else np.isfinite(frame.forces).sum()
        counts[n] = frame.energy is not None, known, 6 * (frame.virial is not None)
    return counts


def count_rows(frames: Sequence[Frame]) -> dict[str, int]:
    """Return how many observations of each kind the frames hold."""
    return dict(zip(KINDS, row_counts(frames).sum(axis=0).tolist(), strict=True))
