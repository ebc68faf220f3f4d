"""Estimate of the time of a fit: parts of its work are timed and scaled up.

Descriptors and rows of a few frames are computed with as many sparse points as planned, and
the algebra is timed at a small size. Good to a factor of 1.5 on an otherwise idle machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from time import perf_counter

import numpy as np
from scipy.linalg.blas import dsyrk

from gapfit.config.sections import FitConfig
from gapfit.data.batching import sample_frames
from gapfit.data.dataset import Dataset
from gapfit.data.frame import Frame
from gapfit.data.frame_file import frame_sizes
from gapfit.data.neighbours import pairs_of
from gapfit.data.observations import row_counts
from gapfit.execution.plan import Plan
from gapfit.gp.streaming_qr import triangular
from gapfit.gp.whitening import Whitening
from gapfit.model.projection import VERIFY_ATOMS
from gapfit.model.rows import row_block
from gapfit.model.terms import FittedTerm, build_term, new_terms
from gapfit.threads import available, limited

__all__ = ["estimated_seconds"]

# Each timing is repeated for this time, seconds.
_ENOUGH = 0.3
# Sparse points and rows of the algebra that is timed.
_TIMED_POINTS, _TIMED_ROWS = 800, 768
# A worker starts within, seconds.
_START = 3.0
# Atoms on which trial projections are compared, without the last.
_TRIAL_ATOMS = 8_000


def estimated_seconds(
    dataset: Dataset, config: FitConfig, planned: Plan, test: Dataset | None = None
) -> float:
    """Return an estimate of the time of `gapfit fit` after reading the data, seconds.

    Parameters
    ----------
    dataset : Dataset
        Training data.
    config : FitConfig
        Configuration of the fit; ``[tune]`` is not counted.
    planned : Plan
        Plan of the same fit.
    test : Dataset, optional
        Data whose errors are computed at the end.
    """
    run = config.run
    local = run.workers if run.executor == "local" else 1
    threads = run.threads or max(available() // local, 1)
    with limited(threads):
        work = _TimedFit(dataset, config, planned)
        rows = work.rows() / min(local, planned.n_tasks)
        with limited(1):
            alone = work.choice() + work.solution()
        with limited(1):
            n_rows = int(row_counts(test.frames).sum()) if test else 0
            alone += work.error_bars(n_rows)
        n_test = int(frame_sizes(test.frames).sum()) if test else 0
        predictions = work.predictions(n_test)
    return rows + alone + predictions + (_START if planned.worker_bytes else 0.0)


def _seconds(work: Callable[[], object]) -> float:
    """Return the shortest of several measured times of `work`, seconds."""
    best, begun = np.inf, perf_counter()
    while not np.isfinite(best) or perf_counter() - begun < _ENOUGH:
        started = perf_counter()
        work()
        best = min(best, perf_counter() - started)
    return float(best)


class _TimedFit:
    """A fit, parts of which are timed."""

    def __init__(self, dataset: Dataset, config: FitConfig, planned: Plan) -> None:
        self.config, self.planned = config, planned
        self.rng = np.random.default_rng(0)
        self.frames: Sequence[Frame] = sample_frames(dataset.frames)
        self.e0 = dict.fromkeys(dataset.species, 0.0)
        self.n_timed = sum(frame.n_atoms for frame in self.frames)
        self.bare = new_terms(config.terms, dataset.species)
        self.terms = self._with_points()

    def _with_points(self) -> list[FittedTerm]:
        """Return the terms with random environments of the frames as sparse points."""
        blocks = iter(self.planned.sizes.matrices.blocks)
        out = []
        for term in self.bare:
            term = self._projected(term)
            pairs = pairs_of(self.frames, term.descriptor.cutoff)
            sparse = {}
            environments = term.descriptor.environments(pairs)
            for block, m in zip(term.descriptor.blocks, blocks, strict=False):
                values = environments[block].values
                if term.descriptor.linear:
                    sparse[block] = np.eye(term.descriptor.width(block))
                    continue
                index = self.rng.integers(max(len(values), 1), size=m)
                sparse[block] = values[index] if len(values) else values
            zeros = {block: np.zeros(len(points)) for block, points in sparse.items()}
            out.append(replace(term, sparse=sparse, coefficients=zeros))
        return out

    def _projected(self, term: FittedTerm) -> FittedTerm:
        """Return a term with random directions, as many as the configuration asks for."""
        components = term.descriptor.components
        if components == "all":
            return term
        n_features = term.descriptor.n_features
        # A given share of the variance mostly takes few of the directions.
        k = components if isinstance(components, int) else n_features // 4
        U = self.rng.normal(size=(n_features, min(k, n_features))) / n_features**0.5
        directions = dict.fromkeys(term.descriptor.blocks, U)
        return build_term(term.config, term.species, term.basis, directions)

    @property
    def _share(self) -> float:
        """Number of all atoms over that of timed ones."""
        return self.planned.n_atoms / self.n_timed

    def rows(self) -> float:
        """Return the time of the rows and of their sums."""
        sigma = self.config.sigma
        one = _seconds(lambda: row_block(self.frames, self.terms, self.e0, sigma))
        n_rows = sum(self.planned.n_rows.values())
        return one * self._share + n_rows * self._per_row()

    def _per_row(self) -> float:
        """Return the time in which a row is added to the sums."""
        blocks, n_sparse = self.planned.sizes.matrices.blocks, self.planned.n_sparse
        m = min(n_sparse, _TIMED_POINTS)
        rows = self.rng.normal(size=(_TIMED_ROWS, m))
        if self.config.solver.method == "qr":
            R, wide = np.triu(rows[:m]), self.rng.normal(size=(m, m))
            # As many rows as sparse points are absorbed at once.
            return _seconds(lambda: triangular([R, wide])) / m * (n_sparse / m) ** 2
        whitening = Whitening((np.asfortranarray(np.eye(m)),), (0.0,))
        G = np.zeros((m, m), order="F")
        solve = _seconds(lambda: whitening.apply(rows))
        add = _seconds(lambda: dsyrk(1.0, rows.T, beta=1.0, c=G, overwrite_c=True))
        squares = sum(n**2 for n in blocks)
        return (solve * squares + add * n_sparse**2) / m**2 / _TIMED_ROWS

    def _flops(self) -> float:
        """Return the rate of products of matrices, 1/s."""
        A = self.rng.normal(size=(_TIMED_POINTS // 2,) * 2)
        return 2 * len(A) ** 3 / _seconds(lambda: A @ A)

    def choice(self) -> float:
        """Return the time of the choice of the sparse points."""
        flops, total = self._flops(), 0.0
        for term, bare in zip(self.terms, self.bare, strict=True):
            method, width = term.config.points_method, bare.descriptor.n_features
            if method == "file":
                continue
            cutoff = max(other.descriptor.cutoff for other in self.bare)
            total += self._share * _seconds(partial(self._environments, bare, cutoff))
            # By environment: a Gram matrix, or distances to all points.
            each = {"cur": 4 * width**2, "fps": 4 * width * term.n_sparse}
            if bare.descriptor.atomic:
                total += self.planned.n_atoms * each.get(method or "", 0) / flops
        return total

    def _environments(self, term: FittedTerm, cutoff: float) -> None:
        descriptor = term.descriptor
        pairs = pairs_of(self.frames, cutoff).within(descriptor.cutoff)
        descriptor.environments(pairs)

    def solution(self) -> float:
        """Return the time of the steps that do not depend on the number of rows."""
        matrices, n = self.planned.sizes.matrices, self.planned.n_sparse
        work = n**3 / 3
        if self.config.solver.method == "qr":
            # LAPACK's QR runs at a fraction of the rate of products.
            work = 16 * (len(matrices.group_rows) + matrices.n_tasks) * n**3
        for m, width in zip(matrices.blocks, matrices.widths, strict=True):
            work += m**3 / 3 + 2 * m**2 * width
        return work / self._flops()

    def error_bars(self, n_test_rows: int) -> float:
        """Return the time of the calibration, and of scores of test data."""
        calibration, n_rows = self.config.calibration, sum(self.planned.n_rows.values())
        if not self.config.run.store_posterior:
            return 0.0
        n = min(n_test_rows, calibration.rows)
        if calibration.method != "none":
            n += min(n_rows, calibration.rows)
        one = _seconds(
            lambda: row_block(self.frames, self.terms, self.e0, self.config.sigma)
        )
        # Two triangles are solved for each row.
        algebra = 2 * self.planned.n_sparse**2 / self._flops()
        return n * (one * self._share / n_rows + 2 * algebra)

    def predictions(self, n_test: int) -> float:
        """Return the time of lossless projections and errors."""
        n_atoms = self.planned.n_atoms + n_test
        if self.config.prediction.project:
            verified = min(self.planned.n_atoms, VERIFY_ATOMS)
            n_atoms += 2 * verified + min(16 * self.planned.n_atoms, _TRIAL_ATOMS)

        def predict() -> None:
            for term in self.terms:
                cutoff = term.descriptor.cutoff
                term.predict(pairs_of(self.frames, cutoff), gradients=True)

        predict()  # tables of pairs and triplets are made once
        return n_atoms * _seconds(predict) / self.n_timed
