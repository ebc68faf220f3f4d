"""The compressions of QUIP's SOAP: its options as settings, and its order of features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gapfit.config.quip import QuipCompressionConfig
from gapfit.descriptors.quip_features import QuipFeatures
from gapfit.errors import GapfitError
from gapfit.quip.gap_fit_options import Options

__all__ = ["compression_options", "compression_settings", "soap_order"]


def compression_settings(options: Options) -> dict[str, Any]:
    """Return the table ``[terms.quip.compression]`` of a descriptor; {} for all products.

    Parameters
    ----------
    options : Options
        Options of ``soap``.

    Raises
    ------
    GapfitError
        QUIP refuses the options, too.
    """
    nu_r, nu_s = (options.integer(key, default=2) for key in ("nu_R", "nu_S"))
    species, radial, symmetric = (
        options.logical(key, default=False) for key in ("Z_mix", "R_mix", "sym_mix")
    )
    coupled = options.logical("coupling", default=True)
    n_mixed, shift = (options.integer(key, default=0) for key in ("K", "mix_shift"))
    settings: dict[str, Any] = {}
    if not coupled:
        settings["coupled"] = False
    if not (species or radial):
        settings |= {k: v for k, v in (("nu_r", nu_r), ("nu_s", nu_s)) if v != 2}
        return settings
    if nu_r != 2:
        raise GapfitError(
            f"soap: nu_R = {nu_r} with Z_mix or R_mix is not supported, as in QUIP"
        )
    if n_mixed < 1:
        raise GapfitError("soap: Z_mix and R_mix need K, the number of combinations")
    # QUIP ignores nu_S here.
    settings["mixed"] = (
        "both" if species and radial else "species" if species else "radial"
    )
    settings["n_mixed"] = n_mixed
    settings |= {"symmetric": True} if symmetric else {}
    return settings | ({"shift": shift} if shift else {})


def compression_options(compression: QuipCompressionConfig) -> str:
    """Return the options of a compression, each after a blank; "" for all products."""
    c = compression
    words = []
    for key, value, usual in (
        ("nu_R", c.nu_r, 2),
        ("nu_S", c.nu_s, 2),
        ("Z_mix", c.mixed in ("species", "both"), False),
        ("R_mix", c.mixed in ("radial", "both"), False),
        ("sym_mix", c.symmetric, False),
        ("coupling", c.coupled, True),
        ("K", c.n_mixed, 0),
        ("mix_shift", c.shift, 0),
    ):
        if value != usual:
            words.append(f" {key}={'FT'[value] if isinstance(value, bool) else value}")
    return "".join(words)


def soap_order(features: QuipFeatures, channels: Sequence[int]) -> np.ndarray:
    """Return the index in QUIP's power spectrum of each feature of gapfit.

    QUIP counts functions through all its channels, K = 1 ... S n_max, or its combinations
    of them, and has features (K1, K2 <= K1, l), l running fastest; (K1, K2, l) with all K2
    if the densities of a product are combined differently. gapfit has blocks of two
    channels in ascending order of species, and in them l, n, n'.

    Parameters
    ----------
    features : QuipFeatures
        Features of gapfit.
    channels : sequence of int
        Atomic numbers of the neighbours in QUIP's order; 0 for all together.
    """
    degree, first, second = features.functions.T
    ranks = [_ranks(features, channels, second=which) for which in (False, True)]
    q, p = ranks[0][first], ranks[1][second]
    pair = _pairs(features, q, p, len(ranks[1]))
    return pair * (features.l_max + 1) + degree


def _ranks(
    features: QuipFeatures, channels: Sequence[int], *, second: bool
) -> np.ndarray:
    """Return the numbers that QUIP gives to the functions of one density, from 0."""
    species = features.function_species(second=second)
    place = np.argsort(channels)[species]
    ranks = np.empty(len(species), dtype=np.int64)
    ranks[np.argsort(place, kind="stable")] = np.arange(len(species))
    return ranks


def _pairs(
    features: QuipFeatures, q: np.ndarray, p: np.ndarray, n_second: int
) -> np.ndarray:
    """Return the numbers of pairs of functions in QUIP's order."""
    c = features.compression
    if c.coupled:
        return _pair(q, p, n_second, symmetric=features.symmetric)
    if c.mixed == "species":  # of the same combination, one after the other
        n = features.n_max
        inner = _pair(q % n, p % n, n, symmetric=features.symmetric)
        return q // n * (n * (n + 1) // 2 if features.symmetric else n * n) + inner
    if c.mixed == "radial":  # of two species, and for each the same combination
        S, K = features.n_densities, c.n_mixed
        return _pair(q // K, p // K, S, symmetric=features.symmetric) * K + q % K
    return q


def _pair(
    q: np.ndarray, p: np.ndarray, n_second: int, *, symmetric: bool
) -> np.ndarray:
    if not symmetric:
        return q * n_second + p
    larger, smaller = np.maximum(q, p), np.minimum(q, p)
    return larger * (larger + 1) // 2 + smaller
