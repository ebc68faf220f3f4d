"""The compiled core: plain arrays in, plain arrays out.

Compiled several times for instruction sets of different width; the widest that the
machine has is imported. ``GAPFIT_INSTRUCTION_SET`` = 128, 256 or 512 asks for less.
"""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType

from gapfit.faq import address_of

__all__ = [
    "Ace",
    "PairList",
    "Points",
    "SkinList",
    "Soap",
    "SparseBlock",
    "TripletKernel",
    "TripletPotential",
    "TripletRange",
    "VarianceBlock",
    "Variances",
    "add_triplet_rows",
    "embedding_energies",
    "instruction_set",
    "neighbour_list",
    "pair_covariances",
    "pair_energies",
    "pairs_within",
    "skin_list",
    "solid_harmonics",
    "triplet_energies",
    "triplet_list",
    "triplet_priors",
]


def _choose() -> tuple[int, ModuleType]:
    try:
        baseline = import_module("gapfit._core._native")
    except ImportError as error:  # pragma: no cover - depends on the installation
        message = (
            "gapfit's compiled core is missing. Run `pip install .` in the source folder; "
            "if gapfit is installed, start Python outside the source folder."
        )
        raise ImportError(f"{message} See {address_of(message)}") from error
    widest = baseline.instruction_set()
    asked = os.environ.get("GAPFIT_INSTRUCTION_SET", str(widest))
    if asked not in ("128", "256", "512"):
        raise ImportError(
            f"GAPFIT_INSTRUCTION_SET = {asked!r}; it must be 128, 256 or 512 (bits)"
        )
    for bits, name in ((512, "_native_avx512"), (256, "_native_avx2")):
        if bits <= min(widest, int(asked)):
            try:
                return bits, import_module(f"gapfit._core.{name}")
            except ModuleNotFoundError:
                continue  # built for one instruction set only
    return 128, baseline


#: Bits of the vectors of the module in use.
instruction_set, _module = _choose()

Ace = _module.Ace
PairList = _module.PairList
Points = _module.Points
SkinList = _module.SkinList
Soap = _module.Soap
SparseBlock = _module.Block
TripletKernel = _module.TripletKernel
TripletPotential = _module.TripletPotential
TripletRange = _module.TripletRange
VarianceBlock = _module.VarianceBlock
Variances = _module.Variances
add_triplet_rows = _module.add_triplet_rows
embedding_energies = _module.embedding_energies
neighbour_list = _module.neighbour_list
pair_covariances = _module.pair_covariances
pair_energies = _module.pair_energies
pairs_within = _module.pairs_within
skin_list = _module.skin_list
solid_harmonics = _module.solid_harmonics
triplet_energies = _module.triplet_energies
triplet_list = _module.triplet_list
triplet_priors = _module.triplet_priors
