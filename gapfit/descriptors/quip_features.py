"""Features of QUIP's SOAP: products of all densities, or of fewer combinations of them.

p_qq'l = Σ_m d_qlm d'_q'lm / sqrt(2l + 1) with d_q = Σ_an W_q,an c_an. W is the identity
unless densities are summed over radial functions or species (`nu_r`, `nu_s`; Darby,
Kermode & Csányi, npj Comput. Mater. 8, 166 (2022)) or combined at random (`mixed`; Darby
et al., Phys. Rev. Lett. 131, 028001 (2023)). It may differ for the two densities.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gapfit.config.quip import QuipCompressionConfig
from gapfit.descriptors.quip_weights import mixing_weights
from gapfit.descriptors.soap_features import Products

__all__ = ["QuipFeatures"]

#: Functions that a channel may have at least, if there are so many to combine.
_WIDTH = 8
#: QUIP's square root of two where products are not coupled.
_SINGLE_ROOT = float(np.sqrt(np.float32(2.0)))


@dataclass(frozen=True, eq=False)
class _Channel:
    """A channel of functions.

    Attributes
    ----------
    group : int
        Which group of functions it belongs to, within its density of the product.
    part : int
        Which part of that group it is.
    functions : (n,) int64
        Numbers of its functions among those of its density of the product.
    weights : (n, n_densities, n_max) float64
        How the functions of the neighbours' densities are combined.
    """

    group: int
    part: int
    functions: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class QuipFeatures:
    """Features of a SOAP of QUIP; see `gapfit.descriptors.soap_features.Features`.

    Attributes
    ----------
    numbers : tuple of int
        Atomic numbers of the neighbours, ascending.
    n_max, l_max : int
        Radial functions of each density; highest angular momentum.
    together : bool
        Whether all neighbours form one density.
    compression : QuipCompressionConfig
        Which combinations are multiplied.
    """

    numbers: tuple[int, ...]
    n_max: int
    l_max: int
    together: bool
    compression: QuipCompressionConfig

    @property
    def channels(self) -> list[int]:
        """Density of each species."""
        return [0 if self.together else n for n in range(len(self.numbers))]

    @property
    def n_densities(self) -> int:
        """Number of densities of neighbours."""
        return 1 if self.together else len(self.numbers)

    @property
    def symmetric(self) -> bool:
        """Whether both densities of a product are the same combinations."""
        c = self.compression
        if c.mixed != "nothing":
            return c.symmetric
        return c.nu_r != 1 and c.nu_s != 1

    @property
    def products(self) -> Products:
        """Which functions of two channels are multiplied."""
        c = self.compression
        return "all" if c.coupled or c.mixed == "species" else "equal"

    def combinations(self, *, second: bool) -> list[np.ndarray]:
        """Return the groups of functions of one density of the product.

        Returns
        -------
        list of (n_functions, n_densities, n_max) float64
            Weights W of each group.
        """
        c, n, S = self.compression, self.n_max, self.n_densities
        second = second and not self.symmetric
        K = c.n_mixed
        if c.mixed == "radial":
            W = mixing_weights(n + c.shift, (n, K), second=second)
            return list(np.einsum("nk,gs->gksn", W, np.eye(S)))
        if c.mixed == "nothing":
            kept = 2 if second else 1
            radial = np.eye(n) if c.nu_r >= kept else np.ones((1, n))
            species = np.eye(S) if c.nu_s >= kept else np.ones((1, S))
            groups = np.einsum("rn,gs->grsn", radial, species)
            return list(groups) if c.nu_r >= kept else [groups.reshape(-1, S, n)]
        keys = [(0 if self.together else z) + c.shift for z in self.numbers[:S]]
        if c.mixed == "species":
            every = [mixing_weights(key, (K,), second=second) for key in keys]
            return list(np.einsum("sk,rn->krsn", every, np.eye(n)))
        every = [mixing_weights(key, (n, K), second=second) for key in keys]
        return [np.ascontiguousarray(np.einsum("snk->ksn", every))]

    def function_species(self, *, second: bool) -> np.ndarray:
        """Return which density each function belongs to, 0 if to several, int64."""
        c = self.compression
        groups = self.combinations(second=second)
        kept = 2 if second and not self.symmetric else 1
        alone = c.mixed == "radial" or (c.mixed == "nothing" and c.nu_s >= kept)
        W = np.concatenate(groups)
        of = np.abs(W).sum(axis=2).argmax(axis=1)
        return of if alone else np.zeros(len(W), dtype=np.int64)

    @cached_property
    def _parts(self) -> tuple[list[_Channel], list[_Channel]]:
        """Channels of the first and of the second density of products."""
        first = self._split(self.combinations(second=False))
        if self.symmetric:
            return first, first
        return first, self._split(self.combinations(second=True))

    def _split(self, groups: list[np.ndarray]) -> list[_Channel]:
        most = max(self.n_max, _WIDTH)
        channels, number = [], 0
        for group, W in enumerate(groups):
            for part, begin in enumerate(range(0, len(W), most)):
                own = W[begin : begin + most]
                functions = number + np.arange(len(own))
                channels.append(_Channel(group, part, functions, own))
                number += len(own)
        return channels

    @cached_property
    def width(self) -> int:
        """Largest number of functions of a channel or density."""
        channels = [*self._parts[0], *self._parts[1]]
        return max(self.n_max, *(len(channel.functions) for channel in channels))

    @cached_property
    def _places(self) -> tuple[list[int], list[int], list[_Channel]]:
        """Numbers of the channels of both densities, and those that are mixed."""
        mixed: list[_Channel] = []
        places = []
        for second, channels in enumerate(self._parts[: 1 if self.symmetric else 2]):
            own = []
            for channel in channels:
                # A channel with itself has fewer products.
                density = None if second else self._plain(channel.weights)
                if density is None:
                    mixed.append(channel)
                    density = self.n_densities + len(mixed) - 1
                own.append(density)
            places.append(own)
        return places[0], places[-1], mixed

    def _plain(self, W: np.ndarray) -> int | None:
        """Return the density that weights select, or None."""
        if len(W) != self.width:
            return None
        for density in range(self.n_densities):
            rest = np.delete(W, density, axis=1)
            if np.array_equal(W[:, density], np.eye(len(W))) and not rest.any():
                return density
        return None

    @property
    def mixed(self) -> list[int]:
        """Number of functions of each mixed channel."""
        return [len(channel.functions) for channel in self._places[2]]

    @property
    def mixing(self) -> np.ndarray:
        """How densities enter mixed channels, (n_mixed, n_densities, width, width)."""
        shape = (len(self.mixed), self.n_densities, self.width, self.width)
        out = np.zeros(shape)
        for own, channel in zip(out, self._places[2], strict=True):
            n = len(channel.functions)
            own[:, : self.n_max, :n] = channel.weights.transpose(1, 2, 0)
        return out

    @cached_property
    def _pairs(self) -> list[tuple[int, int]]:
        """Places of channels among those of the first and of the second density."""
        return list(self._multiplied())

    def _multiplied(self) -> Iterator[tuple[int, int]]:
        first, second = self._parts
        c = self.compression
        every = c.coupled or c.mixed == "radial"
        for i, a in enumerate(first):
            for j, b in enumerate(second):
                if self.symmetric and j < i:
                    continue
                same_part = self.products == "all" or a.part == b.part
                if same_part and (every or a.group == b.group):
                    yield i, j

    @property
    def blocks(self) -> list[tuple[int, int]]:
        """Pairs of channels, in order."""
        a, b, _ = self._places
        return [(a[i], b[j]) for i, j in self._pairs]

    def _functions(self, i: int, j: int) -> tuple[np.ndarray, np.ndarray]:
        """Return n and n' of a pair of channels, for one degree."""
        first, second = self._parts
        n_a, n_b = len(first[i].functions), len(second[j].functions)
        if self.products == "equal":
            equal = np.arange(min(n_a, n_b))
            return equal, equal
        if self.symmetric and i == j:
            return np.triu_indices(n_a)
        n, k = np.divmod(np.arange(n_a * n_b), n_b)
        return n, k

    @property
    def labels(self) -> np.ndarray:
        """Channels a, b, degree l and n, n' of each feature, (n_features, 5) int64."""
        rows = []
        for (i, j), (a, b) in zip(self._pairs, self.blocks, strict=True):
            n, k = self._functions(i, j)
            degree = np.repeat(np.arange(self.l_max + 1), len(n))
            every = [np.full(len(degree), a), np.full(len(degree), b), degree]
            every += [np.tile(n, self.l_max + 1), np.tile(k, self.l_max + 1)]
            rows.append(np.stack(every, axis=1))
        return np.concatenate(rows)

    @property
    def functions(self) -> np.ndarray:
        """Degree l, and functions q and q' that are multiplied, (n_features, 3) int64."""
        first, second = self._parts
        rows = []
        for i, j in self._pairs:
            n, k = self._functions(i, j)
            degree = np.repeat(np.arange(self.l_max + 1), len(n))
            q, p = first[i].functions[n], second[j].functions[k]
            every = [degree, np.tile(q, self.l_max + 1), np.tile(p, self.l_max + 1)]
            rows.append(np.stack(every, axis=1))
        return np.concatenate(rows)

    def __len__(self) -> int:
        """Return the number of features, without making them: there may be too many."""
        c, S, n, K = (
            self.compression,
            self.n_densities,
            self.n_max,
            self.compression.n_mixed,
        )
        if c.mixed == "nothing":
            first = (n if c.nu_r >= 1 else 1) * (S if c.nu_s >= 1 else 1)
            second = (n if c.nu_r >= 2 else 1) * (S if c.nu_s >= 2 else 1)
        else:
            first = second = {"species": K * n, "radial": S * K, "both": K}[c.mixed]
        if c.coupled:
            pairs = first * (first + 1) // 2 if self.symmetric else first * second
            return pairs * (self.l_max + 1)
        # Only functions of one kind are multiplied with each other.
        kind = {"species": n, "radial": S}.get(c.mixed, 1)
        pairs = kind * (kind + 1) // 2 if self.symmetric else kind * kind
        return first // kind * pairs * (self.l_max + 1)

    def prefactor(self, *, full: bool, plain: bool = False) -> np.ndarray:
        """Return the factors of Σ_m d d', shape (n_features,); see `Features`.

        QUIP's features always are those of the full kernel.
        """
        degree, first, second = self.functions.T
        weight = np.ones(len(degree)) if plain else 1.0 / (2 * degree + 1)
        root = np.sqrt(2.0) if self.compression.coupled else _SINGLE_ROOT
        twice = self.symmetric & (first != second)
        factor: np.ndarray = np.pi * np.sqrt(8.0 * weight)
        return np.where(twice, root * factor, factor)
