"""Radial functions of SOAP with Gaussian-type orbitals (GTOs), those of dscribe."""

from __future__ import annotations

import warnings

import numpy as np

from gapfit.errors import ConfigError

__all__ = ["GtoDensity", "gto_basis"]

# Distance of the knots of the radial table, Å and in widths of a Gaussian.
_SPACING, _SPACING_IN_WIDTHS = 0.025, 0.05
#: Size of a primitive, relative to r^l, at the distance that belongs to it.
_FALLEN_TO = 1e-3


def gto_basis(r_cut: float, n_max: int, l_max: int) -> dict[str, np.ndarray]:
    """Return the exponents of the GTOs and their orthonormalising coefficients.

    g_nl(r) = Σ_k β^l_nk r^l exp(-α_lk r²): the primitive k has fallen to 1e-3 at r_k, which
    are evenly spaced from 1 Å to r_cut, and β^l = S^{-1/2} with the overlaps
    S_km = Γ(l + 3/2) (α_lk + α_lm)^{-(l + 3/2)} / 2
    (Himanen et al., Comput. Phys. Commun. 247, 106949 (2020)).

    Parameters
    ----------
    r_cut : float
        Cutoff of the basis, Å.
    n_max, l_max : int
        Number of radial functions; highest angular momentum.

    Returns
    -------
    dict of arrays
        ``alphas`` (l_max + 1, n_max) float64, 1/Å²;
        ``betas`` (l_max + 1, n_max, n_max) float64.

    Raises
    ------
    ConfigError
        The overlap matrix is too ill-conditioned to be orthonormalised.
    """
    from scipy.linalg import LinAlgError, LinAlgWarning, inv, sqrtm
    from scipy.special import gamma

    degrees, r = np.arange(l_max + 1), np.linspace(1.0, r_cut, n_max)
    alphas = np.array([-np.log(_FALLEN_TO / r**degree) / r**2 for degree in degrees])
    betas = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", LinAlgWarning)
            for degree, a in zip(degrees, alphas, strict=True):
                power = degree + 1.5
                overlap = 0.5 * gamma(power) * (a[:, None] + a) ** -power
                betas.append(sqrtm(inv(overlap)))
        if np.iscomplexobj(betas):
            raise ValueError("overlaps without a real square root")
    except (ValueError, LinAlgError, LinAlgWarning) as error:
        raise ConfigError(
            f"the radial basis n_max = {n_max}, r_cut = {r_cut} Å is linearly dependent to "
            f"machine precision ({error}); use n_max = 8 to 12 or a longer cutoff"
        ) from error
    return {"alphas": alphas, "betas": np.array(betas)}


class GtoDensity:
    """Expansion of a Gaussian density in GTO functions.

    c_nlm = Σ_j w(r) f_nl(r) Y_lm with f_nl(r) = r^l F_nl(r),
    F_nl(r) = (π/η)^{3/2} Σ_k β^l_nk (1 + α_lk/η)^{-(l+3/2)} exp(-a_lk r²),
    a_lk = α_lk η / (α_lk + η), η = 1/(2 σ²)
    (Himanen et al., Comput. Phys. Commun. 247, 106949 (2020)).

    Parameters
    ----------
    alphas : (l_max + 1, n_max) float64
        Exponents of the primitives, 1/Å².
    betas : (l_max + 1, n_max, n_max) float64
        Orthonormalising coefficients.
    sigma : float
        Width of an atom's Gaussian, Å.
    """

    def __init__(self, alphas: np.ndarray, betas: np.ndarray, sigma: float) -> None:
        self.n_max = alphas.shape[1]
        self.l_max = alphas.shape[0] - 1
        self.spacing = min(_SPACING, _SPACING_IN_WIDTHS * sigma)
        eta = 0.5 / sigma**2
        self._degree = np.arange(self.l_max + 1)[:, None]
        scale = (np.pi / eta) ** 1.5 * (1 + alphas / eta) ** -(self._degree + 1.5)
        self._exponents = alphas * eta / (alphas + eta)
        self._coefficients = betas * scale[:, None, :]

    def exact(self, r: np.ndarray) -> np.ndarray:
        """Return f, f' and f'' from the closed form, (n, 3, l_max + 1, n_max)."""
        decay = np.exp(-(r**2)[:, None, None] * self._exponents)

        def summed(weights: np.ndarray) -> np.ndarray:
            sums: np.ndarray = np.einsum(
                "plk,lnk->pln", decay * weights, self._coefficients
            )
            return sums

        a, degree, r = self._exponents, self._degree, r[:, None, None]
        F, F1, F2 = summed(np.ones_like(a)), summed(-2 * a), summed(4 * a**2)
        # With F' = r F1 and F'' = F1 + r² F2; max() keeps powers of r at 0 finite,
        # where their factors vanish.
        f = r**degree * F
        first = degree * r ** np.maximum(degree - 1, 0) * F + r ** (degree + 1) * F1
        second = (
            degree * (degree - 1) * r ** np.maximum(degree - 2, 0) * F
            + (2 * degree + 1) * r**degree * F1
            + r ** (degree + 2) * F2
        )
        return np.stack([f, first, second], axis=1)

    @property
    def centre(self) -> np.ndarray:
        """Contribution of the central atom to c_n00 for unit weight, (n_max,)."""
        contribution: np.ndarray = self._coefficients[0].sum(axis=1) / np.sqrt(
            4 * np.pi
        )
        return contribution
