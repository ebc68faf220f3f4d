"""Tabulated pair potentials: what a 2-body term or a baseline becomes at prediction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Literal

import numpy as np

from gapfit import _core
from gapfit.descriptors import LocalPrediction
from gapfit.descriptors.engine import core_pairs
from gapfit.frame import to_voigt
from gapfit.neighbours import MIN_DISTANCE, Pairs
from gapfit.threads import native_threads

__all__ = [
    "SPACING",
    "PairTable",
    "Switch",
    "SwitchForm",
    "pair_key",
    "species_pairs",
    "tabulate",
]

#: Forms of the switch at the cutoff.
SwitchForm = Literal["smooth", "cosine"]

#: Largest distance between knots, Å.
SPACING = 0.01


def pair_key(a: int, b: int) -> int:
    """Return the key of a pair of atomic numbers, in any order: 1000 × less + greater."""
    return 1000 * min(a, b) + max(a, b)


def species_pairs(species: tuple[int, ...]) -> tuple[int, ...]:
    """Return the keys of all pairs of species."""
    return tuple(pair_key(*pair) for pair in combinations_with_replacement(species, 2))


@dataclass(frozen=True)
class Switch:
    """s(r): from 1 at r_cut - width to 0 at r_cut.

    With t = (r - r_cut) / width + 1, "smooth" is s = 1 - t³ (10 - 15 t + 6 t²), with two
    continuous derivatives; "cosine" is QUIP's s = (1 + cos(π t)) / 2, with one.

    Attributes
    ----------
    r_cut, width : float
        Å.
    form : {"smooth", "cosine"}
        Which function.
    """

    r_cut: float
    width: float
    form: SwitchForm = "smooth"

    @property
    def for_core(self) -> tuple[float, float, bool]:
        """What the core takes."""
        return self.r_cut, self.width, self.form == "cosine"

    def __call__(self, r: np.ndarray) -> np.ndarray:
        """Return s, s' and s''.

        Parameters
        ----------
        r : (n,) float64
            Distances, Å.

        Returns
        -------
        (3, n) float64
            Dimensionless, 1/Å and 1/Å²; s'' of a cosine is that within its range, and
            zero beyond.
        """
        width = self.width
        t = np.clip((r - self.r_cut) / width + 1, 0.0, 1.0)
        if self.form == "cosine":
            turn = np.pi / width
            inside = (r >= self.r_cut - width) & (r <= self.r_cut)
            return np.stack(
                [
                    0.5 * (1 + np.cos(np.pi * t)),
                    -0.5 * turn * np.sin(np.pi * t),
                    np.where(inside, -0.5 * turn**2 * np.cos(np.pi * t), 0.0),
                ]
            )
        return np.stack(
            [
                1 - t**3 * (10 - 15 * t + 6 * t**2),
                -30 * t**2 * (1 - t) ** 2 / width,
                -60 * t * (1 - t) * (1 - 2 * t) / width**2,
            ]
        )

    def times(self, values: np.ndarray, r: np.ndarray) -> np.ndarray:
        """Return s φ with its first two derivatives.

        Parameters
        ----------
        values : (3, n) float64
            φ, φ' and φ'' at the distances; eV, eV/Å, eV/Å².
        r : (n,) float64
            Distances, Å.

        Returns
        -------
        (3, n) float64
            eV, eV/Å and eV/Å².
        """
        v, v1, v2 = values
        s, s1, s2 = self(r)
        return np.stack([s * v, s1 * v + s * v1, s2 * v + 2 * s1 * v1 + s * v2])


@dataclass(frozen=True, eq=False)
class PairTable:
    """Pair potentials φ(r) at equidistant knots, zero beyond the last.

    The energy is Σ φ(r) over pairs of atoms, half of it each atom's. A `Switch` of smooth
    form is part of the values; a cosine, whose second derivative jumps, multiplies them.

    Attributes
    ----------
    species : tuple of int
        Atomic numbers, ascending.
    values : (n_potentials, n_knots, 3) float64
        φ, φ' and φ'' (eV, eV/Å, eV/Å²), two continuous derivatives between them.
    start, spacing : float
        First knot and distance of the knots, Å.
    potential : (n_species, n_species) int32
        Potential of each pair of species.
    cosine : float
        Width of the cosine that ends with the last knot, Å; 0 without one.
    """

    species: tuple[int, ...]
    values: np.ndarray
    start: float
    spacing: float
    potential: np.ndarray
    cosine: float = 0.0

    @property
    def cutoff(self) -> float:
        """Where all potentials have ended, Å."""
        return self.start + self.spacing * (self.values.shape[1] - 1)

    def evaluate(
        self, pairs: Pairs, *, gradients: bool, atom_virials: bool = False
    ) -> LocalPrediction:
        """Return energies, forces and virials of all centres of a pair list."""
        with native_threads() as n_threads:
            energies, forces, virials, local = _core.pair_energies(
                core_pairs(pairs, self.species),
                self.values,
                self.start,
                self.spacing,
                self.potential,
                self.cosine,
                gradients,
                atom_virials,
                n_threads,
            )
        return LocalPrediction(energies, forces, to_voigt(virials), local)


def tabulate(
    species: tuple[int, ...],
    potentials: Mapping[int, Callable[[np.ndarray], np.ndarray]],
    r_cut: float,
    width: float,
    *,
    cosine: bool = False,
    spacing: float = SPACING,
) -> PairTable:
    """Return the table of some potentials.

    Parameters
    ----------
    species : tuple of int
        Atomic numbers, ascending.
    potentials : mapping of int to callable
        By `pair_key`: (n,) distances -> (3, n) values of φ, φ' and φ'', with φ'' piecewise
        smooth, its pieces meeting at ``r_cut - width``; zero at and beyond `r_cut`, or
        without the cosine that ends them.
    r_cut, width : float
        Å.
    cosine : bool
        Whether the potentials are to be multiplied with a cosine.
    spacing : float
        Largest distance between knots, Å.
    """
    spacing = width / np.ceil(width / min(spacing, SPACING))
    n_steps = int(np.ceil((r_cut - 0.9 * MIN_DISTANCE) / spacing))
    # Counted from the end, so that knots lie where the pieces meet.
    knots = r_cut - spacing * np.arange(n_steps, -1, -1.0)
    keys = list(potentials)
    choice = [[keys.index(pair_key(a, b)) for b in species] for a in species]
    values = np.stack([potentials[key](knots).T for key in keys])
    return PairTable(
        species,
        np.ascontiguousarray(values),
        float(knots[0]),
        float(spacing),
        np.array(choice, dtype=np.int32),
        width if cosine else 0.0,
    )
