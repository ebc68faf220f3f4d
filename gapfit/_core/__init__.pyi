"""Types of what the compiled modules define; `_native.pyi` is made by nanobind."""

from gapfit._core._native import (
    Ace,
    PairList,
    Points,
    SkinList,
    Soap,
    TripletKernel,
    TripletPotential,
    TripletRange,
    VarianceBlock,
    Variances,
    add_triplet_rows,
    embedding_energies,
    neighbour_list,
    pair_covariances,
    pair_energies,
    pairs_within,
    skin_list,
    solid_harmonics,
    triplet_energies,
    triplet_list,
    triplet_priors,
)
from gapfit._core._native import Block as SparseBlock

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

#: Bits of the vectors of the module in use.
instruction_set: int
