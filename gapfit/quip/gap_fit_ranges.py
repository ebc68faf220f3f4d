"""How far distances and triplets of structures vary: gap_fit's unit of lengths."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from gapfit.config.sections import Angle3bConfig, Distance2bConfig
from gapfit.data.frame import Frame
from gapfit.data.neighbours import Pairs, pair_list
from gapfit.descriptors.angle_3b import Angle3b
from gapfit.descriptors.distance_2b import Distance2b
from gapfit.model.terms import build_term, new_basis

__all__ = ["block_ranges"]


def block_ranges(
    frames: Iterable[Frame], settings: Mapping[str, Any], species: Collection[int]
) -> dict[str, tuple[float, ...]]:
    """Return the largest difference of each coordinate of each pair or triplet.

    gap_fit's ``lengthscale_factor`` times these are its lengths.

    Parameters
    ----------
    frames : iterable of Frame
        The training data.
    settings : mapping
        Table of a term of type ``distance_2b`` or ``angle_3b``; its ``r_cut`` matters.
    species : collection of int
        Atomic numbers of the data.

    Returns
    -------
    dict of str to tuple of float
        By name, such as ``O-Si``, one number for each coordinate: Å, and Å² for the
        second of triplets. Pairs and triplets that the data lack are missing.
    """
    kind = Distance2bConfig if settings["type"] == "distance_2b" else Angle3bConfig
    config = kind(r_cut=settings["r_cut"])
    descriptor = build_term(
        config, tuple(sorted(species)), new_basis(config)
    ).descriptor
    assert isinstance(descriptor, Distance2b | Angle3b)
    least: dict[int, np.ndarray] = {}
    most: dict[int, np.ndarray] = {}
    for frame in frames:
        for block, x in _coordinates(descriptor, pair_list(frame, descriptor.cutoff)):
            least[block] = np.minimum(x.min(axis=0), least.get(block, np.inf))
            most[block] = np.maximum(x.max(axis=0), most.get(block, -np.inf))
    return {
        descriptor.label(block): tuple((most[block] - least[block]).tolist())
        for block in least
    }


def _coordinates(
    descriptor: Distance2b | Angle3b, pairs: Pairs
) -> list[tuple[int, np.ndarray]]:
    """Return the coordinates of each block with any, (n, n_coordinates)."""
    if isinstance(descriptor, Distance2b):
        every = [(block, r[:, None]) for block, _, r in descriptor.by_block(pairs)]
    else:
        every = [(block, x) for block, _, _, x in descriptor.instances(pairs)]
    return [(block, x) for block, x in every if len(x)]
