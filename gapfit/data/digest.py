"""Digests that identify data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from gapfit.data.frame import Frame

__all__ = [
    "chained_digest",
    "data_digest",
    "was_fitted",
]


def was_fitted(frames: Sequence[Frame], info: Mapping[str, Any]) -> bool:
    """Return whether frames are those of a fit and of its appends, in this order.

    Parameters
    ----------
    frames : sequence of Frame
        With labels, as they were read.
    info : mapping
        ``info`` of the model.
    """
    unread = iter(frames)
    added = [append["n_frames"] for append in info.get("appended", [])]
    digest = data_digest(islice(unread, max(info.get("n_frames", 0) - sum(added), 0)))
    for n in added:
        digest = chained_digest(digest, data_digest(islice(unread, n)))
    return digest == info.get("data_digest") and next(unread, None) is None


def chained_digest(before: str, appended: str) -> str:
    """Return the digest of data and data appended to them, from the digest of each."""
    return hashlib.sha256((before + appended).encode()).hexdigest()


def data_digest(frames: Iterable[Frame]) -> str:
    """Return a SHA-256 of structures, targets and sigmas, which identifies the data."""
    digest = hashlib.sha256()
    for frame in frames:
        for part in (frame.numbers, frame.positions, frame.cell, frame.pbc):
            digest.update(np.ascontiguousarray(part).tobytes())
        for target in (
            frame.energy,
            frame.forces,
            frame.virial,
            frame.energy_sigma,
            frame.force_sigma,
            frame.virial_sigma,
        ):
            digest.update(b"-" if target is None else np.asarray(target).tobytes())
        digest.update(frame.config_type.encode())
    return digest.hexdigest()
