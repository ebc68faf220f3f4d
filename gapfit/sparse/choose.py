"""Choice of the sparse points of all terms and of the projections of descriptors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from gapfit.config.sections import SparseTermConfig
from gapfit.data.batching import batches
from gapfit.data.frame import Frame
from gapfit.data.frame_file import config_types, frame_sizes
from gapfit.data.neighbours import pairs_of
from gapfit.descriptors.protocol import Sparse
from gapfit.errors import ConfigError, DataError
from gapfit.model.terms import FittedTerm, build_term
from gapfit.sparse import streaming
from gapfit.sparse.adapt import adapted
from gapfit.sparse.choice_memory import (
    BATCH_ATOMS,
    SHARE_OF_MEMORY,
    choice_config,
    held_at_most,
    held_bytes,
    is_wide,
)
from gapfit.sparse.functions import with_functions
from gapfit.sparse.isolated import with_isolated_atoms
from gapfit.sparse.listed import listed_points
from gapfit.sparse.methods import (
    directions_of,
    principal_directions,
    select,
    select_with_quotas,
    unique_rows,
)
from gapfit.sparse.streaming import Batch

__all__ = ["choose_sparse_points", "require_wanted_points"]

# Methods that always give the number wanted if there are enough distinct environments.
_EXACT = ("cur", "fps", "random")
# Values in units of the kernel's lengths are rounded to this many digits: closer points
# would make the kernel matrix singular, and millions of triplets are nearly equal.
_DIGITS_OF_LENGTHS = 3


def choose_sparse_points(
    frames: Sequence[Frame],
    terms: Sequence[FittedTerm],
    seed: int,
    progress: Callable[[str, int, int], None],
    note: Callable[[str], None],
    *,
    memory: float = np.inf,
    base: Path = Path(),
) -> list[FittedTerm]:
    """Return the terms with sparse points chosen among all environments.

    If `components` is set, descriptors are first projected on directions from the same
    environments.

    The descriptors of one term are all kept in memory if they take no more than `memory`,
    or 128 MB for methods that lose nothing without them (leverage scores, equal chances).
    Otherwise they are computed again in each of a few passes, and only statistics and the
    best rows are kept (`gapfit.sparse.streaming`). Farthest points, clusters and even
    spacing then choose from a random subset of environments that fits in memory.

    Parameters
    ----------
    frames : sequence of Frame
        Training data.
    terms : sequence of FittedTerm
        Terms without sparse points.
    seed : int
        Seed of the random choices.
    progress : callable
        Called as ``progress(stage, done, total)``.
    note : callable
        Called with the text of each warning.
    memory : float
        Approximate memory for the choice, bytes; never less than the sparse points take.
    base : Path
        Folder that relative paths of lists refer to.
    """
    types = sorted(set(config_types(frames)))
    chosen = []
    cutoff = max(term.descriptor.cutoff for term in terms)
    for n, given in enumerate(terms):
        term = adapted(given, frames, cutoff)
        if term.descriptor.linear:
            chosen.append(with_functions(term, frames, cutoff))
            progress("sparse points", n + 1, len(terms))
            continue
        choice = _SparseChoice(
            frames,
            replace(term, sparse={}),
            types,
            cutoff,
            held_at_most(term, memory),
            seed,
            n,
            len(terms),
            progress,
            note,
        )
        chosen.append(choice.run(base))
        progress("sparse points", n + 1, len(terms))
    if not any(term.n_sparse for term in chosen):
        raise DataError(
            "no term has a sparse point: no atoms have neighbours within r_cut, or "
            "centres, species_n_sparse or config_type_n_sparse exclude all environments; "
            "check them"
        )
    return chosen


def require_wanted_points(terms: Sequence[FittedTerm]) -> None:
    """Refuse terms of which none wants a sparse point, whatever the structures.

    Raises
    ------
    ConfigError
        Names the keys that exclude all environments.
    """
    for term in terms:
        blocks = term.descriptor.blocks
        if term.config.points_file or any(term.n_wanted(block) for block in blocks):
            return
    species = ", ".join(chemical_symbols[z] for z in terms[0].species)
    raise ConfigError(
        f"no term has a sparse point: `centres` or `species_n_sparse` of each of [[terms]] "
        f"exclude all environments of {species}, the species of the data; correct them"
    )


@dataclass
class _SparseChoice:
    """The choice of the sparse points of one term; see `choose_sparse_points`."""

    frames: Sequence[Frame]
    term: FittedTerm
    types: list[str]
    cutoff: float
    memory: float
    seed: int
    number: int  # of the term
    n_terms: int
    progress: Callable[[str, int, int], None]
    note: Callable[[str], None]
    _passes: int = 0

    def run(self, base: Path) -> FittedTerm:
        """Return the term with sparse points, and projected if `components` is set."""
        config = self.config
        components: Any = self.term.descriptor.components
        held = None
        if config.sparse_method != "file" or components != "all":
            held = self._gathered()
        if components != "all":
            U = self._directions(held, components)
            if held is not None:
                held = {
                    b: (values @ U[b], kinds) for b, (values, kinds) in held.items()
                }
            self.term = build_term(config, self.term.species, self.term.basis, U)
        self.progress("sparse points", self.number, self.n_terms)
        if config.sparse_file is not None:
            sparse = self._listed(base / Path(config.sparse_file).expanduser())
        else:
            sparse = self._streamed() if held is None else self._selected(held)
            lengths = self.term.descriptor.lengths
            if lengths is not None:
                sparse = {block: points * lengths for block, points in sparse.items()}
            quotas = config.config_type_n_sparse
            sparse = with_isolated_atoms(sparse, self.term, self.frames, quotas)
        for block, points in sparse.items():
            if text := self._shortfall(block, len(points)):
                self._note(text)
        return replace(self.term, sparse=sparse)

    @property
    def config(self) -> SparseTermConfig:
        """The configuration of the term."""
        return choice_config(self.term)

    def _batches(self) -> Iterator[Batch]:
        """Yield all environments with the index of their config_type."""
        self._passes += 1
        stage = "environments" + (f" {self._passes}" if self._passes > 1 else "")
        sizes = frame_sizes(self.frames)
        n_atoms = int(sizes.sum())
        total, done = self.n_terms * n_atoms, self.number * n_atoms
        wanted = self._blocks_needed()
        self.progress(stage, done, total)
        for selection in batches(sizes, BATCH_ATOMS):
            frames = self.frames[selection]
            pairs = pairs_of(frames, self.cutoff)
            types = np.array([self.types.index(f.config_type) for f in frames])
            near = pairs.within(self.term.descriptor.cutoff)
            environments = self.term.descriptor.environments(near)
            yield {
                block: self._comparable(part.values, types[pairs.frame[part.atoms]])
                for block, part in environments.items()
                if block in wanted
            }
            done += pairs.n_atoms
            self.progress(stage, done, total)

    def _comparable(
        self, values: np.ndarray, kinds: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return environments in units of the kernel's lengths, and their kinds.

        Of equal ones of the same kind one is kept.
        """
        lengths = self.term.descriptor.lengths
        if lengths is None or not len(values):
            return values, kinds
        rounded = np.round(values / lengths, _DIGITS_OF_LENGTHS)
        kept = unique_rows(np.column_stack([rounded, kinds]))
        return rounded[kept], kinds[kept]

    def _gathered(self) -> Batch | None:
        """Return all environments, or None if they take too much memory."""
        parts: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}
        size = 0
        for batch in self._batches():
            for block, part in batch.items():
                n, width = part[0].shape
                size += n * held_bytes(self.config, width)
                parts.setdefault(block, []).append(part)
            if size > self.memory:
                return None
        held = {}
        for block in list(parts):
            values, kinds = zip(*parts.pop(block), strict=True)
            held[block] = np.concatenate(values), np.concatenate(kinds)
        return held

    def _blocks_needed(self) -> set[int]:
        """Return the blocks whose environments are needed for points or directions."""
        term = self.term
        if term.descriptor.components != "all" and not term.projections:
            return set(term.descriptor.blocks)
        return {block for block in term.descriptor.blocks if term.n_wanted(block)}

    def _directions(
        self, held: Batch | None, components: float
    ) -> dict[int, np.ndarray]:
        if held is None:
            grams = streaming.gram(self._batches)
            return {b: directions_of(gram, components) for b, gram in grams.items()}
        return {b: principal_directions(v, components) for b, (v, _) in held.items()}

    def _note(self, text: str) -> None:
        self.note(f"[[terms]] {self.number + 1}: {text}")

    def _rng(self, block: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.number, block])

    @property
    def _quotas(self) -> dict[int, int]:
        """Numbers of sparse points by index of the config_type."""
        given = self.config.config_type_n_sparse
        return {self.types.index(n): q for n, q in given.items() if n in self.types}

    def _selected(self, held: Batch) -> Sparse:
        """Return the sparse points chosen from gathered environments."""
        method, descriptor = self.config.sparse_method, self.term.descriptor
        sparse: Sparse = {}
        for block in descriptor.blocks:
            wanted = self.term.n_wanted(block)
            if not wanted or block not in held:
                sparse[block] = np.zeros((0, descriptor.width(block)))
                continue
            values, kinds = held[block]
            rng, quotas = self._rng(block), self._quotas
            if quotas:
                index = select_with_quotas(values, kinds, quotas, wanted, method, rng)
            else:
                index = select(values, wanted, method, rng)
            sparse[block] = np.ascontiguousarray(values[index])
        return sparse

    def _streamed(self) -> Sparse:
        """Return the sparse points chosen from environments that do not fit in memory."""
        descriptor, config = self.term.descriptor, self.config
        widths = {block: descriptor.width(block) for block in descriptor.blocks}
        salts = {b: int(self._rng(b).integers(2**64, dtype="u8")) for b in widths}
        wanted = {block: self.term.n_wanted(block) for block in widths}
        quotas = self._quotas
        if config.sparse_method == "cur" and is_wide(self.term):
            points = streaming.cur(self._batches, wanted, quotas, salts)
            empty = {b: np.zeros((0, width)) for b, width in widths.items()}
            return empty | points
        sizes = {
            block: wanted[block]
            if config.sparse_method == "random"
            else max(
                wanted[block], self._pool_size(width, len(widths) * (len(quotas) + 1))
            )
            for block, width in widths.items()
            if wanted[block]
        }
        extremes = config.sparse_method == "uniform"
        held: Batch = {}
        for block, subset in streaming.subset(
            self._batches, sizes, quotas, salts, extremes=extremes
        ).items():
            held[block] = subset.values.reshape(-1, widths[block]), subset.kinds
            if not subset.complete and config.sparse_method != "random":
                self._note(
                    f"{config.sparse_method} of {descriptor.label(block)}: only "
                    f"{len(subset.values)} of {subset.n_found} environments, drawn at "
                    f"random, are considered: all of them need more than "
                    f"{SHARE_OF_MEMORY:.0%} of run.memory"
                )
        return self._selected(held)

    def _pool_size(self, width: int, n_pools: int) -> int:
        return int(self.memory / (held_bytes(self.config, width) * n_pools))

    def _listed(self, path: Path) -> Sparse:
        sparse, n_repeated = listed_points(path, self.term, self.frames)
        if n_repeated:
            self._note(f"{path}: {n_repeated} repeated points are ignored")
        return sparse

    def _shortfall(self, block: int, n_found: int) -> str:
        """Return a warning about too few sparse points; empty if there are enough."""
        config = self.config
        name, wanted = self.term.descriptor.label(block), self.term.n_wanted(block)
        if not n_found and config.sparse_file is not None:
            return f"{config.sparse_file} lists no points of {name}: this part stays 0"
        if not n_found and wanted:
            return (
                f"no environments of {name} in the data: this part of the term stays 0"
            )
        if config.sparse_method in _EXACT and not self._quotas and n_found < wanted:
            return (
                f"{wanted} sparse points wanted for {name}, only {n_found} distinct "
                "environments in the data: all are used"
            )
        return ""
