"""Cheap checks of structures and labels: errors that prevent a fit, and warnings."""

from __future__ import annotations

import math
from array import array
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from gapfit.data.duplicates import Fingerprints
from gapfit.data.energy_checks import EnergyTally
from gapfit.data.frame import Frame
from gapfit.data.frame_file import species_counts
from gapfit.data.neighbours import pair_list
from gapfit.data.observations import Quantity
from gapfit.data.places import MAX_PLACES, count_frames, list_places
from gapfit.data.rare_species import SpeciesTally
from gapfit.errors import DataError, StructureError

__all__ = [
    "SetTally",
    "check_frames",
    "frame_problems",
    "refuse",
    "set_warnings",
]

#: Range of the search for overlapping atoms, Å; a shorter one needs more cells.
_NEAR = 2.0
#: Problems listed in an error of at most ten lines.
MAX_LISTED = 8
#: Forces above this are rarely meant to be fitted, eV/Å.
LARGE_FORCE = 100.0
#: Net force that no converged calculation has: this times sqrt(n_atoms), eV/Å.
NET_FORCE = 0.05


def check_frames(frames: Sequence[Frame]) -> list[str]:
    """Refuse frames that cannot be fitted and return warnings about the others.

    Parameters
    ----------
    frames : sequence of Frame
        Structures with labels.

    Returns
    -------
    list of str
        Warnings: identical frames, large forces, net forces, outlying energies, species
        of one or two atoms.

    Raises
    ------
    DataError
        Lists every frame that cannot be fitted.
    """
    refuse([problem for frame in frames for problem in frame_problems(frame)])
    return set_warnings(frames)


def refuse(problems: Sequence[str]) -> None:
    """Raise one error for all problems, if there are any."""
    if not problems:
        return
    lines = list(problems[:MAX_LISTED])
    if len(problems) > MAX_LISTED:
        lines.append(f"... and {len(problems) - MAX_LISTED} more")
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    raise DataError(f"{count} in the data:\n  " + "\n  ".join(lines))


def frame_problems(frame: Frame) -> list[str]:
    """Return the problems that prevent one frame from being fitted: place, cause, cure."""
    problems = []
    unknown = (frame.numbers < 1) | (frame.numbers > 118)
    if unknown.any():
        lowest = frame.numbers[unknown].min()
        atom = int(np.flatnonzero(frame.numbers == lowest)[0])
        symbol = " (symbol 'X')" if lowest == 0 else ""
        problems.append(
            f"{frame.source}: atom {atom} has atomic number {lowest}{symbol}, which is not "
            "an element; set its species or remove the frame"
        )
    try:
        pair_list(frame, _NEAR)
    except StructureError as error:
        problems.append(str(error))
    for quantity in Quantity:
        values = getattr(frame, quantity)
        if values is not None and not np.isfinite(values).all():
            bad = np.flatnonzero(~np.isfinite(np.ravel(values)))
            is_force = quantity is Quantity.FORCES
            at = f" of atom {bad[0] // 3}" if is_force else ""
            mask = ", or leave out forces that are missing with force_mask" * is_force
            problems.append(
                f"{frame.source}: {quantity.reported}{at} is {np.ravel(values)[bad[0]]}; "
                f"compute it again or remove the frame{mask}"
            )
    return problems


def set_warnings(frames: Sequence[Frame]) -> list[str]:
    """Return warnings about frames that can be fitted but look wrong."""
    tally = SetTally()
    for frame in frames:
        tally.add(frame)
    return tally.warnings(frames)


class SetTally:
    """Checks across a data set, from a few numbers kept of each frame."""

    def __init__(self) -> None:
        self._n_frames = 0
        self._fingerprints = Fingerprints()
        self._forces = _ForceTally()
        self._energies = EnergyTally()
        self._species = SpeciesTally()

    def add(self, frame: Frame) -> None:
        """Add the next frame."""
        self._fingerprints.add(frame)
        self._forces.add(self._n_frames, frame)
        self._energies.add(self._n_frames, frame)
        self._species.add(self._n_frames, frame)
        self._n_frames += 1

    def warnings(self, frames: Sequence[Frame]) -> list[str]:
        """Return warnings; `frames` are all that were added, a few are read again."""
        return [
            *_duplicates(frames, self._fingerprints.identical(frames)),
            *self._forces.warnings(frames),
            *self._energies.warnings(frames),
            *self._species.warnings(frames),
        ]


def refuse_species(
    frames: Sequence[Frame], allowed: Collection[int], text: str
) -> None:
    """Refuse frames with species that are not allowed.

    Parameters
    ----------
    frames : sequence of Frame
        Structures.
    allowed : collection of int
        Atomic numbers that may occur.
    text : str
        The message, with ``{species}`` and ``{places}`` to be filled in.

    Raises
    ------
    DataError
        Other species occur; the message names them and the frames.
    """
    from ase.data import chemical_symbols

    new = [z for z in species_counts(frames) if z not in allowed]
    if new:
        where = [n for n, f in enumerate(frames) if np.isin(f.numbers, new).any()]
        species = ", ".join(chemical_symbols[z] for z in new)
        raise DataError(text.format(species=species, places=list_places(frames, where)))


def _duplicates(frames: Sequence[Frame], groups: Iterable[Sequence[int]]) -> list[str]:
    equal, contradicting, evidence = [], [], ""
    for group in groups:
        difference = _label_difference(frames, group)
        if difference:
            contradicting.append(list_places(frames, group))
            evidence = evidence or difference
        else:
            equal.append(list_places(frames, group))
    warnings = []
    if equal:
        warnings.append(
            f"{_join(equal)} are identical and count several times in the fit; keep one "
            "of them"
        )
    if contradicting:
        warnings.append(
            f"{_join(contradicting)} are identical but their labels differ "
            f"({evidence}): not all can be right; keep those computed in the same way as "
            "the other frames"
        )
    return warnings


def _join(places: Sequence[str]) -> str:
    more = f"; and {len(places) - MAX_PLACES} more groups" * (len(places) > MAX_PLACES)
    return "; ".join(places[:MAX_PLACES]) + more


def _label_difference(frames: Sequence[Frame], group: Sequence[int]) -> str:
    """Return the largest difference of the labels of identical frames; empty if none."""
    limits: dict[Quantity, tuple[Any, Any]] = {}
    for n in group:
        frame = frames[n]
        for quantity in Quantity:
            if (value := getattr(frame, quantity)) is not None:
                low, high = limits.get(quantity, (value, value))
                limits[quantity] = np.minimum(low, value), np.maximum(high, value)
    n_atoms = frames[group[0]].n_atoms
    for quantity, unit, tolerance in (
        (Quantity.ENERGY, "eV", 1e-4 * n_atoms),
        (Quantity.FORCES, "eV/Å", 1e-3),
        (Quantity.VIRIAL, "eV", 1e-3 * n_atoms),
    ):
        low, high = limits.get(quantity, (0.0, 0.0))
        spread = np.max(high - low)
        if spread > tolerance:
            return f"{quantity} by {spread:.4g} {unit}"
    return ""


class _ForceTally:
    """Frames with large forces, and with forces that do not add up to zero."""

    def __init__(self) -> None:
        self.largest = self.largest_net = 0.0
        self.large, self.pushed = array("q"), array("q")

    def add(self, number: int, frame: Frame) -> None:
        if frame.forces is None:
            return
        squares = np.einsum("ij,ij->i", frame.forces, frame.forces)
        # fmax ignores NaN, the value of masked forces.
        norm = math.sqrt(np.fmax.reduce(squares, initial=0.0))
        self.largest = max(self.largest, norm)
        if norm > LARGE_FORCE:
            self.large.append(number)
        # With masked forces the sum is NaN, which is never above the limit.
        net = math.hypot(*frame.forces.sum(axis=0).tolist())
        if net > NET_FORCE * math.sqrt(frame.n_atoms):
            self.largest_net = max(self.largest_net, net)
            self.pushed.append(number)

    def warnings(self, frames: Sequence[Frame]) -> list[str]:
        warnings = []
        if self.large:
            warnings.append(
                f"{count_frames(self.large)} with forces above {LARGE_FORCE:g} eV/Å, up to "
                f"{self.largest:.1f} ({list_places(frames, self.large)}): they outweigh "
                "the others in the fit; remove them, or give them a larger sigma (by "
                "config_type, or force_sigma)"
            )
        if self.pushed:
            warnings.append(
                f"{count_frames(self.pushed)} with forces that do not add up to zero, by "
                f"up to {self.largest_net:.3g} eV/Å ({list_places(frames, self.pushed)}): "
                "no potential can reproduce them; look for fixed atoms whose forces were "
                "set to zero, or for an unconverged calculation"
            )
        return warnings
