"""Sparse points of all terms, and the directions that descriptors are projected on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from gapfit.assembly import batches, pairs_of
from gapfit.errors import DataError
from gapfit.frame import Frame
from gapfit.sparsify import (
    principal_directions,
    select,
    select_with_quotas,
    unique_rows,
)
from gapfit.terms import FittedTerm, build_term

__all__ = ["choose_sparse_points"]

#: Arrays by block, one for each batch of frames.
_Pieces = dict[int, list[np.ndarray]]

# Methods that give as many points as there are distinct environments, or as asked for.
_EXACT = ("cur", "fps", "random")

# Digits that must agree for environments to be equal: of unit vectors, and of values in
# units of the kernel's lengths. Closer points would make the kernel matrix singular.
_DIGITS, _DIGITS_OF_LENGTHS = 10, 3

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
    types = sorted({frame.config_type for frame in frames})
    values, groups = _environments(frames, terms, types, progress)
    steps = sum(len(found) for found in values)
    chosen, step = [], 0
    for n, (term, found) in enumerate(zip(terms, values, strict=True)):
        sparse, projections = {}, {}
        quotas = _quotas(n, term, types, note)
        for block, parts in found.items():
            progress("sparse points", step, steps)
            everything = np.concatenate(parts)
            components = getattr(term.config, "components", "all")
            if not isinstance(components, str):
                U = principal_directions(everything, components)
                projections[block] = U
                everything = everything @ U
            rng = np.random.default_rng([seed, n, block])
            kinds = np.concatenate(groups[n][block])
            index = _select(term, everything, kinds, quotas, rng)
            sparse[block] = np.ascontiguousarray(everything[index])
            step += 1
            if text := _shortfall(term, block, len(index), bool(quotas)):
                note(f"[[terms]] {n + 1}: {text}")
        if projections:
            term = build_term(term.config, term.species, term.basis, projections)
        chosen.append(replace(term, sparse=sparse))
    progress("sparse points", steps, steps)
    if not any(term.n_sparse for term in chosen):
        raise DataError(
            "no term has a sparse point: no atoms have neighbours within r_cut, or "
            "config_type_n_sparse leaves nothing to choose from; check both"
        )
    return chosen


def _select(
    term: FittedTerm,
    values: np.ndarray,
    kinds: np.ndarray,
    quotas: dict[int, int],
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the indices of the sparse points among the environments of a block."""
    wanted, method = term.config.n_sparse, term.config.sparse_method
    alike, digits = _comparable(term, values)
    if quotas:
        return select_with_quotas(
            alike, kinds, quotas, wanted, method, rng, decimals=digits
        )
    return select(alike, wanted, method, rng, decimals=digits)


def _comparable(term: FittedTerm, values: np.ndarray) -> tuple[np.ndarray, int]:
    """Return environments in units of the kernel's lengths, and the digits that count."""
    if term.descriptor.lengths is None:
        return values, _DIGITS
    return values / term.descriptor.lengths, _DIGITS_OF_LENGTHS


def _distinct(term: FittedTerm, values: np.ndarray) -> np.ndarray | slice:
    """Return the environments to keep of one batch: millions of triplets are alike."""
    if term.descriptor.lengths is None or not len(values):
        return slice(None)
    return unique_rows(*_comparable(term, values))


def _shortfall(term: FittedTerm, block: int, n_found: int, with_quotas: bool) -> str:
    """Return what to say about too few sparse points; empty if nothing."""
    name, wanted = term.descriptor.label(block), term.config.n_sparse
    if not n_found:
        return f"no environments of {name} in the data: this part of the term stays 0"
    exact = term.config.sparse_method in _EXACT and not with_quotas
    if exact and n_found < wanted:
        return (
            f"{wanted} sparse points wanted for {name}, only {n_found} distinct "
            "environments in the data: all are used"
        )
    return ""


def _quotas(
    n: int, term: FittedTerm, types: list[str], note: Callable[[str], None]
) -> dict[int, int]:
    """Return the quotas by index of the config_type; unknown ones are noted."""
    quotas = {}
    for name, quota in term.config.config_type_n_sparse.items():
        if name in types:
            quotas[types.index(name)] = quota
        else:
            note(
                f"[[terms]] {n + 1}: config_type_n_sparse: no frame has config_type "
                f"{name!r} (there are {', '.join(types)})"
            )
    return quotas


def _environments(
    frames: Sequence[Frame],
    terms: Sequence[FittedTerm],
    types: list[str],
    progress: Callable[[str, int, int], None],
) -> tuple[list[_Pieces], list[_Pieces]]:
    """Return the descriptors by term and block, and the config_type of each."""
    values: list[_Pieces] = [{b: [] for b in t.descriptor.blocks} for t in terms]
    groups: list[_Pieces] = [{b: [] for b in t.descriptor.blocks} for t in terms]
    cutoff = max(term.descriptor.cutoff for term in terms)
    total = sum(frame.n_atoms for frame in frames)
    done = 0
    progress("environments", 0, total)
    for part in batches([frame.n_atoms for frame in frames], _BATCH_ATOMS):
        pairs = pairs_of(frames[part], cutoff)
        kinds = np.array([types.index(frame.config_type) for frame in frames[part]])
        for term, found, kind in zip(terms, values, groups, strict=True):
            nearby = pairs.within(term.descriptor.cutoff)
            for block, some in term.descriptor.environments(nearby).items():
                kept = _distinct(term, some.values)
                found[block].append(some.values[kept])
                kind[block].append(kinds[pairs.frame[some.atoms[kept]]])
        done += pairs.n_atoms
        progress("environments", done, total)
    return values, groups
