"""Data appended to a model, and the fit of all of them."""

from __future__ import annotations

from dataclasses import replace

from ase import Atoms
from ase.build import bulk
from builders import (
    label,
    labelled_frames,
)

from gapfit._support.progress import silent
from gapfit.baseline.baseline import targets
from gapfit.data.dataset import read
from gapfit.execution.accumulate import RowBuilder
from gapfit.fitting.solve import solved
from gapfit.gp.whitening import whiten
from gapfit.model.observation_groups import groups_of


def later(build, n=3):
    """Frames that are not among the first of `labelled_frames`."""
    return labelled_frames(build, 6 + n)[6:]


def calm(n=4) -> list[Atoms]:
    """Diamond that hardly moves: a few sparse points describe it."""
    frames = []
    for k in range(n):
        atoms = bulk("Si", cubic=True)
        atoms.rattle(0.03, seed=k)
        frames.append(label(atoms, config_type="calm"))
    return frames


def fit_of_all(model, frames):
    """Return the fit of all data with the sparse points and e0 of a model."""
    given = read(frames, model.config.data).frames
    whitening = whiten(
        [t.descriptor.kernel(p, p) for t in model.terms for p in t.sparse.values()],
        model.config.solver.jitter,
    )
    sigma, method = model.config.sigma, model.config.solver.method
    rows = RowBuilder(model.terms, model.e0, sigma, whitening, method)
    prepared = targets(given, model.baseline, sigma, silent)
    groups = groups_of(given, model.config, model.e0)
    sums = rows.sum_up(prepared, groups, 1000)
    return solved(replace(model, training_sums=sums), prepared, silent)
