"""Energy against volume: equilibrium, bulk modulus and its derivative."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gapfit.data.frame import GPA
from gapfit.errors import GapfitError
from gapfit.properties.relax import relaxed

__all__ = ["EquationOfState", "birch_murnaghan", "volume_scan"]


@dataclass(frozen=True)
class EquationOfState:
    """Minimum of an energy-volume curve.

    Attributes
    ----------
    volume : float
        At the minimum, in the unit of the volumes given (Å³, Å³/atom).
    energy : float
        At the minimum, in the unit of the energies given (eV, eV/atom).
    bulk_modulus : float
        At the minimum, GPa.
    derivative : float
        dB/dP, dimensionless.
    """

    volume: float
    energy: float
    bulk_modulus: float
    derivative: float

    def energies(self, volumes: np.ndarray) -> np.ndarray:
        """Return the energies of Birch and Murnaghan at volumes, in the units given."""
        x = (self.volume / volumes) ** (2 / 3)
        shape = (x - 1) ** 3 * self.derivative + (x - 1) ** 2 * (6 - 4 * x)
        height = 9 / 16 * self.volume * self.bulk_modulus / GPA
        return np.asarray(self.energy + height * shape)


def birch_murnaghan(
    volumes: Sequence[float] | np.ndarray, energies: Sequence[float] | np.ndarray
) -> EquationOfState:
    """Fit the third-order Birch-Murnaghan equation of state.

    It is a cubic polynomial in x = V^(-2/3) (Birch, Phys. Rev. 71, 809 (1947)), so that
    the fit is linear: B = 4/9 x^(7/2) E''(x) and B' = 4 + 2/3 x E'''/E'' at the minimum.

    Parameters
    ----------
    volumes : sequence of float
        Volumes, at least four, Å³ or Å³/atom.
    energies : sequence of float
        Energies, eV or eV/atom, as the volumes.

    Raises
    ------
    GapfitError
        Fewer than four volumes, or no minimum among them.

    Examples
    --------
    >>> import numpy as np
    >>> V = np.linspace(19.5, 20.5, 5)
    >>> eos = birch_murnaghan(V, 0.5 * (90 / 160.21766208) / 20.0 * (V - 20.0) ** 2)
    >>> f"{eos.volume:.2f} Å³, {eos.bulk_modulus:.0f} GPa"
    '20.00 Å³, 90 GPa'
    """
    if len(volumes) < 4:
        raise GapfitError(
            f"an equation of state needs at least 4 volumes, there are {len(volumes)}"
        )
    x = np.asarray(volumes, dtype=float) ** (-2 / 3)
    # Centred and scaled, since powers of x itself would lose digits.
    middle, width = x.mean(), np.ptp(x) / 2
    E = np.polynomial.Polynomial.fit(
        x, energies, 3, domain=[middle - width, middle + width]
    )
    roots = np.asarray(E.deriv().roots(), dtype=complex)
    real = roots.real[np.abs(roots.imag) < 1e-9]
    inside = real[(real >= x.min()) & (real <= x.max())]
    minima = inside[E.deriv(2)(inside) > 0]
    if not len(minima):
        raise GapfitError(
            f"no energy minimum between the volumes {min(volumes):.3f} and "
            f"{max(volumes):.3f} Å³; extend the range"
        )
    best = float(minima[0])
    curvature = float(E.deriv(2)(best))
    return EquationOfState(
        volume=best**-1.5,
        energy=float(E(best)),
        bulk_modulus=4 / 9 * best**3.5 * curvature * GPA,
        derivative=4 + 2 / 3 * best * float(E.deriv(3)(best)) / curvature,
    )


def volume_scan(
    crystal: Any, calculator: Any, *, span: float = 0.06, n: int = 9
) -> list[Any]:
    """Return a crystal at several volumes, with shape and atoms relaxed at each.

    Parameters
    ----------
    crystal : ase.Atoms
        The crystal at its equilibrium.
    calculator : ase.calculators.calculator.Calculator
        A calculator with stresses.
    span : float
        Largest relative change of the volume.
    n : int
        Number of volumes.

    Returns
    -------
    list of ase.Atoms
        By ascending volume, with the calculator attached.

    Raises
    ------
    GapfitError
        A relaxation does not converge.
    """
    structures = []
    for ratio in np.linspace(1 - span, 1 + span, n):
        cell = crystal.copy()
        cell.set_cell(crystal.cell * ratio ** (1 / 3), scale_atoms=True)
        structures.append(relaxed(cell, calculator, cell="shape"))
    return structures
