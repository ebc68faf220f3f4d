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
from gapfit.errors import GapfitError, ModelFileError
from gapfit.model.gap_model import GAPModel
from gapfit.model.record import FitRecord, Origin
from gapfit.model.terms import FittedTerm, build_term, new_basis
from gapfit.quip.descriptors import Part, named_species, part_of
from gapfit.quip.glue import embedded_species, glue_pairs, glue_species
from gapfit.quip.xml_file import GapFile, read_gap_xml

__all__ = ["load"]


def load(path: str | Path, *, species: Sequence[str] | None = None) -> GAPModel:
    """Read a GAP of QUIP: the same energies, forces and virials.

    Parameters
    ----------
    path : str or Path
        The XML file (or ``.xml.gz``); files of sparse points lie beside it.
    species : sequence of str, optional
        Chemical symbols of what it is to be used for; by default all that the file
        names. Needed for models of wildcards alone.

    Returns
    -------
    GAPModel
        ``record.quip`` holds the label, ``gap_version``, options that have no effect,
        neither in QUIP nor here, and cutoff functions of sparse points (by term and
        block, where they are not 1), which `local_variances` needs.

    Raises
    ------
    ModelFileError
        The file cannot be read; see `gapfit.quip.xml_file.read_gap_xml`.
    GapfitError
        It holds something that is not supported: names it.
    """
    file = read_gap_xml(path)
    try:
        return _model(file, species)
    except ModelFileError:
        raise
    except GapfitError as error:
        raise GapfitError(f"{file.path}: {error}") from error


def _model(file: GapFile, symbols: Sequence[str] | None) -> GAPModel:
    if file.others:
        raise GapfitError(
            f"the model is on top of {', '.join(file.others)}, which is not supported "
            "(only Glue)"
        )
    species = _species(file, symbols)
    parts = [part_of(own, species, file.version) for own in file.coordinates]
    collected = _collected(parts)
    terms = tuple(_term(own, species) for own in collected)
    points = {}
    if "Glue" in file.init_args:
        if file.glue is None:
            raise GapfitError(
                "the model is on top of Glue, whose Glue_params are missing"
            )
        pairs = glue_pairs(file.glue)
        points = {key: pairs[key] for key in species_pairs(species) if key in pairs}
    baseline = BaselineConfig(table=file.path.name if points else None)
    config = FitConfig(
        data=DataConfig(train=[file.path.name]),
        terms=[term.config for term in terms],
        baseline=baseline,
    )
    cutoffs = [own.cutoffs for own in collected]
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
            ),
        ),
    )


def _species(file: GapFile, symbols: Sequence[str] | None) -> tuple[int, ...]:
    """Return the atomic numbers of a model, ascending."""
    from ase.data import atomic_numbers

    named = set().union(*(named_species(own) for own in file.coordinates))
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

            names = ", ".join(chemical_symbols[z] for z in missing)
            raise GapfitError(
                f"the model also names {names}: leave none of its species out"
            )
        named = given
        if named & embedded:
            raise GapfitError("densities of Glue (embedded atoms) are not supported")
    named -= embedded
    if not named:
        raise GapfitError(
            "the model names no species (wildcards only): say which it is for, "
            "species = [...] or --species"
        )
    return tuple(sorted(named))


@dataclass
class _Collected:
    """A term with the points of several descriptors that share its settings."""

    config: TermConfig
    points: dict[int, np.ndarray] = field(default_factory=dict)
    coefficients: dict[int, np.ndarray] = field(default_factory=dict)
    cutoffs: dict[str, list[float]] = field(default_factory=dict)


def _collected(parts: Iterable[Part]) -> list[_Collected]:
    """Return what becomes one term: descriptors with the same settings."""
    collected: list[_Collected] = []
    for part in parts:
        free = (
            own
            for own in collected
            if own.config == part.config and not set(own.points) & set(part.blocks)
        )
        own = next(free, None)
        if own is None:
            own = _Collected(part.config)
            collected.append(own)
        own.points |= dict.fromkeys(part.blocks, part.points)
        own.coefficients |= dict.fromkeys(part.blocks, part.coefficients)
        if np.any(part.cutoffs != 1):
            names = map(str, part.blocks)
            own.cutoffs |= dict.fromkeys(names, part.cutoffs.tolist())
    return collected


def _term(own: _Collected, species: tuple[int, ...]) -> FittedTerm:
    from ase.data import chemical_symbols

    config = own.config
    most = max(len(points) for points in own.points.values())
    changes: dict[str, object] = {"n_sparse": most}
    if config.type == "soap" and set(own.points) != set(species):
        changes["centres"] = [chemical_symbols[z] for z in sorted(own.points)]
    config = config.model_copy(update=changes)
    term = build_term(config, species, new_basis(config))
    empty = np.zeros((0, term.descriptor.n_features))
    blocks = term.descriptor.blocks
    return replace(
        term,
        sparse={block: own.points.get(block, empty) for block in blocks},
        coefficients={
            block: own.coefficients.get(block, np.zeros(0)) for block in blocks
        },
    )
