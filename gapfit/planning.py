"""Size of a fit before it starts: rows, sparse points and memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gapfit.assembly import count_rows
from gapfit.config import FitConfig, SoapConfig
from gapfit.dataset import Dataset
from gapfit.descriptors.distance_2b import PAIRS_ROWS
from gapfit.frame import Frame
from gapfit.frame_file import frame_sizes, species_counts
from gapfit.sparse_file import count_listed
from gapfit.sparse_points import choice_memory
from gapfit.terms import FittedTerm, build_term, new_basis

__all__ = ["Plan", "batch_atoms", "plan"]

# A block of rows exists about this often at once: rows, their scaled and whitened copies.
_COPIES = 5
_MAX_BATCH_ATOMS = 256
# Arrays by pair and sparse point of a term of pairs: three derivatives, three times.
_PAIR_COPIES = 9


@dataclass(frozen=True)
class Plan:
    """Size of a fit before it starts.

    Attributes
    ----------
    n_frames, n_atoms : int
        Training data.
    n_rows : dict of str to int
        Observations: energy, forces, virial.
    n_sparse : int
        Sparse points, at most.
    n_features : tuple of int
        Length of the descriptor of each term.
    memory_bytes : int
        Estimated peak of the arrays.
    """

    n_frames: int
    n_atoms: int
    n_rows: dict[str, int]
    n_sparse: int
    n_features: tuple[int, ...]
    memory_bytes: int


def plan(dataset: Dataset, config: FitConfig, base: Path | None = None) -> Plan:
    """Return the size of a fit without starting it; `base` as for `fit`."""
    frames = dataset.frames
    terms = [
        build_term(term, dataset.species, new_basis(term)) for term in config.terms
    ]
    present = species_counts(frames)
    points = [_points_planned(term, present, base or Path()) for term in terms]
    n_sparse = sum(points)
    n_features = tuple(term.descriptor.n_features for term in terms)
    return Plan(
        len(frames),
        sum(present.values()),
        count_rows(frames),
        n_sparse,
        n_features,
        max(
            *(choice_memory(term, frames, config.run.memory_bytes) for term in terms),
            _solver_memory(frames, terms, points, config),
        ),
    )


def _points_planned(term: FittedTerm, present: dict[int, int], base: Path) -> int:
    """Return the number of sparse points of a term, at most."""
    if term.config.sparse_file is not None:
        return count_listed(base / Path(term.config.sparse_file).expanduser())
    wanted = {block: term.n_wanted(block) for block in term.descriptor.blocks}
    return sum(min(n, present.get(block, n)) for block, n in wanted.items())


def _solver_memory(
    frames: Sequence[Frame],
    terms: Sequence[FittedTerm],
    points: Sequence[int],
    config: FitConfig,
) -> int:
    """Return the bytes of the rows of a batch and of the solver's matrices."""
    n_sparse = sum(points)
    largest = int(frame_sizes(frames).max())
    rows = 3 * max(largest, batch_atoms(n_sparse, config))
    most = max(
        (
            n // max(len(term.descriptor.blocks), 1)
            for term, n in zip(terms, points, strict=True)
            if not isinstance(term.config, SoapConfig)
        ),
        default=0,
    )
    return 8 * (
        4 * n_sparse**2 + _COPIES * rows * n_sparse + _PAIR_COPIES * PAIRS_ROWS * most
    )


def batch_atoms(n_sparse: int, config: FitConfig) -> int:
    """Return how many atoms' rows fit into the memory granted."""
    per_atom = 3 * 8 * n_sparse * _COPIES
    return int(np.clip(config.run.memory_bytes // per_atom, 1, _MAX_BATCH_ATOMS))
