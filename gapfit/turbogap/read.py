"""Potentials of TurboGAP as models of gapfit."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gapfit.descriptors.blocks import pair_key, pair_label
from gapfit.errors import GapfitError, ModelFileError, shortened
from gapfit.model.gap_model import GAPModel
from gapfit.quip.assemble import Source, assembled
from gapfit.quip.descriptors import TermPart
from gapfit.quip.glue import require_few_knots
from gapfit.quip.soap_turbo import shared_basis
from gapfit.quip.xml_file import Coordinates
from gapfit.turbogap.descriptors import block_species, descriptor_of, part_of_block
from gapfit.turbogap.gap_file import Block, GapText, read_gap
from gapfit.turbogap.tables import core_potential

__all__ = ["load"]


def load(path: str | Path) -> GAPModel:
    """Read a potential of TurboGAP: the same energies, forces and virials.

    Energies of isolated atoms are in the input of TurboGAP, not in its potential. They are
    read from two comments, ``! species = Si O`` and ``! e0 = -158.5 -432.1`` below it,
    which `save` writes; without them they are 0, and ``record.warnings`` says so. Local
    properties (Hirshfeld volumes, core-electron energies) are left out: they do not change
    the energy of the GAP, but that of dispersion and electrostatics, which TurboGAP adds by
    its input.

    Parameters
    ----------
    path : str or Path
        The file ``.gap``, in the folder of its tables.

    Returns
    -------
    GAPModel
        ``record.quip`` has the keys that were left out, and cutoff functions of sparse
        points, as of a GAP of QUIP.

    Raises
    ------
    ModelFileError
        The file or a table cannot be read; the message names file and line.
    GapfitError
        The potential needs a feature that is not supported; the message names it.
    """
    text = read_gap(Path(path))
    species = _species(text)
    blocks = [block for block in text.blocks if block.kind != "core_pot"]
    if not blocks:
        raise ModelFileError(
            f"{text.path}: has core potentials alone, and no block distance_2b, angle_3b "
            "or soap_turbo"
        )
    sources = [descriptor_of(block) for block in blocks]
    if confused := shared_basis(source.descriptor for source in sources):
        raise GapfitError(f"{text.path}: {confused}; TurboGAP has the same library")
    parts = [_part(*pair, species) for pair in zip(blocks, sources, strict=True)]
    left_out = {key: None for block in blocks for key in block.left_out}
    return assembled(
        parts,
        Source(
            text.path.name,
            species=species,
            e0=text.e0 or {},
            pairs=_core_potentials(text, len(species)),
            program="TurboGAP",
            ignored=tuple(left_out),
            warnings=() if text.e0 else (_without_e0(species),),
        ),
    )


def _part(block: Block, source: Coordinates, species: tuple[int, ...]) -> TermPart:
    try:
        return part_of_block(block, source, species)
    except GapfitError as error:
        raise GapfitError(f"{block.path}, line {block.line}: {error}") from error


def _species(text: GapText) -> tuple[int, ...]:
    """Return the atomic numbers of a potential, ascending."""
    from ase.data import chemical_symbols

    named = {z for block in text.blocks for z in block_species(block)}
    if text.e0 is not None and (missing := sorted(named - set(text.e0))):
        symbols = shortened(", ".join(chemical_symbols[z] for z in missing))
        raise ModelFileError(f"{text.path}: the comment e0 has no energy of {symbols}")
    return tuple(sorted(named | set(text.e0 or {})))


def _core_potentials(text: GapText, n_species: int) -> dict[int, np.ndarray]:
    """Return the pair potentials by pair of species."""
    pairs: dict[int, np.ndarray] = {}
    for block in text.blocks:
        if block.kind != "core_pot":
            continue
        key = pair_key(*block_species(block))
        if key in pairs:
            raise block.error(
                "species1",
                f"a second core potential of {pair_label(key)}; TurboGAP adds both, gapfit "
                "has one: make one table of them",
            )
        pairs[key] = core_potential(block, key)
    try:
        require_few_knots(n_species, pairs)
    except ValueError as error:
        raise GapfitError(f"{text.path}: {error}") from None
    return pairs


def _without_e0(species: tuple[int, ...]) -> str:
    from ase.data import chemical_symbols

    symbols = " ".join(chemical_symbols[z] for z in species)
    zeros = " ".join("..." for _ in species)
    return (
        "energies of isolated atoms are 0: TurboGAP has them in its input, not in the "
        f"potential. Add two comments to it, `! species = {symbols}` and below it "
        f"`! e0 = {zeros}`, and convert it again"
    )
