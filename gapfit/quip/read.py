"""Models of QUIP as models of gapfit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from gapfit.baseline.baseline import build_baseline
from gapfit.config.sections import BaselineConfig, DataConfig, FitConfig, TermConfig
from gapfit.descriptors.blocks import species_pairs
from gapfit.errors import GapfitError, shortened
from gapfit.model.gap_model import GAPModel
from gapfit.model.record import FitRecord, Origin
from gapfit.model.terms import FittedTerm, build_term, new_basis
from gapfit.quip.descriptors import TermPart, named_species, part_of
from gapfit.quip.glue import embedded_species, glue_pairs, glue_species
from gapfit.quip.potential import is_on_glue
from gapfit.quip.soap_turbo import shared_basis
from gapfit.quip.xml_file import GapFile, read_gap_xml

__all__ = ["load"]


def load(path: str | Path, *, species: Sequence[str] | None = None) -> GAPModel:
    """Read a GAP of QUIP: the same energies, forces and virials.

    Parameters
    ----------
    path : str or Path
        The XML file (or ``.xml.gz``), in the folder of its files of sparse points.
    species : sequence of str, optional
        Chemical symbols of the species to use; by default all in the file. Needed for
        models with only wildcards.

    Returns
    -------
    GAPModel
        ``record.quip`` has the label, ``gap_version``, options without effect in QUIP
        and here, and cutoff functions of sparse points (by term and block, if they are
        not 1), which `local_variances` needs.

    Raises
    ------
    ModelFileError
        The file cannot be read; see `gapfit.quip.xml_file.read_gap_xml`.
    GapfitError
        The model needs a feature that is not supported; the message names it.
    """
    file = read_gap_xml(path)
    try:
        return _model(file, species)
    except GapfitError as error:
        raise GapfitError(f"{file.path}: {error}") from error


def _model(file: GapFile, symbols: Sequence[str] | None) -> GAPModel:
    on_glue = is_on_glue(file)
    if file.others:
        raise GapfitError(
            f"the model is together with {shortened(', '.join(file.others))}, which is not "
            "supported (only GAP_params and Glue_params): it may be a potential "
            "underneath; if the model does not need it, remove it"
        )
    species = _species(file, symbols)
    parts = [part_of(item, species, file.version) for item in file.coordinates]
    if confused := shared_basis(item.descriptor for item in file.coordinates):
        raise GapfitError(confused)
    collected = _collected(parts)
    terms = tuple(_term(term, species) for term in collected)
    points = {}
    if on_glue:
        assert file.glue is not None
        pairs = glue_pairs(file.glue)
        points = {key: pairs[key] for key in species_pairs(species) if key in pairs}
    baseline = BaselineConfig(table=file.path.name if points else None)
    config = FitConfig(
        data=DataConfig(train=[file.path.name]),
        terms=[term.config for term in terms],
        baseline=baseline,
    )
    cutoffs = [term.cutoffs for term in collected]
    ignored = sorted({key for part in parts for key in part.ignored})
    return GAPModel(
        config,
        species,
        {z: file.e0.get(z, 0.0) for z in species},
        terms,
        build_baseline(config, species, points, trusted=False),
        record=FitRecord(
            versions={"gapfit": version("gapfit")},
            quip=Origin(
                file=file.path.name,
                label=file.label,
                gap_version=file.version,
                ignored=tuple(ignored),
                sparse_cutoffs=tuple(cutoffs),
                counted_once=tuple(term.counted_once for term in collected),
            ),
        ),
    )


def _species(file: GapFile, symbols: Sequence[str] | None) -> tuple[int, ...]:
    """Return the atomic numbers of a model, ascending."""
    from ase.data import atomic_numbers

    named = set().union(*(named_species(item) for item in file.coordinates))
    embedded: set[int] = set()
    if file.glue is not None:
        named |= set(glue_species(file.glue).values())
        embedded = embedded_species(file.glue)
    if symbols is not None:
        unknown = [symbol for symbol in symbols if symbol not in atomic_numbers]
        if unknown:
            raise GapfitError(f"{', '.join(unknown)}: not a chemical symbol")
        given = {atomic_numbers[symbol] for symbol in symbols}
        if missing := sorted(named - embedded - given):
            from ase.data import chemical_symbols

            names = shortened(", ".join(chemical_symbols[z] for z in missing))
            raise GapfitError(f"the model also has {names}: list all of its species")
        named = given
        if named & embedded:
            raise GapfitError("densities of Glue (embedded atoms) are not supported")
    named -= embedded
    if not named:
        raise GapfitError(
            "the model names no species (only wildcards): give them with "
            "species = [...] or --species"
        )
    return tuple(sorted(named))


@dataclass
class _Collected:
    """A term with the points of several descriptors that share its settings."""

    config: TermConfig
    counted_once: bool
    points: dict[int, np.ndarray] = field(default_factory=dict)
    coefficients: dict[int, np.ndarray] = field(default_factory=dict)
    cutoffs: dict[str, list[float]] = field(default_factory=dict)


def _collected(parts: Iterable[TermPart]) -> list[_Collected]:
    """Return terms, each with all descriptors of the same settings."""
    collected: list[_Collected] = []
    for part in parts:
        matching = (
            term
            for term in collected
            if (term.config, term.counted_once) == (part.config, part.counted_once)
            and not set(term.points) & set(part.blocks)
        )
        term = next(matching, None)
        if term is None:
            term = _Collected(part.config, part.counted_once)
            collected.append(term)
        term.points |= dict.fromkeys(part.blocks, part.points)
        term.coefficients |= dict.fromkeys(part.blocks, part.coefficients)
        if np.any(part.cutoffs != 1):
            names = map(str, part.blocks)
            term.cutoffs |= dict.fromkeys(names, part.cutoffs.tolist())
    return collected


def _term(collected: _Collected, species: tuple[int, ...]) -> FittedTerm:
    from ase.data import chemical_symbols

    config = collected.config
    most = max(len(points) for points in collected.points.values())
    changes: dict[str, object] = {"n_sparse": most}
    if config.type == "soap" and set(collected.points) != set(species):
        changes["centres"] = [chemical_symbols[z] for z in sorted(collected.points)]
    config = config.model_copy(update=changes)
    term = build_term(config, species, new_basis(config))
    empty = np.zeros((0, term.descriptor.n_features))
    blocks = term.descriptor.blocks
    return replace(
        term,
        sparse={block: collected.points.get(block, empty) for block in blocks},
        coefficients={
            block: collected.coefficients.get(block, np.zeros(0)) for block in blocks
        },
    )
