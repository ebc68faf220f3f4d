"""Radial functions of the cluster expansion and SOAP: Bessel functions that end smoothly.

Orthonormal combinations of sin(k r)/(k r) whose value and first two derivatives vanish at
the cutoff (Kocer, Mason & Erturk, J. Chem. Phys. 150, 154102 (2019)).
"""

from __future__ import annotations

import numpy as np

from gapfit.descriptors.radial_gto import GtoDensity, gto_basis

__all__ = ["BesselDensity", "bessel_functions", "bessel_table", "soap_bessel_basis"]

# Distance of the knots, Å, and in units of the shortest wavelength over 2 pi.
_SPACING, _SPACING_IN_WAVES = 0.025, 0.1
# Below this k r, sin(k r)/(k r) and its derivatives are series.
_SMALL = 0.05
# From this distance on (Å, and at most this share of the cutoff) functions of SOAP are to
# be like GTOs: atoms are hardly ever closer, and over a range far shorter than the cutoff
# combinations would be arbitrary, and huge below it. Between 0.7 and 1.5 Å environments
# are as far from those of usual bonds as with GTOs, or farther: so are error bars.
_SHORTEST, _LARGEST_SHARE, _SAMPLES = 1.5, 0.3, 400


def bessel_table(r_cut: float, combinations: np.ndarray) -> tuple[np.ndarray, float]:
    """Return functions at equidistant knots from 0 to the cutoff, for the core.

    Parameters
    ----------
    r_cut : float
        Cutoff, Å.
    combinations : (l_max + 1, n_max, n_bessel) float64
        Factors of the Bessel functions in each radial function.

    Returns
    -------
    values : (n_knots, 3, l_max + 1, n_max) float64
        g, g' and g'', Å^(-3/2) and per Å, Å².
    spacing : float
        Distance of the knots, Å.
    """
    n_bessel = combinations.shape[2]
    spacing = _spacing(r_cut, n_bessel)
    knots = np.linspace(0.0, r_cut, int(np.ceil(r_cut / spacing)) + 1)
    values = _combined(knots, r_cut, combinations)
    return np.ascontiguousarray(values), float(knots[1])


def bessel_functions(l_max: int, n_max: int) -> np.ndarray:
    """Return the combinations that are the Bessel functions, the same for each l."""
    return np.tile(np.eye(n_max), (l_max + 1, 1, 1))


class BesselDensity:
    """Expansion of a density in combinations of Bessel functions, for SOAP.

    Parameters
    ----------
    r_cut : float
        Cutoff, Å.
    combinations : (l_max + 1, n_max, n_max) float64
        Factors of the Bessel functions in each radial function.
    centre : (n_max,) float64
        Contribution of the central atom to c_n00.
    """

    def __init__(
        self, r_cut: float, combinations: np.ndarray, centre: np.ndarray
    ) -> None:
        self.n_max = combinations.shape[2]
        self.l_max = len(combinations) - 1
        self.spacing = _spacing(r_cut, self.n_max)
        self.centre = centre
        self._r_cut, self._combinations = r_cut, combinations

    def exact(self, r: np.ndarray) -> np.ndarray:
        """Return f, f' and f'', (n, 3, l_max + 1, n_max)."""
        return _combined(r, self._r_cut, self._combinations)


def soap_bessel_basis(
    r_cut: float, n_max: int, l_max: int, sigma: float
) -> dict[str, np.ndarray]:
    """Return combinations of Bessel functions that are like SOAP's weighted GTOs.

    Returns
    -------
    dict of arrays
        ``combinations`` and ``centre``, see `BesselDensity`: the least squares of r f(r)
        from 1.5 Å on, or 0.3 r_cut where that is less; and the contribution of the
        central atom to the GTOs themselves.
    """
    gtos = GtoDensity(**gto_basis(r_cut, n_max, l_max), sigma=sigma)
    r = np.linspace(min(_SHORTEST, _LARGEST_SHARE * r_cut), r_cut, _SAMPLES)
    u = r / r_cut
    weight = r * (1 + 2 * u**3 - 3 * u**2)
    functions = r[:, None] * _orthonormal(r, r_cut, n_max)[:, 0].T
    wanted = weight[:, None] * gtos.exact(r)[:, 0].reshape(len(r), -1)
    factors = np.linalg.lstsq(functions, wanted, rcond=None)[0]
    combinations = factors.T.reshape(l_max + 1, n_max, n_max)
    return {"combinations": combinations, "centre": gtos.centre}


def _spacing(r_cut: float, n: int) -> float:
    """Return the distance of the knots of n functions, Å."""
    return float(min(_SPACING, _SPACING_IN_WAVES * r_cut / ((n + 1) * np.pi)))


def _combined(r: np.ndarray, r_cut: float, combinations: np.ndarray) -> np.ndarray:
    """Return g, g' and g'' at distances r, (n, 3, l_max + 1, n_max)."""
    n_bessel = combinations.shape[2]
    functions = _orthonormal(r, r_cut, n_bessel).transpose(2, 1, 0)
    values: np.ndarray = functions @ combinations.reshape(-1, n_bessel).T
    return values.reshape(len(r), 3, *combinations.shape[:2])


def _orthonormal(r: np.ndarray, r_cut: float, n_max: int) -> np.ndarray:
    """Return g_n, g_n' and g_n'' at distances r, (n_max, 3, n)."""
    previous, d = _ending(r, r_cut, 0), 1.0
    out = [previous]
    for n in range(1, n_max):
        e = n**2 * (n + 2) ** 2 / (4 * (n + 1) ** 4 + 1)
        d, before = 1 - e / d, d
        previous = (_ending(r, r_cut, n) + np.sqrt(e / before) * previous) / np.sqrt(d)
        out.append(previous)
    return np.array(out)


def _ending(r: np.ndarray, r_cut: float, n: int) -> np.ndarray:
    """Return f_n of the paper, which ends smoothly at the cutoff, (3, n)."""
    a, b = n + 1, n + 2
    norm = (-1) ** n * np.sqrt(2.0) * np.pi / r_cut**1.5 * a * b / np.hypot(a, b)
    waves = _sinc(r, a * np.pi / r_cut) + _sinc(r, b * np.pi / r_cut)
    functions: np.ndarray = norm * waves
    return functions


def _sinc(r: np.ndarray, k: float) -> np.ndarray:
    """Return sin(k r)/(k r) and its first two derivatives, (3, n)."""
    x = k * r
    small = x < _SMALL
    x = np.where(small, 1.0, x)
    value = np.sin(x) / x
    slope = (np.cos(x) - value) / x
    exact = np.stack([value, k * slope, -(k**2) * (value + 2 * slope / x)])
    x = np.where(small, k * r, 0.0)
    series = np.stack(
        [
            1 - x**2 / 6 + x**4 / 120 - x**6 / 5040,
            k * (-x / 3 + x**3 / 30 - x**5 / 840),
            k**2 * (-1 / 3 + x**2 / 10 - x**4 / 168),
        ]
    )
    return np.where(small, series, exact)
