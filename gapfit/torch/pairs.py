"""Pairs of atoms as tensors, and their grouping by central atom and channel.

Modules of this package are compiled by TorchScript, which reads annotations as they stand:
they are not deferred here.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from gapfit.model.rows import DEVICE_CHUNK_BYTES

__all__ = [
    "Groups",
    "Neighbours",
    "by_centre",
    "chunk_memory",
    "chunks",
    "group",
    "of_centres",
    "picked",
    "times_matrices",
]


def picked(values: Tensor, some: Tensor) -> Tensor:
    """Return values[some]; `some` are different places (n,), ascending.

    Often they are all: then `values` itself is returned, which must not be changed.
    """
    if some.shape[0] == values.shape[0]:
        return values
    return values.index_select(0, some)


def times_matrices(rows: Tensor, matrices: Tensor, system: Tensor) -> Tensor:
    """Return the products of rows with the matrix of their structure, (n, 3).

    Parameters
    ----------
    rows : (n, 3) float or int
        Numbers of lattice vectors, say.
    matrices : (n_systems, 3, 3) float
        Lattice vectors as rows, say.
    system : (n,) int64
        Structure of each row.
    """
    rows = rows.to(matrices.dtype)
    if matrices.shape[0] == 1:
        return rows @ matrices[0]
    own = matrices.index_select(0, system)
    return torch.bmm(rows.unsqueeze(1), own).squeeze(1)


class Neighbours(NamedTuple):
    """Full neighbour list of one or several structures.

    Attributes
    ----------
    centre, neighbour : (n_pairs,) int64
        Numbers of the atoms.
    R : (n_pairs, 3) float
        Vectors from centre to neighbour, Å.
    r : (n_pairs,) float
        Their lengths, Å.
    species : (n_atoms,) int64
        Place of each atom's element among those of the potential.
    """

    centre: Tensor
    neighbour: Tensor
    R: Tensor
    r: Tensor
    species: Tensor


class Groups(NamedTuple):
    """Pairs sorted by central atom and channel; atoms are sorted by species and width.

    Attributes
    ----------
    atoms : (n_atoms,) int64
        Atoms in order.
    width : (n_atoms,) int64
        By atom in order, its largest number of pairs in one channel.
    counts : (n_atoms, n_channels) int64
        By atom in order, its pairs in each channel.
    pair : (n_pairs,) int64
        Pairs in order.
    row : (n_pairs,) int64
        By pair in order, (place of its centre in the order) · n_channels + channel.
    slot : (n_pairs,) int64
        By pair in order, its place among those of its centre and channel.
    first : (n_atoms + 1,) int64
        Where the pairs of each atom begin, both in order.
    ends : list of int
        Where the atoms of each species begin in the order, and the number of atoms.
    """

    atoms: Tensor
    width: Tensor
    counts: Tensor
    pair: Tensor
    row: Tensor
    slot: Tensor
    first: Tensor
    ends: list[int]


def group(
    centre: Tensor, channel: Tensor, n_channels: int, species: Tensor, n_species: int
) -> Groups:
    """Return pairs grouped by central atom and channel.

    Parameters
    ----------
    centre, channel : (n_pairs,) int64
        Central atom and channel of each pair.
    n_channels : int
        Number of channels.
    species : (n_atoms,) int64
        Species of the atoms, from 0.
    n_species : int
        Number of species.
    """
    n_atoms = species.shape[0]
    n_groups = n_atoms * n_channels
    cell = centre * n_channels + channel
    counts = torch.bincount(cell, minlength=n_groups).view(n_atoms, n_channels)
    width = counts.amax(dim=1)
    # Alike atoms together: chunks of them have one species, and little is padded.
    order = torch.argsort(species * (centre.shape[0] + 1) + width, stable=True)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(n_atoms, device=order.device)
    row = rank[centre] * n_channels + channel
    row, pair = torch.sort(row, stable=True)
    counts = counts[order]
    ends = torch.cumsum(counts.flatten(), dim=0)
    begins = ends - counts.flatten()
    slot = torch.arange(row.shape[0], device=row.device) - begins[row]
    first = torch.cat([begins.view(n_atoms, n_channels)[:, 0], ends[-1:]])
    of_species = torch.cumsum(torch.bincount(species, minlength=n_species), dim=0)
    places: list[int] = torch.nn.functional.pad(of_species, [1, 0]).tolist()
    return Groups(order, width[order], counts, pair, row, slot, first, places)


def chunks(groups: Groups, begin: int, end: int, most: int) -> list[list[int]]:
    """Return chunks of consecutive atoms in order, for the host.

    Parameters
    ----------
    groups : Groups
        Grouped pairs.
    begin, end : int
        Range of the atoms.
    most : int
        Largest number of atoms in a chunk.

    Returns
    -------
    list of [begin, end, first pair, last pair, width]
    """
    n = (end - begin + most - 1) // most
    places = [begin + (end - begin) * k // n for k in range(n + 1)]
    at = torch.tensor(places, device=groups.first.device)
    pairs: list[int] = groups.first[at].tolist()
    chunk = torch.repeat_interleave(at[1:] - at[:-1])
    widest = torch.ones_like(at[1:])
    widest = widest.scatter_reduce(0, chunk, groups.width[begin:end], "amax")
    widths: list[int] = widest.tolist()
    return [
        [places[k], places[k + 1], pairs[k], pairs[k + 1], widths[k]] for k in range(n)
    ]


def chunk_memory(given: int, on_cpu: bool, on_device: int = DEVICE_CHUNK_BYTES) -> int:
    """Return how many bytes atoms may take that are handled together.

    Parameters
    ----------
    given : int
        What the user wants; 0: what suits the device.
    on_cpu : bool
        Whether a CPU does it: glibc hands back more than 64 MB that are freed, and to get
        them again takes longer than what more atoms at once would save.
    on_device : int
        What suits another device; a default, as TorchScript reads no constants of modules.
    """
    if given > 0:
        return given
    return 48_000_000 if on_cpu else on_device


def by_centre(near: Neighbours, most: int) -> tuple[Tensor, list[list[int]]]:
    """Return the numbers of pairs by centre, and chunks of consecutive atoms.

    Parameters
    ----------
    near : Neighbours
        All pairs.
    most : int
        Largest number of atoms in a chunk.

    Returns
    -------
    order : (n_pairs,) int64
        Numbers of the pairs.
    chunks : list of [begin, end, first pair, last pair]
        For the host; at least one.
    """
    n_atoms = near.species.shape[0]
    order = torch.argsort(near.centre, stable=True)
    counts = torch.bincount(near.centre, minlength=n_atoms)
    first = torch.nn.functional.pad(torch.cumsum(counts, dim=0), [1, 0])
    n = max((n_atoms + most - 1) // most, 1)
    places = [n_atoms * k // n for k in range(n + 1)]
    pairs: list[int] = first[torch.tensor(places, device=first.device)].tolist()
    return order, [[places[k], places[k + 1], pairs[k], pairs[k + 1]] for k in range(n)]


def of_centres(
    near: Neighbours, order: Tensor, bounds: list[int], n_species: int
) -> Neighbours:
    """Return the pairs of a chunk of atoms alone; order and bounds as from `by_centre`.

    The atoms come first. Of neighbours only the species matters: behind the atoms there is
    one of each species, without pairs of its own, for all neighbours.
    """
    begin, end = bounds[0], bounds[1]
    pair = order[bounds[2] : bounds[3]]
    every = torch.arange(n_species, device=pair.device)
    return Neighbours(
        near.centre[pair] - begin,
        near.species[near.neighbour[pair]] + (end - begin),
        near.R[pair],
        near.r[pair],
        torch.cat([near.species[begin:end], every]),
    )
