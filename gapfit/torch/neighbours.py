"""Neighbour lists of many structures at once, by cells, on any device."""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from gapfit.torch.pairs import times_matrices

__all__ = ["inverse_cells", "neighbour_list", "periodic_cells"]

# Most looks of atoms at cells, and most pairs, near or not, that are handled together.
_TOGETHER, _PAIRS = 1_000_000, 4_000_000
# Widths of cells to choose from, in cutoffs.
_SHARES = (1.0, 0.67, 0.5, 0.34)
# Bound of the numbers of cells, about 2^62.
_LAST = 4.6e18


class _Grid(NamedTuple):
    """Cells that space is divided into.

    Attributes
    ----------
    n : (n_systems, 3) int64
        Number of cells along each direction.
    reach : (n_systems, 3) int64
        How many cells away neighbours may be.
    first : (n_systems,) int64
        Number of the first cell of each structure.
    pbc : (n_systems, 3) bool
        Whether each direction is periodic.
    """

    n: Tensor
    reach: Tensor
    first: Tensor
    pbc: Tensor


class _Cells(NamedTuple):
    """Cells that have atoms, by number.

    Attributes
    ----------
    number : (n_cells,) int64
        Their numbers, ascending.
    begin, count : (n_cells,) int64
        Where their atoms begin in order, and how many they are.
    system : (n_cells,) int64
        Their structures.
    at : (n_cells, 3) int64
        Their places in the grid.
    """

    number: Tensor
    begin: Tensor
    count: Tensor
    system: Tensor
    at: Tensor


class _Seen(NamedTuple):
    """Atoms with the cells that they look at.

    Attributes
    ----------
    atom : (n,) int64
        The atoms that look, as places in the order by cells.
    image : (n, 3) int64
        Lattice vectors to the cell.
    begin, count : (n,) int64
        Where the atoms of the cell begin that are looked at, and how many they are.
    """

    atom: Tensor
    image: Tensor
    begin: Tensor
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
        Lattice vectors as rows, Å; those of open directions do not count. If others are not
        finite, the structure has no pairs.
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
    positions, cells = positions.detach(), cells.detach()
    cells, pbc, finite = periodic_cells(cells, pbc)
    # Only atoms that are somewhere; below they are sorted by cell.
    somewhere = torch.isfinite(positions).all(dim=1) & finite.index_select(0, system)
    order = torch.nonzero(somewhere).flatten()
    if len(order) == 0:
        return order.expand(2, 0), order.new_zeros(0, 3)
    positions, system = positions[order], system[order]
    at, turns, grid = _places(positions, cells, pbc, system, cutoff)
    number, by_cell = torch.sort(_number(grid, system, at), stable=True)
    order, positions, system, at, turns = (
        part[by_cell] for part in (order, positions, system, at, turns)
    )
    occupied = _occupied(number, system, at)
    wrapped = positions - times_matrices(turns, cells, system)
    turns = turns.long()
    first, second, shifts = [], [], []
    for begin, end in _together(grid, occupied):
        for seen in _parts(_seen(grid, occupied, begin, end)):
            i, j, image = _both(seen)
            R = wrapped.index_select(0, j) - wrapped.index_select(0, i)
            R = R + times_matrices(image, cells, system.index_select(0, i))
            near = torch.nonzero((R * R).sum(dim=1) < cutoff**2).flatten()
            i, j = i.index_select(0, near), j.index_select(0, near)
            turned = turns.index_select(0, i) - turns.index_select(0, j)
            shifts.append(image.index_select(0, near) + turned)
            first.append(order.index_select(0, i))
            second.append(order.index_select(0, j))
    i, j, shift = torch.cat(first), torch.cat(second), torch.cat(shifts)
    both = torch.stack([torch.cat([i, j]), torch.cat([j, i])])
    return both, torch.cat([shift, -shift])


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


def inverse_cells(cells: Tensor, pbc: Tensor) -> Tensor:
    """Return what turns positions into coordinates along lattice vectors, (n, 3, 3).

    Those of open directions are in Å. Cells are those of `periodic_cells`.

    Raises
    ------
    ValueError
        Lattice vectors lie in a plane or a line.
    """
    inverse, wrong = torch.linalg.inv_ex(_completed(cells, pbc))
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


def periodic_cells(cells: Tensor, pbc: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return cells whose lattice vectors of open directions are zero.

    Returns
    -------
    cells : (n_systems, 3, 3) float
        Å; all zero where what remains is not finite.
    pbc : (n_systems, 3) bool
        Periodic directions; none there.
    finite : (n_systems,) bool
        Whether what remains is finite.
    """
    cells = torch.where(pbc.unsqueeze(2), cells, 0.0)
    finite = torch.isfinite(cells).flatten(1).all(dim=1)
    cells = torch.where(finite.view(-1, 1, 1), cells, 0.0)
    return cells, pbc & finite.unsqueeze(1), finite


def _places(
    positions: Tensor, cells: Tensor, pbc: Tensor, system: Tensor, cutoff: float
) -> tuple[Tensor, Tensor, _Grid]:
    """Return where the atoms are in a grid.

    Returns
    -------
    at : (n_atoms, 3) int64
        Cells of the atoms.
    turns : (n_atoms, 3) float64
        How many lattice vectors each atom is away from there.
    grid : _Grid
        The cells.
    """
    # Numbers of cells may be large: single precision would move atoms to others.
    positions, cells = positions.double(), cells.double()
    # Coordinates: of the lattice, from 0 to 1, where periodic; otherwise Å from the least.
    inverse = inverse_cells(cells, pbc)
    x = times_matrices(positions, inverse, system)
    turns = torch.where(pbc[system], torch.floor(x), 0.0)
    x = x - turns
    index = system.unsqueeze(1).expand(-1, 3)
    infinite = torch.full_like(cells[:, 0], torch.inf)
    least = infinite.scatter_reduce(0, index, x, "amin")
    x = x - torch.where(pbc, 0.0, least)[system]
    extent = (-infinite).scatter_reduce(0, index, x, "amax").clamp(min=1e-9)
    heights = 1.0 / torch.linalg.vector_norm(inverse, dim=1)
    grid = _grid(torch.where(pbc, heights, extent), pbc, system, cutoff)
    share = torch.where(pbc, 1.0, extent)
    at = (x / share[system] * grid.n[system]).long()
    return torch.minimum(at.clamp(min=0), grid.n[system] - 1), turns, grid


def _grid(lengths: Tensor, pbc: Tensor, system: Tensor, cutoff: float) -> _Grid:
    """Return the cells that let each structure look at fewest cells and atoms."""
    n_atoms = torch.bincount(system, minlength=len(lengths)).to(lengths.dtype)
    share = torch.tensor(_SHARES, dtype=lengths.dtype, device=lengths.device)
    n = (lengths / (share.view(-1, 1, 1) * cutoff)).floor()
    n = _limited(n.clamp(min=1.0), _LAST / len(lengths))
    reach = torch.ceil(cutoff * n / lengths)
    reach = torch.where(pbc, reach, torch.minimum(reach, n - 1.0))
    n_cells = n.prod(dim=2)
    occupied = torch.minimum(n_atoms, n_cells)
    looks = (2.0 * reach + 1.0).prod(dim=2) * (occupied + n_atoms * n_atoms / n_cells)
    best = looks.argmin(dim=0).view(1, -1, 1).expand(1, -1, 3)
    n, reach = n.gather(0, best)[0].long(), reach.gather(0, best)[0].long()
    ends = torch.cumsum(n.prod(dim=1), dim=0)
    return _Grid(n, reach, ends - n.prod(dim=1), pbc)


def _limited(n: Tensor, most: float) -> Tensor:
    """Return numbers of cells along three directions that make no more than `most`.

    The largest are made smaller: atoms are then some 10⁷ cutoffs apart along each.
    """
    (a, b, c), place = (part.unbind(2) for part in n.sort(dim=2))
    a = a.clamp(max=int(most ** (1 / 3)))
    b = torch.minimum(b, (most / a).sqrt().floor())
    c = torch.minimum(c, (most / (a * b)).floor())
    ordered = torch.stack([a, b, c], dim=2)
    return torch.empty_like(ordered).scatter(2, torch.stack(place, dim=2), ordered)


def _number(grid: _Grid, system: Tensor, at: Tensor) -> Tensor:
    n = grid.n[system]
    number = (at[:, 0] * n[:, 1] + at[:, 1]) * n[:, 2] + at[:, 2]
    return grid.first[system] + number


def _occupied(number: Tensor, system: Tensor, at: Tensor) -> _Cells:
    """Return the cells of atoms that are sorted by their number."""
    number, count = torch.unique_consecutive(number, return_counts=True)
    begin = torch.cumsum(count, dim=0) - count
    return _Cells(number, begin, count, system[begin], at[begin])


def _half(grid: _Grid, system: Tensor) -> Tensor:
    """Return how many cells a cell looks at: itself, and half of those around it."""
    return ((2 * grid.reach + 1).prod(dim=1) // 2 + 1)[system]


def _together(grid: _Grid, cells: _Cells) -> Iterator[tuple[int, int]]:
    """Yield ranges of cells with about `_TOGETHER` looks each, to bound memory."""
    return _ranges(_half(grid, cells.system) * cells.count, _TOGETHER)


def _parts(seen: _Seen) -> Iterator[_Seen]:
    """Yield parts of about `_PAIRS` pairs each, to bound memory."""
    for begin, end in _ranges(seen.count, _PAIRS):
        yield _Seen(*(part[begin:end] for part in seen))


def _ranges(sizes: Tensor, most: int) -> Iterator[tuple[int, int]]:
    """Yield ranges whose sizes add up to about `most`; larger ones are not divided."""
    ends = torch.cumsum(sizes, dim=0)
    n_parts = int(ends[-1:].sum()) // most + 1
    limits = torch.arange(1, n_parts, device=ends.device) * most
    places = torch.searchsorted(ends, limits).tolist()
    yield from pairwise([0, *places, len(ends)])


def _ragged(sizes: Tensor) -> tuple[Tensor, Tensor]:
    """Return for rows of some sizes the row of each element and its place there."""
    row = torch.arange(len(sizes), device=sizes.device).repeat_interleave(sizes)
    begins = torch.cumsum(sizes, dim=0) - sizes
    place = torch.arange(len(row), device=row.device)
    return row, place - begins.index_select(0, row)


def _seen(grid: _Grid, cells: _Cells, begin: int, end: int) -> _Seen:
    """Return what the atoms of a range of cells see: each pair from one side only."""
    half = _half(grid, cells.system[begin:end])
    cell, place = _ragged(half)
    cell = cell + begin
    system = cells.system[cell]
    reach, n = grid.reach[system], grid.n[system]
    # From the middle on: the cell itself, then those behind it.
    place = place + half[cell - begin] - 1
    size = 2 * reach + 1
    row = torch.div(place, size[:, 2], rounding_mode="floor")
    plane = torch.div(row, size[:, 1], rounding_mode="floor")
    offset = torch.stack(
        [plane, row - plane * size[:, 1], place - row * size[:, 2]], dim=1
    )
    target = cells.at[cell] + offset - reach
    image = torch.div(target, n, rounding_mode="floor")
    number = _number(grid, system, target - image * n)
    other = torch.searchsorted(cells.number, number).clamp(max=len(cells.number) - 1)
    there = (grid.pbc[system] | (image == 0)).all(dim=1)
    there = torch.nonzero(there & (cells.number[other] == number)).flatten()
    cell, other, image = cell[there], other[there], image[there]
    row, place = _ragged(cells.count[cell])
    atom = cells.begin[cell[row]] + place
    first, count = cells.begin[other[row]], cells.count[other[row]]
    # In its own cell an atom sees those that follow it.
    own = (cell == other) & (image == 0).all(dim=1)
    skipped = torch.where(own[row], place + 1, 0)
    return _Seen(atom, image[row], first + skipped, count - skipped)


def _both(seen: _Seen) -> tuple[Tensor, Tensor, Tensor]:
    """Return all pairs: two atoms by their places in order, and lattice vectors."""
    row, place = _ragged(seen.count)
    i, j, image = (
        part.index_select(0, row) for part in (seen.atom, seen.begin, seen.image)
    )
    return i, j + place, image
