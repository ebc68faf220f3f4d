"""The polynomial radial basis against dscribe, its definition."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from dscribe.descriptors import SOAP
from scipy.special import factorial2, sph_harm_y

from gapfit.descriptors.radial_polynomial import PolynomialDensity, polynomial_basis
from gapfit.errors import ConfigError

SETTINGS = [(4.0, 5, 4, 0.4), (5.0, 8, 7, 0.5)]
SPECIES = {"one": [6] * 8, "two": [6, 1, 1, 6, 1, 6, 6, 1]}
RNG_SEED = 3


def reach(r_cut: float, sigma: float) -> float:
    return r_cut + sigma * np.sqrt(-2 * np.log(1e-3))


def cluster(r_cut: float, sigma: float) -> np.ndarray:
    """Positions around the first atom: two beyond r_cut count, the last does not."""
    u = np.random.default_rng(RNG_SEED).normal(size=(8, 3))
    u /= np.linalg.norm(u, axis=1)[:, None]
    edge = reach(r_cut, sigma)
    r = [0.0, 0.7, 1.4, 2.3, 0.9 * r_cut, r_cut + 0.2, edge - 0.01, edge + 0.01]
    return u * np.array(r)[:, None]


def harmonics(R: np.ndarray, l: int) -> np.ndarray:  # noqa: E741
    theta = np.arctan2(np.hypot(R[:, 0], R[:, 1]), R[:, 2])
    phi = np.arctan2(R[:, 1], R[:, 0])
    Y = [sph_harm_y(l, m, theta, phi) for m in range(l + 1)]
    sines = [np.sqrt(2) * y.imag for y in Y[1:]]
    return np.array([Y[0].real, *(np.sqrt(2) * y.real for y in Y[1:]), *sines])


def power_spectrum(
    positions: np.ndarray, numbers: np.ndarray, r_cut: float, sigma: float, density
) -> np.ndarray:
    R = positions[1:] - positions[0]
    r = np.linalg.norm(R, axis=1)
    near = r < reach(r_cut, sigma)
    f = density.exact(r)[:, 0]
    species = sorted(set(numbers))
    p = []
    coefficients = {}
    for z in species:
        mine = near & (numbers[1:] == z)
        for degree in range(density.l_max + 1):
            c = f[mine, degree].T @ harmonics(R[mine], degree).T
            if z == numbers[0] and degree == 0:
                c[:, 0] += density.centre
            coefficients[z, degree] = c
    for i, s in enumerate(species):
        for t in species[i:]:
            for degree in range(density.l_max + 1):
                block = coefficients[s, degree] @ coefficients[t, degree].T
                block *= np.pi * np.sqrt(8 / (2 * degree + 1))
                p.append(block[np.triu_indices(density.n_max)] if s == t else block)
    return np.concatenate([block.ravel() for block in p])


def density_of(r_cut: float, n_max: int, l_max: int, sigma: float) -> PolynomialDensity:
    return PolynomialDensity(polynomial_basis(r_cut, n_max), l_max, sigma)


@pytest.mark.parametrize("numbers", SPECIES.values(), ids=SPECIES)
@pytest.mark.parametrize("settings", SETTINGS)
def test_power_spectrum_equals_dscribe(settings, numbers):
    r_cut, n_max, l_max, sigma = settings
    positions = cluster(r_cut, sigma)
    soap = SOAP(
        r_cut=r_cut,
        n_max=n_max,
        l_max=l_max,
        sigma=sigma,
        species=sorted(set(numbers)),
        rbf="polynomial",
        periodic=False,
    )
    expected = soap.create(Atoms(numbers=numbers, positions=positions), centers=[0])[0]
    density = density_of(*settings)
    p = power_spectrum(positions, np.array(numbers), r_cut, sigma, density)
    # dscribe rounds the 4 π² of its prefactor (9e-12 of every entry), and its upward
    # recurrence of the Bessel functions loses digits from l = 4 on.
    assert np.abs(p - expected).max() < 1e-10 * np.linalg.norm(expected)


@pytest.mark.parametrize("settings", SETTINGS)
def test_derivatives_equal_finite_differences(settings):
    density = density_of(*settings)
    h = 2e-3
    r = np.linspace(2 * h, reach(settings[0], settings[3]), 40)
    low2, low, at, up, up2 = (density.exact(r + k * h)[:, 0] for k in range(-2, 3))
    slope = (8 * (up - low) - (up2 - low2)) / (12 * h)
    curvature = (16 * (up + low) - (up2 + low2) - 30 * at) / (12 * h**2)
    exact = density.exact(r)
    for order, finite in ((1, slope), (2, curvature)):
        error = np.abs(exact[:, order] - finite).max()
        assert error < 1e-8 * np.abs(finite).max()


@pytest.mark.parametrize("settings", SETTINGS)
def test_value_goes_with_a_power_of_the_distance(settings):
    *_, l_max, sigma = settings
    density = density_of(*settings)
    tables = polynomial_basis(*settings[:2])
    nodes, eta = tables["nodes"], 0.5 / sigma**2
    degree = np.arange(l_max + 1)[:, None]
    moments = nodes**2 * (2 * eta * nodes) ** degree * np.exp(-eta * nodes**2)
    moments /= factorial2(2 * degree + 1)
    # f = r^l limit (1 + O(r²)), for l = 0 … l_max.
    limit = 4 * np.pi * (tables["weights"] * moments) @ tables["values"].T
    scale = np.abs(limit).max(axis=1, keepdims=True)
    for r in (1e-12, 1e-7, 1e-4):
        f, first, second = density.exact(np.array([r]))[0]
        np.testing.assert_allclose(f / r**degree / scale, limit / scale, atol=1e-6)
        up = degree[1:]
        np.testing.assert_allclose(
            first[1:] / (up * r ** (up - 1)) / scale[1:],
            limit[1:] / scale[1:],
            atol=1e-6,
        )
        up = degree[2:]
        np.testing.assert_allclose(
            second[2:] / (up * (up - 1) * r ** (up - 2)) / scale[2:],
            limit[2:] / scale[2:],
            atol=1e-6,
        )


def test_values_at_zero_distance():
    density = density_of(*SETTINGS[0])
    f, first, second = density.exact(np.zeros(1))[0]
    for order, values in enumerate((f, first, second)):
        # The l-th function is even or odd with l, and begins with r^l.
        vanish = [d for d in range(density.l_max + 1) if d > order or (d + order) % 2]
        np.testing.assert_array_equal(values[vanish], 0.0)
        assert np.abs(np.delete(values, vanish, axis=0)).min() > 0
    np.testing.assert_allclose(density.centre * np.sqrt(4 * np.pi), f[0], rtol=1e-15)
    assert density.exact(np.zeros(0)).shape == (0, 3, density.l_max + 1, density.n_max)


def test_basis_is_orthonormal():
    tables = polynomial_basis(5.0, 5)
    overlap = tables["values"] * tables["weights"] * tables["nodes"] ** 2
    overlap = overlap @ tables["values"].T
    np.testing.assert_allclose(overlap, np.eye(5), atol=1e-8)


@pytest.mark.parametrize("n_max", [11, 12, 30])
def test_dependent_basis_raises(n_max):
    with pytest.raises(ConfigError, match=f"n_max = {n_max}.*linearly dependent"):
        polynomial_basis(5.0, n_max)


@pytest.mark.parametrize(("r_cut", "n_max"), [(5.0, 0), (0.0, 4), (-1.0, 4)])
def test_impossible_settings_raise(r_cut, n_max):
    with pytest.raises(ConfigError, match="needs n_max >= 1"):
        polynomial_basis(r_cut, n_max)
