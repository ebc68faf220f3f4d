"""Tabulated pair potentials: the form of two-body terms and baselines in predictions."""

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

    The energy is Σ φ(r) over pairs of atoms, half of it for each atom. A smooth
    `Switch` is included in the values; a cosine, whose second derivative jumps, multiplies
    them.

    Attributes
    ----------
    species : tuple of int
        Atomic numbers, ascending.
    values : (n_potentials, n_knots, 3) float64
        φ, φ' and φ'' (eV, eV/Å, eV/Å²); interpolated with two continuous derivatives.
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
        """Distance from which all potentials are zero, Å."""
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
    """Return a table of pair potentials.

    Parameters
    ----------
    species : tuple of int
        Atomic numbers, ascending.
    potentials : mapping of int to callable
        Potentials by `pair_key`: (n,) distances -> (3, n) values of φ, φ' and φ'', with φ''
        piecewise smooth and a boundary of pieces at ``r_cut - width``. They are zero from
        `r_cut` on, unless a cosine ends them.
    r_cut, width : float
        Cutoff, and width of the switch, Å.
    cosine : bool
        Whether the table multiplies the potentials with a cosine.
    spacing : float
        Largest distance between knots, Å.
    """
    spacing = width / np.ceil(width / min(spacing, SPACING))
    n_steps = int(np.ceil((r_cut - 0.9 * MIN_DISTANCE) / spacing))
    # Counted from the end, so that one knot lies at the boundary of the pieces.
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
