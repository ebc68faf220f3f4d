"""Random displacements, random cells and molecular dynamics."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Sequence

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.neighborlist import neighbor_list
from numpy.typing import ArrayLike, NDArray


def rng_for(label: str) -> np.random.RandomState:
    """Return a random generator that depends on the label only.

    The legacy generator is kept on purpose: its stream is frozen, so the frames
    of published sets can be rebuilt with any NumPy.
    """
    return np.random.RandomState(zlib.crc32(label.encode()) % (2**31))


def scaled(atoms: Atoms, factor: float) -> Atoms:
    """Return a copy with the volume scaled isotropically by `factor`."""
    out = atoms.copy()
    out.set_cell(out.cell * factor ** (1 / 3), scale_atoms=True)
    return out


def strained(atoms: Atoms, strain: ArrayLike) -> Atoms:
    """Return a copy under the homogeneous deformation I + strain (3, 3)."""
    out = atoms.copy()
    deformation = np.eye(3) + np.asarray(strain)
    out.set_cell(np.asarray(out.cell) @ deformation, scale_atoms=True)
    return out


def rattled(atoms: Atoms, label: str, sigma: float, strain: float = 0.0) -> Atoms:
    """Return a randomly strained and displaced copy.

    Parameters
    ----------
    atoms : Atoms
        Structure to start from.
    label : str
        Seed, see `rng_for`.
    sigma : float
        Standard deviation of each Cartesian displacement, Å.
    strain : float, default 0.0
        Standard deviation of each component before symmetrisation.
    """
    rng = rng_for(label)
    out = atoms.copy()
    e = strain * rng.normal(size=(3, 3))
    deformation = np.eye(3) + 0.5 * (e + e.T)
    out.set_cell(np.asarray(out.cell) @ deformation, scale_atoms=True)
    out.positions += rng.normal(scale=sigma, size=(len(out), 3))
    return out


def _spread(atoms: Atoms, d_min: float) -> bool:
    """Push atoms closer than `d_min` (Å) apart in place; False if that fails."""
    n_atoms = len(atoms)
    for _ in range(300):
        i, r, vec = neighbor_list("idD", atoms, d_min)
        if len(i) == 0:
            break
        for x in range(3):
            push = 0.25 * np.bincount(i, (d_min + 0.02 - r) * vec[:, x] / r, n_atoms)
            atoms.positions[:, x] -= push
    return len(neighbor_list("i", atoms, 0.98 * d_min)) == 0


def random_cell(
    symbols: Sequence[str], label: str, volume: float, d_min: float
) -> Atoms:
    """Return random positions in a random cell, with a hard minimum distance.

    Parameters
    ----------
    symbols : sequence of str
        Elements, one an atom.
    label : str
        Seed, see `rng_for`.
    volume : float
        Volume per atom, Å^3.
    d_min : float
        Smallest distance, Å.
    """
    rng = rng_for(label)
    n_atoms = len(symbols)
    while True:
        cell = np.eye(3) + 0.22 * rng.normal(size=(3, 3))
        det = np.linalg.det(cell)
        if not 0.5 < det < 1.6:
            continue
        cell *= (n_atoms * volume / det) ** (1 / 3)
        scaled_positions = rng.uniform(size=(n_atoms, 3))
        out = Atoms(symbols, cell=cell, pbc=True, scaled_positions=scaled_positions)
        if _spread(out, d_min):
            out.wrap()
            return out


def random_in_box(
    symbols: Sequence[str], label: str, lengths: Sequence[float], d_min: float
) -> Atoms:
    """Return random positions in an orthorhombic box of the given lengths (Å)."""
    rng = rng_for(label)
    while True:
        scaled_positions = rng.uniform(size=(len(symbols), 3))
        out = Atoms(symbols, cell=lengths, pbc=True, scaled_positions=scaled_positions)
        if _spread(out, d_min):
            out.wrap()
            return out


def random_molecules(
    molecule: Atoms, n: int, label: str, volume: float, d_min: float
) -> Atoms:
    """Return copies of a molecule, anywhere and turned anyhow, in a cubic box.

    Parameters
    ----------
    molecule : Atoms
        Around the origin.
    n : int
        Number of copies.
    label : str
        Seed, see `rng_for`.
    volume : float
        Volume per atom, Å^3.
    d_min : float
        Smallest distance of atoms of different molecules, Å.
    """
    rng = rng_for(label)
    size = len(molecule)
    side = (n * size * volume) ** (1 / 3)
    which = np.repeat(np.arange(n), size)
    while True:
        positions = []
        for _ in range(n):
            turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
            positions.append(molecule.positions @ turn + side * rng.uniform(size=3))
        out = Atoms(
            list(molecule.symbols) * n,
            positions=np.concatenate(positions),
            cell=[side] * 3,
            pbc=True,
        )
        i, j = neighbor_list("ij", out, d_min)
        if np.all(which[i] == which[j]):
            out.wrap()
            return out


def _snapshot(atoms: Atoms) -> Atoms:
    """Return a wrapped copy without momenta and calculator."""
    out = atoms.copy()
    del out.arrays["momenta"]
    out.wrap()
    return out


def md_snapshots(
    atoms: Atoms,
    calc: Calculator,
    label: str,
    t_start: float,
    n_start: int,
    schedule: Sequence[tuple[float, int]],
    timestep: float,
) -> list[Atoms]:
    """Melt a structure, follow a temperature schedule and take snapshots.

    Parameters
    ----------
    atoms : Atoms
        Structure to start from; rattled by 0.15 Å first.
    calc : Calculator
        Classical potential.
    label : str
        Seed, see `rng_for`.
    t_start : float
        Temperature of the melting stage, K.
    n_start : int
        Steps of the melting stage.
    schedule : sequence of (float, int)
        Temperature (K) and number of steps before each snapshot.
    timestep : float
        Time step, fs.

    Returns
    -------
    list of Atoms
        One snapshot for each entry of `schedule`.

    Notes
    -----
    Langevin dynamics at constant volume.  The frames are reproducible on one
    machine; elsewhere only up to the chaotic growth of rounding differences.
    """
    rng = rng_for("md:" + label)
    atoms = atoms.copy()
    atoms.rattle(0.15, rng=rng)
    atoms.calc = calc
    with warnings.catch_warnings():  # ASE: two deprecations, no effect on samples
        warnings.simplefilter("ignore")
        MaxwellBoltzmannDistribution(atoms, temperature_K=t_start, rng=rng)
        dynamics = Langevin(
            atoms,
            timestep * units.fs,
            temperature_K=t_start,
            friction=0.02 / units.fs,
            rng=rng,
        )
        dynamics.run(n_start)
        snapshots = []
        temperature = t_start
        for target, n_steps in schedule:
            if target != temperature:
                dynamics.set_temperature(temperature_K=target)
                temperature = target
            dynamics.run(n_steps)
            snapshots.append(_snapshot(atoms))
    return snapshots


def min_distance(atoms: Atoms, cutoff: float = 3.0) -> float:
    """Return the smallest distance (Å), images included; inf beyond `cutoff`."""
    distances: NDArray[np.float64] = neighbor_list("d", atoms, cutoff)
    return float(distances.min()) if len(distances) else float("inf")
