"""Models of QUIP as models of gapfit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gapfit.errors import GapfitError, shortened
from gapfit.model.gap_model import GAPModel
from gapfit.quip.assemble import Source, assembled
from gapfit.quip.descriptors import named_species, part_of
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
    points = {}
    if on_glue:
        assert file.glue is not None
        points = glue_pairs(file.glue)
    return assembled(
        parts,
        Source(
            file.path.name,
            species=species,
            e0=file.e0,
            pairs=points,
            label=file.label,
            gap_version=file.version,
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
