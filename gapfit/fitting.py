"""From data and configuration to a model: orchestration only."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gapfit.assembly import (
    count_rows,
    quota_warnings,
    sigma_warnings,
    species_warnings,
)
from gapfit.automatic_sigmas import with_automatic_sigmas
from gapfit.baseline import e0_warnings, resolve_e0
from gapfit.config import FitConfig, PredictionConfig, SoapConfig
from gapfit.config_file import config_from_dict, load_config
from gapfit.dataset import Dataset, read
from gapfit.factors import Factors
from gapfit.frame import Frame
from gapfit.known_energy import (
    Baseline,
    baseline_points,
    build_baseline,
    without_baseline,
)
from gapfit.model import GAPModel
from gapfit.planning import batch_atoms
from gapfit.posterior import Posterior
from gapfit.row_sums import Rows
from gapfit.shortcuts import Shortcut, with_shortcut
from gapfit.solver import Whitening, whiten
from gapfit.sparse_points import SHARE_OF_MEMORY, choose_sparse_points
from gapfit.stress_check import stress_warnings
from gapfit.terms import FittedTerm, build_term, new_basis

__all__ = [
    "Prepared",
    "Progress",
    "as_config",
    "as_dataset",
    "data_digest",
    "fit",
    "prepare",
    "silent",
    "sparse_terms",
    "whitened",
]

#: Called as progress(stage, done, total).
Progress = Callable[[str, int, int], None]

_logger = logging.getLogger("gapfit")


def fit(
    frames: Any = None,
    config: FitConfig | Mapping[str, Any] | str | Path | None = None,
    *,
    progress: Progress | None = None,
    base: Path | None = None,
) -> GAPModel:
    """Fit a potential.

    Parameters
    ----------
    frames : list of ase.Atoms, Dataset, path, list of paths, or None
        Training data; None reads ``config.data.train``.
    config : FitConfig, dict, or path of a TOML file
        What to fit and how. ``data.train`` may be left out if `frames` are given.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    base : Path, optional
        Folder that relative paths refer to; that of the TOML file by itself.

    Returns
    -------
    GAPModel
        The fitted potential.

    Raises
    ------
    ConfigError, DataError
        What is wrong, where, and what to do.

    Examples
    --------
    >>> import gapfit
    >>> model = gapfit.fit("train.extxyz", {"terms": [{"n_sparse": 500}]})  # doctest: +SKIP
    """
    from threadpoolctl import threadpool_limits

    from gapfit.threads import use_threads

    settings = as_config(config, frames)
    if base is None and isinstance(config, str | Path):
        base = Path(config).parent
    dataset = as_dataset(frames, settings, base)
    tuned: dict[str, Any] = {}
    notes: list[str] = []
    if settings.optimize is not None:
        from gapfit.tuning import tune

        result = tune(dataset, settings, progress=progress, base=base)
        settings, tuned = result.config, {"tuning": result.summary()}
        notes += [text for text in result.warnings if text not in dataset.warnings]
    n_threads = settings.run.threads or None
    with threadpool_limits(limits=n_threads), use_threads(n_threads):
        model = _fit(dataset, settings, notes, progress or silent, base or Path())
    return replace(model, info={**model.info, **tuned})


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


@dataclass(frozen=True, eq=False)
class Prepared:
    """Data as the rows see them.

    Attributes
    ----------
    frames : list of Frame
        Without the baseline, with automatic sigmas.
    given : list of Frame
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

    frames: list[Frame]
    given: list[Frame]
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
    baseline = build_baseline(config, dataset.species, points)
    frames = with_automatic_sigmas(
        without_baseline(dataset.frames, baseline, progress),
        dataset.frames,
        config.sigma,
    )
    e0 = resolve_e0(frames, config.e0)
    for text in (
        *e0_warnings(frames, config.e0),
        *sigma_warnings(frames, config.sigma),
        *quota_warnings(frames, config.terms),
        *species_warnings(dataset.species, config.terms),
    ):
        _note(notes, text)
    if config.data.check_stress and any(frame.virial is not None for frame in frames):
        progress("stress check", 0, 1)
        for text in stress_warnings(frames, e0):
            _note(notes, text)
        progress("stress check", 1, 1)
    return Prepared(frames, list(dataset.frames), dataset.species, e0, baseline, base)


def sparse_terms(
    prepared: Prepared, config: FitConfig, notes: list[str], progress: Progress
) -> list[FittedTerm]:
    """Return the terms with their sparse points, not yet fitted."""
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


def _fit(
    dataset: Dataset,
    config: FitConfig,
    notes: list[str],
    progress: Progress,
    base: Path,
) -> GAPModel:
    prepared = prepare(dataset, config, notes, progress, base)
    frames, e0 = prepared.frames, prepared.e0
    terms = sparse_terms(prepared, config, notes, progress)
    whitening = whitened(terms, config, notes)
    method, size = config.solver.method, batch_atoms(whitening.n_sparse, config)
    rows = Rows(terms, e0, config.sigma, whitening, method, size)
    factors = _summed(rows, prepared, progress)
    progress("solve", 0, 1)
    solution = factors.solve()
    progress("solve", 1, 1)
    terms = _with_coefficients(terms, solution.coefficients, config)
    terms, shortcuts = _with_shortcuts(terms, frames, config, progress)
    info = {
        "n_frames": len(frames),
        "n_atoms": sum(frame.n_atoms for frame in frames),
        "n_rows": count_rows(frames),
        "n_sparse": whitening.n_sparse,
        "jitter": list(whitening.jitter),
        "log_marginal_likelihood": solution.log_marginal_likelihood,
        "shortcuts": shortcuts,
        "data_digest": data_digest(dataset.frames),
        "versions": _versions(),
        "warnings": list(dict.fromkeys([*dataset.warnings, *notes])),
    }
    return GAPModel(
        config=config,
        species=dataset.species,
        e0=e0,
        terms=tuple(terms),
        baseline=prepared.baseline,
        posterior=Posterior(whitening, solution.R)
        if config.run.store_posterior
        else None,
        info=info,
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
    K_mm = [
        term.descriptor.kernel(points, points)
        for term in terms
        for points in term.sparse.values()
    ]
    whitening = whiten(K_mm, config.solver.jitter)
    if max(whitening.jitter) > config.solver.jitter:
        _note(
            notes,
            f"the jitter had to be raised from {config.solver.jitter:g} to "
            f"{max(whitening.jitter):g}: the sparse points are nearly linearly dependent",
        )
    return whitening


def _summed(rows: Rows, prepared: Prepared, progress: Progress) -> Factors:
    total = sum(frame.n_atoms for frame in prepared.frames)
    done = 0

    def report(n_atoms: int) -> None:
        nonlocal done
        done += n_atoms
        progress("rows", done, total)

    report(0)
    return rows.sum_up(prepared.frames, prepared.given, report)


def _with_coefficients(
    terms: Sequence[FittedTerm], coefficients: np.ndarray, config: FitConfig
) -> list[FittedTerm]:
    out, first = [], 0
    for term in terms:
        own = {}
        for block, points in term.sparse.items():
            own[block] = coefficients[first : first + len(points)].copy()
            first += len(points)
        quadratic = config.prediction.quadratic
        out.append(replace(term, coefficients=own, quadratic=quadratic))
    return out


def _with_shortcuts(
    terms: Sequence[FittedTerm],
    frames: Sequence[Frame],
    config: FitConfig,
    progress: Progress,
) -> tuple[list[FittedTerm], list[dict[str, Any]]]:
    """Return the terms with lossless projections, and what was measured of each."""
    if not config.prediction.project:
        return list(terms), []
    # Changes by several terms add up.
    shared = PredictionConfig(
        energy_tolerance=config.prediction.energy_tolerance / len(terms),
        forces_tolerance=config.prediction.forces_tolerance / len(terms),
    )
    out, found = [], []
    for n, term in enumerate(terms):
        progress("shortcuts", n, len(terms))
        shortcut = Shortcut({}, 0.0, 0.0, 0)
        if getattr(term.config, "engine", None) == "native":
            term, shortcut = with_shortcut(term, frames, shared)
        found.append(asdict(shortcut))
        out.append(term)
    progress("shortcuts", len(terms), len(terms))
    return out, found


def data_digest(frames: Sequence[Frame]) -> str:
    """Return a SHA-256 of structures and targets: names the data a model has seen."""
    digest = hashlib.sha256()
    for frame in frames:
        for part in (frame.numbers, frame.positions, frame.cell, frame.pbc):
            digest.update(np.ascontiguousarray(part).tobytes())
        for target in (frame.energy, frame.forces, frame.virial):
            digest.update(b"-" if target is None else np.asarray(target).tobytes())
    return digest.hexdigest()


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {
        name: version(name) for name in ("gapfit", "numpy", "scipy", "dscribe", "ase")
    }
