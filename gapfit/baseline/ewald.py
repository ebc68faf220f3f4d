"""Energies, forces and virials of point charges: direct and Ewald's sums over arrays.

With charges q and k_e = e²/(4πε0), the energy of a neutral periodic structure is that of
Ewald (Ann. Phys. 369, 253 (1921)), in the form of de Leeuw, Perram and Smith (Proc. R. Soc.
A 373, 27 (1980)) for a surrounding conductor:

E = k_e/2 Σ'_ij q_i q_j erfc(α r_ij) / r_ij
    + 2π k_e / V Σ_k≠0 exp(-k²/4α²) / k² |Σ_i q_i exp(i k·r_i)|² - k_e α/√π Σ_i q_i²
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.special import erfc

__all__ = [
    "COULOMB",
    "Sums",
    "Widths",
    "direct_sums",
    "molecule_sums",
    "reciprocal_sums",
    "widths",
]

#: e² / (4 π ε0), eV Å.
COULOMB = 14.399645478
#: Both sums end where exp(-s²) is negligible: 6e-13.
_REACH = 5.3
#: Time of a pair over that of a wave at an atom.
_COST_OF_PAIR = 20.0
#: Most pairs of the direct sum, at the mean density: limits their memory to 200 MB.
_MOST_PAIRS = 2_000_000
#: Waves times atoms that are treated at a time: 16 bytes each, a few times.
_AT_ONCE = 1_000_000
#: Pairs of a molecule that are treated at a time: 80 bytes each.
_PAIRS_AT_ONCE = 250_000


class Sums(NamedTuple):
    """A part of the energy of a structure.

    Attributes
    ----------
    energies : (n_atoms,) float64
        Share of each atom, eV.
    forces : (n_atoms, 3) float64
        eV/Å.
    virial : (3, 3) float64
        -stress × volume, eV.
    """

    energies: np.ndarray
    forces: np.ndarray
    virial: np.ndarray


class Widths(NamedTuple):
    """How the energy is divided between the two sums.

    Attributes
    ----------
    alpha : float
        Inverse width of the screening charges, 1/Å.
    r_cut : float
        Range of the direct sum, Å.
    k_cut : float
        Largest wave number of the reciprocal sum, 1/Å.
    """

    alpha: float
    r_cut: float
    k_cut: float


def widths(n_atoms: int, volume: float) -> Widths:
    """Return widths with which both sums take a similar time, and little memory.

    Parameters
    ----------
    n_atoms : int
        Number of atoms.
    volume : float
        Volume of the cell, Å³.
    """
    # Numbers of pairs and waves are proportional to 1/α³ and α³.
    alpha = (_COST_OF_PAIR * math.pi**3 * n_atoms / volume**2) ** (1 / 6)
    longest = (3 * _MOST_PAIRS * volume / (4 * math.pi * n_atoms**2)) ** (1 / 3)
    alpha = max(alpha, _REACH / longest)
    return Widths(alpha, _REACH / alpha, 2 * alpha * _REACH)


def direct_sums(
    charges: np.ndarray, i: np.ndarray, j: np.ndarray, R: np.ndarray, alpha: float
) -> Sums:
    """Return the sum over pairs, screened by erfc(α r).

    Parameters
    ----------
    charges : (n_atoms,) float64
        Charges, e.
    i, j : (n_pairs,) int64
        Each pair of atoms twice, images included.
    R : (n_pairs, 3) float64
        From atom i to atom j, Å.
    alpha : float
        Inverse width of the screening charges, 1/Å.
    """
    r = np.sqrt(np.einsum("px,px->p", R, R))
    energies = COULOMB * charges[i] * charges[j] * erfc(alpha * r) / r
    gaussian = 2 * alpha / math.sqrt(math.pi) * np.exp(-((alpha * r) ** 2))
    slopes = energies / r + COULOMB * charges[i] * charges[j] * gaussian / r
    # The force on j; that on i is the opposite.
    forces = (slopes / r)[:, None] * R
    on_atoms = [
        -np.bincount(i, weights=column, minlength=len(charges)) for column in forces.T
    ]
    return Sums(
        0.5 * np.bincount(i, weights=energies, minlength=len(charges)),
        np.stack(on_atoms, axis=1),
        0.5 * np.einsum("px,py->xy", R, forces),
    )


def molecule_sums(charges: np.ndarray, positions: np.ndarray) -> Sums:
    """Return Coulomb's sum over all pairs of a structure without images.

    A part of the atoms is treated at a time, each against all others, so that memory does
    not grow with the number of pairs.

    Parameters
    ----------
    charges : (n_atoms,) float64
        Charges, e, of any sum.
    positions : (n_atoms, 3) float64
        Positions, Å; no two are equal.
    """
    n_atoms = len(charges)
    energies, forces = np.empty(n_atoms), np.empty((n_atoms, 3))
    virial = np.zeros((3, 3))
    size = max(_PAIRS_AT_ONCE // n_atoms, 1)
    for first in range(0, n_atoms, size):
        own = np.arange(first, min(first + size, n_atoms))
        R = positions - positions[own, None]
        r = np.sqrt(np.einsum("ijx,ijx->ij", R, R))
        r[own - first, own] = np.inf  # an atom and itself
        of_pairs = COULOMB * charges[own, None] * charges / r
        on_others = (of_pairs / r**2)[..., None] * R
        energies[own] = 0.5 * of_pairs.sum(axis=1)
        forces[own] = -on_others.sum(axis=1)
        virial += 0.5 * R.reshape(-1, 3).T @ on_others.reshape(-1, 3)
    return Sums(energies, forces, virial)


def reciprocal_sums(
    charges: np.ndarray, positions: np.ndarray, cell: np.ndarray, widths: Widths
) -> Sums:
    """Return the sum over waves, less the energy of each screening charge with itself.

    Parameters
    ----------
    charges : (n_atoms,) float64
        Charges, e, which add up to zero.
    positions : (n_atoms, 3) float64
        Positions, Å.
    cell : (3, 3) float64
        Lattice vectors as rows, Å.
    widths : Widths
        See `widths`.
    """
    multiples = _multiples(cell, widths.k_cut)
    waves = 2 * math.pi * multiples @ np.linalg.inv(cell).T
    volume = abs(float(np.linalg.det(cell)))
    squares = np.einsum("kx,kx->k", waves, waves)
    # Half of all waves, so each counts twice.
    weights = 4 * math.pi * COULOMB / volume / squares
    weights *= np.exp(-squares / (4 * widths.alpha**2))
    powers = _powers(positions @ np.linalg.inv(cell), np.abs(multiples).max(axis=0))
    energies = -COULOMB * widths.alpha / math.sqrt(math.pi) * charges**2
    forces, virial = np.zeros((len(charges), 3)), np.zeros((3, 3))
    size = max(_AT_ONCE // len(charges), 1)
    for first in range(0, len(waves), size):
        part = slice(first, first + size)
        k = waves[part]
        # exp(i k·r), (n_waves, n_atoms)
        phases = math.prod(
            table[n] for table, n in zip(powers, multiples[part].T, strict=True)
        )
        factors = phases @ charges
        potential = weights[part] * factors.conj()
        by_atom = np.concatenate([potential[None], potential * k.T]) @ phases
        energies += charges * by_atom[0].real
        forces += 2 * charges[:, None] * by_atom[1:].imag.T
        by_wave = weights[part] * np.abs(factors) ** 2
        virial += by_wave.sum() * np.eye(3)
        stretched = 2 * by_wave * (1 / squares[part] + 1 / (4 * widths.alpha**2))
        virial -= np.einsum("k,kx,ky->xy", stretched, k, k)
    return Sums(energies, forces, virial)


def _powers(fractions: np.ndarray, most: np.ndarray) -> list[np.ndarray]:
    """Return exp(2πi n s), (2 most + 1, n_atoms), by axis; negative n count from the end.

    Parameters
    ----------
    fractions : (n_atoms, 3) float64
        Fractional coordinates s.
    most : (3,) int64
        Largest size of n along each axis.
    """
    tables = []
    for column, largest in zip(fractions.T, most.tolist(), strict=True):
        n = np.concatenate([np.arange(largest + 1), np.arange(-largest, 0)])
        tables.append(np.exp(2j * math.pi * np.multiply.outer(n, column)))
    return tables


def _multiples(cell: np.ndarray, k_cut: float) -> np.ndarray:
    """Return one of each pair ±k of waves up to `k_cut`, in reciprocal vectors, (n, 3)."""
    # k·a = 2π n for a lattice vector a, so |n| <= |k| |a| / 2π.
    most = np.floor(k_cut * np.linalg.norm(cell, axis=1) / (2 * math.pi)).astype(int)
    first, *others = (np.arange(-n, n + 1) for n in most)
    grid = np.meshgrid(first[most[0] :], *others, indexing="ij")
    n = np.stack(grid, axis=-1).reshape(-1, 3)
    half = (n[:, 0] > 0) | ((n[:, 0] == 0) & (n[:, 1] > 0))
    half |= (n[:, 0] == 0) & (n[:, 1] == 0) & (n[:, 2] > 0)
    n = n[half]
    sizes = 2 * math.pi * np.linalg.norm(n @ np.linalg.inv(cell).T, axis=1)
    return n[sizes <= k_cut]
