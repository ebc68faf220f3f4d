"""Compressed SOAPs of QUIP with random options, and quippy's numbers for them.

``python tests/helpers/compression_cases.py FILE`` records those of `RECORDED`, with quippy.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from ase import Atoms

from helpers.turbo_cases import record

#: Random numbers of the cases in tests/quip_models/SiCO/descriptors.json.
RECORDED = range(16)


def random_case(seed: int, *, most: int = 7, l_max: int = 4) -> tuple[str, Atoms]:
    """Return options of a descriptor, and a structure with another species, too.

    Parameters
    ----------
    seed : int
        Of the random numbers.
    most, l_max : int
        Largest number of radial functions, and angular momentum.
    """
    rng = np.random.default_rng(seed)
    numbers = [int(z) for z in rng.permutation([14, 6, 8, 22])[: rng.integers(1, 4)]]
    together = rng.random() < 0.1
    channels = [0] if together else numbers
    words = {
        "cutoff": round(float(rng.uniform(3.2, 4.2)), 2),
        "n_max": rng.integers(1, most + 1),
        "l_max": rng.integers(0, l_max + 1),
        "atom_sigma": 0.5,
        "central_weight": rng.choice([1.0, 0.5]),
        "central_reference_all_species": "T" if together else rng.choice(["T", "F"]),
        "n_species": len(channels),
        "species_Z": f"{{{' '.join(map(str, channels))}}}",
        "Z": numbers[0],
    }
    if rng.random() < 0.6:
        mixed = [("Z_mix",), ("R_mix",), ("Z_mix", "R_mix")][rng.integers(3)]
        words |= dict.fromkeys(mixed, "T") | {"K": rng.integers(1, 11)}
        words |= {"sym_mix": "T"} if rng.random() < 0.5 else {}
        words |= {"coupling": "F"} if rng.random() < 0.6 else {}
        words |= {"mix_shift": 7} if rng.random() < 0.3 else {}
    elif rng.random() < 0.2:
        words["coupling"] = "F"
    else:
        words |= {"nu_R": rng.integers(3), "nu_S": rng.integers(3)}
    options = " ".join(["soap", *(f"{key}={value}" for key, value in words.items())])
    return options, _structure(rng, numbers)


def _structure(rng: np.random.Generator, numbers: list[int]) -> Atoms:
    """Return a small cell or a cluster, of all species and hydrogen."""
    z = [*numbers, *rng.choice([*numbers, 1], 4)]
    cell = np.diag(rng.uniform(3.4, 4.5, 3)) + rng.uniform(-0.3, 0.3, (3, 3))
    pbc = bool(rng.random() < 0.7)
    while True:
        scaled = rng.uniform(0, 1, (len(z), 3))
        atoms = Atoms(numbers=z, scaled_positions=scaled, cell=cell, pbc=pbc)
        distances = atoms.get_all_distances(mic=pbc)
        if distances[np.triu_indices(len(z), 1)].min() > 1.0:
            return atoms


if __name__ == "__main__":
    chosen = (random_case(seed, most=3, l_max=2) for seed in RECORDED)
    record(Path(sys.argv[1]), chosen)
