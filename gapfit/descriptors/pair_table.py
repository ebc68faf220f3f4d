"""Tabulated pair potentials: what a 2-body term or a baseline becomes at prediction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from gapfit import _core
from gapfit.data.frame import to_voigt
from gapfit.data.neighbours import MIN_DISTANCE, Pairs, core_pairs
from gapfit.descriptors.blocks import pair_key
from gapfit.descriptors.protocol import LocalPrediction
from gapfit.threads import native_threads

__all__ = ["SPACING", "PairTable", "tabulate"]


#: Largest distance between knots, Å.
SPACING = 0.01


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
        return float(self.start + self.spacing * (self.values.shape[1] - 1))

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
