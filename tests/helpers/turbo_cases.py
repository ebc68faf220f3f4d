"""Descriptors soap_turbo with random options, and quippy's numbers for them.

``python tests/helpers/turbo_cases.py FILE`` records those of `RECORDED`, with quippy.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from ase import Atoms

#: Random numbers of the cases in tests/quip_models/SiO/descriptors.json.
RECORDED = range(12)

# In a process of its own: soap_turbo keeps tables of the descriptor before.
_SCRIPT = """
import json, sys
from ase import Atoms
from quippy.descriptors import Descriptor
case = json.load(sys.stdin)
atoms = Atoms(case["symbols"], case["positions"], cell=case["cell"], pbc=case["pbc"])
values = Descriptor(case["options"]).calc_descriptor(atoms)
print("VALUES", json.dumps(values.tolist()))
"""


def _listed(values: list) -> str:
    return "{" + " ".join(map(repr, values)) + "}"


def random_case(seed: int, *, most: int = 6, l_max: int = 6) -> tuple[str, Atoms]:
    """Return options of a descriptor, and a structure with another species, too.

    Parameters
    ----------
    seed : int
        Of the random numbers.
    most, l_max : int
        Largest number of radial functions, and angular momentum.
    """
    rng = np.random.default_rng(seed)
    numbers = [14, 8, 6][: rng.integers(1, 4)]
    rng.shuffle(numbers)
    n = len(numbers)
    r_cut = round(float(rng.uniform(3.5, 6)), 2)
    centre = int(rng.integers(1, n + 1))
    arrays = {
        "alpha_max": [int(v) for v in rng.integers(2, most + 1, n)],
        "atom_sigma_r": rng.uniform(0.25, 0.8, n).round(3).tolist(),
        "atom_sigma_t": rng.uniform(0.25, 0.8, n).round(3).tolist(),
        "atom_sigma_r_scaling": rng.choice([0, 0.05, 0.15], n).tolist(),
        "atom_sigma_t_scaling": rng.choice([0, 0.05, 0.15], n).tolist(),
        "amplitude_scaling": rng.choice([0.0, 0.5, 1.0, 2.0], n).tolist(),
        "central_weight": rng.choice([0.5, 1.0, 2.0], n).tolist(),
        "species_Z": numbers,
    }
    words = {
        "l_max": rng.integers(0, l_max + 1),
        "rcut_hard": r_cut,
        "rcut_soft": round(r_cut - float(rng.choice([0.3, 0.5, 1.5])), 2),
        "nf": rng.choice([2.0, 4.0, 5.0]),
        "basis": rng.choice(["poly3", "poly3gauss"]),
        "radial_enhancement": rng.integers(0, 3),
        "n_species": n,
        "central_index": centre,
    }
    options = " ".join(
        ["soap_turbo", "scaling_mode=polynomial"]
        + [f"{key}={_listed(values)}" for key, values in arrays.items()]
        + [f"{key}={value}" for key, value in words.items()]
    )
    if rng.random() < 0.4:
        options += " compress_mode=trivial"
    return options, _structure(rng, numbers, centre)


def _structure(rng: np.random.Generator, numbers: list[int], centre: int) -> Atoms:
    """Return up to 14 atoms at least 1.3 Å apart, of all species and hydrogen."""
    z = [numbers[centre - 1], *numbers, *rng.choice([*numbers, 1], 14)]
    atoms = Atoms(
        numbers=z,
        positions=rng.uniform(0, 6.5, (len(z), 3)),
        cell=[[6.5, 0, 0], [0.5, 7, 0], [0, 0.3, 6.8]],
        pbc=True,
    )
    kept: list[int] = []
    for k in range(len(atoms)):
        if not kept or atoms.get_distances(k, kept, mic=True).min() > 1.3:
            kept.append(k)
    # Species of which no atom is left are still those of the descriptor.
    return atoms[kept]


def _case(options: str, atoms: Atoms) -> dict[str, object]:
    return {
        "options": options,
        "symbols": atoms.get_chemical_symbols(),
        "positions": atoms.positions.tolist(),
        "cell": atoms.cell.tolist(),
        "pbc": bool(atoms.pbc.all()),
    }


def quip_descriptor(options: str, atoms: Atoms, folder: Path) -> np.ndarray:
    """Return quippy's descriptors of the central atoms, (n_centres, width)."""
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        input=json.dumps(_case(options, atoms)),
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    line = next(x for x in done.stdout.splitlines() if x.startswith("VALUES"))
    return np.array(json.loads(line.removeprefix("VALUES")))


def record(path: Path, cases: Iterable[tuple[str, Atoms]]) -> None:
    """Write options and structures with quippy's descriptor of the first centre."""
    lines = [
        json.dumps(
            _case(options, atoms)
            | {"first": quip_descriptor(options, atoms, path.parent)[0].tolist()}
        )
        for options, atoms in cases
    ]
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    chosen = (random_case(seed, most=4, l_max=3) for seed in RECORDED)
    record(Path(sys.argv[1]), chosen)
