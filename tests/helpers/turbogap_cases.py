"""Terms and structures of small models that TurboGAP can express."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms

import gapfit

SOAP = {
    "type": "soap",
    "rbf": "poly3gauss",
    "r_cut": 4.5,
    "n_max": 4,
    "l_max": 3,
    "zeta": 4.0,
    "n_sparse": 12,
    "turbo": {"compression": "trivial", "radial_enhancement": 1},
}
OF_TWO = SOAP | {
    "rbf": "poly3",
    "n_max": 3,
    "zeta": 2.5,
    "turbo": {
        "r_soft": 3.6,
        "steepness": 3.0,
        "sigma_t_scaling": 0.1,
        "amplitude_scaling": 2.0,
        "species": {"O": {"n_max": 2, "atom_sigma": 0.4, "central_weight": 0.7}},
    },
}
PAIRS = {
    "type": "distance_2b",
    "switch": "cosine",
    "width": 0.5,
    "r_cut": 4.2,
    "n_sparse": 8,
}
TRIPLETS = {
    "type": "angle_3b",
    "switch": "cosine",
    "width": 0.5,
    "r_cut": 3.3,
    "theta": [1.5, 1.2, 1.8],
    "n_sparse": 10,
}


def fitted(
    frames: Sequence[Atoms], *terms: dict[str, Any], **tables: dict[str, Any]
) -> gapfit.GAPModel:
    """Return a fit of terms to structures."""
    config = {
        "data": {"train": "-", "check_labels": False},
        "e0": {"method": "least_squares"},
        "terms": list(terms),
        "calibration": {"method": "none"},
        **tables,
    }
    return gapfit.fit(frames, config)


def molecule(symbols: str, seed: int) -> Atoms:
    """Return atoms in a large box at distances of a solid."""
    rng = np.random.default_rng(seed)
    positions: list[np.ndarray] = []
    while len(positions) < len(Atoms(symbols)):
        place = rng.uniform(0, 4.5, 3)
        if all(np.linalg.norm(place - other) > 1.6 for other in positions):
            positions.append(place)
    return Atoms(symbols, positions, cell=[20.0] * 3, pbc=True)
