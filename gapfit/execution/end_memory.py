"""Memory of the steps after the solution of a fit: projections and error bars."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from gapfit.config.sections import FitConfig
from gapfit.data.frame import Frame
from gapfit.data.frame_file import frame_sizes
from gapfit.data.neighbours import PAIR_BYTES
from gapfit.data.observations import row_counts
from gapfit.evaluation.calibrate import representative
from gapfit.evaluation.local_scales import local_scale_nbytes
from gapfit.evaluation.residuals import at_once, residuals_nbytes
from gapfit.execution.memory import THREAD_BYTES, Batch, Matrices
from gapfit.model.local_variance import form_nbytes
from gapfit.model.projection import VERIFY_ATOMS
from gapfit.model.terms import FittedTerm
from gapfit.threads import available

__all__ = ["end_bytes"]

# Atoms whose energies are predicted together.
_TOGETHER = 1024


def end_bytes(
    frames: Sequence[Frame],
    terms: Sequence[FittedTerm],
    points: Sequence[Mapping[int, int]],
    matrices: Matrices,
    batch: Batch,
    config: FitConfig,
) -> int:
    """Return the memory at the end of a fit: projections, calibration, usual deviations.

    Parameters
    ----------
    frames : sequence of Frame
        Training data.
    terms : sequence of FittedTerm
        With or without sparse points.
    points : sequence of mapping of int to int
        For each term, the number of sparse points by block.
    matrices, batch : Matrices, Batch
        Those of the fit.
    config : FitConfig
        Configuration of the fit.
    """
    kept = matrices.points + matrices.sums + matrices.posterior
    stages = [0]
    if config.prediction.project:
        stages.append(_projections(frames, matrices, batch))
    if config.run.store_posterior:
        threads = 1
        if config.calibration.method != "none":
            calibrated, threads = _calibration(frames, terms, matrices, batch, config)
            stages.append(calibrated)
        left = (threads - 1) * THREAD_BYTES
        stages.append(_deviations(terms, points, batch) + left)
    return kept + max(stages)


def _projections(frames: Sequence[Frame], matrices: Matrices, batch: Batch) -> int:
    """Return the memory for the choice of lossless projections."""
    n_atoms = min(int(frame_sizes(frames).sum()), VERIFY_ATOMS)
    pairs = int(PAIR_BYTES * batch.pairs_per_atom * n_atoms)
    decomposed = 0
    for m, width in zip(matrices.blocks, matrices.widths, strict=True):
        # Input and output of LAPACK's SVD, and its workspace.
        k = min(m, width)
        decomposed = max(decomposed, 8 * (2 * m * width + 2 * m * k + 4 * k**2))
    return pairs + decomposed


def _calibration(
    frames: Sequence[Frame],
    terms: Sequence[FittedTerm],
    matrices: Matrices,
    batch: Batch,
    config: FitConfig,
) -> tuple[int, int]:
    """Return the memory of the calibration, and its number of threads."""
    common, extra = representative(frames, config.calibration.rows, config.run.seed)
    left_out = np.concatenate([common, extra])
    rows = row_counts(frames).sum(axis=1)[left_out]
    sizes = frame_sizes(frames)[left_out]
    n_sparse = matrices.n_sparse
    n_rows = int(rows.max(initial=1))
    wanted = config.run.threads * config.run.workers or available()
    most = at_once(n_rows, n_sparse, config.run.memory_bytes)
    threads = max(1, min(wanted, most, len(left_out)))

    def one(n_atoms: int, n_rows: int, *, further: bool = False) -> int:
        made = batch.structure(n_atoms, n_rows, further=further)
        return max(made, residuals_nbytes(n_rows, n_sparse))

    largest = one(int(sizes.max(initial=1)), n_rows)
    # While one thread has the largest structure, the others rarely have one like it.
    usual = one(_mean(sizes), _mean(rows), further=True)
    needed = largest + (threads - 1) * (usual + THREAD_BYTES)
    if any(term.descriptor.unit_vectors for term in terms):
        own = [frame for n in common if (frame := frames[int(n)]).forces is not None]
        n_environments = sum(frame.n_atoms for frame in own)
        local = local_scale_nbytes(n_environments, max(matrices.widths))
        needed = max(needed, local + (threads - 1) * THREAD_BYTES)
    return needed, threads


def _mean(values: np.ndarray) -> int:
    return math.ceil(values.mean()) if len(values) else 1


def _deviations(
    terms: Sequence[FittedTerm], points: Sequence[Mapping[int, int]], batch: Batch
) -> int:
    """Return the memory for the usual standard deviations of local energies."""
    pairs = int(PAIR_BYTES * batch.pairs_per_atom * _TOGETHER)
    by_term = [sum(by_block.values()) for by_block in points]
    able = [
        n
        for n, term in zip(by_term, terms, strict=True)
        if term.descriptor.with_variances
    ]
    if not able:
        return pairs + 3 * 8 * _TOGETHER * sum(by_term)
    others = sum(by_term) - max(able)
    felt = [
        sum(
            m
            for term, by_block in zip(terms, points, strict=True)
            for block, m in by_block.items()
            if z in term.descriptor.carriers(block)
        )
        for z in terms[0].species
    ]
    return pairs + 2 * 8 * _TOGETHER * others + form_nbytes(sum(by_term), felt)
