"""How large errors are in an environment, over what its standard deviation says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gapfit.data.frame import Frame
from gapfit.data.neighbours import pairs_of
from gapfit.data.observations import Quantity, labelled_forces
from gapfit.descriptors.blocks import species_label
from gapfit.model.terms import FittedTerm

__all__ = ["LocalLine", "LocalScale", "log_of_labels", "log_of_observations"]

# Pairs whose environments are handled together, which bounds the memory.
_CHUNK_PAIRS = 20_000


@dataclass(frozen=True, eq=False)
class LocalLine:
    """log s = offset + v·q, kept between two limits, for atoms of one species.

    Below the lower limit it returns as far as it falls, up to 0: no environment was like
    that, and nothing is known that would scale its bars down.

    Attributes
    ----------
    vector : (n_features,) float64
        v, in the space of the sparse points.
    offset, least, most : float
        The constant, and the limits: those of the environments it was found with.
    """

    vector: np.ndarray
    offset: float
    least: float
    most: float

    def of(self, values: np.ndarray) -> np.ndarray:
        """Return log s of environments (n, n_features), (n,)."""
        logs = np.minimum(self.offset + values @ self.vector, self.most)
        returned = np.minimum(2 * self.least - logs, max(self.least, 0.0))
        limited: np.ndarray = np.where(logs < self.least, returned, logs)
        return limited

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LocalLine):
            return NotImplemented
        same = np.array_equal(self.vector, other.vector)
        return same and self._numbers == other._numbers

    def __hash__(self) -> int:
        return hash((self.vector.tobytes(), self._numbers))

    @property
    def _numbers(self) -> tuple[float, float, float]:
        return self.offset, self.least, self.most

    @property
    def is_valid(self) -> bool:
        """Whether the numbers can be those of a line."""
        finite = np.isfinite(self._numbers).all() and np.isfinite(self.vector).all()
        return bool(finite and self.least <= self.most)


@dataclass(frozen=True)
class LocalScale:
    """Size s of errors by environment, over the usual one of its standard deviation.

    Stiff crystals and liquids get scales of their own without a name: log s is linear in
    the unit power spectrum q of the atom (Eq. 13).

    Attributes
    ----------
    term : int
        Number of the SOAP term whose environments these are.
    lines : dict of int to LocalLine
        By species; atoms of others have log s = 0.
    """

    term: int
    lines: Mapping[int, LocalLine]

    def as_dict(self) -> dict[str, Any]:
        """Return the local scale as plain data, without the vectors."""
        lines = {
            str(species): {"offset": own.offset, "least": own.least, "most": own.most}
            for species, own in self.lines.items()
        }
        return {"term": self.term, "lines": lines}

    @classmethod
    def from_dict(
        cls, values: Mapping[str, Any], vectors: Mapping[int, np.ndarray]
    ) -> LocalScale:
        """Return the local scale that `as_dict` describes, with its vectors by species."""
        lines = {
            int(species): LocalLine(
                vectors[int(species)],
                float(own["offset"]),
                float(own["least"]),
                float(own["most"]),
            )
            for species, own in values["lines"].items()
        }
        return cls(int(values["term"]), lines)

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Return by chemical symbol the limits of s: the range over the calibration."""
        return {
            species_label(species): (math.exp(line.least), math.exp(line.most))
            for species, line in self.lines.items()
        }

    def of(self, terms: Sequence[FittedTerm], frames: Sequence[Frame]) -> np.ndarray:
        """Return log s of all atoms, (n_atoms,) float64.

        Parameters
        ----------
        terms : sequence of FittedTerm
            All terms of the model.
        frames : sequence of Frame
            The structures.
        """
        descriptor = terms[self.term].descriptor
        pairs = pairs_of(frames, descriptor.cutoff)
        logs = np.zeros(pairs.n_atoms)
        for chunk in pairs.chunks(_CHUNK_PAIRS):
            for species, part in descriptor.environments(chunk).items():
                if species in self.lines:
                    logs[part.atoms] = self.lines[species].of(part.values)
        return logs

    def fits(self, terms: Sequence[FittedTerm]) -> bool:
        """Return whether this can be the local scale of a model with these terms."""
        if not 0 <= self.term < len(terms):
            return False
        descriptor = terms[self.term].descriptor
        if not descriptor.unit_vectors:
            return False
        widths = {block: descriptor.width(block) for block in descriptor.blocks}
        return all(
            line.is_valid and line.vector.shape == (widths.get(species),)
            for species, line in self.lines.items()
        )


def log_of_observations(logs: np.ndarray, quantity: Quantity) -> np.ndarray | float:
    """Return log s of the observations of one structure.

    Parameters
    ----------
    logs : (n_atoms,) float64
        Those of its atoms.
    quantity : Quantity
        Of forces each component has that of its atom, (3 n_atoms,). Sums over the atoms
        have that of the root of the mean square.
    """
    if quantity is Quantity.FORCES:
        return np.repeat(logs, 3)
    return float(0.5 * np.log(np.mean(np.exp(2 * logs))))


def log_of_labels(
    logs: np.ndarray, frame: Frame, quantity: Quantity
) -> np.ndarray | float:
    """Return log s of the observations that a structure has labels of.

    Parameters
    ----------
    logs : (n_atoms,) float64
        Those of its atoms.
    frame : Frame
        The structure.
    quantity : Quantity
        Forces on some of the atoms may have no label.
    """
    local = log_of_observations(logs, quantity)
    if quantity is Quantity.FORCES:
        of_labels: np.ndarray = np.asarray(local)[labelled_forces(frame)]
        return of_labels
    return local
