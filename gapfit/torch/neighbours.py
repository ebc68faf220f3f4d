"""Neighbour lists of many structures at once, by cells, on any device."""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["neighbour_list"]

# Atoms times cells that are looked through together, and pairs, near or not.
_TOGETHER, _PAIRS = 1_000_000, 4_000_000
# Widths of cells to choose from, in cutoffs.
_SHARES = (1.0, 0.67, 0.5, 0.34)


class _Grid(NamedTuple):
    """Cells that the atoms of each structure are sorted into.

    Attributes
    ----------
    n : (n_systems, 3) int64
        Number of cells along each direction.
    reach : (n_systems, 3) int64
        How many cells away neighbours may be.
    first : (n_systems,) int64
        Number of the first cell of each structure.
    """

    n: Tensor
    reach: Tensor
    first: Tensor


class _Seen(NamedTuple):
    """Atoms with the cells that they look at, which have atoms.

    Attributes
    ----------
    atom : (n,) int64
        The atoms that look.
    image : (n, 3) int64
        Lattice vectors to the cell.
    cell, count : (n,) int64
        Number of the cell, and of atoms in it.
    """

    atom: Tensor
    image: Tensor
    cell: Tensor
    count: Tensor


def neighbour_list(
    positions: Tensor, cells: Tensor, pbc: Tensor, system: Tensor, cutoff: float
) -> tuple[Tensor, Tensor]:
    """Return all pairs of atoms of the same structure within a cutoff.

    Parameters
    ----------
    positions : (n_atoms, 3) float
        Å. Atoms whose positions are not finite have no pairs.
    cells : (n_systems, 3, 3) float
        Lattice vectors as rows, Å; those of open directions do not count.
    pbc : (n_systems, 3) bool
        Whether each direction is periodic.
    system : (n_atoms,) int64
        Structure of each atom, from 0.
    cutoff : float
        Å.

    Returns
    -------
    pairs : (2, n_pairs) int64
        Centre and neighbour; each pair comes in both directions.
    shifts : (n_pairs, 3) int64
        Lattice vectors between the cells: R = r_j + shift · cell - r_i.

    Raises
    ------
    ValueError
        Shapes or types do not fit, or periodic lattice vectors lie in a plane or a line.
    """
    _check(positions, cells, pbc, system)
    if len(positions) == 0:
        return torch.zeros_like(system).long().expand(2, 0), positions.long()
    positions, cells = positions.detach(), cells.detach() * pbc.unsqueeze(2)
    periodic = pbc[system]
    # Coordinates: of the lattice, from 0 to 1, where periodic; otherwise Å from the least.
    inverse = _inverse(_completed(cells, pbc))
    x = torch.bmm(positions.unsqueeze(1), inverse[system]).squeeze(1)
    turns = torch.where(periodic, torch.floor(x), 0.0)
    x = x - turns
    index = system.unsqueeze(1).expand(-1, 3)
    infinite = torch.full_like(cells[:, 0], torch.inf)
    least = infinite.scatter_reduce(0, index, x, "amin")
    least = torch.where(pbc, 0.0, least)
    x = x - least[system]
    extent = (-infinite).scatter_reduce(0, index, x, "amax")
    heights = 1.0 / torch.linalg.vector_norm(inverse, dim=1)
    lengths = torch.where(pbc, heights, extent)
    grid = _grid(lengths, pbc, system, cutoff)
    share = torch.where(pbc, torch.ones_like(lengths), lengths.clamp(min=1e-9))
    at = (x / share[system] * grid.n[system]).long()
    at = torch.minimum(at.clamp(min=0), grid.n[system] - 1)
    wrapped = positions - torch.bmm(turns.unsqueeze(1), cells[system]).squeeze(1)
    offsets = _offsets(grid.reach)
    cell = _number(grid, system, at)
    counts = torch.bincount(cell, minlength=int(grid.n.prod(dim=1).sum()))
    order = torch.argsort(cell, stable=True)
    begins = torch.cumsum(counts, dim=0) - counts
    pairs, shifts = [], []
    n_together = max(_TOGETHER // len(offsets), 1)
    for some in torch.arange(len(positions), device=order.device).split(n_together):
        for seen in _parts(_seen(grid, pbc, system, at, offsets, some, counts)):
            i, places, image = _both(seen, begins)
            j = order[places]
            R = wrapped[j] - wrapped[i]
            across = torch.bmm(image.to(R.dtype).unsqueeze(1), cells[system[i]])
            R = R + across.squeeze(1)
            near = (R * R).sum(dim=1) < cutoff**2
            near &= (i != j) | image.any(dim=1)
            i, j = i[near], j[near]
            pairs.append(torch.stack([i, j]))
            shifts.append(image[near] + (turns[i] - turns[j]).long())
    return torch.cat(pairs, dim=1), torch.cat(shifts)


def _check(positions: Tensor, cells: Tensor, pbc: Tensor, system: Tensor) -> None:
    """Raise a ValueError unless shapes and types fit."""
    n_atoms, n_systems = len(system), len(cells)
    for name, tensor, shape in (
        ("positions", positions, (n_atoms, 3)),
        ("cells", cells, (n_systems, 3, 3)),
        ("pbc", pbc, (n_systems, 3)),
    ):
        if tensor.shape != shape:
            raise ValueError(
                f"{name} of shape {tuple(tensor.shape)}: for {n_atoms} atoms in "
                f"{n_systems} structures it must be {shape}"
            )
    if positions.dtype != cells.dtype or pbc.dtype != torch.bool:
        raise ValueError(
            f"positions are {positions.dtype}, cells {cells.dtype} and pbc {pbc.dtype}: "
            "the first two must be the same, and the last bool"
        )


def _inverse(cells: Tensor) -> Tensor:
    inverse, wrong = torch.linalg.inv_ex(cells)
    if bool(wrong.any()):
        raise ValueError(
            f"the cell of structure {int(wrong.nonzero()[0])} has no volume: give lattice "
            "vectors that span one, or pbc = False along those that are zero"
        )
    return inverse


def _completed(cells: Tensor, pbc: Tensor) -> Tensor:
    """Return cells with unit vectors across all others in place of open directions."""
    if bool(pbc.all()):
        return cells
    _, _, rows = torch.linalg.svd(cells)
    n_open = (~pbc).sum(dim=1, keepdim=True)
    # Rows that span what the lattice vectors do not are the last ones.
    number = torch.cumsum((~pbc).long(), dim=1) - 1
    which = (3 - n_open + number).clamp(min=0, max=2).unsqueeze(2).expand(-1, 3, 3)
    return torch.where(pbc.unsqueeze(2), cells, rows.gather(1, which))


def _grid(lengths: Tensor, pbc: Tensor, system: Tensor, cutoff: float) -> _Grid:
    """Return the cells that let each structure look at fewest cells and atoms."""
    n_atoms = torch.bincount(system, minlength=len(lengths)).to(lengths.dtype)
    most = (2.0 * n_atoms ** (1 / 3)).ceil().long().clamp(min=1).unsqueeze(1)
    share = torch.tensor(_SHARES, dtype=lengths.dtype, device=lengths.device)
    n = (lengths / (share.view(-1, 1, 1) * cutoff)).long().clamp(min=1)
    n = torch.minimum(n, most)
    reach = torch.ceil(cutoff * n / lengths.clamp(min=1e-9)).long()
    reach = torch.where(pbc, reach, torch.minimum(reach, n - 1))
    looks = (2 * reach + 1).prod(dim=2) * (1.0 + n_atoms / n.prod(dim=2))
    best = looks.argmin(dim=0).view(1, -1, 1).expand(1, -1, 3)
    n, reach = n.gather(0, best)[0], reach.gather(0, best)[0]
    ends = torch.cumsum(n.prod(dim=1), dim=0)
    return _Grid(n, reach, ends - n.prod(dim=1))


def _offsets(reach: Tensor) -> Tensor:
    """Return the distances in cells that any structure looks at, (n_offsets, 3)."""
    most = reach.amax(dim=0).tolist()
    ranges = [torch.arange(-m, m + 1, device=reach.device) for m in most]
    return torch.cartesian_prod(*ranges)


def _number(grid: _Grid, system: Tensor, at: Tensor) -> Tensor:
    n = grid.n[system]
    number = (at[..., 0] * n[..., 1] + at[..., 1]) * n[..., 2] + at[..., 2]
    return grid.first[system] + number


def _seen(
    grid: _Grid,
    pbc: Tensor,
    system: Tensor,
    at: Tensor,
    offsets: Tensor,
    some: Tensor,
    counts: Tensor,
) -> _Seen:
    """Return what some atoms see."""
    own = system[some].unsqueeze(1).expand(-1, len(offsets))
    target = at[some].unsqueeze(1) + offsets
    n = grid.n[own]
    image = torch.div(target, n, rounding_mode="floor")
    seen = (offsets.abs() <= grid.reach[own]) & (pbc[own] | (image == 0))
    a, o = torch.nonzero(seen.all(dim=2), as_tuple=True)
    cell = _number(grid, own[a, o], (target - image * n)[a, o])
    count = counts[cell]
    full = torch.nonzero(count).flatten()
    return _Seen(some[a[full]], image[a[full], o[full]], cell[full], count[full])


def _parts(seen: _Seen) -> Iterator[_Seen]:
    """Yield parts that have about so many pairs that memory is bounded."""
    ends = torch.cumsum(seen.count, dim=0)
    n_parts = int(ends[-1:].sum()) // _PAIRS + 1
    limits = torch.arange(1, n_parts, device=ends.device) * _PAIRS
    places = [0, *torch.searchsorted(ends, limits).tolist(), len(ends)]
    for begin, end in pairwise(places):
        yield _Seen(*(part[begin:end] for part in seen))


def _both(seen: _Seen, begins: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return all pairs: atom, place of the other one in the order by cells, and image.

    `begins` are the places where the atoms of the cells begin.
    """
    i = seen.atom.repeat_interleave(seen.count)
    first = torch.cumsum(seen.count, dim=0) - seen.count - begins[seen.cell]
    places = torch.arange(len(i), device=i.device)
    places = places - first.repeat_interleave(seen.count)
    return i, places, seen.image.repeat_interleave(seen.count, dim=0)
