"""Surface energies of low-index planes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gapfit.errors import GapfitError
from gapfit.properties.relax import relaxed

__all__ = ["J_PER_M2", "Surface", "slabs", "surface"]

#: 1 eV/Å² in J/m².
J_PER_M2 = 16.021766208

# Atoms whose heights differ by less than this are in one layer, Å.
_LAYER = 0.1
_FMAX = 1e-3


@dataclass(frozen=True, eq=False)
class Surface:
    """A surface of a crystal, cut where its energy is lowest.

    Attributes
    ----------
    energy : float
        (E_slab - N/N_bulk E_bulk) / 2A with relaxed atoms, J/m².
    unrelaxed : float
        The same with atoms at their positions in the crystal, J/m².
    slab, start, bulk : ase.Atoms
        The relaxed slab, the unrelaxed slab and the crystal, with their calculator.
    """

    energy: float
    unrelaxed: float
    slab: Any
    start: Any
    bulk: Any

    def parts(self, *, relaxed: bool = True) -> list[tuple[float, Any]]:
        """Return weights, J/m²/eV, and structures; weighted energies sum to `energy`."""
        return _parts(self.slab if relaxed else self.start, self.bulk)


def slabs(
    crystal: Any, plane: tuple[int, int, int], *, thickness: float, vacuum: float
) -> list[Any]:
    """Return slabs of the crystal's composition, one for each height of the cut.

    Parameters
    ----------
    crystal : ase.Atoms
        Conventional cell: the indices of `plane` refer to its lattice vectors.
    plane : tuple of int
        Miller indices.
    thickness : float
        Least height of the slab, half a gap above and below its atoms included, Å.
    vacuum : float
        Vacuum between periodic images of the slab, Å.

    Raises
    ------
    GapfitError
        The indices are all zero.
    """
    from ase.build import make_supercell

    if not any(plane):
        raise GapfitError("plane 0 0 0: give Miller indices that are not all zero")
    unit = make_supercell(crystal, _along(plane, crystal.cell[:]))
    height = unit.get_volume() / _area(unit)
    layers = int(np.ceil(thickness / height))
    block = unit.repeat((1, 1, layers))
    normal = _normal(block)
    cuts = []
    for level in _between_layers(unit.positions @ normal % height, height):
        slab = block.copy()
        # Atoms below the cut move to the other side, which keeps the composition.
        below = (slab.positions @ normal - level) // (height * layers)
        slab.positions -= below[:, None] * slab.cell[2]
        slab.pbc = [True, True, False]
        slab.center(vacuum=vacuum / 2, axis=2)
        slab.pbc = True
        cuts.append(slab)
    return cuts


def surface(
    crystal: Any,
    plane: tuple[int, int, int],
    calculator: Any,
    *,
    thickness: float = 12.0,
    vacuum: float = 12.0,
) -> Surface:
    """Return a surface, without reconstructions that break its symmetry.

    Of all cuts, the one of lowest energy before relaxation is relaxed.

    Parameters
    ----------
    crystal : ase.Atoms
        Relaxed conventional cell.
    plane : tuple of int
        Miller indices.
    calculator : ase.calculators.calculator.Calculator
        A calculator with forces.
    thickness, vacuum : float
        Least thickness of the slab and of the vacuum, Å; the vacuum should exceed the
        cutoff.

    Raises
    ------
    GapfitError
        See `slabs`; or the relaxation does not converge.
    """
    bulk = crystal.copy()
    bulk.calc = calculator
    candidates = slabs(crystal, plane, thickness=thickness, vacuum=vacuum)
    for slab in candidates:
        slab.calc = calculator
    best = min(candidates, key=lambda slab: slab.get_potential_energy())
    slab = relaxed(best, calculator, cell="fixed", fmax=_FMAX)
    energy, unrelaxed = (
        sum(
            weight * atoms.get_potential_energy()
            for weight, atoms in _parts(state, bulk)
        )
        for state in (slab, best)
    )
    return Surface(energy, unrelaxed, slab, best, bulk)


def _parts(slab: Any, bulk: Any) -> list[tuple[float, Any]]:
    weight = J_PER_M2 / (2 * _area(slab))
    return [(weight, slab), (-weight * len(slab) / len(bulk), bulk)]


def _area(atoms: Any) -> float:
    return float(np.linalg.norm(np.cross(atoms.cell[0], atoms.cell[1])))


def _normal(atoms: Any) -> np.ndarray:
    normal = np.cross(atoms.cell[0], atoms.cell[1])
    return normal / np.linalg.norm(normal) * np.sign(normal @ atoms.cell[2])


def _along(plane: tuple[int, int, int], cell: np.ndarray) -> np.ndarray:
    """Return integer vectors of a cell: two short ones in the plane, one out of it."""
    h, k, m = plane
    if h == k == 0:
        rows = np.eye(3, dtype=int)
    else:
        g, p, q = _bezout(h, k)
        d, s, t = _bezout(g, m)
        in_plane = [[k // g, -h // g, 0], [p * m // d, q * m // d, -g // d]]
        rows = np.array([*in_plane, [s * p, s * q, t]])
    first, second = rows[:2]
    # Gauss's reduction: each vector becomes as short as the other allows.
    while True:
        if np.linalg.norm(first @ cell) > np.linalg.norm(second @ cell) + 1e-9:
            first, second = second, first
        a, b = first @ cell, second @ cell
        steps = round(float(a @ b / (a @ a)))
        if steps == 0:
            break
        second = second - steps * first
    vectors = np.array([first, second, rows[2]])
    vectors[2] *= round(np.linalg.det(vectors))
    return vectors


def _bezout(a: int, b: int) -> tuple[int, int, int]:
    """Return g, x and y with g = gcd(a, b) = x a + y b."""
    if b == 0:
        return abs(a), (a > 0) - (a < 0), 0
    g, x, y = _bezout(b, a % b)
    return g, y, x - a // b * y


def _between_layers(heights: np.ndarray, period: float) -> list[float]:
    """Return heights in the middle of the gaps of a periodic stack of layers."""
    ordered = np.sort(heights)
    gaps = np.diff(ordered, append=ordered[0] + period)
    return [
        float(low + gap / 2)
        for low, gap in zip(ordered, gaps, strict=True)
        if gap > _LAYER
    ]
