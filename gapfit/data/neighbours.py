"""Pair lists as arrays, for any mixture of periodic and open directions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from gapfit import _core
from gapfit.data.frame import Frame, determinant
from gapfit.errors import StructureError

__all__ = [
    "MIN_DISTANCE",
    "PAIR_BYTES",
    "Pairs",
    "concatenate",
    "core_pairs",
    "frame_pairs",
    "pair_list",
    "pairs_of",
    "separate",
    "sound_cell",
    "species_index",
]

_HEAVIEST = 118

#: Memory of a pair, bytes: arrays of `Pairs`, some of them twice.
PAIR_BYTES = 100
#: Atoms closer than this overlap, Å.
MIN_DISTANCE = 0.3
#: Density above that of any matter, 1/Å³; diamond has 0.18.
MAX_DENSITY = 10.0
#: Most neighbours of one atom in a search; each takes about 150 bytes.
MAX_NEIGHBOURS = 50_000
# Length, area and volume within a distance of 1.
_BALLS = (1.0, 2.0, math.pi, 4 / 3 * math.pi)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Full neighbour list of one or several frames, sorted by the first atom.

    Attributes
    ----------
    numbers : (n_atoms,) int64
        Atomic numbers of all atoms.
    frame : (n_atoms,) int64
        Frame each atom belongs to.
    n_frames : int
        Number of frames.
    i, j : (n_pairs,) int64
        Centre and neighbour; j is the atom in the cell whose image is the neighbour.
    R : (n_pairs, 3) float64
        Vector from centre to neighbour, r_j + S·cell - r_i, Å.
    first : (n_centres + 1,) int64
        Index of the first pair of each centre, and n_pairs.
    start, stop : int
        Atoms start..stop-1 are centres here; all atoms unless this is a `chunk`.
    """

    numbers: np.ndarray
    frame: np.ndarray
    n_frames: int
    i: np.ndarray
    j: np.ndarray
    R: np.ndarray
    first: np.ndarray
    start: int
    stop: int

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.numbers)

    @property
    def n_pairs(self) -> int:
        """Number of pairs; each pair of atoms counts twice."""
        return len(self.i)

    @property
    def n_centres(self) -> int:
        """Number of centres."""
        return self.stop - self.start

    def within(self, cutoff: float) -> Pairs:
        """Return the pairs shorter than a cutoff, Å."""
        inside = _core.pairs_within(self.first, self.i, self.j, self.R, cutoff)
        if inside is None:
            return self
        first, i, j, R, *_ = inside
        return replace(self, i=i, j=j, R=R, first=first)

    def chunks(self, max_pairs: int) -> Iterator[Pairs]:
        """Yield the list in pieces of whole centres, at most about `max_pairs` each."""
        first = self.first
        start = 0
        while start < self.n_centres:
            within = np.searchsorted(first, first[start] + max_pairs, side="right") - 1
            stop = min(max(int(within), start + 1), start + max_pairs, self.n_centres)
            pairs = slice(first[start], first[stop])
            yield replace(
                self,
                i=self.i[pairs],
                j=self.j[pairs],
                R=self.R[pairs],
                first=first[start : stop + 1] - first[start],
                start=self.start + start,
                stop=self.start + stop,
            )
            start = stop


def _spanning_cell(frame: Frame) -> np.ndarray:
    """Return the cell with missing open directions filled by orthogonal vectors.

    The filled vectors span the extent of the atoms, so that a cell list can bin them.
    """
    cell = frame.cell.copy()
    lengths = np.linalg.norm(cell, axis=1)
    present = lengths > 1e-12
    if np.any(frame.pbc & ~present):
        direction = "abc"[int(np.flatnonzero(frame.pbc & ~present)[0])]
        raise StructureError(
            f"{frame.source}: periodic along {direction} but that cell vector is zero; "
            "set the cell, or pbc = False for a molecule"
        )
    if (shortest := lengths[frame.pbc].min()) < MIN_DISTANCE:
        raise _repeats_too_soon(frame, shortest)
    if not present.all():
        # The new vectors must span the null space of the given ones.
        _, _, rows = np.linalg.svd(cell[present].reshape(-1, 3), full_matrices=True)
        open_directions = rows[present.sum() :]
        extents = np.ptp(frame.positions @ open_directions.T, axis=0) + 1.0
        cell[~present] = open_directions * extents[:, None]
    if abs(determinant(cell)) < 1e-8:
        raise StructureError(
            f"{frame.source}: the cell vectors are linearly dependent (volume 0): "
            f"{frame.cell.tolist()}; correct the cell"
        )
    return cell


def pair_list(frame: Frame, cutoff: float) -> Pairs:
    """Return all pairs within a cutoff, periodic images included.

    Parameters
    ----------
    frame : Frame
        The structure; its labels are not used.
    cutoff : float
        Largest distance, Å.

    Raises
    ------
    StructureError
        Atoms closer than `MIN_DISTANCE`, non-finite positions, or an impossible cell.
    """
    cell = sound_cell(frame, cutoff)
    try:
        neighbours = _core.neighbour_list(frame.positions, cell, frame.pbc, cutoff)
    except ValueError as error:
        raise StructureError(f"{frame.source}: {error}") from error
    return frame_pairs(frame, neighbours)


def sound_cell(frame: Frame, reach: float) -> np.ndarray:
    """Return the checked cell for a neighbour search, (3, 3) in Å.

    Parameters
    ----------
    frame : Frame
        The structure; its labels are not used.
    reach : float
        Distance to search, Å.

    Raises
    ------
    StructureError
        No atoms, non-finite positions, an impossible cell, or so many neighbours within
        reach that a search would exhaust the memory.
    """
    if not (np.isfinite(frame.positions).all() and np.isfinite(frame.cell).all()):
        raise StructureError(
            f"{frame.source}: positions or cell contain NaN or infinity"
        )
    if frame.n_atoms == 0:
        raise StructureError(f"{frame.source}: there are no atoms")
    # A molecule may have any cell.
    cell = _spanning_cell(frame) if frame.pbc.any() else frame.cell
    span, across = _span(frame)
    _require_images_apart(frame, span)
    _require_few_neighbours(frame, reach, span, across)
    return cell


def _span(frame: Frame) -> tuple[float, np.ndarray]:
    """Return length, area or volume of the periodic vectors, and unit vectors across.

    For a molecule 1 and three unit vectors; for a crystal the volume, Å³, and none.
    """
    vectors = frame.cell[frame.pbc]
    if len(vectors) == 3:
        return frame.volume, np.zeros((0, 3))
    if not len(vectors):
        return 1.0, np.eye(3)
    _, sizes, axes = np.linalg.svd(vectors)
    return float(np.prod(sizes)), axes[len(vectors) :]


def _require_images_apart(frame: Frame, span: float) -> None:
    """Refuse a cell in which atoms would overlap with their own images."""
    if not frame.pbc.any():
        return
    lengths = np.linalg.norm(frame.cell[frame.pbc], axis=1)
    # A lower bound of the distance of opposite faces; no lattice vector is shorter.
    if lengths.min() * span / lengths.prod() >= MIN_DISTANCE:
        return
    from ase.geometry import minkowski_reduce

    short, _ = minkowski_reduce(frame.cell, frame.pbc)
    shortest = np.linalg.norm(short[frame.pbc], axis=1).min()
    if shortest < MIN_DISTANCE:
        raise _repeats_too_soon(frame, shortest)


def _repeats_too_soon(frame: Frame, distance: float) -> StructureError:
    return StructureError(
        f"{frame.source}: the cell repeats every {distance:.3g} Å, and atoms would be as "
        f"close to their own images (limit {MIN_DISTANCE} Å): {frame.cell.tolist()}; give "
        "the cell in Å, or pbc = False along directions that do not repeat"
    )


def _require_few_neighbours(
    frame: Frame, reach: float, span: float, across: np.ndarray
) -> None:
    """Refuse a density or a reach at which the neighbours would fill the memory."""
    density = frame.n_atoms / span
    if len(across):
        extents = np.ptp(frame.positions @ across.T, axis=0) + 1.0
        density /= float(extents.prod())
    if density > MAX_DENSITY:
        raise StructureError(
            f"{frame.source}: {density:.3g} atoms per Å³ (limit {MAX_DENSITY:g}); give "
            "positions and cell in Å, or remove overlapping atoms"
        )
    # Both are upper bounds: the first is too large for thin layers and chains, the second
    # for thick ones.
    n_periodic = 3 - len(across)
    within = _BALLS[n_periodic] * reach**n_periodic / span * frame.n_atoms
    most = min(within, _BALLS[3] * reach**3 * density)
    if most > MAX_NEIGHBOURS:
        raise StructureError(
            f"{frame.source}: each atom has about {most:.2g} neighbours within {reach:g} Å "
            f"(limit {MAX_NEIGHBOURS}); shorten the cutoff (with its skin), or give "
            "positions and cell in Å"
        )


def frame_pairs(frame: Frame, neighbours: tuple[Any, ...]) -> Pairs:
    """Return the pairs of a frame from the arrays of the core.

    Raises
    ------
    StructureError
        Atoms closer than `MIN_DISTANCE`.
    """
    first, i, j, R, near_i, near_j, distance = neighbours
    if distance < MIN_DISTANCE:
        raise StructureError(
            f"{frame.source}: atoms {near_i} and {near_j} are {distance:.3f} Å "
            f"apart (limit {MIN_DISTANCE} Å); remove or correct this structure"
        )
    return Pairs(
        numbers=frame.numbers,
        frame=np.zeros(frame.n_atoms, dtype=np.int64),
        n_frames=1,
        i=i,
        j=j,
        R=R,
        first=first,
        start=0,
        stop=frame.n_atoms,
    )


def concatenate(parts: Sequence[Pairs]) -> Pairs:
    """Return one pair list for several frames, with consecutive numbers of atoms."""
    if len(parts) == 1:
        return parts[0]
    atoms = np.cumsum([0] + [part.n_atoms for part in parts])
    frames = np.cumsum([0] + [part.n_frames for part in parts])
    pairs = np.cumsum([0] + [part.n_pairs for part in parts])
    return Pairs(
        numbers=np.concatenate([part.numbers for part in parts]),
        frame=np.concatenate(
            [p.frame + n for p, n in zip(parts, frames, strict=False)]
        ),
        n_frames=int(frames[-1]),
        i=np.concatenate([part.i + n for part, n in zip(parts, atoms, strict=False)]),
        j=np.concatenate([part.j + n for part, n in zip(parts, atoms, strict=False)]),
        R=np.concatenate([part.R for part in parts]),
        first=np.concatenate(
            [p.first[:-1] + n for p, n in zip(parts, pairs, strict=False)]
            + [pairs[-1:]]
        ),
        start=0,
        stop=int(atoms[-1]),
    )


def separate(pairs: Pairs) -> Iterator[Pairs]:
    """Yield the pair list of each frame, all atoms as centres: undoes `concatenate`."""
    atoms = np.searchsorted(pairs.frame, np.arange(pairs.n_frames + 1))
    for start, stop in pairwise(atoms):
        begin, end = pairs.first[[start, stop]]
        yield Pairs(
            numbers=pairs.numbers[start:stop],
            frame=np.zeros(stop - start, dtype=np.int64),
            n_frames=1,
            i=pairs.i[begin:end] - start,
            j=pairs.j[begin:end] - start,
            R=pairs.R[begin:end],
            first=pairs.first[start : stop + 1] - begin,
            start=0,
            stop=int(stop - start),
        )


def pairs_of(frames: Sequence[Frame], cutoff: float) -> Pairs:
    """Return one pair list for several frames."""
    return concatenate([pair_list(frame, cutoff) for frame in frames])


def species_index(species: tuple[int, ...], numbers: np.ndarray) -> np.ndarray:
    """Return the position of each atomic number in `species`; unknown ones raise."""
    lookup = np.full(_HEAVIEST + 2, -1, dtype=np.int32)
    lookup[list(species)] = np.arange(len(species))
    index = lookup[np.clip(numbers, -1, _HEAVIEST + 1)]
    if np.any(index < 0):
        from ase.data import chemical_symbols

        unknown = sorted(
            {
                chemical_symbols[z] if 0 <= z <= _HEAVIEST else f"number {z}"
                for z in numbers[index < 0].tolist()
            }
        )
        symbols = ", ".join(chemical_symbols[z] for z in species)
        raise StructureError(
            f"unknown species {', '.join(unknown)}: this model knows {symbols}; "
            "fit a model with data for them"
        )
    return index


def core_pairs(pairs: Pairs, species: tuple[int, ...]) -> Any:
    """Return a pair list in the form of the core; unknown species raise."""
    return _core.PairList(
        pairs.first,
        pairs.j,
        pairs.R,
        species_index(species, pairs.numbers),
        pairs.frame,
        pairs.n_frames,
        pairs.start,
    )
