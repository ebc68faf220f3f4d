"""Fits in many tasks, and executors that run them here."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import Executor, Future

import numpy as np
from builders import config, labelled_frames, silicon, three_species

import gapfit

FRAMES = [*labelled_frames(silicon, 11), *labelled_frames(three_species, 2)]
# Sums that are cut among threads differ in their last digits.
SETTINGS = config(n_sparse=15) | {"run": {"threads": 1}}


def fit(method: str = "cholesky", frames=None, **options) -> gapfit.GAPModel:
    settings = {**SETTINGS, "solver": {"method": method}}
    changed = options.pop("settings", {})
    settings |= changed | {"run": {"threads": 1, **changed.get("run", {})}}
    return gapfit.fit(frames or FRAMES, settings, **options)


def same(one: gapfit.GAPModel, other: gapfit.GAPModel) -> None:
    """Assert that two models are equal to the last bit."""
    assert one.record.log_marginal_likelihood == other.record.log_marginal_likelihood
    for mine, theirs in zip(one.terms, other.terms, strict=True):
        for block, c in mine.coefficients.items():
            np.testing.assert_array_equal(c, theirs.coefficients[block])
    assert one.record.n_rows == other.record.n_rows
    np.testing.assert_array_equal(one.posterior.R, other.posterior.R)


class Stop(BaseException):
    """Stands for a kill."""


def stopping_after(n_rows: int):
    def progress(stage: str, done: int, total: int) -> None:
        if stage == "rows" and done >= n_rows:
            raise Stop

    return progress


class Inline(Executor):
    """Runs each task at once, in this process."""

    num_workers = 2

    def submit(self, function, /, *args, **options):
        future: Future = Future()
        try:
            future.set_result(function(*args, **options))
        except Exception as error:
            future.set_exception(error)
        return future


def run(command: list[str], **options) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GAPFIT_NUM_THREADS": "1"}
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=240, **options
    )
