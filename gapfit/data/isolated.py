"""Isolated atoms: which frames are, and whose energy counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gapfit.data.frame import Frame
from gapfit.data.frame_file import frame_sizes
from gapfit.errors import DataError

__all__ = [
    "FAR",
    "ISOLATION",
    "SAME_ENERGY",
    "LoneAtom",
    "candidates",
    "choice_warnings",
    "given_warnings",
    "image_distance",
    "is_isolated",
    "is_marked",
    "lone_atoms",
    "most_isolated",
    "near_miss",
]

#: A lone atom counts as isolated when its images are at least this far away, Å.
ISOLATION = 6.0
#: Images at least this far away change no energy, and no descriptor sees them, Å.
FAR = 9.0
#: Isolated atoms of one species must agree to this, eV.
SAME_ENERGY = 1e-3
#: Energies given in the configuration may differ from that of an isolated atom by this, eV.
_GIVEN_TOLERANCE = 0.1
#: Boxes that differ by less are of one size, Å.
_SAME_BOX = 0.01

#: Marks of isolated atoms in config_types, as lower-case letters without signs between.
_MARKS = ("isolatedatom", "atomisolated", "isolatedsingleatom", "isoatom")


def is_isolated(frame: Frame, reach: float = ISOLATION) -> bool:
    """Return whether a frame is one atom without images within `reach`, Å."""
    return frame.n_atoms == 1 and image_distance(frame) >= reach


def is_marked(frame: Frame) -> bool:
    """Return whether a frame is one atom whose config_type calls it isolated.

    Spelling does not matter: IsolatedAtom, isolated_atom, "isolated atom Cu", isolated-Cu.

    Examples
    --------
    >>> from ase import Atoms
    >>> from dataclasses import replace
    >>> from gapfit.data.frame import structure_arrays
    >>> is_marked(replace(structure_arrays(Atoms("Cu")), config_type="Isolated-Atom"))
    True
    """
    if frame.n_atoms != 1:
        return False
    from ase.data import chemical_symbols

    letters = "".join(filter(str.isalpha, frame.config_type)).lower()
    symbol = str(chemical_symbols[int(frame.numbers[0])]).lower()
    names = ("isolated", f"isolated{symbol}", f"{symbol}isolated")
    return letters in names or any(mark in letters for mark in _MARKS)


def image_distance(frame: Frame) -> float:
    """Return the distance of an atom to its nearest image, Å; infinite without images."""
    if not frame.pbc.any():
        return float(np.inf)
    from ase.geometry import minkowski_reduce

    # The shortest vector of a reduced cell is the shortest of the lattice.
    cell, _ = minkowski_reduce(frame.cell, frame.pbc)
    return float(np.linalg.norm(cell[frame.pbc], axis=1).min())


class LoneAtom(NamedTuple):
    """A frame of one atom: energy, eV; distance to its images, Å."""

    energy: float
    distance: float
    marked: bool
    source: str
    symbol: str


def lone_atoms(
    frames: Sequence[Frame], wanted: Sequence[int]
) -> dict[int, list[LoneAtom]]:
    """Return the frames of one atom with an energy by atomic number."""
    from ase.data import chemical_symbols

    atoms: dict[int, list[LoneAtom]] = {z: [] for z in wanted}
    for n in np.flatnonzero(frame_sizes(frames) == 1):
        frame = frames[int(n)]
        z = int(frame.numbers[0])
        if z in atoms and frame.energy is not None:
            distance, symbol = image_distance(frame), str(chemical_symbols[z])
            atoms[z].append(
                LoneAtom(frame.energy, distance, is_marked(frame), frame.source, symbol)
            )
    return atoms


def candidates(atoms: Sequence[LoneAtom]) -> list[LoneAtom]:
    """Return the most isolated atoms: those with the farthest images.

    Atoms whose config_type calls them isolated come before other lone atoms, which may
    belong to an equation of state.
    """
    isolated = [atom for atom in atoms if atom.distance >= ISOLATION]
    isolated = [atom for atom in isolated if atom.marked] or isolated
    least = max((atom.distance for atom in isolated), default=0.0) - _SAME_BOX
    return [atom for atom in isolated if atom.distance >= least]


def most_isolated(atoms: Sequence[LoneAtom]) -> LoneAtom | None:
    """Return the first of the most isolated atoms; None without any.

    Raises
    ------
    DataError
        They have different energies.
    """
    best = candidates(atoms)
    if not best:
        return None
    first = best[0]
    for atom in best:
        if abs(atom.energy - first.energy) > SAME_ENERGY:
            raise DataError(
                f"isolated atoms disagree: {first.source} has {first.energy:.6f} eV and "
                f"{atom.source} has {atom.energy:.6f} eV for {atom.symbol}; keep the "
                f"right one, or set the value under [e0] ({atom.symbol} = ...)"
            )
    return first


def choice_warnings(atoms: Sequence[LoneAtom]) -> list[str]:
    """Return warnings about the choice among the lone atoms of one species."""
    best = most_isolated(atoms)
    if best is None:
        return []
    if not best.marked and best.distance < FAR:
        return [
            f"e0 of {best.symbol} is the energy of the lone atom in {best.source}, whose "
            f"images are only {best.distance:.2f} Å away; add the atom in a larger box, or "
            f"set the value under [e0] ({best.symbol} = ...)"
        ]
    others = [
        atom
        for atom in atoms
        if atom.marked and abs(atom.energy - best.energy) > SAME_ENERGY
    ]
    return [
        f"e0 of {best.symbol} is that of {best.source}, {best.energy:.6f} eV"
        f"{_images(best)}; {atom.source}, also named an isolated atom, has "
        f"{atom.energy:.6f} eV{_images(atom)}"
        for atom in others[:1]
    ]


def given_warnings(atoms: Sequence[LoneAtom], given: float) -> list[str]:
    """Return a warning if an energy given for a species is that of no isolated atom.

    Parameters
    ----------
    atoms : sequence of LoneAtom
        The lone atoms of the species.
    given : float
        The energy given in the configuration, eV.
    """
    # Several may be spin states; the nearest is the one that was meant.
    nearest = min(
        candidates(atoms), key=lambda atom: abs(atom.energy - given), default=None
    )
    limit = _GIVEN_TOLERANCE + SAME_ENERGY
    if nearest is None or abs(nearest.energy - given) <= limit:
        return []
    return [
        f"[e0] {nearest.symbol} = {given:g} eV is used, but the isolated atom in "
        f"{nearest.source} has {nearest.energy:.6f} eV: they must come from the same "
        f"settings; correct the value, or leave out {nearest.symbol} under [e0] to use the "
        "atom in the data"
    ]


def near_miss(atoms: Sequence[LoneAtom]) -> str:
    """Return why no atom is isolated although one is named so; empty if none is."""
    marked = [atom for atom in atoms if atom.marked]
    if not marked:
        return ""
    best = max(marked, key=lambda atom: atom.distance)
    return (
        f"{best.source} is named an isolated atom of {best.symbol}, but its box is too "
        f"small: its images are {best.distance:.2f} Å away, where at least {ISOLATION:g} Å "
        f"are needed, better {FAR:g} Å or more"
    )


def _images(atom: LoneAtom) -> str:
    if atom.distance == np.inf:
        return " without images"
    return f" with images {atom.distance:.2f} Å away"
