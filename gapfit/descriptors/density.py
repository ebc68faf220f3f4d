"""Densities of neighbours for the core: radial functions by species, and channels."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gapfit.descriptors.radial import RadialDensity, table
from gapfit.errors import GapfitError

__all__ = ["RadialTables", "contracted", "leading", "shared"]


@dataclass(frozen=True, eq=False)
class RadialTables:
    """Radial functions and the channels that densities are summed up in.

    Attributes
    ----------
    table : (n_tables, n_knots, 3, l_max + 1, n_max) float64
        Functions and their first two derivatives at equidistant knots from 0.
    table_of : list of int
        Which table each species has.
    spacing : float
        Distance of the knots, Å.
    centre : (n_tables, n_max) float64
        Contribution of a central atom to c_n00.
    channel : list of int
        Density channel of each species.
    next : list of (int, float, int)
        Species, distance in Å and table that the species has from there on, by distance.
    """

    table: np.ndarray
    table_of: list[int]
    spacing: float
    centre: np.ndarray
    channel: list[int]
    next: list[tuple[int, float, int]] = field(default_factory=list)


def shared(density: RadialDensity, cutoff: float, channels: list[int]) -> RadialTables:
    """Return the same radial functions for all species.

    Parameters
    ----------
    density : RadialDensity
        The functions.
    cutoff : float
        Range of the neighbours, Å.
    channels : list of int
        Density channel of each species.
    """
    values, spacing = table(density, cutoff)
    return RadialTables(
        values[None], [0] * len(channels), spacing, density.centre[None], channels
    )


def contracted(
    density: RadialDensity, cutoff: float, directions: np.ndarray, n_species: int
) -> RadialTables:
    """Return combinations of radial functions and species in one channel.

    c_qlm = Σ_j f_q(r_j) Y_lm with f_q = Σ_n U^l_(a n)q f_nl for a neighbour of species a
    (Goscinski et al., J. Chem. Phys. 155, 104106 (2021)): the cost is that of q functions
    of one species.

    Parameters
    ----------
    density : RadialDensity
        The functions f_nl.
    cutoff : float
        Range of the neighbours, Å.
    directions : (l_max + 1, n_species · n_max, q) float64
        U by degree, from `leading`.
    n_species : int
        Species of neighbours.

    Raises
    ------
    GapfitError
        The directions are not of these functions.
    """
    n_degrees, n_rows, q = directions.shape
    if n_degrees != density.l_max + 1 or n_rows != n_species * density.n_max:
        raise GapfitError(
            f"directions of {n_degrees} degrees and {n_rows} densities do not fit l_max "
            f"= {density.l_max}, n_max = {density.n_max} and {n_species} species"
        )
    values, spacing = table(density, cutoff)
    U = directions.reshape(n_degrees, n_species, density.n_max, q)
    return RadialTables(
        np.ascontiguousarray(np.einsum("kdln,lsnq->skdlq", values, U)),
        list(range(n_species)),
        spacing,
        np.ascontiguousarray(np.einsum("n,snq->sq", density.centre, U[0])),
        [0] * n_species,
    )


def leading(gram: np.ndarray, q: int) -> np.ndarray:
    """Return the combinations of densities that vary most, by degree.

    Parameters
    ----------
    gram : (l_max + 1, n, n) float64
        Σ c c^T over environments and m.
    q : int
        Number of combinations.

    Returns
    -------
    (l_max + 1, n, q) float64
        Orthonormal columns, by decreasing variance; the largest element of each is
        positive.
    """
    vectors = np.linalg.eigh(gram)[1][:, :, ::-1][:, :, :q]
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=1)[:, None], 1)
    return np.ascontiguousarray(vectors * np.where(largest < 0, -1.0, 1.0))
