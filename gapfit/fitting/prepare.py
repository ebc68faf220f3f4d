"""Data and configuration prepared for a fit: baseline, e0, sigmas, sparse points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from gapfit._support.progress import Progress, note
from gapfit.baseline.baseline import (
    Baseline,
    baseline_points,
    build_baseline,
    without_baseline,
)
from gapfit.config.sections import BaselineConfig, FitConfig, SigmaConfig
from gapfit.data.dataset import Dataset
from gapfit.data.e0 import resolve_e0
from gapfit.data.frame import Frame
from gapfit.data.sigmas import with_automatic_sigmas
from gapfit.gp.whitening import Whitening, whiten
from gapfit.model.terms import FittedTerm, new_terms
from gapfit.sparse.choice_memory import SHARE_OF_MEMORY
from gapfit.sparse.choose import choose_sparse_points
from gapfit.threads import one_thread

__all__ = ["Prepared", "prepare", "sparse_terms", "whitened"]


@dataclass(frozen=True, eq=False)
class Prepared:
    """Data of a fit without baseline, with e0 and all sigmas.

    Attributes
    ----------
    frames : sequence of Frame
        Without the baseline, with automatic sigmas.
    bare : sequence of Frame
        Without the baseline, with sigmas as they were read.
    given : sequence of Frame
        With labels and sigmas as they were read.
    species : tuple of int
        Atomic numbers, ascending.
    e0 : dict of int to float
        Energies of isolated atoms by atomic number, eV.
    without_atom : tuple of int
        Species whose energy is neither given nor that of an isolated atom.
    baseline : Baseline or None
        Subtracted from the labels.
    baseline_config : BaselineConfig
        Its configuration.
    base : Path
        Folder that relative paths refer to.
    """

    frames: Sequence[Frame]
    bare: Sequence[Frame]
    given: Sequence[Frame]
    species: tuple[int, ...]
    e0: dict[int, float]
    without_atom: tuple[int, ...]
    baseline: Baseline | None
    baseline_config: BaselineConfig
    base: Path

    def with_sigmas(self, sigma: SigmaConfig) -> Prepared:
        """Return the same data with automatic sigmas of another table ``[sigma]``."""
        return replace(self, frames=with_automatic_sigmas(self.bare, self.given, sigma))


def prepare(
    dataset: Dataset, config: FitConfig, base: Path, progress: Progress
) -> Prepared:
    """Subtract the baseline, resolve e0 and complete the sigmas.

    Raises
    ------
    GapfitError
        The baseline cannot be made, or energies of isolated atoms are missing.
    """
    points = baseline_points(config.baseline, dataset.species, base)
    baseline = build_baseline(config, dataset.species, points, trusted=True)
    bare = without_baseline(dataset.frames, baseline, progress)
    frames = with_automatic_sigmas(bare, dataset.frames, config.sigma)
    atoms = resolve_e0(bare, config.e0)
    return Prepared(
        frames,
        bare,
        dataset.frames,
        dataset.species,
        atoms.e0,
        atoms.without_atom,
        baseline,
        config.baseline,
        base,
    )


def sparse_terms(
    prepared: Prepared, config: FitConfig, notes: list[str], progress: Progress
) -> list[FittedTerm]:
    """Return the terms with their sparse points, not yet fitted."""
    # Sums are split among threads: the last digits of a basis or a descriptor, and with
    # them the choice between nearly equal points, must not depend on the number of cores.
    with one_thread():
        terms = new_terms(config.terms, prepared.species)
        for term in terms:
            for text in term.descriptor.cautions():
                note(notes, text)
        return choose_sparse_points(
            prepared.frames,
            terms,
            config.run.seed,
            progress,
            partial(note, notes),
            memory=SHARE_OF_MEMORY * config.run.memory_bytes,
            base=prepared.base,
        )


def whitened(
    terms: Sequence[FittedTerm], config: FitConfig, notes: list[str]
) -> Whitening:
    """Return the factors of K_mm of all blocks of all terms."""
    with one_thread():
        K_mm = (
            term.descriptor.kernel(points, points)
            for term in terms
            for points in term.sparse.values()
        )
        whitening = whiten(K_mm, config.solver.jitter)
    if max(whitening.jitter) > config.solver.jitter:
        note(
            notes,
            f"the jitter had to be raised from {config.solver.jitter:g} to "
            f"{max(whitening.jitter):g}: the sparse points are nearly linearly dependent",
        )
    return whitening
