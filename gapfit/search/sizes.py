"""Sizes of trials: memory, work, and the cost of the potential, before they start."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from gapfit.config.sections import FitConfig
from gapfit.data.batching import sample_frames
from gapfit.data.frame_file import frame_sizes, species_counts
from gapfit.data.neighbours import pairs_of
from gapfit.data.observations import count_rows
from gapfit.execution.plan import planned_points, sizes_of
from gapfit.fitting.prepare import Prepared
from gapfit.model.terms import FittedTerm, new_terms

__all__ = ["TrialSizes", "operations_per_atom"]

# Neighbours are counted up to this distance, Å, and scaled by volume beyond.
_COUNTED = 6.0
# Evaluations of the evidence with the smallest part, and with others.
_EVALUATIONS = (40, 80)
# Candidates whose tables are kept.
_KEPT = 32
# Trials take at least as long as one of this size, multiplications.
_LEAST_WORK = 1e9
# Multiplications of the list of pairs, and by term for each pair (times the root of its
# features) and each feature: from measured times, in units of those of the kernel.
_OF_LIST, _OF_PAIR, _OF_FEATURE = 3000.0, 200.0, 200.0
# Functions of a cluster expansion share what they take for pairs.
_OF_FUNCTION_PAIR = 40.0


class TrialSizes:
    """Sizes of the candidates of a search, which are built when they are first needed.

    Parameters
    ----------
    parts : sequence of Prepared
        Parts of the data, ascending; the last is all of it.
    """

    def __init__(self, parts: Sequence[Prepared]) -> None:
        self._parts = parts
        self._n_rows = [sum(count_rows(part.given).values()) for part in parts]
        self._atoms = species_counts(parts[-1].frames)
        self._n_pairs = _PairCount(parts[-1])
        self._terms: dict[str, list[FittedTerm]] = {}

    def require(self, name: str, config: FitConfig) -> None:
        """Refuse a candidate whose fit takes more than run.memory.

        Parameters
        ----------
        name : str
            Its name, by which it is built once.
        config : FitConfig
            Its configuration.

        Raises
        ------
        GapfitError
            States how much is needed.
        """
        terms, frames = self._of(name, config), self._parts[-1].given
        points = planned_points(frames, terms, Path())
        cutoff = max(term.descriptor.cutoff for term in terms)
        sizes_of(frames, terms, points, config, self._n_pairs(cutoff)).require()

    def operations(self, name: str, config: FitConfig) -> float:
        """Return the estimated cost of a candidate, or of one of its trials.

        See `operations_per_atom`.
        """
        terms = self._reduced(name, config)
        return operations_per_atom(terms, self._atoms, self._n_pairs)

    def work(self, name: str, rung: int, config: FitConfig) -> float:
        """Return about how many multiplications a trial takes.

        Parameters
        ----------
        name : str
            The candidate.
        rung : int
            Number of the part of the data.
        config : FitConfig
            Configuration of the trial, with fewer sparse points for a part.
        """
        terms = self._reduced(name, config)
        points = planned_points(self._parts[rung].given, terms, Path())
        m = sum(n for by_block in points for n in by_block.values())
        n_features = max(term.descriptor.n_features for term in terms)
        rows = 2.0 * self._n_rows[rung] * m * (m + n_features)
        return _LEAST_WORK + rows + _EVALUATIONS[rung > 0] * float(m) ** 3

    def _reduced(self, name: str, config: FitConfig) -> list[FittedTerm]:
        """Return the terms of a candidate with the sparse points of a configuration."""
        return [
            replace(term, config=reduced)
            for term, reduced in zip(self._of(name, config), config.terms, strict=True)
        ]

    def _of(self, name: str, config: FitConfig) -> list[FittedTerm]:
        if name not in self._terms:
            if len(self._terms) == _KEPT:
                del self._terms[next(iter(self._terms))]
            self._terms[name] = new_terms(config.terms, self._parts[-1].species)
        return self._terms[name]


class _PairCount:
    """Neighbours of an atom of some data within a distance, on average."""

    def __init__(self, prepared: Prepared) -> None:
        frames = sample_frames(prepared.given)
        pairs = pairs_of(frames, _COUNTED)
        self._distances = np.sort(np.linalg.norm(pairs.R, axis=1))
        self._n_atoms = int(frame_sizes(frames).sum())

    def __call__(self, distance: float) -> float:
        within = min(distance, _COUNTED)
        n = int(np.searchsorted(self._distances, within))
        return n / self._n_atoms * (distance / within) ** 3


def operations_per_atom(
    terms: Sequence[FittedTerm],
    atoms: Mapping[int, int],
    n_pairs: Callable[[float], float],
) -> float:
    """Return about how many multiplications a prediction takes, per atom.

    It orders candidates in the same way on all machines; times do not.

    Parameters
    ----------
    terms : sequence of FittedTerm
        With or without sparse points.
    atoms : mapping of int to int
        Number of atoms in the data by atomic number.
    n_pairs : callable
        Returns the neighbours of an atom within a distance, Å.
    """
    total = _OF_LIST * n_pairs(max(term.descriptor.cutoff for term in terms))
    for term in terms:
        descriptor = term.descriptor
        n_features = descriptor.n_features
        of_pair = _OF_FUNCTION_PAIR if descriptor.linear else _OF_PAIR
        total += n_pairs(descriptor.cutoff) * of_pair * n_features**0.5
        total += _OF_FEATURE * n_features
        if descriptor.lossless:
            total += _of_kernel(term, atoms)
    return total


def _of_kernel(term: FittedTerm, atoms: Mapping[int, int]) -> float:
    """Return the multiplications of the sum over sparse points, per atom."""
    total = 0.0
    for block in term.descriptor.blocks:
        n_atoms = sum(atoms.get(z, 0) for z in term.descriptor.carriers(block))
        n_sparse = min(term.n_wanted(block), n_atoms)
        if n_sparse:
            width = term.descriptor.n_features
            total += n_atoms * term.descriptor.operations(
                n_sparse, width, None, quadratic=term.quadratic
            )
    return total / max(sum(atoms.values()), 1)
