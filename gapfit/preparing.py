"""From data and configuration to what a fit starts from."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from gapfit.assembly import quota_warnings, sigma_warnings, species_warnings
from gapfit.automatic_sigmas import with_automatic_sigmas
from gapfit.baseline import e0_warnings, resolve_e0
from gapfit.config import FitConfig, SigmaConfig, SoapConfig
from gapfit.config_file import config_from_dict, load_config
from gapfit.dataset import Dataset, read
from gapfit.frame import Frame
from gapfit.known_energy import (
    Baseline,
    baseline_points,
    build_baseline,
    without_baseline,
)
from gapfit.solver import Whitening, whiten
from gapfit.sparse_points import SHARE_OF_MEMORY, choose_sparse_points
from gapfit.stress_check import stress_warnings
from gapfit.terms import FittedTerm, build_term, new_basis
from gapfit.threads import one_thread

__all__ = [
    "Prepared",
    "Progress",
    "as_config",
    "as_dataset",
    "chained_digest",
    "check_stress",
    "data_digest",
    "prepare",
    "silent",
    "sparse_terms",
    "targets",
    "was_fitted",
    "whitened",
]

#: Called as progress(stage, done, total).
Progress = Callable[[str, int, int], None]

_logger = logging.getLogger("gapfit")


def as_dataset(frames: Any, config: FitConfig, base: Path | None = None) -> Dataset:
    """Return what the arguments of `fit` mean as a checked data set."""
    if isinstance(frames, Dataset):
        return frames
    return read(config.data.train if frames is None else frames, config.data, base=base)


def as_config(
    config: FitConfig | Mapping[str, Any] | str | Path | None, frames: Any
) -> FitConfig:
    """Return what the arguments of `fit` mean as a checked configuration."""
    if isinstance(config, FitConfig):
        return config
    if isinstance(config, str | Path):
        return load_config(config)
    values = dict(config or {"terms": [{}]})
    if frames is not None:
        data = dict(values.get("data", {}))
        values["data"] = {"train": ["in memory"], **data}
    return config_from_dict(values)


def silent(stage: str, done: int, total: int) -> None:
    """Report no progress."""


def was_fitted(frames: Sequence[Frame], info: Mapping[str, Any]) -> bool:
    """Return whether frames are those of a fit and of what was appended, in this order.

    Parameters
    ----------
    frames : sequence of Frame
        With labels, as they were read.
    info : mapping
        That of the model.
    """
    rest, appended = iter(frames), info.get("appended", [])
    added = [own["n_frames"] for own in appended]
    digest = data_digest(islice(rest, max(info.get("n_frames", 0) - sum(added), 0)))
    for n in added:
        digest = chained_digest(digest, data_digest(islice(rest, n)))
    return digest == info.get("data_digest") and next(rest, None) is None


def chained_digest(before: str, appended: str) -> str:
    """Return what names data and others appended to them, from the digest of each."""
    return hashlib.sha256((before + appended).encode()).hexdigest()


def data_digest(frames: Iterable[Frame]) -> str:
    """Return a SHA-256 of structures, targets and sigmas, which names the data."""
    digest = hashlib.sha256()
    for frame in frames:
        for part in (frame.numbers, frame.positions, frame.cell, frame.pbc):
            digest.update(np.ascontiguousarray(part).tobytes())
        for target in (
            frame.energy,
            frame.forces,
            frame.virial,
            frame.energy_sigma,
            frame.force_sigma,
            frame.virial_sigma,
        ):
            digest.update(b"-" if target is None else np.asarray(target).tobytes())
        digest.update(frame.config_type.encode())
    return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Prepared:
    """Data as the rows see them.

    Attributes
    ----------
    frames : sequence of Frame
        Without the baseline, with automatic sigmas.
    given : sequence of Frame
        The same with labels and sigmas as they were read.
    species : tuple of int
        Atomic numbers, ascending.
    e0 : dict of int to float
        Energies of isolated atoms by atomic number, eV.
    baseline : Baseline or None
        What was subtracted.
    base : Path
        Folder that relative paths refer to.
    """

    frames: Sequence[Frame]
    given: Sequence[Frame]
    species: tuple[int, ...]
    e0: dict[int, float]
    baseline: Baseline | None
    base: Path


def prepare(
    dataset: Dataset,
    config: FitConfig,
    notes: list[str],
    progress: Progress,
    base: Path,
) -> Prepared:
    """Subtract baselines, complete sigmas and look for what the user should know."""
    points = baseline_points(config.baseline, dataset.species, base)
    baseline = build_baseline(config, dataset.species, points, trusted=True)
    frames = targets(dataset.frames, baseline, config.sigma, progress)
    e0 = resolve_e0(frames, config.e0)
    for text in (
        *e0_warnings(frames, config.e0),
        *sigma_warnings(frames, config.sigma),
        *quota_warnings(frames, config.terms),
        *species_warnings(dataset.species, config.terms),
    ):
        _note(notes, text)
    if config.data.check_stress:
        check_stress(frames, e0, notes, progress)
    return Prepared(frames, dataset.frames, dataset.species, e0, baseline, base)


def targets(
    frames: Sequence[Frame],
    baseline: Baseline | None,
    sigma: SigmaConfig,
    progress: Progress,
) -> Sequence[Frame]:
    """Return frames as they are fitted: without the baseline, with automatic sigmas."""
    return with_automatic_sigmas(
        without_baseline(frames, baseline, progress), frames, sigma
    )


def check_stress(
    frames: Sequence[Frame], e0: dict[int, float], notes: list[str], progress: Progress
) -> None:
    """Note what looks wrong with the stress of frames without the baseline."""
    if any(frame.virial is not None for frame in frames):
        progress("stress check", 0, 1)
        for text in stress_warnings(frames, e0):
            _note(notes, text)
        progress("stress check", 1, 1)


def sparse_terms(
    prepared: Prepared, config: FitConfig, notes: list[str], progress: Progress
) -> list[FittedTerm]:
    """Return the terms with their sparse points, not yet fitted."""
    # Sums are cut among threads: the last digits of a basis or a descriptor, and with them
    # the choice between points all but equal, must not hang on the number of cores.
    with one_thread():
        terms = [
            build_term(term, prepared.species, new_basis(term)) for term in config.terms
        ]
        for term in terms:
            _warn_if_rough(term, notes)
        return choose_sparse_points(
            prepared.frames,
            terms,
            config.run.seed,
            progress,
            partial(_note, notes),
            memory=SHARE_OF_MEMORY * config.run.memory_bytes,
            base=prepared.base,
        )


def _note(notes: list[str], text: str) -> None:
    notes.append(text)
    _logger.warning(text)


def _warn_if_rough(term: FittedTerm, notes: list[str]) -> None:
    if not isinstance(term.config, SoapConfig):
        return
    weighting = term.config.weighting
    r0 = weighting.r0 or term.config.r_cut
    # A poly weight that ends beyond the reach of the basis is cut off there, too.
    if weighting.function != "poly" or r0 > term.descriptor.cutoff:
        _note(
            notes,
            f"weighting.function = {weighting.function!r} (r0 = {r0} Å) does not "
            f"vanish at the cutoff ({term.descriptor.cutoff:.2f} Å): energies jump as "
            'atoms cross it; use function = "poly" with r0 = r_cut for dynamics',
        )
    if term.config.n_max > 12:
        _note(
            notes,
            f"n_max = {term.config.n_max}: the radial basis is ill-conditioned above 12; "
            "8 is as accurate",
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
        _note(
            notes,
            f"the jitter had to be raised from {config.solver.jitter:g} to "
            f"{max(whitening.jitter):g}: the sparse points are nearly linearly dependent",
        )
    return whitening
