"""Classical potentials, used only to sample liquid and amorphous structures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.neighborlist import neighbor_list, primitive_neighbor_list


class Potential(Calculator):
    """A calculator of energies and forces for one element."""

    # ASE declares it on the instance
    implemented_properties: ClassVar[list[str]] = [  # type: ignore[misc]
        "energy",
        "forces",
    ]
    symbol: str


class Tersoff(Potential):
    """Tersoff potential of one element (lambda_3 = 0).

    Parameters
    ----------
    symbol : {"C", "Si"}
        Element.

    Notes
    -----
    Written for a few tens of atoms: the angular sums are dense in the pairs.

    References
    ----------
    J. Tersoff, Phys. Rev. B 39, 5566 (1989), doi:10.1103/PhysRevB.39.5566.
    """

    # A and B (eV), lambda_1 and lambda_2 (1/Å), beta, n, c, d, h, R and D (Å)
    params: ClassVar[dict[str, tuple[float, ...]]] = {
        "Si": (
            *(1830.8, 471.18, 2.4799, 1.7322, 1.1e-6, 0.78734),
            *(1.0039e5, 16.217, -0.59825, 2.85, 0.15),
        ),
        "C": (
            *(1393.6, 346.74, 3.4879, 2.2119, 1.5724e-7, 0.72751),
            *(3.8049e4, 4.3484, -0.57058, 1.95, 0.15),
        ),
    }

    def __init__(self, symbol: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.symbol = symbol
        self.p = self.params[symbol]

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Compute the energy (eV) and the forces (eV/Å)."""
        super().calculate(atoms, properties, system_changes)
        A, B, l1, l2, beta, n, c, d, h, R, D = self.p
        system = self.atoms
        assert system is not None
        pbc, cell, pos = system.pbc, system.cell, system.positions
        i, j, r, vec = primitive_neighbor_list("ijdD", pbc, cell, pos, R + D)
        n_atoms = len(system)
        x = np.clip((r - R) / D, -1, 1)
        fc = 0.5 - 0.5 * np.sin(0.5 * np.pi * x)
        dfc = np.where(abs(x) < 1, -0.25 * np.pi / D * np.cos(0.5 * np.pi * x), 0.0)
        fr, fa = A * np.exp(-l1 * r), B * np.exp(-l2 * r)
        u = vec / r[:, None]
        # pairs p and q of the same atom, p != q
        same = ((i[:, None] == i[None, :]) & ~np.eye(len(i), dtype=bool)).astype(float)
        cos = u @ u.T
        w = d**2 + (h - cos) ** 2
        g = (1 + c**2 / d**2 - c**2 / w) * same
        dg = -2 * c**2 * (h - cos) / w**2 * same
        zeta = g @ fc
        bz = (beta * zeta) ** n
        bij = (1 + bz) ** (-0.5 / n)
        with np.errstate(divide="ignore", invalid="ignore"):
            dbij = np.where(zeta > 1e-12, -0.5 * bij / (1 + bz) * bz / zeta, 0.0)
        self.results["energy"] = 0.5 * (fc * (fr - bij * fa)).sum()
        pre = -0.5 * fc * fa * dbij  # dE/dzeta_p
        dr = 0.5 * (dfc * (fr - bij * fa) + fc * (l2 * bij * fa - l1 * fr)) + dfc * (
            pre @ g
        )  # dE/dr_p
        m = pre[:, None] * dg * fc[None, :]  # dE/dcos_pq
        m = m + m.T
        G = dr[:, None] * u + (m @ u - (m * cos).sum(1)[:, None] * u) / r[:, None]
        self.results["forces"] = np.stack(
            [
                np.bincount(i, G[:, k], n_atoms) - np.bincount(j, G[:, k], n_atoms)
                for k in range(3)
            ],
            1,
        )


class FinnisSinclair(Potential):
    """Finnis-Sinclair potential of tungsten.

    References
    ----------
    M. W. Finnis, J. E. Sinclair, Phil. Mag. A 50, 45 (1984),
    doi:10.1080/01418618408244210.
    """

    symbol = "W"
    # d (Å), A (eV/Å), c (Å), c_0 (eV/Å^2), c_1 (eV/Å^3), c_2 (eV/Å^4)
    params: ClassVar[tuple[float, ...]] = (
        *(4.400224, 1.896373, 3.25),
        *(47.1346499, -33.7665655, 6.2541999),
    )

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Compute the energy (eV) and the forces (eV/Å)."""
        super().calculate(atoms, properties, system_changes)
        d, A, cc, c0, c1, c2 = self.params
        system = self.atoms
        assert system is not None
        i, j, r, D = neighbor_list("ijdD", system, d)
        n = len(system)
        rho = np.bincount(i, (r - d) ** 2, n)
        q = np.where(r < cc, c0 + c1 * r + c2 * r**2, 0.0)
        V = (r - cc) ** 2 * q * (r < cc)
        dV = (2 * (r - cc) * q + (r - cc) ** 2 * (c1 + 2 * c2 * r)) * (r < cc)
        self.results["energy"] = 0.5 * V.sum() - A * np.sqrt(rho).sum()
        s = 1.0 / np.sqrt(np.maximum(rho, 1e-12))
        dE = dV - 0.5 * A * (s[i] + s[j]) * 2 * (r - d)
        F = dE[:, None] * D / r[:, None]  # on i, along i -> j
        self.results["forces"] = np.stack(
            [np.bincount(i, F[:, x], n) for x in range(3)], 1
        )
