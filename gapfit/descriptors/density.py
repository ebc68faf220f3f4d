"""Densities of neighbours for the core: radial functions by species, and channels."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gapfit.config.checks import MOST_CHANNELS
from gapfit.descriptors.radial import RadialDensity, table
from gapfit.errors import GapfitError

__all__ = ["RadialTables", "contracted", "leading", "n_leading", "shared"]

#: Share of the largest variance of a degree below which another is zero by symmetry.
_VANISHES = 1e-9


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


def shared(
    density: RadialDensity, cutoff: float, channels: list[int], width: int
) -> RadialTables:
    """Return the same radial functions for all species.

    Parameters
    ----------
    density : RadialDensity
        The functions.
    cutoff : float
        Range of the neighbours, Å.
    channels : list of int
        Density channel of each species.
    width : int
        Number of functions of a channel; those that the density lacks are zero.
    """
    values, spacing = table(density, cutoff)
    missing = width - density.n_max
    values = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, missing)])
    centre = np.pad(density.centre, (0, missing))
    return RadialTables(
        values[None], [0] * len(channels), spacing, centre[None], channels
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


def n_leading(gram: np.ndarray, channels: int | float | str) -> int:
    """Return how many combinations of densities to keep.

    Parameters
    ----------
    gram : (l_max + 1, n, n) float64
        Σ c c^T over environments and m.
    channels : int or float
        Their number; or the share of the variance that the leading combinations of every
        degree have to hold. Degrees that vanish in the data do not count.

    Raises
    ------
    GapfitError
        The share needs more channels than there can be.
    """
    if not isinstance(channels, float):
        return int(channels)
    sizes = np.linalg.eigvalsh(gram)[:, ::-1].clip(0)
    total = sizes.sum(axis=1)
    present = total > _VANISHES * total.max()
    kept = np.cumsum(sizes[present], axis=1) / total[present, None]
    # Sums of all sizes may round to less than 1.
    q = min(int((kept < channels).sum(axis=1).max(initial=0)) + 1, len(gram[0]))
    if q > MOST_CHANNELS:
        held = kept[:, MOST_CHANNELS - 1].min()
        raise GapfitError(
            f"channels = {channels}: that share of the variance takes {q} channels; the "
            f"most that there can be, {MOST_CHANNELS}, hold {held:.6f}: give a smaller one"
        )
    return q


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
