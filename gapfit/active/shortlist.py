"""Shortlist of a large pool by energies alone, which need no derivatives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gapfit._support.progress import Progress, silent
from gapfit.active.greedy import Per
from gapfit.data.batching import batches
from gapfit.data.frame import Frame
from gapfit.data.frame_file import frame_sizes
from gapfit.model.gap_model import GAPModel

__all__ = ["energy_variances", "shortlisted"]


def shortlisted(
    model: GAPModel,
    frames: Sequence[Frame],
    indices: Sequence[int],
    n: int,
    per: Per,
    *,
    progress: Progress = silent,
    per_pick: int = 20,
    least: int = 1000,
) -> list[int]:
    """Return the structures with the largest variances of energies of atoms.

    Parameters
    ----------
    model : GAPModel
        A model with its posterior.
    frames : sequence of Frame
        The pool; few frames are in memory at a time.
    indices : sequence of int
        Numbers of the structures to choose from, ascending.
    n : int
        Structures that will be picked from the list.
    per : {"atom", "structure"}
        Whether the largest variance of a structure counts, or their sum.
    progress : callable
        Called as ``progress("shortlist", done, total)``.
    per_pick, least : int
        Length of the list: so many for each of the `n`, at least so many in total. A
        shorter pool is listed as it is.

    Returns
    -------
    list of int
        Some of `indices`, ascending.
    """
    size = max(per_pick * n, least)
    if len(indices) <= size:
        return list(indices)
    estimates = np.zeros(len(indices))
    progress("shortlist", 0, len(indices))
    for k, variances in enumerate(energy_variances(model, frames, indices)):
        estimates[k] = variances.max() if per == "atom" else variances.sum()
        progress("shortlist", k + 1, len(indices))
    best = np.argsort(-estimates, kind="stable")[:size]
    return [indices[k] for k in sorted(best.tolist())]


def energy_variances(
    model: GAPModel,
    frames: Sequence[Frame],
    indices: Sequence[int],
    *,
    batch_atoms: int = 128,
) -> Iterator[np.ndarray]:
    """Yield the variances of the energies of atoms of structures, (n_atoms,), eV².

    This needs no derivatives and is much faster than rows.

    Parameters
    ----------
    model : GAPModel
        A model with its posterior.
    frames : sequence of Frame
        The pool; few frames are in memory at a time.
    indices : sequence of int
        Numbers of the structures among the frames.
    batch_atoms : int
        Atoms predicted together; at least one structure.
    """
    sizes = frame_sizes(frames)[np.asarray(indices, dtype=np.int64)]
    for part in batches(sizes, batch_atoms):
        for prediction in model.predict(
            [frames[n] for n in indices[part]],
            forces=False,
            stress=False,
            std="energies",
        ):
            assert prediction.energies_std is not None
            yield prediction.energies_std**2
