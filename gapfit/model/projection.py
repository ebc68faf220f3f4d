"""Lossless projection of a finished model: fewer operations, the same predictions.

Sparse points lie close to a subspace much smaller than their descriptors. Dot products
q·q_s taken within it, V^T q · V^T q_s with the leading right singular vectors V of the
sparse points, differ by q·(q_s - V V^T q_s), which vanishes with the singular values
dropped whatever the environment q. The rank is the smallest that keeps energies and
forces of training structures within the stated tolerances. For structures unlike them
the changes can be larger by orders of magnitude (1e-4 eV/atom has been seen), though
small compared with the error of the potential there.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gapfit.config.sections import PredictionConfig
from gapfit.data.frame import Frame
from gapfit.data.frame_file import frame_sizes
from gapfit.data.neighbours import Pairs, pairs_of
from gapfit.model.terms import FittedTerm

__all__ = ["VERIFY_ATOMS", "LosslessProjection", "Ranks", "with_lossless_projection"]

#: Numbers of directions by block.
Ranks = Mapping[int, int]

# Atoms on which the rank is chosen.
_CHOOSE_ATOMS = 600
#: Atoms on which the choice is verified.
VERIFY_ATOMS = 20_000
#: Relative sizes of the smallest singular value kept, from coarse to fine.
_LEVELS = [10.0 ** (-0.25 * n) for n in range(8, 52)]
#: A projection must save at least this share of the operations.
_WORTH_WHILE = 0.15


@dataclass(frozen=True)
class LosslessProjection:
    """Facts about the projection of one term; part of the model's record.

    Attributes
    ----------
    rank : dict of str to int
        Directions kept by block (atomic number); empty if none saves operations.
    energy_error : float
        Largest change of a local energy seen, eV.
    forces_error : float
        Largest change of a force component seen, eV/Å.
    n_atoms : int
        Number of environments that it was verified on.
    """

    rank: dict[str, int]
    energy_error: float
    forces_error: float
    n_atoms: int


def with_lossless_projection(
    term: FittedTerm,
    frames: Sequence[Frame],
    config: PredictionConfig,
    least: Ranks | None = None,
) -> tuple[FittedTerm, LosslessProjection]:
    """Return the term with a verified projection, and the facts about it.

    Parameters
    ----------
    term : FittedTerm
        With coefficients.
    frames : sequence of Frame
        Training structures.
    config : PredictionConfig
        Tolerances.
    least : dict of int to int, optional
        By block, directions that are kept in any case: earlier structures have needed
        them.
    """
    least = least or {}
    term = replace(term, lossless={})
    small, large = (_sample(frames, n, term) for n in (_CHOOSE_ATOMS, VERIFY_ATOMS))
    spectra = {
        block: np.linalg.svd(points, full_matrices=False)[1:]
        for block, points in term.sparse.items()
        if len(points)
    }
    quick, thorough = _ExactPrediction(term, small), None
    level = bisect_left(
        range(len(_LEVELS)),
        True,
        key=lambda n: quick.within(
            _truncated(term, spectra, _LEVELS[n], least), config
        ),
    )
    for finer in _LEVELS[level:]:
        trial = _truncated(term, spectra, finer, least)
        if not trial.lossless:
            break
        thorough = thorough or _ExactPrediction(term, large)
        if thorough.within(trial, config):
            energy, forces = thorough.errors(trial)
            rank = {str(z): V.shape[1] for z, V in trial.lossless.items()}
            return trial, LosslessProjection(rank, energy, forces, large.n_atoms)
    return term, LosslessProjection({}, 0.0, 0.0, 0)


class _ExactPrediction:
    """Predictions over all sparse points, as the reference."""

    def __init__(self, term: FittedTerm, pairs: Pairs) -> None:
        self._pairs = pairs
        self._exact = replace(term, quadratic=False).predict(pairs, gradients=True)

    def errors(self, trial: FittedTerm) -> tuple[float, float]:
        """Return the largest changes of a local energy (eV) and a force (eV/Å)."""
        changed = replace(trial, quadratic=False).predict(self._pairs, gradients=True)
        return (
            float(np.abs(changed.energies - self._exact.energies).max(initial=0.0)),
            float(np.abs(changed.forces - self._exact.forces).max(initial=0.0)),
        )

    def within(self, trial: FittedTerm, config: PredictionConfig) -> bool:
        """Return whether both errors are within the tolerances."""
        energy, forces = self.errors(trial)
        return energy <= config.energy_tolerance and forces <= config.forces_tolerance


def _truncated(
    term: FittedTerm,
    spectra: dict[int, tuple[np.ndarray, np.ndarray]],
    level: float,
    least: Ranks,
) -> FittedTerm:
    """Return the term with the directions of each block above a relative size.

    Blocks for which that saves nothing are skipped.
    """
    lossless = {}
    for block, (singular, directions) in spectra.items():
        rank = int((singular > level * singular[0]).sum())
        rank = min(max(rank, least.get(block, 0)), len(singular))
        plain, projected = (
            _operations(term, block, None),
            _operations(term, block, rank),
        )
        if projected < (1 - _WORTH_WHILE) * plain:
            lossless[block] = np.ascontiguousarray(directions[:rank].T)
    return replace(term, lossless=lossless)


def _operations(term: FittedTerm, block: int, rank: int | None) -> float:
    """Return the work for one environment, see `Descriptor.operations`."""
    n_sparse, width = term.sparse[block].shape
    return term.descriptor.operations(n_sparse, width, rank, quadratic=term.quadratic)


def _sample(frames: Sequence[Frame], n_atoms: int, term: FittedTerm) -> Pairs:
    """Return the pairs of evenly spread frames with about `n_atoms` atoms in all."""
    sizes = frame_sizes(frames).tolist()
    step = max(sum(sizes) / n_atoms, 1.0)
    # A frame is taken once `step` atoms have passed for each atom taken so far.
    picked, due, seen = [], 0.0, 0
    for n, size in enumerate(sizes):
        seen += size
        if seen > due:
            picked.append(frames[n])
            due += max(step * size, 1.0)
    return pairs_of(picked, term.descriptor.cutoff)
