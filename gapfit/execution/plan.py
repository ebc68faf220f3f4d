"""Size of a fit before it starts: rows, sparse points, tasks and memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from gapfit._support.resources import in_words, resident_bytes
from gapfit.config.sections import FitConfig
from gapfit.config.toml import as_config
from gapfit.data.batching import sample_frames
from gapfit.data.dataset import as_dataset
from gapfit.data.frame import Frame
from gapfit.data.frame_file import frame_sizes, species_counts
from gapfit.data.neighbours import Pairs, pairs_of
from gapfit.data.observations import count_rows, row_counts
from gapfit.errors import GapfitError
from gapfit.execution.accumulate import task_slices
from gapfit.execution.end_memory import end_bytes
from gapfit.execution.memory import (
    LIBRARY_BYTES,
    WORKER_BYTES,
    Batch,
    Matrices,
    TermRows,
)
from gapfit.gp.observations import Group
from gapfit.model.observation_groups import groups_of
from gapfit.model.terms import FittedTerm, new_terms
from gapfit.sparse.choice_memory import choice_memory
from gapfit.sparse.choose import require_wanted_points
from gapfit.sparse.listed import count_listed
from gapfit.threads import available

__all__ = [
    "Plan",
    "Sizes",
    "batch_atoms",
    "enough_memory",
    "plan",
    "planned_points",
    "sizes_of",
]

_MAX_BATCH_ATOMS = 256


@dataclass(frozen=True)
class Sizes:
    """Sizes that decide the memory of a fit.

    Attributes
    ----------
    matrices : Matrices
        Memory that does not depend on the number of rows.
    batch : Batch
        Rows computed together.
    largest : int
        Atoms of the largest frame, whose rows are never split.
    granted : int
        ``run.memory``, bytes.
    """

    matrices: Matrices
    batch: Batch
    largest: int
    granted: int

    @property
    def batch_atoms(self) -> int:
        """Atoms whose rows are in memory at a time."""
        return self.batch.atoms_within(
            self.granted - self.matrices.rows, _MAX_BATCH_ATOMS
        )

    @property
    def batch_bytes(self) -> int:
        """Memory for the rows of a batch."""
        return self.batch.of_atoms(max(self.largest, self.batch_atoms))

    @property
    def needed(self) -> int:
        """Least memory that the fit takes, bytes."""
        matrices = self.matrices
        return max(matrices.needed, matrices.rows + self.batch.rows_of(self.largest))

    def require(self) -> None:
        """Refuse a fit whose matrices take more memory than is granted.

        Raises
        ------
        GapfitError
            States how much they need.
        """
        matrices, needed = self.matrices, self.needed
        if needed > self.granted:
            raise GapfitError(
                f"run.memory = {in_words(self.granted)} is too little: "
                f"{matrices.n_sparse} sparse points ({matrices.method}, "
                f"{len(matrices.group_rows)} groups of rows) need "
                f"{in_words(needed)} for their matrices in each process, without Python "
                f'and its libraries; set run.memory = "{_rounded_up(needed)}" if '
                "the machine has it, or lower n_sparse"
            )


def _rounded_up(n: float) -> str:
    """Return a number of bytes as a value of the configuration, with a margin of 10 %."""
    unit, name = next(u for u in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")) if n >= u[0])
    return f"{ceil(11 * n / unit) / 10:g} {name}"


@dataclass(frozen=True)
class Plan:
    """Size of a fit before it starts.

    Attributes
    ----------
    n_frames, n_atoms : int
        Size of the training data.
    n_rows : dict of str to int
        Observations: energy, forces, virial.
    n_sparse : int
        Sparse points, at most.
    n_tasks : int
        Parts of the data, summed up one by one or by workers.
    n_features : tuple of int
        Length of the descriptor of each term.
    memory_bytes : int
        Estimated peak of this process, with Python and its libraries.
    worker_bytes : int
        The same of each worker; 0 where this process does all the work.
    device_bytes : int
        Estimated peak on ``run.device`` of each process that sums up rows; 0 on a CPU.
    sizes : Sizes
        Sizes that these follow from.
    """

    n_frames: int
    n_atoms: int
    n_rows: dict[str, int]
    n_sparse: int
    n_tasks: int
    n_features: tuple[int, ...]
    memory_bytes: int
    worker_bytes: int
    device_bytes: int
    sizes: Sizes


def plan(
    frames: Any = None,
    config: FitConfig | Mapping[str, Any] | str | Path | None = None,
    base: Path | None = None,
    *,
    workers: bool | None = None,
) -> Plan:
    """Return the size of a fit without starting it.

    Parameters
    ----------
    frames, config, base
        As for `gapfit.fit`.
    workers : bool, optional
        Whether other processes sum up the rows; by default as ``config.run`` says.
    """
    if base is None and isinstance(config, str | Path):
        base = Path(config).parent
    settings = as_config(config, frames)
    dataset = as_dataset(frames, settings, base)
    frames, terms = dataset.frames, new_terms(settings.terms, dataset.species)
    require_wanted_points(terms)
    sample = _sampled_pairs(frames, terms)
    points = planned_points(frames, terms, base or Path())
    sizes = sizes_of(frames, terms, points, settings, sample.n_pairs / sample.n_atoms)
    if workers is None:
        workers = settings.run.executor != "local" or settings.run.workers > 1
    matrices = sizes.matrices
    stages = [
        matrices.whitening,
        matrices.led if workers else matrices.rows + sizes.batch_bytes,
        matrices.solved,
        end_bytes(frames, terms, points, matrices, sizes.batch, settings),
        *(
            choice_memory(term, frames, sample, settings.run.memory_bytes)
            for term in terms
        ),
    ]
    return Plan(
        len(frames),
        int(frame_sizes(frames).sum()),
        count_rows(frames),
        matrices.n_sparse,
        matrices.n_tasks,
        tuple(term.descriptor.n_features for term in terms),
        resident_bytes() + LIBRARY_BYTES + max(stages),
        WORKER_BYTES + LIBRARY_BYTES + matrices.worker + sizes.batch_bytes
        if workers
        else 0,
        0 if settings.run.device.endswith("cpu") else matrices.on_device,
        sizes,
    )


def sizes_of(
    frames: Sequence[Frame],
    terms: Sequence[FittedTerm],
    points: Sequence[Mapping[int, int]],
    config: FitConfig,
    pairs_per_atom: float | None = None,
) -> Sizes:
    """Return the sizes that decide the memory of a fit.

    Parameters
    ----------
    frames : sequence of Frame
        With labels and sigmas as they were read.
    terms : sequence of FittedTerm
        With or without sparse points.
    points : sequence of mapping of int to int
        For each term, the number of sparse points by block.
    config : FitConfig
        Configuration of the fit.
    pairs_per_atom : float, optional
        Neighbours within the longest cutoff; counted on a sample when absent.
    """
    if pairs_per_atom is None:
        sample = _sampled_pairs(frames, terms)
        pairs_per_atom = sample.n_pairs / sample.n_atoms
    counts, sizes = row_counts(frames), frame_sizes(frames)
    n_sparse = sum(sum(by_block.values()) for by_block in points)
    blocks = [m for by_block in points for m in by_block.values()]
    matrices = Matrices(
        tuple(blocks),
        tuple(
            _width(term)
            for term, by_block in zip(terms, points, strict=True)
            for _ in by_block
        ),
        _group_rows(frames, counts, config),
        len(task_slices(sizes, n_sparse)),
        config.solver.method,
    )
    batch = Batch(
        [
            _rows_of(term, by_block)
            for term, by_block in zip(terms, points, strict=True)
        ],
        float(counts.sum() / sizes.sum()),
        pairs_per_atom,
        bool(counts[:, 1:].any()),
        config.solver.method,
        config.run.threads or available(),
    )
    return Sizes(matrices, batch, int(sizes.max()), config.run.memory_bytes)


def batch_atoms(
    frames: Sequence[Frame],
    terms: Sequence[FittedTerm],
    config: FitConfig,
    pairs_per_atom: float | None = None,
) -> int:
    """Return how many atoms' rows are computed together; `terms` with sparse points."""
    points = _points_chosen(terms)
    return sizes_of(frames, terms, points, config, pairs_per_atom).batch_atoms


def enough_memory(
    frames: Sequence[Frame], terms: Sequence[FittedTerm], config: FitConfig
) -> bool:
    """Return whether run.memory is enough for a fit beside the sums of another.

    `terms` have their sparse points.
    """
    sizes = sizes_of(frames, terms, _points_chosen(terms), config)
    return sizes.needed + sizes.matrices.sums <= sizes.granted


def _points_chosen(terms: Sequence[FittedTerm]) -> list[dict[int, int]]:
    return [{b: len(values) for b, values in term.sparse.items()} for term in terms]


def _rows_of(term: FittedTerm, points: Mapping[int, int]) -> TermRows:
    projected = term.descriptor.components != "all"
    return TermRows(
        term.descriptor,
        sum(points.values()),
        sum(m > 0 for m in points.values()),
        term.descriptor.n_features + (_width(term) if projected else 0),
    )


def _width(term: FittedTerm) -> int:
    """Return the largest length of the sparse points of a term."""
    n_features = term.descriptor.n_features
    components = term.descriptor.components
    return min(components, n_features) if isinstance(components, int) else n_features


def _group_rows(
    frames: Sequence[Frame], counts: np.ndarray, config: FitConfig
) -> tuple[int, ...]:
    """Return the number of rows of each group of observations that has any."""
    totals: Counter[Group] = Counter()
    groups = groups_of(frames, config)
    for frame_groups, n in zip(groups, counts.tolist(), strict=True):
        for group, n_rows in zip(frame_groups, n, strict=True):
            totals[group] += n_rows
    return tuple(n for n in totals.values() if n)


def _sampled_pairs(frames: Sequence[Frame], terms: Sequence[FittedTerm]) -> Pairs:
    """Return the neighbours in a sample of frames within the longest cutoff."""
    cutoff = max(term.descriptor.cutoff for term in terms)
    return pairs_of(sample_frames(frames), cutoff)


def planned_points(
    frames: Sequence[Frame], terms: Sequence[FittedTerm], base: Path
) -> list[dict[int, int]]:
    """Return the number of sparse points of each block of each term, at most.

    Parameters
    ----------
    frames : sequence of Frame
        Training data.
    terms : sequence of FittedTerm
        Without sparse points.
    base : Path
        Folder that relative paths of lists refer to.
    """
    present = species_counts(frames)
    out = []
    for term in terms:
        file = term.config.points_file
        if file is not None:
            listed = count_listed(base / Path(file).expanduser())
            # A list names atoms, whose blocks are unknown here: all in one block takes
            # the most memory.
            out.append({term.descriptor.blocks[0]: listed})
            continue
        wanted = {block: term.n_wanted(block) for block in term.descriptor.blocks}
        if term.descriptor.atomic and not term.descriptor.linear:
            for block, n in wanted.items():
                carriers = term.descriptor.carriers(block)
                wanted[block] = min(n, sum(present.get(z, n) for z in carriers))
        out.append(wanted)
    return out
