"""SOAP power spectrum and its derivatives from a pair list (dscribe's definition).

Engines share one interface: `expand` computes the power spectra of a pair list;
the result then gives derivative rows of pairs (fitting) or takes an adjoint back
to pairs (prediction), so that prediction never forms a derivative tensor.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from gapfit._core import solid_harmonics
from gapfit.descriptors.radial import RadialBasis
from gapfit.errors import StructureError
from gapfit.neighbours import Pairs

__all__ = ["Expansion", "Features", "NativeEngine", "SoapEngine", "species_index"]


class Expansion(Protocol):
    """Power spectra of the centres of one pair list."""

    p: np.ndarray  # (n_centres, n_features)

    def pair_species(self) -> np.ndarray:
        """Return the index of each neighbour's species, shape (n_pairs,)."""

    def derivatives(self, pairs: np.ndarray, species: int) -> np.ndarray:
        """Return dp_i/dR_j for pairs whose neighbour is of one species.

        Parameters
        ----------
        pairs : (n,) int64
            Indices into the pair list.
        species : int
            Index of the neighbour's species, the same for all.

        Returns
        -------
        (n, 3, n_active) float64
            For the features ``Features.active[species]`` only; the rest is zero.
        """

    def adjoint(self, gradient: np.ndarray) -> np.ndarray:
        """Return dE/dR of every pair from dE/dp, shapes (n_pairs, 3), (n_centres, F)."""


class SoapEngine(Protocol):
    """Computes expansions."""

    cutoff: float
    features: Features

    def expand(self, pairs: Pairs) -> Expansion:
        """Return the power spectra of the centres of a pair list."""


def species_index(species: tuple[int, ...], numbers: np.ndarray) -> np.ndarray:
    """Return the position of each atomic number in `species`; unknown ones raise."""
    table = np.full(max(int(numbers.max(initial=0)), *species) + 1, -1)
    table[list(species)] = np.arange(len(species))
    index = table[numbers]
    if np.any(index < 0):
        from ase.data import chemical_symbols

        unknown = sorted({chemical_symbols[z] for z in numbers[index < 0]})
        known = ", ".join(chemical_symbols[z] for z in species)
        raise StructureError(
            f"unknown species {', '.join(unknown)}: this model knows {known}; "
            "fit a model with data for them"
        )
    return index


@dataclass(frozen=True)
class Features:
    """Order of the power spectrum: species pairs s <= t, then l, then (n, n').

    With channels a = s n_max + n, feature f is p_{ab l} with a = ``a[f]`` etc.
    """

    n_species: int
    n_max: int
    l_max: int

    @cached_property
    def _labels(self) -> np.ndarray:
        n_max = self.n_max
        return np.array(
            [
                (s * n_max + n, t * n_max + k, degree)
                for s in range(self.n_species)
                for t in range(s, self.n_species)
                for degree in range(self.l_max + 1)
                for n in range(n_max)
                for k in range(n if s == t else 0, n_max)
            ]
        )

    @property
    def a(self) -> np.ndarray:
        """First channel, shape (n_features,)."""
        return self._labels[:, 0]

    @property
    def b(self) -> np.ndarray:
        """Second channel, shape (n_features,)."""
        return self._labels[:, 1]

    @property
    def degree(self) -> np.ndarray:
        """Angular momentum l, shape (n_features,)."""
        return self._labels[:, 2]

    @property
    def n_channels(self) -> int:
        """Species times radial functions."""
        return self.n_species * self.n_max

    def __len__(self) -> int:
        return len(self._labels)

    @cached_property
    def prefactor(self) -> np.ndarray:
        """π sqrt(8 / (2l + 1)) of each feature, shape (n_features,)."""
        return np.pi * np.sqrt(8.0 / (2 * self.degree + 1))

    @cached_property
    def active(self) -> tuple[np.ndarray, ...]:
        """Features that change when an atom of each species moves."""
        s, t = self.a // self.n_max, self.b // self.n_max
        return tuple(np.flatnonzero((s == k) | (t == k)) for k in range(self.n_species))

    @cached_property
    def gathers(self) -> tuple[tuple[np.ndarray, ...], ...]:
        """Where ``derivatives`` finds its two summands, per species.

        Positions among the active features and flat indices into an array of shape
        (l_max + 1, n_max, n_channels), for the first and for the second channel.
        """
        out = []
        for k, active in enumerate(self.active):
            parts: list[np.ndarray] = []
            channels = (self.a[active], self.b[active])
            for own, other in (channels, channels[::-1]):
                at = np.flatnonzero(own // self.n_max == k)
                row = self.degree[active][at] * self.n_max + own[at] % self.n_max
                parts += [at, row * self.n_channels + other[at]]
            out.append(tuple(parts))
        return tuple(out)


class NativeEngine:
    """gapfit's own evaluation of dscribe's GTO SOAP.

    Parameters
    ----------
    species : tuple of int
        Atomic numbers, ascending.
    radial : RadialBasis
        Radial functions.
    """

    def __init__(self, species: tuple[int, ...], radial: RadialBasis) -> None:
        self.species = species
        self.radial = radial
        self.cutoff = radial.cutoff
        self.features = Features(len(species), radial.n_max, radial.l_max)
        self.l_of_lm = np.repeat(
            np.arange(radial.l_max + 1), 2 * np.arange(radial.l_max + 1) + 1
        )

    def expand(self, pairs: Pairs) -> NativeExpansion:
        """Return the power spectra of the centres of a pair list."""
        return NativeExpansion(self, pairs)


class NativeExpansion:
    """Density coefficients c (n_centres, n_channels, n_lm) and power spectra p."""

    def __init__(self, engine: NativeEngine, pairs: Pairs) -> None:
        self.engine = engine
        self.R = pairs.R
        self.centre = pairs.i - pairs.start
        index = species_index(engine.species, pairs.numbers)
        self._neighbour = index[pairs.j]
        r = np.sqrt(np.einsum("px,px->p", self.R, self.R))
        # Harmonics of the unit vector u: ∇[R(r) Y(u)] = (R' - l R/r) Y u + R/r ∇S(u).
        self.Y, self.dS = solid_harmonics(self.R / r[:, None], engine.radial.l_max)
        self.radial, self.over_r, self.along = engine.radial(r)
        self.c = self._coefficients(pairs.n_centres, index[pairs.start : pairs.stop])
        self.p = self._power_spectrum()

    def pair_species(self) -> np.ndarray:
        """Return the index of each neighbour's species, shape (n_pairs,)."""
        return self._neighbour

    def _degrees(self) -> list[tuple[int, slice]]:
        return [
            (d, slice(d * d, (d + 1) ** 2)) for d in range(self.engine.radial.l_max + 1)
        ]

    def _coefficients(self, n_centres: int, own: np.ndarray) -> np.ndarray:
        from scipy.sparse import csr_array

        n_species, n_max = len(self.engine.species), self.engine.radial.n_max
        n_pairs, n_lm = self.Y.shape
        slot = self.centre * n_species + self._neighbour
        gather = csr_array(
            (np.ones(n_pairs), (slot, np.arange(n_pairs))),
            shape=(n_centres * n_species, n_pairs),
        )
        radial = self.radial[:, self.engine.l_of_lm].transpose(0, 2, 1)
        terms = radial * self.Y[:, None, :]
        c = gather @ terms.reshape(n_pairs, n_max * n_lm)
        c = c.reshape(n_centres, n_species, n_max, n_lm)
        c[np.arange(n_centres), own, :, 0] += self.engine.radial.centre
        return c.reshape(n_centres, n_species * n_max, n_lm)

    def _power_spectrum(self) -> np.ndarray:
        f = self.engine.features
        products: np.ndarray = np.empty(
            (len(self.c), f.l_max + 1, f.n_channels, f.n_channels)
        )
        for degree, m in self._degrees():
            c = self.c[:, :, m]
            np.matmul(c, c.transpose(0, 2, 1), out=products[:, degree])
        flat = (f.degree * f.n_channels + f.a) * f.n_channels + f.b
        products = products.reshape(len(self.c), (f.l_max + 1) * f.n_channels**2)
        return products[:, flat] * f.prefactor

    def derivatives(self, pairs: np.ndarray, species: int) -> np.ndarray:
        """Return dp_i/dR_j of the active features, (n, 3, n_active); see `Expansion`."""
        f = self.engine.features
        dc = self._coefficient_gradients(pairs)
        c = self.c[self.centre[pairs]]
        n = len(pairs)
        X: np.ndarray = np.empty((n, 3, f.l_max + 1, f.n_max, f.n_channels))
        for degree, m in self._degrees():
            own = dc[..., m].reshape(n, 3 * f.n_max, 2 * degree + 1)
            product = np.matmul(own, c[:, :, m].transpose(0, 2, 1))
            X[:, :, degree] = product.reshape(n, 3, f.n_max, f.n_channels)
        X = X.reshape(n, 3, (f.l_max + 1) * f.n_max * f.n_channels)
        first, first_from, second, second_from = f.gathers[species]
        active = f.active[species]
        if len(first) == len(active):
            D = X[:, :, first_from]
        else:
            D = np.zeros((n, 3, len(active)))
            D[:, :, first] = X[:, :, first_from]
        D[:, :, second] += X[:, :, second_from]
        D *= f.prefactor[active]
        return D

    def _coefficient_gradients(self, pairs: np.ndarray) -> np.ndarray:
        """Return ∇(w f_nl Y_lm), shape (n, 3, n_max, n_lm)."""
        lm = self.engine.l_of_lm
        across = self.over_r[pairs][:, lm].transpose(0, 2, 1)
        along = self.along[pairs][:, lm].transpose(0, 2, 1) * self.Y[pairs][:, None, :]
        dc = self.R[pairs][:, :, None, None] * along[:, None]
        dc += across[:, None] * self.dS[pairs][:, :, None, :]
        return dc

    def adjoint(self, gradient: np.ndarray) -> np.ndarray:
        """Return dE/dR of every pair (n_pairs, 3) from dE/dp (n_centres, n_features)."""
        dc = self._adjoint_coefficients(gradient)
        n_species, n_max = len(self.engine.species), self.engine.radial.n_max
        per_species = dc.reshape(len(dc), n_species, n_max, dc.shape[2])
        B = per_species[self.centre, self._neighbour]
        lm = self.engine.l_of_lm
        along = np.einsum("pnm,pmn->pm", B, self.along[:, lm])
        across = np.einsum("pnm,pmn->pm", B, self.over_r[:, lm])
        radially = np.einsum("pm,pm->p", along, self.Y)
        return radially[:, None] * self.R + np.einsum("pxm,pm->px", self.dS, across)

    def _adjoint_coefficients(self, gradient: np.ndarray) -> np.ndarray:
        """Return dE/dc, shape of c, from dE/dp."""
        f = self.engine.features
        weights = gradient * f.prefactor
        full = np.zeros((len(self.c), f.l_max + 1, f.n_channels, f.n_channels))
        full[:, f.degree, f.a, f.b] += weights
        full[:, f.degree, f.b, f.a] += weights
        dc = np.empty_like(self.c)
        for degree, m in self._degrees():
            dc[:, :, m] = np.matmul(full[:, degree], self.c[:, :, m])
        return dc
