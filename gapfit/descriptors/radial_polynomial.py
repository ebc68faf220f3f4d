"""Radial functions of dscribe's SOAP with the polynomial basis."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

from gapfit.descriptors.radial_shells import ShellDensity
from gapfit.errors import ConfigError

__all__ = ["PolynomialDensity", "polynomial_basis"]

#: Largest deviation of the overlap of two basis functions from orthonormality.
_MAX_OVERLAP_ERROR = 0.02


def polynomial_basis(r_cut: float, n_max: int) -> dict[str, np.ndarray]:
    """Return dscribe's orthonormal polynomials on its quadrature grid.

    g_n(r) = Σ_k β_nk (r_cut - r)^{k+2}, k = 1 … n_max, β = S^{-1/2}, S the overlap of
    the powers with weight r² on [0, r_cut]; see equation 25 of Bartók, Kondor and
    Csányi, Phys. Rev. B 87, 184115 (2013) and Himanen et al., Comput. Phys. Commun.
    247, 106949 (2020).

    S is so ill-conditioned that β depends on the rounding of the linear algebra
    library (relative 1e-9 at n_max = 6, 1e-6 at n_max = 8): a model must store its basis,
    rather than build it again.

    Parameters
    ----------
    r_cut : float
        Cutoff of the basis, where all functions vanish, Å.
    n_max : int
        Number of radial functions.

    Returns
    -------
    dict of arrays
        ``nodes`` (100,) float64: Gauss-Legendre nodes of [0, r_cut], Å;
        ``weights`` (100,) float64: their weights, Å;
        ``values`` (n_max, 100) float64: g_n at the nodes, Å^{-3/2}.

    Raises
    ------
    ConfigError
        The polynomials cannot be orthonormalised in double precision.
    """
    from dscribe.descriptors import SOAP
    from scipy.linalg import LinAlgWarning

    if n_max < 1 or not r_cut > 0:
        raise ConfigError(
            f"the polynomial radial basis needs n_max >= 1 and r_cut > 0, not "
            f"n_max = {n_max} and r_cut = {r_cut} Å"
        )
    problem = (
        f"the polynomial radial basis n_max = {n_max}, r_cut = {r_cut} Å is linearly "
        "dependent to machine precision"
    )
    advice = "use n_max = 4 to 8, or the GTO basis; a longer cutoff does not help"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", LinAlgWarning)
            warnings.simplefilter("error", RuntimeWarning)
            soap = SOAP(
                r_cut=r_cut, n_max=n_max, l_max=0, species=["H"], rbf="polynomial"
            )
            nodes, values = soap.get_basis_poly(r_cut, n_max)
    except (ValueError, LinAlgWarning, RuntimeWarning) as error:
        raise ConfigError(f"{problem}; {advice}") from error
    # dscribe does not return the weights of its nodes.
    weights = 0.5 * r_cut * np.polynomial.legendre.leggauss(len(nodes))[1]
    overlap = (values * (weights * nodes**2)) @ values.T
    off = float(np.abs(overlap - np.eye(n_max)).max())
    if not off < _MAX_OVERLAP_ERROR:
        raise ConfigError(f"{problem} (its overlaps are off by {off:.1g}); {advice}")
    return {"nodes": nodes, "weights": weights, "values": values}


class PolynomialDensity(ShellDensity):
    """Expansion of a Gaussian density in orthonormal polynomials.

    c_nlm = Σ_j w(r) f_nl(r) Y_lm with
    f_nl(r) = 4 π ∫_0^r_cut dr' r'² g_n(r') exp(-η (r² + r'²)) i_l(2 η r r'),
    η = 1/(2 σ²), i_l the modified spherical Bessel functions (Bartók, Kondor and Csányi,
    Phys. Rev. B 87, 184115 (2013); Himanen et al., Comput. Phys. Commun. 247, 106949
    (2020)).

    The integral is the quadrature of the tables, as in dscribe: exact to 1e-11 for
    σ > 0.02 r_cut. Power spectra equal dscribe's to 1e-10 up to l_max = 9. Beyond, the
    harmonics of dscribe (2.1.2) lack components, so its spectrum is not invariant to
    rotation.

    Parameters
    ----------
    tables : mapping of arrays
        ``nodes`` (q,), ``weights`` (q,) and ``values`` (n_max, q) of
        `polynomial_basis`.
    l_max : int
        Highest angular momentum.
    sigma : float
        Width of an atom's Gaussian, Å.
    """

    def __init__(
        self, tables: Mapping[str, np.ndarray], l_max: int, sigma: float
    ) -> None:
        nodes = np.asarray(tables["nodes"], dtype=float)
        measure = 4 * np.pi * tables["weights"] * nodes**2
        super().__init__(nodes, (measure * tables["values"]).T, l_max, sigma)
