"""Energies of potentials of TurboGAP, summed as its papers and files define them.

Written apart from the package: plain loops over the atoms of a molecule, and quippy's
descriptors of soap_turbo.
"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
from ase import Atoms
from scipy.interpolate import CubicSpline

from helpers.turbo_cases import quip_descriptor

_ENDS = 0.5


def blocks_of(path: Path) -> list[dict[str, list[str]]]:
    """Return the keys of each block with their values, without quotes; "kind" is one."""
    found: list[dict[str, list[str]]] = []
    for line in path.read_text().splitlines():
        words = line.replace("'", " ").replace('"', " ").split()
        if not words or words[0].startswith(("!", "#")):
            continue
        if words[0] == "gap_beg":
            found.append({"kind": [words[1]]})
        elif words[0] != "gap_end":
            found[-1][words[0]] = words[words.index("=") + 1 :]
    return found


def energies_of(path: Path, atoms: Atoms, folder: Path) -> dict[str, float]:
    """Return the energy of each kind of block, eV.

    Parameters
    ----------
    path : Path
        The file ``.gap``.
    atoms : ase.Atoms
        A molecule.
    folder : Path
        For files on the way.
    """
    sums = {"distance_2b": _pairs, "angle_3b": _triplets, "core_pot": _core}
    energies: dict[str, float] = {}
    for block in blocks_of(path):
        (kind,) = block["kind"]
        if kind == "soap_turbo":
            value = _environments(path, block, atoms, folder)
        else:
            value = sums[kind](path, block, atoms)
        energies[kind] = energies.get(kind, 0.0) + value
    return energies


def _table(path: Path, block: dict[str, list[str]], key: str) -> np.ndarray:
    return np.loadtxt(path.parent / Path(block[key][0]).name, ndmin=2)


def _number(block: dict[str, list[str]], key: str) -> float:
    return float(block[key][0])


def _cutoff(r: float, r_cut: float) -> float:
    if r >= r_cut:
        return 0.0
    return 0.5 * (1 + np.cos(np.pi * max(r - r_cut + _ENDS, 0.0) / _ENDS))


def _pairs(path: Path, block: dict[str, list[str]], atoms: Atoms) -> float:
    """Sum over all atoms and their neighbours: each pair twice."""
    alpha, cutoffs = _table(path, block, "alphas_sparse").T
    points = _table(path, block, "desc_sparse")[:, 0]
    weights = _number(block, "delta") ** 2 * alpha * cutoffs
    ends = sorted([block["species1"][0], block["species2"][0]])
    distances = atoms.get_all_distances()
    total = 0.0
    for i, j in combinations(range(len(atoms)), 2):
        if sorted([atoms.symbols[i], atoms.symbols[j]]) == ends:
            r = distances[i, j]
            gaussians = np.exp(-0.5 * ((r - points) / _number(block, "sigma")) ** 2)
            total += 2 * _cutoff(r, _number(block, "rcut")) * (weights @ gaussians)
    return float(total)


def _triplets(path: Path, block: dict[str, list[str]], atoms: Atoms) -> float:
    """Sum over centres and pairs of neighbours, each of which counts twice."""
    alpha, cutoffs = _table(path, block, "alphas_sparse").T
    points = _table(path, block, "desc_sparse").reshape(-1, 3)
    weights = _number(block, "delta") ** 2 * alpha * cutoffs
    sigma = np.array([float(word) for word in block["sigma"]])
    ends = sorted([block["species1"][0], block["species2"][0]])
    distances, r_cut = atoms.get_all_distances(), _number(block, "rcut")
    total = 0.0
    for i in range(len(atoms)):
        others = [k for k in range(len(atoms)) if k != i]
        for j, k in combinations(others, 2):
            if atoms.symbols[i] != block["species_center"][0]:
                continue
            if sorted([atoms.symbols[j], atoms.symbols[k]]) != ends:
                continue
            a, b, c = distances[i, j], distances[i, k], distances[j, k]
            far = np.linalg.norm((points - [a + b, (a - b) ** 2, c]) / sigma, axis=1)
            if block["kernel_type"][0] == "pol":
                kernel = np.where(far < 1, (1 - far) ** 4 * (4 * far + 1), 0.0)
            else:
                kernel = np.exp(-0.5 * far**2)
            total += 2 * _cutoff(a, r_cut) * _cutoff(b, r_cut) * (weights @ kernel)
    return float(total)


def _core(path: Path, block: dict[str, list[str]], atoms: Atoms) -> float:
    """Sum over pairs, each once; 1e50 as a slope is a spline without curvature there."""
    lines = (path.parent / Path(block["core_pot_file"][0]).name).read_text().split("\n")
    slopes = [float(word) for word in lines[0].split()[1:]]
    r, energy = np.loadtxt(lines[1:]).T
    first, last = ((2, 0.0) if slope > 0.99e30 else (1, slope) for slope in slopes)
    spline = CubicSpline(r, energy, bc_type=(first, last))
    ends = sorted([block["species1"][0], block["species2"][0]])
    total = 0.0
    for i, j in combinations(range(len(atoms)), 2):
        d = atoms.get_distance(i, j)
        if sorted([atoms.symbols[i], atoms.symbols[j]]) == ends and d < r[-1]:
            straight = spline(r[0]) + spline(r[0], 1) * (d - r[0])
            total += float(straight if d < r[0] else spline(d))
    return total


def _environments(
    path: Path, block: dict[str, list[str]], atoms: Atoms, folder: Path
) -> float:
    """Sum over the atoms of the central species."""
    alpha = _table(path, block, "alphas_sparse")[:, 0]
    points = _table(path, block, "desc_sparse").reshape(len(alpha), -1)
    values = quip_descriptor(_options(block), atoms, folder)
    kernel = (values @ points.T) ** _number(block, "zeta")
    return float(_number(block, "delta") ** 2 * np.sum(kernel @ alpha))


def _options(block: dict[str, list[str]]) -> str:
    """Return a block as QUIP's converter to TurboGAP reads its options backwards."""
    lists = {
        "alpha_max": "n_max",
        **{
            key: key
            for key in (
                "atom_sigma_r",
                "atom_sigma_t",
                "atom_sigma_r_scaling",
                "atom_sigma_t_scaling",
                "amplitude_scaling",
                "central_weight",
            )
        },
    }
    arrays = " ".join(f"{k}={{{' '.join(block[v])}}}" for k, v in lists.items())
    numbers = " ".join(
        str(Atoms(symbol).get_atomic_numbers()[0]) for symbol in block["species"]
    )
    r_cut = _number(block, "rcut")
    mode = "compress_mode=trivial" if "compress_mode" in block else ""
    return (
        f"soap_turbo l_max={block['l_max'][0]} {arrays} rcut_hard={r_cut} "
        f"rcut_soft={r_cut - _number(block, 'buffer')} nf={block['nf'][0]} "
        f"basis={block['basis'][0]} scaling_mode=polynomial {mode} "
        f"radial_enhancement={block['radial_enhancement'][0]} "
        f"n_species={block['n_species'][0]} species_Z={{{numbers}}} "
        f"central_index={block['central_species'][0]}"
    )
