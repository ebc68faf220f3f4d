"""Functions of a structure that are averaged along a trajectory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from gapfit.data.frame import Frame, as_frame
from gapfit.data.neighbours import pair_list
from gapfit.descriptors.blocks import species_label
from gapfit.errors import GapfitError

__all__ = ["Observable", "observe", "radial_distribution", "radial_distributions"]

# Width of the bins of a radial distribution, Å.
_WIDTH = 0.1


@dataclass(frozen=True, eq=False)
class Observable:
    """A function of a structure, with what tables need to know of it.

    Attributes
    ----------
    function : callable
        Takes ase.Atoms and returns a number or a one-dimensional array, of the same length
        for all structures.
    unit : str
        Unit of the values.
    grid : (n_values,) float64 or None
        Where the values are, such as distances.
    grid_unit : str
        Unit of the grid.
    """

    function: Callable[[Any], Any]
    unit: str = ""
    grid: np.ndarray | None = None
    grid_unit: str = ""


def radial_distribution(
    reach: float, *, n_bins: int | None = None, pair: tuple[int, int] | None = None
) -> Observable:
    """Return the radial distribution function g(r) as an observable.

    Parameters
    ----------
    reach : float
        Largest distance, Å; it may exceed half of the cell.
    n_bins : int, optional
        Number of bins; by default they are 0.1 Å wide.
    pair : tuple of int, optional
        Atomic numbers of the centre and of its neighbours; by default all atoms.

    Returns
    -------
    Observable
        Counts of neighbours over those of a gas of this density, 1 far away.

    Raises
    ------
    GapfitError
        `reach` or `n_bins` is not positive; later, a structure that is not periodic in
        three directions, which has no density, or without atoms of the pair.
    """
    if not 0 < reach < np.inf:
        raise GapfitError(
            f"reach = {reach:g} Å: give a positive distance for the radial distribution"
        )
    n_bins = max(round(reach / _WIDTH), 1) if n_bins is None else n_bins
    if n_bins < 1:
        raise GapfitError(f"n_bins = {n_bins}: give a positive number of bins")
    edges = np.linspace(0.0, reach, n_bins + 1)

    def function(atoms: Any) -> np.ndarray:
        return _radial(as_frame(atoms, "structure"), edges, pair)

    return Observable(function, "", 0.5 * (edges[:-1] + edges[1:]), "Å")


def radial_distributions(reach: float, numbers: np.ndarray) -> dict[str, Observable]:
    """Return the radial distributions of all pairs of species, by name.

    Parameters
    ----------
    reach : float
        Largest distance, Å.
    numbers : (n_atoms,) int64
        Atomic numbers of a structure.
    """
    species = sorted({int(z) for z in numbers})
    if len(species) == 1:
        return {"rdf": radial_distribution(reach)}
    return {
        f"rdf {species_label(*pair)}": radial_distribution(reach, pair=pair)
        for pair in combinations_with_replacement(species, 2)
    }


def _radial(
    frame: Frame, edges: np.ndarray, pair: tuple[int, int] | None
) -> np.ndarray:
    if not (frame.pbc.all() and frame.has_volume):
        raise GapfitError(
            f"{frame.source}: not periodic in three directions, so it has no density for "
            "a radial distribution; leave it out, or average a function of your own"
        )
    pairs = pair_list(frame, float(edges[-1]))
    distances = np.linalg.norm(pairs.R, axis=1)
    n_centres = n_neighbours = frame.n_atoms
    if pair is not None:
        a, b = pair
        chosen = (frame.numbers[pairs.i] == a) & (frame.numbers[pairs.j] == b)
        distances = distances[chosen]
        n_centres, n_neighbours = (int((frame.numbers == z).sum()) for z in pair)
        if not (n_centres and n_neighbours):
            raise GapfitError(
                f"{frame.source}: no atoms of the pair {species_label(a, b)}; name a pair "
                "that the structures have"
            )
    counts, _ = np.histogram(distances, edges)
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    g: np.ndarray = counts * frame.volume / (n_centres * n_neighbours * shells)
    return g


def observe(
    observables: Mapping[str, Observable], structures: Sequence[Any]
) -> dict[str, np.ndarray]:
    """Return the values of all observables, (n_frames, n_values) float64 each, by name.

    Parameters
    ----------
    observables : mapping of str to Observable
        By name.
    structures : sequence of ase.Atoms
        The trajectory.

    Raises
    ------
    GapfitError
        A value is not finite, or has another shape than in the first structure.
    """
    values: dict[str, list[np.ndarray]] = {name: [] for name in observables}
    for n, atoms in enumerate(structures):
        for name, observable in observables.items():
            found = np.asarray(observable.function(atoms), dtype=float)
            _check(f"{name}, structure {n}", found, values[name])
            values[name].append(found.reshape(-1))
    return {name: np.stack(found) for name, found in values.items()}


def _check(where: str, found: np.ndarray, before: Sequence[np.ndarray]) -> None:
    if not found.size:
        raise GapfitError(
            f"{where}: the function returned nothing; return a number or an array"
        )
    if found.ndim > 1:
        raise GapfitError(
            f"{where}: the function returned an array of shape {found.shape}; return a "
            "number or a one-dimensional array"
        )
    if before and found.size != len(before[0]):
        raise GapfitError(
            f"{where}: the function returned {found.size} values, and {len(before[0])} "
            "for the first structure; return as many for each"
        )
    if not np.isfinite(found).all():
        raise GapfitError(
            f"{where}: the function returned a value that is not finite; return finite "
            "numbers for each structure"
        )
