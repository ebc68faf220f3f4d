"""Check of data and configuration before a fit: errors and warnings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from gapfit._support.progress import Progress, note
from gapfit.config.sections import FitConfig, SigmaConfig, SparseTermConfig, TermConfig
from gapfit.data.dataset import Dataset
from gapfit.data.e0 import e0_warnings
from gapfit.data.frame import Frame
from gapfit.data.frame_file import config_types
from gapfit.data.isolated import candidates, lone_atoms
from gapfit.fitting.label_check import check_labels
from gapfit.fitting.prepare import Prepared, prepare
from gapfit.model.terms import new_terms
from gapfit.sparse.choose import require_wanted_points

__all__ = ["review"]


def review(
    dataset: Dataset,
    config: FitConfig,
    notes: list[str],
    *,
    base: Path,
    progress: Progress,
    compare: bool = True,
) -> Prepared:
    """Prepare the data of a fit and collect warnings for the user.

    Parameters
    ----------
    dataset : Dataset
        Training data.
    config : FitConfig
        Configuration of the fit.
    notes : list of str
        Warnings are added to it.
    base : Path
        Folder that relative paths refer to.
    progress : callable
        Called as ``progress(stage, done, total)``.
    compare : bool
        Whether labels are compared with each other, where ``data.check_labels`` allows
        it.

    Raises
    ------
    GapfitError
        See `prepare`; or terms that cannot be made, or have no sparse point.
    """
    require_wanted_points(new_terms(config.terms, dataset.species))
    prepared = prepare(dataset, config, base, progress)
    for text in (
        *e0_warnings(prepared.bare, config.e0),
        *sigma_warnings(prepared.given, config.sigma),
        *quota_warnings(prepared.given, config.terms),
        *species_warnings(prepared.species, config.terms),
        *isolated_warnings(prepared.given, prepared.species, config.terms),
    ):
        note(notes, text)
    if compare and config.data.check_labels:
        check_labels(prepared.bare, prepared.e0, notes, progress)
    return prepared


def sigma_warnings(frames: Sequence[Frame], config: SigmaConfig) -> list[str]:
    """Return warnings of config_types with sigmas but no frames, and the nearest name."""
    return _absent_types("[sigma.config_types]", config.config_types, frames)


def quota_warnings(frames: Sequence[Frame], terms: Sequence[TermConfig]) -> list[str]:
    """Return warnings of config_types that shall give sparse points but have no frames."""
    return [
        text
        for n, term in enumerate(terms)
        if isinstance(term, SparseTermConfig)
        for text in _absent_types(
            f"[[terms]] {n + 1}: config_type_n_sparse:",
            term.config_type_n_sparse,
            frames,
        )
    ]


def species_warnings(
    species: tuple[int, ...], terms: Sequence[TermConfig]
) -> list[str]:
    """Return warnings of keys of terms that name species absent from the data."""
    from ase.data import chemical_symbols

    present = [chemical_symbols[z] for z in species]
    warnings = []
    for n, term in enumerate(terms):
        for key in term.names_species:
            names: Any = term
            for part in key.split("."):
                names = getattr(names, part)
            absent = [x for x in names if not set(x.split("-")) <= set(present)]
            if absent:
                warnings.append(
                    f"[[terms]] {n + 1}: {key} of {', '.join(absent)} have no effect: "
                    f"the data contain {', '.join(present)}"
                )
    return warnings


def isolated_warnings(
    frames: Sequence[Frame], species: tuple[int, ...], terms: Sequence[TermConfig]
) -> list[str]:
    """Return warnings of terms that leave the energy of isolated atoms to chance."""
    from ase.data import chemical_symbols

    needing = [n for n, term in enumerate(terms) if term.needs_isolated]
    if not needing:
        return []
    atoms = lone_atoms(frames, species)
    missing = [chemical_symbols[z] for z in species if not candidates(atoms[z])]
    return [
        f"[[terms]] {n + 1}: no isolated atom of {', '.join(missing)} in the data, so that "
        f"the term {terms[n].type} leaves the energy of one to chance, whatever [e0] is; "
        "add a frame with the single atom in a large box"
        for n in needing
        if missing
    ]


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
