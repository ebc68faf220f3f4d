"""Radial functions of QUIP's SOAP: Gaussians at equal distances, orthonormalised."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gapfit.descriptors.radial_shells import ShellDensity
from gapfit.errors import ConfigError

__all__ = ["EquispacedDensity", "equispaced_basis"]

# A Gaussian at r_cut has fallen to 10^-10 where the basis ends.
_EXPONENT = 10
#: Largest condition number of the collocation matrix.
_MAX_CONDITION = 1e10


def equispaced_basis(r_cut: float, n_max: int, sigma: float) -> dict[str, np.ndarray]:
    """Return QUIP's radial basis.

    Gaussians φ_a(r) = exp(-η (r - r_a)²), η = 1/(2 σ²), at r_a = (a - 1) R / n_max with
    R = r_cut + σ (20 ln 10)^{1/2}. A density is expanded by collocation at the r_a and
    orthonormalised with the overlap S_ab = ∫_0^∞ r² φ_a φ_b dr = L L^T: its coefficients
    are T^T (φ_1(r), ..., φ_n(r)), T = C^-1 L, C_ab = φ_a(r_b).

    Parameters
    ----------
    r_cut : float
        Cutoff, Å.
    n_max : int
        Number of radial functions.
    sigma : float
        Width of an atom's Gaussian, Å.

    Returns
    -------
    dict of arrays
        ``nodes`` (n_max,) float64: r_a, Å; ``transform`` (n_max, n_max) float64: T.

    Raises
    ------
    ConfigError
        The Gaussians are too close to be distinguished in double precision.
    """
    eta = 0.5 / sigma**2
    reach = r_cut + sigma * np.sqrt(2 * _EXPONENT * np.log(10))
    nodes = np.arange(n_max) * reach / n_max
    C = np.exp(-eta * (nodes[:, None] - nodes) ** 2)
    condition = float(np.linalg.cond(C))
    if condition > _MAX_CONDITION:
        raise ConfigError(
            f"n_max = {n_max} Gaussians of sigma = {sigma:g} Å up to r_cut = {r_cut:g} Å "
            f"are too close to each other (condition number {condition:.0e}); take a "
            "smaller n_max or sigma"
        )
    L = np.linalg.cholesky(_overlap(nodes, eta))
    return {"nodes": nodes, "transform": np.linalg.solve(C, L)}


def _overlap(nodes: np.ndarray, eta: float) -> np.ndarray:
    """Return ∫_0^∞ r² exp(-η ((r - a)² + (r - b)²)) dr in closed form, Å³."""
    from scipy.special import erf

    middle = 0.5 * (nodes[:, None] + nodes)
    k = 2 * eta
    apart = np.exp(-0.5 * eta * (nodes[:, None] - nodes) ** 2)
    half = np.sqrt(np.pi / k) * 0.5 * (1 + erf(np.sqrt(k) * middle))
    edge = np.exp(-k * middle**2) * middle / (2 * k)
    overlaps: np.ndarray = apart * ((middle**2 + 0.5 / k) * half + edge)
    return overlaps


class EquispacedDensity(ShellDensity):
    """Expansion of a Gaussian density in QUIP's basis.

    f_nl(r) = Σ_a exp(-η (r² + r_a²)) i_l(2 η r r_a) T_an.

    Parameters
    ----------
    tables : mapping of arrays
        ``nodes`` and ``transform`` of `equispaced_basis`.
    l_max : int
        Highest angular momentum.
    sigma : float
        Width of an atom's Gaussian, Å.
    """

    def __init__(
        self, tables: Mapping[str, np.ndarray], l_max: int, sigma: float
    ) -> None:
        super().__init__(tables["nodes"], tables["transform"], l_max, sigma)
