"""Elastic constants with relaxed atoms, averages over orientations, stability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gapfit.data.frame import GPA, voigt_to_matrix
from gapfit.errors import GapfitError
from gapfit.properties.evaluators import Evaluate

__all__ = ["Moduli", "Response", "cubic_constants", "elastic_response", "moduli"]


@dataclass(frozen=True)
class Moduli:
    """Moduli of a polycrystal, GPa: bounds of Voigt and Reuss, and Hill's mean.

    Attributes
    ----------
    bulk_voigt, bulk_reuss, bulk_hill : float
        Bulk moduli.
    shear_voigt, shear_reuss, shear_hill : float
        Shear moduli.
    """

    bulk_voigt: float
    bulk_reuss: float
    bulk_hill: float
    shear_voigt: float
    shear_reuss: float
    shear_hill: float

    @property
    def young(self) -> float:
        """Young's modulus 9 B G / (3 B + G) of Hill's means, GPa."""
        B, G = self.bulk_hill, self.shear_hill
        return 9 * B * G / (3 * B + G)

    @property
    def poisson(self) -> float:
        """Poisson's ratio (3 B - 2 G) / (6 B + 2 G) of Hill's means."""
        B, G = self.bulk_hill, self.shear_hill
        return (3 * B - 2 * G) / (6 * B + 2 * G)


def moduli(C: np.ndarray) -> Moduli:
    """Return averages over all orientations (Hill, Proc. Phys. Soc. A 65, 349 (1952)).

    Parameters
    ----------
    C : (6, 6) float64
        Elastic constants in Voigt's notation, GPa; symmetric and regular.

    Examples
    --------
    >>> C = np.diag([100.0, 100, 100, 50, 50, 50])
    >>> f"{moduli(C).bulk_hill:.1f} {moduli(C).shear_hill:.1f} {moduli(C).poisson:.2f}"
    '33.3 50.0 0.00'
    """
    S = np.linalg.inv(C)
    stiff = np.trace(C[:3, :3]), C[0, 1] + C[0, 2] + C[1, 2], np.trace(C[3:, 3:])
    soft = np.trace(S[:3, :3]), S[0, 1] + S[0, 2] + S[1, 2], np.trace(S[3:, 3:])
    bulk_voigt = (stiff[0] + 2 * stiff[1]) / 9
    bulk_reuss = 1 / (soft[0] + 2 * soft[1])
    shear_voigt = (stiff[0] - stiff[1] + 3 * stiff[2]) / 15
    shear_reuss = 15 / (4 * (soft[0] - soft[1]) + 3 * soft[2])
    return Moduli(
        float(bulk_voigt),
        float(bulk_reuss),
        float(bulk_voigt + bulk_reuss) / 2,
        float(shear_voigt),
        float(shear_reuss),
        float(shear_voigt + shear_reuss) / 2,
    )


def cubic_constants(
    C: np.ndarray, *, tolerance: float = 0.01
) -> tuple[float, float, float] | None:
    """Return C11, C12 and C44 of a cubic crystal, GPa; None for any other symmetry.

    Parameters
    ----------
    C : (6, 6) float64
        Elastic constants along the cubic axes, GPa.
    tolerance : float
        Largest deviation from cubic symmetry, in units of the largest constant.
    """
    off = C[:3, :3][~np.eye(3, dtype=bool)]
    c11, c12, c44 = C.diagonal()[:3].mean(), off.mean(), C.diagonal()[3:].mean()
    cubic = np.diag([c11, c11, c11, c44, c44, c44])
    cubic[:3, :3][~np.eye(3, dtype=bool)] = c12
    if np.abs(C - cubic).max() > tolerance * np.abs(C).max():
        return None
    return float(c11), float(c12), float(c44)


@dataclass(frozen=True, eq=False)
class Response:
    """Response of a crystal to strain, for n potentials.

    Attributes
    ----------
    constants : (n, 6, 6) float64
        Elastic constants with relaxed atoms, GPa, in Voigt's notation (ASE's order).
    clamped : (n, 6, 6) float64
        Elastic constants with atoms that follow the strain, GPa.
    strain : (n, 6) float64
        Strain from the structure to the equilibrium of each potential, to first order;
        Voigt's notation, shears are twice the tensor's.
    softest : (n,) float64
        Smallest eigenvalue of the force constants between the atoms of one cell,
        translations apart, eV/Å²; negative if atoms leave their positions.
    """

    constants: np.ndarray
    clamped: np.ndarray
    strain: np.ndarray
    softest: np.ndarray

    def cells(self, cell: np.ndarray) -> np.ndarray:
        """Return the cells at the equilibrium of each potential, (n, 3, 3) float64, Å.

        Parameters
        ----------
        cell : (3, 3) float64
            Cell of the structure, Å.
        """
        shears = self.strain / np.array([1, 1, 1, 2, 2, 2])
        return np.array([cell @ (np.eye(3) + voigt_to_matrix(e)) for e in shears])

    @property
    def is_stable(self) -> np.ndarray:
        """Whether all strains cost energy, (n,) bool: Born's criterion.

        All eigenvalues of the constants are positive (Mouhat & Coudert, Phys. Rev. B
        90, 224104 (2014)), and atoms stay at their positions.
        """
        lowest = np.linalg.eigvalsh(self.constants)[:, 0]
        return (lowest > 0) & (self.softest > 0)


def elastic_response(
    crystal: Any,
    evaluate: Evaluate,
    *,
    strain: float = 1e-3,
    displacement: float = 5e-3,
) -> Response:
    """Return elastic constants, equilibrium strain and stability by finite differences.

    With clamped atoms C0 = dσ/dε. Strain exerts forces G ε on the atoms, G = dF/dε; they
    move by u with K u = G ε, K = -dF/du, which adds Λ u with Λ = dσ/du to the stress:
    C = C0 + Λ K^-1 G (Born & Huang, Dynamical Theory of Crystal Lattices, section 11).
    All derivatives are central differences, so all potentials share the structures.

    Parameters
    ----------
    crystal : ase.Atoms
        Relaxed structure, at least nearly: residual forces and stresses determine
        ``strain``.
    evaluate : Evaluate
        Function that returns forces and stresses of n potentials.
    strain : float
        Strain of the finite differences.
    displacement : float
        Displacement of the finite differences, Å.

    Raises
    ------
    GapfitError
        The force constants cannot be inverted.
    """
    forces, stress = evaluate(crystal)
    n, size = len(forces), 3 * len(crystal)
    clamped, G = np.empty((n, 6, 6)), np.empty((n, size, 6))
    for j in range(6):
        up, down = (evaluate(_strained(crystal, j, sign * strain)) for sign in (1, -1))
        G[:, :, j] = (up[0] - down[0]).reshape(n, size) / (2 * strain)
        clamped[:, :, j] = (up[1] - down[1]) / (2 * strain)
    K, coupling = np.empty((n, size, size)), np.empty((n, 6, size))
    for k in range(size):
        up, down = (
            evaluate(_displaced(crystal, k, sign * displacement)) for sign in (1, -1)
        )
        K[:, :, k] = -(up[0] - down[0]).reshape(n, size) / (2 * displacement)
        coupling[:, :, k] = (up[1] - down[1]) / (2 * displacement)
    K, softest = _without_translations(K)
    try:
        shifts = np.linalg.solve(K, np.dstack([G, forces.reshape(n, size, 1)]))
        relaxation = coupling @ shifts
        C = clamped + relaxation[:, :, :6]
        C = (C + C.transpose(0, 2, 1)) / 2
        to_minimum = -np.linalg.solve(C, stress[:, :, None] + relaxation[:, :, 6:])
    except np.linalg.LinAlgError as error:
        raise GapfitError(
            "the force constants or elastic constants of this crystal are singular: it "
            "does not resist all displacements and strains; relax another structure"
        ) from error
    return Response(GPA * C, GPA * clamped, to_minimum[:, :, 0], softest)


def _strained(crystal: Any, component: int, amount: float) -> Any:
    """Return a copy under one component of Voigt's strain, twice the tensor's shear."""
    voigt = np.zeros(6)
    voigt[component] = amount if component < 3 else amount / 2
    out = crystal.copy()
    out.set_cell(
        crystal.cell[:] @ (np.eye(3) + voigt_to_matrix(voigt)), scale_atoms=True
    )
    return out


def _displaced(crystal: Any, coordinate: int, amount: float) -> Any:
    out = crystal.copy()
    out.positions[divmod(coordinate, 3)] += amount
    return out


def _without_translations(K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return force constants made regular for translations, and their least eigenvalue.

    They are applied to vectors without translations, for which nothing changes.
    """
    n_atoms = K.shape[1] // 3
    K = (K + K.transpose(0, 2, 1)) / 2
    along = np.tile(np.eye(3), (n_atoms, 1)) / np.sqrt(n_atoms)
    keep = np.eye(3 * n_atoms) - along @ along.T
    # The trace bounds all eigenvalues, so the least one does not belong to a translation.
    stiffness = np.abs(np.trace(K, axis1=1, axis2=2))[:, None, None] + 1.0
    K = keep @ K @ keep + stiffness * (along @ along.T)
    return K, np.linalg.eigvalsh(K)[:, 0]
