"""Polynomials of soap_turbo: their integrals and orthonormal combinations."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.linalg import cholesky, solve_triangular, svd

from gapfit.descriptors.taylor import product, shifted

__all__ = ["gaussian_norm", "lacking", "nodes", "polynomials", "turbo_transform"]

# Nodes of a quadrature in each panel, and its largest length in widths of a Gaussian.
_NODES, _PANEL = 32, 4.0


def turbo_transform(n_max: int, r_cut: float, gaussian: float | None) -> np.ndarray:
    """Return W = S^(-1/2), which makes the radial functions orthonormal.

    φ_a(r) = N_a (1 - r/r_cut)^(a + 2), a = 1, 2, ... and N_a² = (2 a + 5)/r_cut, have
    the overlaps S_ab = ∫_0^r_cut φ_a φ_b dr, without r² (M. A. Caro, Phys. Rev. B 100,
    024112 (2019)).

    S is ill-conditioned, so W depends on rounding: relative 1e-11 at n_max = 6, 1e-8 at
    n_max = 8. The square root of a singular value decomposition, and its inverse
    by Cholesky decomposition, come closest to the numbers that QUIP gives.

    Parameters
    ----------
    n_max : int
        Number of radial functions.
    r_cut : float
        Cutoff, Å.
    gaussian : float or None
        Width of the Gaussian at the centre that is the last function, Å; None if all are
        polynomials.

    Returns
    -------
    (n_max, n_max) float64
        W.

    Raises
    ------
    numpy.linalg.LinAlgError
        The functions are linearly dependent to machine precision.
    """
    n_powers = n_max if gaussian is None else n_max - 1
    a = np.arange(1, n_powers + 1)
    # Even its rounding counts.
    S = np.eye(n_max)
    S[:n_powers, :n_powers] = np.sqrt((5.0 + 2 * a[:, None]) * (5 + 2 * a)) / (
        5 + a[:, None] + a
    )
    if gaussian is not None:
        x, weight = nodes([0.0, r_cut], [gaussian])
        own = np.exp(-0.5 * (x / gaussian) ** 2)
        overlap = (polynomials(x, r_cut, n_powers) * weight) @ own
        variance, centre = shifted(np.zeros((3, 1)), gaussian**2), np.zeros((3, 1))
        edge = shifted(centre, np.exp(-0.5 * (r_cut / gaussian) ** 2))
        overlap += lacking(variance, centre, edge, r_cut, n_powers)[0, 0]
        S[:n_powers, -1] = S[-1, :n_powers] = gaussian_norm(gaussian) * overlap
    U, values, V = svd(S, lapack_driver="gesvd")
    inverse = solve_triangular(cholesky((U * np.sqrt(values)) @ V), np.eye(n_max))
    W: np.ndarray = inverse @ inverse.T
    return W


def gaussian_norm(sigma: float) -> float:
    """Return the factor that normalises exp(-r²/(2 σ²)) for all r > 0."""
    return float((0.5 * np.sqrt(np.pi) * sigma) ** -0.5)


def polynomials(x: np.ndarray, r_cut: float, number: int) -> np.ndarray:
    """Return φ_a at distances x, (number, n)."""
    a = np.arange(1, number + 1)[:, None]
    functions: np.ndarray = (1 - x / r_cut) ** (a + 2) * np.sqrt((2 * a + 5) / r_cut)
    return functions


def lacking(
    variance: np.ndarray,
    middle: np.ndarray,
    edge: np.ndarray,
    r_cut: float,
    number: int,
) -> np.ndarray:
    """Return what leaving out a boundary term adds to ∫ φ_a G dx, (3, n, number).

    With I_k = ∫ (1 - x/r_cut)^k G dx of a Gaussian G of width s at m,
    I_k = (1 - m/r_cut) I_{k-1} + (s/r_cut)² (k - 1) I_{k-2}; I_1 lacks
    s²/r_cut G(r_cut).

    Parameters
    ----------
    variance, middle, edge : (3, n) float64
        s², Å², m, Å, and G(r_cut), with their derivatives.
    r_cut : float
        Cutoff, Å.
    number : int
        Number of polynomials φ_a.
    """
    ahead = shifted(-middle / r_cut, 1.0)
    added = [0 * edge, -product(variance, edge) / r_cut]
    for k in range(2, number + 3):
        added.append(
            product(ahead, added[k - 1])
            + (k - 1) / r_cut**2 * product(variance, added[k - 2])
        )
    a = np.arange(1, number + 1)
    out: np.ndarray = np.stack(added[3:], axis=-1) * np.sqrt((2 * a + 5) / r_cut)
    return out


def nodes(
    ends: Sequence[float], widths: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights of a quadrature.

    Parameters
    ----------
    ends : sequence of float
        Where intervals begin and end, Å.
    widths : sequence of float
        Width of the Gaussian to resolve in each of them, Å.
    """
    panels = [
        np.linspace(begin, end, 1 + int(np.ceil((end - begin) / (_PANEL * width))))
        for (begin, end), width in zip(pairwise(ends), widths, strict=True)
    ]
    x, weight = np.polynomial.legendre.leggauss(_NODES)
    begin = np.concatenate([panel[:-1] for panel in panels])[:, None]
    half = 0.5 * np.concatenate([np.diff(panel) for panel in panels])[:, None]
    return (begin + half * (1 + x)).ravel(), (half * weight).ravel()
