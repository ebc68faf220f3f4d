"""Energies of all samples along a trajectory, for little more than those of one.

Energies are linear in the coefficients: E_k(x) = k(x)·c_k + what all samples have in
common. The kernels k(x) of a structure are computed once, and all samples are one product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gapfit._support.progress import Progress, silent
from gapfit.data.batching import batches
from gapfit.data.frame import Frame, as_frame
from gapfit.data.neighbours import pairs_of
from gapfit.errors import GapfitError
from gapfit.model.samples import Samples
from gapfit.model.terms import FittedTerm, coefficient_vector
from gapfit.threads import use_threads

__all__ = ["SampleEnergies", "sample_energies"]

# Atoms whose kernels are computed together: amortises overhead, bounds the memory.
_BATCH_ATOMS = 1024


@dataclass(frozen=True, eq=False)
class SampleEnergies:
    """Total energies of structures by the mean potential and by samples of it.

    Attributes
    ----------
    mean : (n_frames,) float64
        Energy of the mean potential, the fit itself, eV.
    differences : (n_frames, n_samples) float64
        E_k - E_mean, eV. What all samples have in common is not in them, so that they
        are accurate where energies are large.
    """

    mean: np.ndarray
    differences: np.ndarray

    @property
    def energies(self) -> np.ndarray:
        """Energies E_k of the samples, (n_frames, n_samples) float64, eV."""
        return self.mean[:, None] + self.differences


def sample_energies(
    samples: Samples,
    structures: Sequence[Any],
    *,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> SampleEnergies:
    """Return the energies of all samples for many structures.

    Parameters
    ----------
    samples : Samples
        From `GAPModel.sample`.
    structures : sequence of ase.Atoms or Frame
        The structures.
    n_threads : int, optional
        Threads to use, `gapfit.threads.available` by default; bits depend on it.
    progress : callable, optional
        Called with the stage, the structures done and their number.

    Raises
    ------
    StructureError
        See `GAPModel.predict`.
    GapfitError
        An energy is not finite.
    """
    report = progress or silent
    frames = [as_frame(item, f"structure {n}") for n, item in enumerate(structures)]
    model = samples.model
    c = coefficient_vector(model.terms)
    # The first column is the mean potential.
    C = np.column_stack([c, (samples.coefficients - c).T])
    sums = np.zeros((len(frames), C.shape[1]))
    common = np.zeros(len(frames))
    rest = model.without_terms()
    with use_threads(n_threads):
        for part in batches([frame.n_atoms for frame in frames], _BATCH_ATOMS):
            report("energies", part.start, len(frames))
            batch = frames[part]
            # First: it refuses what the model does not know, with the place.
            found = rest.predict(batch, forces=False, stress=False)
            common[part] = [prediction.energy for prediction in found]
            sums[part] = _energy_rows(model.terms, batch, model.cutoff) @ C
    report("energies", len(frames), len(frames))
    _require_finite(frames, sums)
    return SampleEnergies(sums[:, 0] + common, sums[:, 1:])


def _energy_rows(
    terms: Sequence[FittedTerm], frames: Sequence[Frame], cutoff: float
) -> np.ndarray:
    """Return (n_frames, n_sparse) covariances of total energies with sparse points, eV².

    Sums of the covariances of local energies, which take a third of the time of
    `Descriptor.kernel_rows`.
    """
    pairs = pairs_of(frames, cutoff)
    first = np.searchsorted(pairs.frame, np.arange(pairs.n_frames))
    rows = []
    for term in terms:
        inside = pairs.within(term.descriptor.cutoff)
        covariances, _ = term.descriptor.covariances(inside, term.sparse)
        rows.append(np.add.reduceat(covariances, first, axis=0))
    return np.concatenate(rows, axis=1)


def _require_finite(frames: Sequence[Frame], sums: np.ndarray) -> None:
    wrong = np.flatnonzero(~np.isfinite(sums).all(axis=1))
    if len(wrong):
        raise GapfitError(
            f"{frames[wrong[0]].source}: the energy of a sample is not finite; the "
            "coefficients of the model are too large: fit it again, or get the model "
            "file again"
        )
