"""Errors of each training structure, predicted by the fit without it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from gapfit.assembly import row_block
from gapfit.errors import GapfitError
from gapfit.evaluation import ErrorTally, Metrics
from gapfit.frame import GPA, Frame
from gapfit.frame_file import frame_sizes
from gapfit.groups import KINDS
from gapfit.model import GAPModel
from gapfit.preparing import Progress, as_dataset, data_digest, silent, targets

__all__ = ["leave_one_out"]


def leave_one_out(
    model: GAPModel,
    frames: Any = None,
    *,
    progress: Progress | None = None,
    base: Path | None = None,
) -> Metrics:
    """Return the errors of a model on its own training structures, each left out.

    With the rows φ of a structure, whitened and over sigma, and the factor R of
    B = I + Φ^T Φ, the residuals of the fit without them are (I - φ B^-1 φ^T)^-1 r:
    equal to those of real refits with the same sparse points. One pass over the data.

    Parameters
    ----------
    model : GAPModel
        Saved with its posterior.
    frames : list of ase.Atoms, Dataset, path, list of paths, or None
        What it was fitted to; None reads ``config.data.train``.
    progress : callable, optional
        Called as ``progress("leave one out", done, total)`` in atoms.
    base : Path, optional
        Folder that relative data paths refer to.

    Returns
    -------
    dict
        As `gapfit.evaluate`. Only targets that were fitted have errors.

    Raises
    ------
    GapfitError
        The model has no posterior, or the structures are not those it was fitted to.
    """
    if model.posterior is None:
        raise GapfitError(
            "this model was saved without its posterior, so nothing can be left out; "
            "fit again with run.store_posterior = true"
        )
    report = progress or silent
    dataset = as_dataset(frames, model.config, base)
    if data_digest(dataset.frames) != model.info.get("data_digest"):
        raise GapfitError(
            "the structures are not those that the model was fitted to: leave-one-out "
            "errors need exactly its training data"
        )
    everything = targets(dataset.frames, model.baseline, model.config.sigma, report)
    errors = ErrorTally()
    done, total = 0, int(frame_sizes(everything).sum())
    report("leave one out", 0, total)
    for frame in everything:
        for kind, own in _residuals(model, frame):
            errors.add(frame.config_type, kind, own)
        done += frame.n_atoms
        report("leave one out", done, total)
    return errors.metrics()


def _residuals(model: GAPModel, frame: Frame) -> Iterator[tuple[str, np.ndarray]]:
    """Yield kind and errors of a structure: meV/atom, eV/Å and GPa."""
    assert model.posterior is not None
    block = row_block([frame], model.terms, model.e0, model.config.sigma)
    if not len(block.y):
        return
    coefficients = np.concatenate(
        [own for term in model.terms for own in term.coefficients.values()]
    )
    residual = (block.y - block.K @ coefficients) / block.sigma
    phi = model.posterior.whitening.apply(block.K / block.sigma[:, None])
    V = solve_triangular(model.posterior.R, phi.T, trans="T", check_finite=False)
    left = np.eye(len(residual)) - V.T @ V
    errors = -np.linalg.solve(left, residual) * block.sigma
    scale = {
        "energy": ("energy", 1000 / frame.n_atoms),
        "forces": ("forces", 1.0),
        "virial": ("stress", -GPA / frame.volume if frame.volume else 0.0),
    }
    for n, kind in enumerate(KINDS):
        some = block.kind == n
        if some.any():
            name, factor = scale[kind]
            yield name, factor * errors[some]
