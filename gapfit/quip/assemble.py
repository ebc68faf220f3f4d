"""Terms that were read from a file of another program, as a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version

import numpy as np

from gapfit.baseline.baseline import build_baseline
from gapfit.config.sections import BaselineConfig, DataConfig, FitConfig, TermConfig
from gapfit.descriptors.blocks import species_pairs
from gapfit.model.gap_model import GAPModel
from gapfit.model.record import FitRecord, Origin
from gapfit.model.terms import FittedTerm, build_term, new_basis
from gapfit.quip.descriptors import TermPart

__all__ = ["Source", "assembled"]


@dataclass(frozen=True, eq=False)
class Source:
    """What a file says besides its descriptors.

    Attributes
    ----------
    file : str
        Its name.
    species : tuple of int
        Atomic numbers, ascending.
    e0 : mapping of int to float
        Energies of isolated atoms by atomic number, eV; 0 where absent.
    pairs : mapping of int to (n, 3) float64
        Pair potentials underneath, see `gapfit.quip.glue.spline_points`, by
        `gapfit.descriptors.blocks.pair_key`. Those of other species are left out.
    label : str
        Name of the potential.
    program : str
        Whose file it is.
    gap_version : int or None
        Version of the program that wrote it.
    ignored : tuple of str
        What was left out and has no effect on energies, besides options of descriptors.
    warnings : tuple of str
        For the record of the model.
    """

    file: str
    species: tuple[int, ...]
    e0: Mapping[int, float]
    pairs: Mapping[int, np.ndarray]
    label: str = ""
    program: str = "QUIP"
    gap_version: int | None = None
    ignored: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def assembled(parts: Iterable[TermPart], source: Source) -> GAPModel:
    """Return the model of descriptors that were read.

    Parameters
    ----------
    parts : iterable of TermPart
        Descriptors; those of the same settings become one term.
    source : Source
        The rest of the file.
    """
    parts, species = list(parts), source.species
    collected = _collected(parts)
    terms = tuple(_term(term, species) for term in collected)
    pairs = source.pairs
    points = {key: pairs[key] for key in species_pairs(species) if key in pairs}
    config = FitConfig(
        data=DataConfig(train=[source.file]),
        terms=[term.config for term in terms],
        baseline=BaselineConfig(table=source.file if points else None),
    )
    ignored = {key for part in parts for key in part.ignored}
    return GAPModel(
        config,
        species,
        {z: source.e0.get(z, 0.0) for z in species},
        terms,
        build_baseline(config, species, points, trusted=False),
        record=FitRecord(
            versions={"gapfit": version("gapfit")},
            warnings=source.warnings,
            quip=Origin(
                file=source.file,
                label=source.label,
                gap_version=source.gap_version,
                ignored=(*sorted(ignored), *source.ignored),
                sparse_cutoffs=tuple(term.cutoffs for term in collected),
                counted_once=tuple(term.counted_once for term in collected),
                program=source.program,
            ),
        ),
    )


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
