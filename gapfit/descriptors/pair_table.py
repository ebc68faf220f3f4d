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
from gapfit.descriptors.switch import Switch
from gapfit.threads import native_threads

__all__ = ["SPACING", "PairTable", "tabulate", "tabulate_pieces"]


#: Largest distance between knots, Å.
SPACING = 0.01
#: Boundaries of pieces that are closer are taken as one, Å.
_APART = 1e-9


@dataclass(frozen=True, eq=False)
class PairTable:
    """Pair potentials φ(r) at knots, zero beyond the last.

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
        First knot and distance of equidistant knots, Å.
    potential : (n_species, n_species) int32
        Potential of each pair of species.
    cosine : float
        Width of the cosine that ends with the last knot, Å; 0 without one.
    knots : (n_potentials, n_knots) float64 or None
        Ascending knots that are not equidistant, Å; the last is the same for all, and may
        be repeated.
    """

    species: tuple[int, ...]
    values: np.ndarray
    start: float
    spacing: float
    potential: np.ndarray
    cosine: float = 0.0
    knots: np.ndarray | None = None

    @property
    def cutoff(self) -> float:
        """Distance from which all potentials are zero, Å."""
        if self.knots is not None:
            return float(self.knots[0, -1])
        return float(self.start + self.spacing * (self.values.shape[1] - 1))

    def curve(self, which: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the knots of a potential (n,), Å, and its values there (n, 3)."""
        values = self.values[which]
        if self.knots is None:
            return self.start + self.spacing * np.arange(len(values)), values
        knots, first = np.unique(self.knots[which], return_index=True)
        return knots, values[first]

    def between(self, first: int, second: int, r: np.ndarray) -> np.ndarray:
        """Return the potential of two species.

        Parameters
        ----------
        first, second : int
            Atomic numbers.
        r : (n,) float64
            Distances, Å.

        Returns
        -------
        (n,) float64
            Energies, eV; constant where atoms overlap.
        """
        from scipy.interpolate import BPoly

        which = self.potential[self.species.index(first), self.species.index(second)]
        if which < 0:
            return np.zeros(len(r))
        inside = np.maximum(r, max(self.start, 0.9 * MIN_DISTANCE))
        curve = BPoly.from_derivatives(*self.curve(which))
        values = curve(np.minimum(inside, self.cutoff))
        if self.cosine:
            values *= Switch(self.cutoff, self.cosine, "cosine")(inside)[0]
        return np.where(inside < self.cutoff, values, 0.0)

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
                self.knots,
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
    values = np.stack([potential(knots).T for potential in potentials.values()])
    return PairTable(
        species,
        np.ascontiguousarray(values),
        float(knots[0]),
        float(spacing),
        _choice(species, list(potentials)),
        width if cosine else 0.0,
    )


def tabulate_pieces(
    species: tuple[int, ...],
    potentials: Mapping[int, Callable[[np.ndarray], np.ndarray]],
    boundaries: Mapping[int, np.ndarray],
    r_cut: float,
    width: float,
) -> PairTable:
    """Return pair potentials that are polynomials of degree 5 or less between boundaries.

    A cosine ends them. The table is exact.

    Parameters
    ----------
    species, potentials, r_cut, width
        See `tabulate`.
    boundaries : mapping of int to (n,) float64
        Boundaries of the pieces of each potential, Å.
    """
    first = 0.9 * MIN_DISTANCE
    rows = []
    for key in potentials:
        own = np.unique(boundaries[key])
        own = own[(own > first + _APART) & (own < r_cut - _APART)]
        apart = np.diff(own, prepend=first) > _APART
        rows.append(np.concatenate([[first], own[apart], [r_cut]]))
    most = max(map(len, rows))
    knots = np.stack([np.pad(row, (0, most - len(row)), mode="edge") for row in rows])
    values = np.stack(
        [potentials[key](row).T for key, row in zip(potentials, knots, strict=True)]
    )
    return PairTable(
        species,
        np.ascontiguousarray(values),
        first,
        r_cut - first,
        _choice(species, list(potentials)),
        width,
        np.ascontiguousarray(knots),
    )


def _choice(species: tuple[int, ...], keys: list[int]) -> np.ndarray:
    """Return the place among the potentials of each pair of species, int32."""
    choice = [[keys.index(pair_key(a, b)) for b in species] for a in species]
    return np.array(choice, dtype=np.int32)
