"""Order of the features of a power spectrum, as in dscribe, for every compression."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np

__all__ = ["Compression", "FeatureList", "Features", "Products"]

Compression = Literal["off", "mu2", "mu1nu1", "crossover", "trivial"]
#: Which functions n, n' of two channels are multiplied: all, those with n or n' = 0, or
#: n = n'.
Products = Literal["all", "first", "equal"]


class FeatureList(Protocol):
    """What a power spectrum is made of, and in which order."""

    @property
    def channels(self) -> list[int]:
        """Density of each species."""

    @property
    def mixed(self) -> list[int]:
        """Number of functions of each mixed channel, which combines all densities."""

    @property
    def mixing(self) -> np.ndarray:
        """How functions of densities enter mixed channels.

        Shape (n_mixed, n_densities, width, width), of density and then channel.
        """

    @property
    def width(self) -> int:
        """Largest number of functions of a channel or density."""

    @property
    def products(self) -> Products:
        """Which functions of two channels are multiplied."""

    @property
    def blocks(self) -> list[tuple[int, int]]:
        """Pairs of channels, in order; mixed channels are those after all densities."""

    @property
    def labels(self) -> np.ndarray:
        """Channels a, b, degree l and n, n' of each feature, (n_features, 5) int64."""

    def prefactor(self, *, full: bool, plain: bool = False) -> np.ndarray:
        """Return the factors of Σ_m c c', shape (n_features,)."""

    def __len__(self) -> int:
        """Return the number of features."""


@dataclass(frozen=True)
class Features:
    """Features p = π sqrt(8 / (2l + 1)) Σ_m c_anlm c_bn'lm (Eq. 5) by blocks of channels.

    A channel is the density of one species; for compression "mu2" that of all; for
    "mu1nu1" a last channel is the sum over all species (Darby, Kermode & Csányi,
    npj Comput. Mater. 8, 166 (2022)). Within a block: l, then (n, n'), n <= n' when
    both channels are the same; for "trivial", QUIP's, those with n or n' = 0.

    Attributes
    ----------
    n_species, n_max, l_max : int
        Number of species; of radial functions; highest angular momentum.
    compression : str
        Mode that selects the pairs of channels.
    """

    n_species: int
    n_max: int
    l_max: int
    compression: Compression = "off"

    @property
    def channels(self) -> list[int]:
        """Channel of each species."""
        together = self.compression == "mu2"
        return [0] * self.n_species if together else list(range(self.n_species))

    @property
    def width(self) -> int:
        """Number of functions of a channel."""
        return self.n_max

    @property
    def mixed(self) -> list[int]:
        """Number of functions of the channel that sums all others, if there is one."""
        return [self.n_max] if self.compression == "mu1nu1" else []

    @property
    def mixing(self) -> np.ndarray:
        """How the densities enter it, (n_mixed, n_densities, n_max, n_max)."""
        n_densities = max(self.channels) + 1
        shape = (len(self.mixed), n_densities, self.n_max, self.n_max)
        return np.broadcast_to(np.eye(self.n_max), shape).copy()

    @property
    def products(self) -> Products:
        """Which functions of two channels are multiplied."""
        return "first" if self.compression == "trivial" else "all"

    @property
    def blocks(self) -> list[tuple[int, int]]:
        """Pairs of channels, in order."""
        n = self.n_species
        if self.compression == "mu2":
            return [(0, 0)]
        if self.compression == "mu1nu1":
            return [(s, n) for s in range(n)]
        if self.compression == "crossover":
            return [(s, s) for s in range(n)]
        return [(s, t) for s in range(n) for t in range(s, n)]

    @cached_property
    def labels(self) -> np.ndarray:
        """Channels a, b, degree l and n, n' of each feature, (n_features, 5) int64."""
        out, first = np.empty((len(self), 5), dtype=np.int64), 0
        for a, b in self.blocks:
            numbers = self._numbers(same=a == b)
            rows = out[first : first + len(numbers)]
            rows[:, :2], rows[:, 2:] = (a, b), numbers
            first += len(numbers)
        return out

    def _numbers(self, *, same: bool) -> np.ndarray:
        """Return l, n, n' of the features of a block of equal or unequal channels."""
        every = self.compression != "trivial"
        return np.array(
            [
                (degree, n, k)
                for degree in range(self.l_max + 1)
                for n in range(self.n_max)
                for k in range(n if same else 0, self.n_max)
                if every or not n or not k
            ]
        )

    def __len__(self) -> int:
        same = sum(a == b for a, b in self.blocks)
        triangle, square = self.n_max * (self.n_max + 1) // 2, self.n_max**2
        if self.compression == "trivial":
            triangle, square = self.n_max, 2 * self.n_max - 1
        per_degree = same * triangle + (len(self.blocks) - same) * square
        return per_degree * (self.l_max + 1)

    def prefactor(self, *, full: bool, plain: bool = False) -> np.ndarray:
        """Return the factors of Σ_m c c', shape (n_features,).

        Parameters
        ----------
        full : bool
            Whether features that stand for two equal ones, (an, bn') and (bn', an), get
            a factor sqrt(2), so that p·p' is the full SOAP kernel (Bartók, Kondor &
            Csányi, PRB 87, 184115 (2013)); dscribe leaves it out.
        plain : bool
            Whether 1/sqrt(2l + 1) is left out, as by QUIP before 2015.
        """
        # Many species have many features: no more than this number of each is kept.
        by_kind = {
            same: self._block_prefactor(full=full, plain=plain, same=same)
            for same in (True, False)
        }
        return np.concatenate([by_kind[a == b] for a, b in self.blocks])

    def _block_prefactor(self, *, full: bool, plain: bool, same: bool) -> np.ndarray:
        degree, n, k = self._numbers(same=same).T
        weight = np.ones(len(degree)) if plain else 1.0 / (2 * degree + 1)
        factor: np.ndarray = np.pi * np.sqrt(8.0 * weight)
        if full:
            both = self.compression in ("off", "trivial")
            twice = n != k if same else np.full(len(n), both)
            factor = np.where(twice, np.sqrt(2.0) * factor, factor)
        return factor
