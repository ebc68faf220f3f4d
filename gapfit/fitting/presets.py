"""Terms of a first configuration, from fast to accurate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from gapfit.config.sections import (
    AceConfig,
    Distance2bConfig,
    SoapConfig,
    TermConfig,
)

__all__ = [
    "MANY_SPECIES",
    "PRESETS",
    "Preset",
    "cluster_expansion",
    "preset_comment",
    "preset_terms",
]

Preset = Literal["fast", "default", "accurate"]
PRESETS: tuple[Preset, ...] = get_args(Preset)

#: With as many species densities of SOAP are combined: the number of features grows with
#: the square of the species.
MANY_SPECIES = 3
_CHANNELS = {"fast": 8, "default": 12, "accurate": 16}
_FAST_SPARSE = 300
#: Functions of the cluster expansion: 379, 623 and 3060.
_FUNCTIONS: dict[str, Mapping[str, Sequence[int]]] = {
    "fast": {"orders": (3, 4), "n_max": (4, 2), "l_max": (3, 2)},
    "accurate": {"orders": (3, 4), "n_max": (4, 2), "l_max": (4, 2)},
    "large": {"orders": (3, 4), "n_max": (6, 3), "l_max": (5, 2)},
}
#: Labels with which accurate takes the large expansion, for each species: 33 for each
#: function.
_MANY_LABELS = 100_000


def preset_terms(
    preset: Preset, r_cut: float, n_sparse: int, n_species: int, n_labels: int = 0
) -> list[TermConfig]:
    """Return the terms of a preset.

    Parameters
    ----------
    preset : {"fast", "default", "accurate"}
        fast: few SOAP features and sparse points, and a cluster expansion; default: SOAP
        with pairs; accurate: the same with a cluster expansion.
    r_cut : float
        Cutoff, Å.
    n_sparse : int
        Sparse points of each species of SOAP; fast takes at most 300.
    n_species : int
        Species in the data.
    n_labels : int
        Labels in the data, components of forces above all. With 100 000 for each species
        accurate has a larger cluster expansion.
    """
    keys: dict[str, float | int | str] = {"r_cut": r_cut, "n_sparse": n_sparse}
    if preset == "fast":
        keys |= {"n_max": 6, "l_max": 4, "zeta": 2.0}
        keys["n_sparse"] = min(n_sparse, _FAST_SPARSE)
    if n_species >= MANY_SPECIES:
        keys["channels"] = _CHANNELS[preset]
    terms: list[TermConfig] = [
        SoapConfig.model_validate(keys),
        Distance2bConfig(r_cut=r_cut),
    ]
    if preset != "default":
        many = preset == "accurate" and n_labels >= _MANY_LABELS * n_species
        sizes = _FUNCTIONS["large" if many else preset]
        terms.append(cluster_expansion(r_cut, sizes))
    return terms


def cluster_expansion(r_cut: float, sizes: Mapping[str, Sequence[int]]) -> AceConfig:
    """Return a cluster expansion of contracted densities.

    Parameters
    ----------
    r_cut : float
        Cutoff, Å.
    sizes : mapping
        ``orders``, ``n_max`` and ``l_max``.
    """
    return AceConfig.model_validate({"r_cut": r_cut, "radial": "contracted", **sizes})


def preset_comment(preset: Preset) -> list[str]:
    """Return comment lines about a preset; none about the default."""
    if preset == "default":
        return []
    return [
        f"Preset {preset}; ace holds the four- and five-body functions. On small sets its",
        "delta is too large: run `gapfit tune` first. Polynomials fall farther than SOAP",
        "where there are no data: run `gapfit stress-test` before use.",
    ]
