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

__all__ = ["COULOMB", "Sums", "Widths", "direct_sums", "reciprocal_sums", "widths"]

#: e² / (4 π ε0), eV Å.
COULOMB = 14.399645478
#: Both sums end where exp(-s²) is negligible: 6e-13.
_REACH = 5.3
#: Longest range of the direct sum, Å: limits the memory of its pairs.
_LONGEST = 15.0
#: Waves times atoms that are treated at a time: 8 bytes each, a few times.
_AT_ONCE = 1_000_000


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
    """Return widths with which both sums of one structure take a similar time.

    Parameters
    ----------
    n_atoms : int
        Number of atoms.
    volume : float
        Volume of the cell, Å³.
    """
    alpha = math.sqrt(math.pi) * (n_atoms / volume**2) ** (1 / 6)
    alpha = max(alpha, _REACH / _LONGEST)
    return Widths(alpha, _REACH / alpha, 2 * alpha * _REACH)


def direct_sums(
    charges: np.ndarray, i: np.ndarray, j: np.ndarray, R: np.ndarray, alpha: float
) -> Sums:
    """Return the sum over pairs, screened by erfc(α r); α = 0: all of a molecule.

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
    waves = _waves(cell, widths.k_cut)
    volume = abs(float(np.linalg.det(cell)))
    energies = -COULOMB * widths.alpha / math.sqrt(math.pi) * charges**2
    forces, virial = np.zeros((len(charges), 3)), np.zeros((3, 3))
    size = max(_AT_ONCE // len(charges), 1)
    for first in range(0, len(waves), size):
        k = waves[first : first + size]
        squares = np.einsum("kx,kx->k", k, k)
        # Half of all waves, so each counts twice.
        weights = 4 * math.pi * COULOMB / volume / squares
        weights *= np.exp(-squares / (4 * widths.alpha**2))
        phases = np.einsum("kx,ix->ki", k, positions)
        cosines, sines = charges * np.cos(phases), charges * np.sin(phases)
        real, imaginary = cosines.sum(axis=1), sines.sum(axis=1)
        energies += np.einsum("k,ki->i", weights * real, cosines)
        energies += np.einsum("k,ki->i", weights * imaginary, sines)
        turned = real[:, None] * sines - imaginary[:, None] * cosines
        forces += 2 * np.einsum("k,ki,kx->ix", weights, turned, k, optimize=True)
        by_wave = weights * (real**2 + imaginary**2)
        virial += by_wave.sum() * np.eye(3)
        stretched = 2 * by_wave * (1 / squares + 1 / (4 * widths.alpha**2))
        virial -= np.einsum("k,kx,ky->xy", stretched, k, k)
    return Sums(energies, forces, virial)


def _waves(cell: np.ndarray, k_cut: float) -> np.ndarray:
    """Return one of each pair ±k of reciprocal vectors up to `k_cut`, (n_waves, 3)."""
    reciprocal = 2 * math.pi * np.linalg.inv(cell).T
    # k·a = 2π n for a lattice vector a, so |n| <= |k| |a| / 2π.
    most = np.floor(k_cut * np.linalg.norm(cell, axis=1) / (2 * math.pi)).astype(int)
    first, *others = (np.arange(-n, n + 1) for n in most)
    grid = np.meshgrid(first[most[0] :], *others, indexing="ij")
    n = np.stack(grid, axis=-1).reshape(-1, 3)
    half = (n[:, 0] > 0) | ((n[:, 0] == 0) & (n[:, 1] > 0))
    half |= (n[:, 0] == 0) & (n[:, 1] == 0) & (n[:, 2] > 0)
    waves = n[half] @ reciprocal
    return waves[np.einsum("kx,kx->k", waves, waves) <= k_cut**2]
