"""Numbers of observations: energies, forces and virials."""

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
    """Return the number of observations of each kind by frame, (n_frames, 3) int64."""
    counts = np.zeros((len(frames), len(KINDS)), dtype=np.int64)
    for n, frame in enumerate(frames):
        n_components = 0 if frame.forces is None else np.isfinite(frame.forces).sum()
        counts[n] = (
            frame.energy is not None,
            n_components,
            6 * (frame.virial is not None),
        )
    return counts


def count_rows(frames: Sequence[Frame]) -> dict[str, int]:
    """Return the number of observations of each kind in all frames."""
    return dict(zip(KINDS, row_counts(frames).sum(axis=0).tolist(), strict=True))
