"""Digests that identify data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from gapfit.data.frame import Frame

__all__ = [
    "chained_digest",
    "data_digest",
]


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
