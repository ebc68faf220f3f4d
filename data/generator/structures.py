"""Crystal, layer, surface and box structures that ASE does not build."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import diamond100


def box_atom(symbol: str, side: float) -> Atoms:
    """Return one atom in a slightly orthorhombic box of about `side` Å."""
    cell = np.diag([side, side + 0.35, side + 0.8])
    return Atoms([symbol], positions=[cell.diagonal() / 2], cell=cell, pbc=True)


def box_dimer(first: str, second: str, distance: float, side: float) -> Atoms:
    """Return a dimer (Å) along z in a box of about `side` Å."""
    cell = np.diag([side, side + 0.2, side + 2.0])
    centre = cell.diagonal() / 2
    half = np.array([0, 0, distance / 2])
    return Atoms(
        [first, second], positions=[centre - half, centre + half], cell=cell, pbc=True
    )


def a15(symbol: str, a: float) -> Atoms:
    """Return the A15 structure (8 atoms) with lattice constant `a` (Å)."""
    positions = [[0, 0, 0], [0.5, 0.5, 0.5], [0.25, 0.5, 0], [0.75, 0.5, 0]]
    positions += [[0, 0.25, 0.5], [0, 0.75, 0.5], [0.5, 0, 0.25], [0.5, 0, 0.75]]
    return Atoms([symbol] * 8, scaled_positions=positions, cell=[a] * 3, pbc=True)


def beta_tin(symbol: str, a: float, c_over_a: float = 0.55) -> Atoms:
    """Return the beta-tin structure (2 atoms) with lattice constant `a` (Å)."""
    cell = np.array([[-1, 1, c_over_a], [1, -1, c_over_a], [1, 1, -c_over_a]])
    return Atoms(
        [symbol] * 2,
        cell=0.5 * a * cell,
        positions=[[0, 0, 0], [0, 0.5 * a, 0.25 * c_over_a * a]],
        pbc=True,
    )


def hexagonal_cell(a: float, c: float) -> list[list[float]]:
    """Return the vectors (Å) of a hexagonal cell with an angle of 120 degrees."""
    return [[a, 0, 0], [-a / 2, a * 3**0.5 / 2, 0], [0, 0, c]]


def graphite(a: float, c: float) -> Atoms:
    """Return AB graphite (4 atoms) with lattice constants `a`, `c` (Å)."""
    positions = [[0, 0, 0.25], [1 / 3, 2 / 3, 0.25], [0, 0, 0.75], [2 / 3, 1 / 3, 0.75]]
    return Atoms("C4", cell=hexagonal_cell(a, c), scaled_positions=positions, pbc=True)


def graphite_stack(a: float, c: float, shift: tuple[float, float]) -> Atoms:
    """Return two carbon layers (4 atoms), the second shifted in the plane.

    Parameters
    ----------
    a, c : float
        Lattice constants, Å; the spacing of the layers is c / 2.
    shift : (float, float)
        Shift of the second layer, fractions of the in-plane vectors: (0, 0) is
        AA stacking and (1/3, 2/3) is AB.
    """
    u, v = shift
    positions = [[0, 0, 0.25], [1 / 3, 2 / 3, 0.25]]
    positions += [[u, v, 0.75], [1 / 3 + u, 2 / 3 + v, 0.75]]
    return Atoms("C4", cell=hexagonal_cell(a, c), scaled_positions=positions, pbc=True)


def lonsdaleite(symbol: str, a: float, c: float | None = None) -> Atoms:
    """Return hexagonal diamond (4 atoms); the ideal `c` (Å) by default."""
    c = a * (8 / 3) ** 0.5 if c is None else c
    u = 1 / 16
    positions = [[1 / 3, 2 / 3, u], [2 / 3, 1 / 3, -u]]
    positions += [[1 / 3, 2 / 3, 0.5 - u], [2 / 3, 1 / 3, 0.5 + u]]
    out = Atoms([symbol] * 4, cell=hexagonal_cell(a, c), pbc=True)
    out.set_scaled_positions(np.array(positions) % 1)
    return out


def bc8(symbol: str, a: float, x: float = 0.10) -> Atoms:
    """Return the BC8 structure, primitive cell of 8 atoms (Ia-3, 16c).

    Parameters
    ----------
    symbol : str
        Element.
    a : float
        Cubic lattice constant, Å.
    x : float, default 0.10
        Internal parameter.
    """
    base = np.array(
        [
            [x, x, x],
            [0.5 - x, -x, 0.5 + x],
            [-x, 0.5 + x, 0.5 - x],
            [0.5 + x, 0.5 - x, -x],
        ]
    )
    cell = 0.5 * a * np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]])
    out = Atoms([symbol] * 8, positions=a * np.vstack([base, -base]), cell=cell)
    out.pbc = True
    out.wrap()
    return out


def graphite_to_diamond(fraction: float) -> Atoms:
    """Return a step from rhombohedral graphite (0) to cubic diamond (1).

    Parameters
    ----------
    fraction : float
        Position on the straight path of in-plane constant, layer repeat and
        buckling; the cell has 2 atoms.
    """
    a = (1 - fraction) * 2.467 + fraction * 3.574 / 2**0.5
    repeat = (1 - fraction) * 3.35 + fraction * 3.574 / 3**0.5
    buckling = fraction * 3.574 / (4 * 3**0.5)
    s = a / 3**0.5
    cell = [[s * np.cos(t), s * np.sin(t), repeat] for t in np.radians([90, 210, 330])]
    bond = np.array([0.0, -s, 0.0])  # to a hollow of the triangular net
    positions = [[0, 0, buckling / 2], bond - [0, 0, buckling / 2]]
    out = Atoms("C2", positions=positions, cell=cell, pbc=True)
    out.wrap()
    return out


def chain(symbol: str, distance: float, side: float) -> Atoms:
    """Return a linear chain along z, two atoms in a cell of width `side` Å."""
    return Atoms(
        [symbol] * 2,
        positions=[[0, 0, 0], [0, 0, distance]],
        cell=[side, side, 2 * distance],
        pbc=True,
    )


def ribbon(n_rows: int, bond: float, vacuum: float) -> Atoms:
    """Return a zigzag graphene ribbon, 2 atoms a row, bare edges.

    Parameters
    ----------
    n_rows : int
        Number of zigzag rows.
    bond : float
        Bond length, Å.
    vacuum : float
        Empty width beside and above the ribbon, Å.
    """
    a = bond * 3**0.5
    rows = []
    y = 0.0
    for k in range(n_rows):
        x = 0.5 * a * (k % 2)
        rows += [[x, y, 0], [x + 0.5 * a, y + 0.5 * bond, 0]]
        y += 1.5 * bond
    width = y - bond
    cell = [a, width + vacuum, vacuum]
    return Atoms(["C"] * (2 * n_rows), positions=rows, cell=cell, pbc=True)


def diamond100_dimers(
    symbol: str, a: float, layers: int, dimer: float, vacuum: float
) -> Atoms:
    """Return a (100) slab of diamond structure with 2x1 dimer rows on both sides.

    Parameters
    ----------
    symbol : str
        Element.
    a : float
        Lattice constant, Å.
    layers : int
        Number of layers (2 atoms each); even, so that both sides dimerise alike.
    dimer : float
        Length of the surface dimers, Å.
    vacuum : float
        Empty space on each side, Å.
    """
    side = a / 2**0.5
    slab = diamond100(symbol, (1, 1, layers), a=a, vacuum=vacuum, periodic=True)
    bonds = slab.get_distance(0, 1, mic=True, vector=True)
    axis = int(np.argmin(abs(bonds[:2])))  # no back bonds of the first layer along it
    out = slab.repeat((2, 1, 1) if axis == 0 else (1, 2, 1))
    z = out.positions[:, 2].copy()
    for level, inward in ((z.min(), 0.1), (z.max(), -0.1)):
        pair = np.flatnonzero(abs(z - level) < 0.1)
        first, last = pair[np.argsort(out.positions[pair, axis])]
        out.positions[first, axis] += 0.5 * (side - dimer)
        out.positions[last, axis] -= 0.5 * (side - dimer)
        out.positions[pair, 2] += inward
    return out


def with_interstitial(atoms: Atoms, scaled_position: tuple[float, ...]) -> Atoms:
    """Return a copy with one more atom of the first element."""
    out = atoms.copy()
    position = np.asarray(scaled_position) @ np.asarray(out.cell)
    return out + Atoms(out.get_chemical_symbols()[:1], positions=[position])


def without(atoms: Atoms, index: int) -> Atoms:
    """Return a copy without one atom."""
    out = atoms.copy()
    del out[index]
    return out


def add_vacuum(atoms: Atoms, gap: float) -> Atoms:
    """Return a copy whose third cell vector is longer by `gap` (Å)."""
    out = atoms.copy()
    cell = np.asarray(out.cell).copy()
    cell[2] *= 1 + gap / np.linalg.norm(cell[2])
    out.set_cell(cell)
    return out


def black_phosphorus() -> Atoms:
    """Return black phosphorus (A17, Cmce, 8 atoms)."""
    a, b, c = 3.31, 10.8, 4.44
    u, v = 0.1, 0.085
    base = [[0, u, v], [0, -u, -v], [0, u + 0.5, -v + 0.5], [0, -u + 0.5, v + 0.5]]
    s = [list(x) for x in base] + [[x[0] + 0.5, x[1] + 0.5, x[2]] for x in base]
    return Atoms("P8", cell=[a, b, c], scaled_positions=np.array(s) % 1, pbc=True)


def a7(symbol: str, a: float, c: float, u: float) -> Atoms:
    """Return the primitive cell of the A7 (arsenic) structure from its hexagonal axes."""
    third = np.array([0.0, 0.0, c / 3])
    across = (
        a
        / 3**0.5
        * np.array([[0, 1, 0], [0.75**0.5, -0.5, 0], [-(0.75**0.5), -0.5, 0]])
    )
    along = np.array([0, 0, u * c])
    return Atoms([symbol] * 2, positions=[along, -along], cell=across + third, pbc=True)


def tetrahedron(symbol: str, bond: float) -> Atoms:
    """Return a molecule of four atoms around the origin, without a cell."""
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    return Atoms([symbol] * 4, positions=corners * bond / 8**0.5)


def trigonal_chain(symbol: str, a: float, c: float, u: float) -> Atoms:
    """Return the A8 structure (selenium, 3 atoms) with chain radius `u` times `a`."""
    positions = [[u, 0, 0], [0, u, 1 / 3], [-u, -u, 2 / 3]]
    return Atoms(
        [symbol] * 3, cell=hexagonal_cell(a, c), scaled_positions=positions, pbc=True
    )
