"""Measured time of a prediction with forces."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median

import numpy as np

from gapfit.data.frame import Frame
from gapfit.data.frame_file import frame_sizes
from gapfit.model.gap_model import GAPModel
from gapfit.threads import one_thread

__all__ = ["measured_microseconds", "timed_cell"]

#: Atoms of a cell that is timed, at least.
_TIMED_ATOMS = 200
_REPEATS = 5


def timed_cell(frames: Sequence[Frame]) -> Frame:
    """Return the largest frame, repeated to a few hundred atoms if it is periodic."""
    frame = frames[int(np.argmax(frame_sizes(frames)))]
    repeats = np.ones(3, dtype=np.int64)
    while frame.n_atoms * repeats.prod() < _TIMED_ATOMS and frame.pbc.any():
        lengths = np.linalg.norm(frame.cell, axis=1) * repeats
        repeats[np.argmin(np.where(frame.pbc, lengths, np.inf))] += 1
    images = np.stack(np.meshgrid(*map(np.arange, repeats), indexing="ij"), axis=-1)
    shifts = images.reshape(-1, 3) @ frame.cell
    return Frame(
        np.tile(frame.numbers, len(shifts)),
        (shifts[:, None] + frame.positions).reshape(-1, 3),
        frame.cell * repeats[:, None],
        frame.pbc,
    )


def measured_microseconds(model: GAPModel, cell: Frame) -> float:
    """Return the CPU time of a prediction with forces on one thread, µs per atom.

    The median of several.

    Parameters
    ----------
    model : GAPModel
        With coefficients and projections.
    cell : Frame
        Structure that is predicted.
    """
    seconds = []
    with one_thread():
        for _ in range(_REPEATS + 1):
            started = time.process_time()
            model.predict(cell)
            seconds.append(time.process_time() - started)
    return 1e6 * median(seconds[1:]) / cell.n_atoms
