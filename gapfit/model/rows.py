"""Blocks of rows for the solver: kernel rows (Eq. 2), targets and sigmas of frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gapfit.config.sections import SigmaConfig
from gapfit.data.e0 import isolated_energy
from gapfit.data.frame import Frame
from gapfit.data.neighbours import pairs_of
from gapfit.data.observations import Quantity, labelled_forces, row_counts
from gapfit.data.sigmas import frame_sigmas
from gapfit.descriptors.protocol import KernelRows
from gapfit.gp.observations import RowBlock, Targets
from gapfit.model.terms import FittedTerm

__all__ = [
    "DEVICE_BATCH_BYTES",
    "DEVICE_CHUNK_BYTES",
    "labelled_rows",
    "row_block",
    "row_targets",
    "rows_nbytes",
]

#: Most memory of a GPU for a batch of rows and its copies, and for the atoms of a term
#: whose rows or energies are computed together, bytes.
DEVICE_BATCH_BYTES, DEVICE_CHUNK_BYTES = 4_000_000_000, 2_000_000_000


def row_block(
    frames: Sequence[Frame],
    terms: Sequence[FittedTerm],
    e0: dict[int, float],
    sigma: SigmaConfig,
) -> RowBlock:
    """Return all observations of a batch of frames.

    Parameters
    ----------
    frames : sequence of Frame
        Handled together; memory grows with their atoms.
    terms : sequence of FittedTerm
        With sparse points.
    e0 : dict of int to float
        Energies of isolated atoms by atomic number, eV.
    sigma : SigmaConfig
        Standard deviations.
    """
    pairs = pairs_of(frames, max(term.descriptor.cutoff for term in terms))
    gradients = any(f.forces is not None or f.virial is not None for f in frames)
    virials = any(f.virial is not None for f in frames)
    counts = row_counts(frames)
    places = _places(counts)
    K = np.empty((int(counts.sum()), sum(term.n_sparse for term in terms)))
    first = 0
    for term in terms:
        _fill(
            K[:, first : first + term.n_sparse],
            frames,
            places,
            term.descriptor.kernel_rows(
                pairs.within(term.descriptor.cutoff),
                term.sparse,
                gradients=gradients,
                virials=virials,
            ),
        )
        first += term.n_sparse
    return RowBlock(**vars(row_targets(frames, e0, sigma)), K=K)


def row_targets(
    frames: Sequence[Frame], e0: dict[int, float], sigma: SigmaConfig
) -> Targets:
    """Return the targets of all observations of a batch; see `row_block`."""
    counts, numbers = row_counts(frames), np.arange(len(frames))
    y, sigmas = _targets(frames, _places(counts), int(counts.sum()), e0, sigma)
    return Targets(
        y,
        sigmas,
        np.repeat(np.arange(len(Quantity)), counts.sum(axis=0)),
        np.concatenate([np.repeat(numbers, of_kind) for of_kind in counts.T]),
    )


def labelled_rows(frames: Sequence[Frame]) -> np.ndarray:
    """Return which rows have labels, of all that frames might have.

    Returns
    -------
    (7 n_frames + 3 n_atoms,) bool
        For all energies, then all forces, then all virials.
    """
    return np.concatenate(
        [
            np.array([frame.energy is not None for frame in frames], dtype=bool),
            *map(labelled_forces, frames),
            np.repeat([frame.virial is not None for frame in frames], 6),
        ]
    )


def rows_nbytes(
    n_rows: float, n_atoms: int, sizes: Sequence[int], *, gradients: bool
) -> tuple[float, float]:
    """Return the memory of a block of rows and the temporary memory to make it, bytes.

    Parameters
    ----------
    n_rows : float
        Observations.
    n_atoms : int
        Atoms of the frames.
    sizes : sequence of int
        Sparse points of each term: the rows of one are made at a time.
    gradients : bool
        Whether there are forces or virials.
    """
    made = (3 if gradients else 1) * n_atoms * max(sizes)
    return 8 * n_rows * sum(sizes), 8 * made


def _places(counts: np.ndarray) -> list[list[slice]]:
    """Return the rows of each quantity and frame, from their numbers (n_frames, 3)."""
    ends = np.cumsum(counts.T).reshape(counts.T.shape)
    return [
        [slice(int(end - n), int(end)) for n, end in zip(*of_kind, strict=True)]
        for of_kind in zip(counts.T, ends, strict=True)
    ]


def _fill(
    K: np.ndarray,
    frames: Sequence[Frame],
    places: list[list[slice]],
    rows: KernelRows,
) -> None:
    """Copy the rows of the labels, frame by frame: the copies stay small."""
    energies, forces, virials = places
    first = 0
    for n, frame in enumerate(frames):
        atoms = slice(first, first + frame.n_atoms)
        first += frame.n_atoms
        if frame.energy is not None:
            K[energies[n]] = rows.energies[n]
        if frame.forces is not None:
            K[forces[n]] = rows.forces[atoms][np.isfinite(frame.forces)]
        if frame.virial is not None:
            K[virials[n]] = rows.virials[n]


def _targets(
    frames: Sequence[Frame],
    places: list[list[slice]],
    n_rows: int,
    e0: dict[int, float],
    config: SigmaConfig,
) -> tuple[np.ndarray, np.ndarray]:
    """Return targets and their standard deviations, each (n_rows,)."""
    energies, forces, virials = places
    y, sigmas = np.empty(n_rows), np.empty(n_rows)
    for n, frame in enumerate(frames):
        of_energy, of_forces, of_virial = frame_sigmas(frame, config, e0)
        if frame.energy is not None:
            y[energies[n]] = frame.energy - isolated_energy(frame.numbers, e0)
            sigmas[energies[n]] = of_energy
        if frame.forces is not None:
            labelled = np.isfinite(frame.forces)
            y[forces[n]] = frame.forces[labelled]
            sigmas[forces[n]] = of_forces[labelled]
        if frame.virial is not None:
            y[virials[n]] = frame.virial
            sigmas[virials[n]] = of_virial
    return y, sigmas
