"""Energies of atoms by the density of their neighbours, as tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gapfit.descriptors.kernels import SquaredExponential

__all__ = ["EmbeddingTable", "tabulate_energies"]

#: Distance of the knots of F in lengths theta, at most and at least.
_KNOTS_PER_LENGTH, _FINEST = 0.03, 1e-3
#: Largest error of slopes of F from its table, eV per unit of density.
_SLOPE_ERROR = 1e-9
#: Lengths theta beyond the last sparse point at which the kernel is below rounding.
_REACH = 9.0


@dataclass(frozen=True, eq=False)
class EmbeddingTable:
    """Fitted energies F(ρ) of atoms at equidistant knots from ρ = 0, zero beyond the last.

    Attributes
    ----------
    values : (n_curves, n_knots, 3) float64
        F, F' and F'', eV; interpolated with two continuous derivatives.
    spacing : float
        Distance of the knots.
    curve : (n_species,) int32
        Curve of each central species, -1 for none.
    """

    values: np.ndarray
    spacing: float
    curve: np.ndarray


def tabulate_energies(
    kernel: SquaredExponential, terms: Mapping[int, tuple[np.ndarray, np.ndarray]]
) -> EmbeddingTable:
    """Return the fitted energies Σ_s k(ρ, ρ_s) c_s of all central species.

    Parameters
    ----------
    kernel : SquaredExponential
        Kernel of the density.
    terms : mapping of int to two (n_sparse,) float64
        By species, in the order of the potential: densities of the sparse points, and
        their coefficients in 1/eV.
    """
    present = [block for block, (points, _) in terms.items() if len(points)]
    largest = max([terms[block][0].max() for block in present], default=0.0)
    end = largest + _REACH * kernel.theta
    n_steps = int(np.ceil(end / _spacing(kernel, [c for _, c in terms.values()])))
    spacing = float(end / n_steps)
    knots = spacing * np.arange(n_steps + 1)
    values = np.zeros((max(len(present), 1), n_steps + 1, 3))
    for n, block in enumerate(present):
        values[n] = _energies(kernel, *terms[block], knots).T
    # The kernel is not quite zero at the end.
    values[:, -1] = 0.0
    curve = [present.index(z) if z in present else -1 for z in terms]
    return EmbeddingTable(values, spacing, np.array(curve, dtype=np.int32))


def _spacing(kernel: SquaredExponential, coefficients: list[np.ndarray]) -> float:
    """Return the distance of knots at which slopes are accurate to `_SLOPE_ERROR`.

    As for pair potentials (`Distance2b`): the error of a Gaussian's slope is at most
    0.0012 h⁵ / theta⁶, and the errors of all points may add up.
    """
    most = max((float(np.abs(c).sum()) for c in coefficients), default=0.0)
    scale = 0.0012 * kernel.delta**2 * most / kernel.theta
    finest = kernel.theta * (_SLOPE_ERROR / max(scale, 1e-300)) ** 0.2
    largest = _KNOTS_PER_LENGTH * kernel.theta
    return float(max(min(largest, finest), _FINEST * kernel.theta))


def _energies(
    kernel: SquaredExponential,
    points: np.ndarray,
    coefficients: np.ndarray,
    density: np.ndarray,
) -> np.ndarray:
    """Return F, F' and F'', (3, n), eV.

    Extended precision preserves the digits lost when large coefficients cancel.
    """
    k = kernel.derivatives(density.astype(np.longdouble), points.astype(np.longdouble))
    energies: np.ndarray = (k @ coefficients.astype(np.longdouble)).astype(float)
    return energies
