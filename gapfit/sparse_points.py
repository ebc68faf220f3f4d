"""Sparse points of all terms, and the directions that descriptors are projected on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from gapfit.assembly import batches, pairs_of
from gapfit.frame import Frame
from gapfit.sparsify import principal_directions, select
from gapfit.terms import FittedTerm, build_term

__all__ = ["choose_sparse_points"]

# Environments computed together: bounds the memory of their pair lists.
_BATCH_ATOMS = 1024


def choose_sparse_points(
    frames: Sequence[Frame],
    terms: Sequence[FittedTerm],
    seed: int,
    progress: Callable[[str, int, int], None],
    note: Callable[[str], None],
) -> list[FittedTerm]:
    """Return the terms with sparse points chosen among all environments.

    Where `components` asks for it, descriptors are projected first, on directions from
    the same environments.

    Parameters
    ----------
    frames : sequence of Frame
        Training data.
    terms : sequence of FittedTerm
        Terms without sparse points.
    seed : int
        Of the random choices.
    progress : callable
        Called as ``progress(stage, done, total)``.
    note : callable
        Takes warnings.
    """
    values = _environments(frames, terms, progress)
    steps = sum(len(found) for found in values)
    chosen, step = [], 0
    for n, (term, found) in enumerate(zip(terms, values, strict=True)):
        sparse, projections = {}, {}
        for block, parts in found.items():
            progress("sparse points", step, steps)
            everything = np.concatenate(parts)
            components = getattr(term.config, "components", "all")
            if not isinstance(components, str):
                U = principal_directions(everything, components)
                projections[block] = U
                everything = everything @ U
            rng = np.random.default_rng([seed, n, block])
            wanted = term.config.n_sparse
            index = select(everything, wanted, term.config.sparse_method, rng)
            sparse[block] = np.ascontiguousarray(everything[index])
            step += 1
            if len(index) < wanted and term.config.sparse_method != "uniform":
                note(
                    f"[[terms]] {n + 1}: {wanted} sparse points wanted for "
                    f"{term.descriptor.label(block)}, only {len(index)} "
                    "distinct environments in the data: all are used"
                )
        if projections:
            term = build_term(term.config, term.species, term.basis, projections)
        chosen.append(replace(term, sparse=sparse))
    progress("sparse points", steps, steps)
    return chosen


def _environments(
    frames: Sequence[Frame],
    terms: Sequence[FittedTerm],
    progress: Callable[[str, int, int], None],
) -> list[dict[int, list[np.ndarray]]]:
    """Return the descriptors of all atoms by term and block."""
    values: list[dict[int, list[np.ndarray]]] = [
        {block: [] for block in term.descriptor.blocks} for term in terms
    ]
    cutoff = max(term.descriptor.cutoff for term in terms)
    total = sum(frame.n_atoms for frame in frames)
    done = 0
    progress("environments", 0, total)
    for part in batches([frame.n_atoms for frame in frames], _BATCH_ATOMS):
        pairs = pairs_of(frames[part], cutoff)
        for term, found in zip(terms, values, strict=True):
            nearby = pairs.within(term.descriptor.cutoff)
            for block, some in term.descriptor.environments(nearby).items():
                found[block].append(some.values)
        done += pairs.n_atoms
        progress("environments", done, total)
    return values
