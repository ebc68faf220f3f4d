"""From data and configuration to what a fit starts from."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from gapfit._support.progress import Progress, note
from gapfit.baseline.baseline import (
    Baseline,
    baseline_points,
    build_baseline,
    targets,
)
from gapfit.config.sections import FitConfig, SigmaConfig, SoapConfig, Term
from gapfit.data.dataset import Dataset
from gapfit.data.e0 import e0_warnings, resolve_e0
from gapfit.data.frame import Frame
from gapfit.data.frame_file import config_types
from gapfit.fitting.stress_check import check_stress
from gapfit.gp.whitening import Whitening, whiten
from gapfit.model.terms import FittedTerm, build_term, new_basis
from gapfit.sparse.choose import SHARE_OF_MEMORY, choose_sparse_points
from gapfit.threads import one_thread

__all__ = [
    "Prepared",
    "prepare",
    "quota_warnings",
    "sigma_warnings",
    "sparse_terms",
    "species_warnings",
    "whitened",
]


_logger = logging.getLogger("gapfit")


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
        note(notes, text)
    if config.data.check_stress:
        check_stress(frames, e0, notes, progress)
    return Prepared(frames, dataset.frames, dataset.species, e0, baseline, base)


def sparse_terms(
    prepared: Prepared, config: FitConfig, notes: list[str], progress: Progress
) -> list[FittedTerm]:
    """Return the terms with their sparse points, not yet fitted."""
    # Sums are split among threads: the last digits of a basis or a descriptor, and with
    # them the choice between nearly equal points, must not depend on the number of cores.
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
            partial(note, notes),
            memory=SHARE_OF_MEMORY * config.run.memory_bytes,
            base=prepared.base,
        )


def _warn_if_rough(term: FittedTerm, notes: list[str]) -> None:
    if not isinstance(term.config, SoapConfig):
        return
    weighting = term.config.weighting
    r0 = weighting.r0 or term.config.r_cut
    # A poly weight that ends beyond the reach of the basis is cut off there, too.
    if weighting.function != "poly" or r0 > term.descriptor.cutoff:
        note(
            notes,
            f"weighting.function = {weighting.function!r} (r0 = {r0} Å) does not "
            f"vanish at the cutoff ({term.descriptor.cutoff:.2f} Å): energies jump as "
            'atoms cross it; use function = "poly" with r0 = r_cut for dynamics',
        )
    if term.config.n_max > 12:
        note(
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
        note(
            notes,
            f"the jitter had to be raised from {config.solver.jitter:g} to "
            f"{max(whitening.jitter):g}: the sparse points are nearly linearly dependent",
        )
    return whitening


def sigma_warnings(frames: Sequence[Frame], config: SigmaConfig) -> list[str]:
    """Return the config_types that have sigmas but no frames, with the nearest name."""
    return _absent_types("[sigma.config_types]", config.config_types, frames)


def quota_warnings(frames: Sequence[Frame], terms: Sequence[Term]) -> list[str]:
    """Return the config_types that are to give sparse points but have no frames."""
    return [
        text
        for n, term in enumerate(terms)
        for text in _absent_types(
            f"[[terms]] {n + 1}: config_type_n_sparse:",
            term.config_type_n_sparse,
            frames,
        )
    ]


def species_warnings(species: tuple[int, ...], terms: Sequence[Term]) -> list[str]:
    """Return the keys of terms that name species which the data do not hold."""
    from ase.data import chemical_symbols

    present = [chemical_symbols[z] for z in species]
    warnings = []
    for n, term in enumerate(terms):
        for key in ("centres", "species_weights", "species_n_sparse"):
            names = getattr(term, key, ())
            absent = [x for x in names if not set(x.split("-")) <= set(present)]
            if absent:
                warnings.append(
                    f"[[terms]] {n + 1}: {key} of {', '.join(absent)} have no effect: "
                    f"the data hold {', '.join(present)}"
                )
    return warnings


def _absent_types(
    where: str, names: Iterable[str], frames: Sequence[Frame]
) -> list[str]:
    present = sorted(set(config_types(frames)))
    warnings = []
    for name in names:
        if name in present:
            continue
        folded = {other.casefold(): other for other in present}
        near = get_close_matches(name.casefold(), folded, n=1)
        hint = f"; did you mean {folded[near[0]]!r}?" if near else ""
        warnings.append(
            f"{where} {name}: no frame has this config_type{hint} "
            f"(there are {', '.join(present)})"
        )
    return warnings
