"""Radial functions of soap_turbo: integrals, derivatives, and their pieces."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import spherical_in

from gapfit.config.terms import SoapConfig
from gapfit.descriptors.radial_turbo import TurboAtom, TurboDensity, TurboShape
from gapfit.descriptors.turbo_build import turbo_basis
from gapfit.descriptors.turbo_polynomials import polynomials, turbo_transform
from gapfit.errors import ConfigError

R_CUT, R_SOFT = 5.0, 4.0
ATOM = TurboAtom(4, 0.5, 0.45, 0.05, 0.1, 1.5, 0.7)


def density(gaussian: bool, enhancement: int, atom: TurboAtom = ATOM) -> TurboDensity:
    shape = TurboShape(R_CUT, R_SOFT, 6.0, gaussian, enhancement, 5)
    width = atom.sigma_r if gaussian else None
    return TurboDensity(shape, atom, turbo_transform(atom.n_max, R_CUT, width))


def functions(gaussian: bool, x: float) -> np.ndarray:
    """Return the orthonormal functions at one distance."""
    phi = polynomials(np.array([x]), R_CUT, ATOM.n_max - gaussian)[:, 0]
    if gaussian:
        norm = (0.5 * np.sqrt(np.pi) * ATOM.sigma_r) ** -0.5
        phi = np.append(phi, norm * np.exp(-0.5 * (x / ATOM.sigma_r) ** 2))
    return turbo_transform(ATOM.n_max, R_CUT, ATOM.sigma_r if gaussian else None) @ phi


@pytest.mark.parametrize("gaussian", [False, True])
def test_the_functions_are_orthonormal(gaussian):
    for n in range(ATOM.n_max):
        for k in range(n + 1):
            product = quad(
                lambda x, n=n, k=k: np.prod(functions(gaussian, x)[[n, k]]), 0, R_CUT
            )[0]
            assert product == pytest.approx(float(n == k), abs=1e-9)


@pytest.mark.parametrize("gaussian", [False, True])
@pytest.mark.parametrize("enhancement", [0, 1, 2])
@pytest.mark.parametrize("r", [0.4, 2.3, 3.8])
def test_values_are_those_of_the_integrals(gaussian, enhancement, r):
    found = density(gaussian, enhancement)
    start = max(s for s in found.starts if s <= r)
    sigma, across = 0.5 + 0.05 * r, 0.45 + 0.1 * r
    s = np.sqrt(2 / np.pi) * sigma
    u = r / R_CUT
    height = (1 - 3 * u**2 + 2 * u**3) ** 1.5 / (sigma * across**2)
    height *= (1, r + s, r**2 + 2 * s * r + sigma**2)[enhancement]
    z = (r / across) ** 2
    angular = [np.exp(-z) * spherical_in(degree, z) for degree in range(6)]

    def integrand(x: float, n: int) -> float:
        soft = np.exp(-0.5 * (6.0 * max(x - R_SOFT, 0)) ** 2)
        gauss = np.exp(-0.5 * ((x - r) / sigma) ** 2)
        return functions(gaussian, x)[n] * gauss * soft

    ends = {"points": [R_SOFT, r], "epsabs": 1e-11}
    radial = [quad(integrand, 0, R_CUT, (n,), **ends)[0] for n in range(4)]
    expected = height * np.outer(angular, radial)
    value = found.piece(start, np.array([r]))[0, 0]
    # The tails that QUIP leaves out or has beyond are small for this filter.
    np.testing.assert_allclose(value, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("gaussian", [False, True])
@pytest.mark.parametrize("enhancement", [0, 2])
def test_derivatives_are_slopes_of_the_values_in_every_piece(gaussian, enhancement):
    found = density(gaussian, enhancement, TurboAtom(4, 0.4, 0.5, 0.05, 0.1, 2.0))
    r, h = np.array([0.3, 1.1, 2.2, 3.7, 4.6]), 1e-3
    assert len(found.starts) == 2 + gaussian
    for start in found.starts:
        values = {k: found.piece(start, r + k * h) for k in range(-2, 3)}
        for order in (0, 1):
            slope = (
                8 * (values[1][:, order] - values[-1][:, order])
                - (values[2][:, order] - values[-2][:, order])
            ) / (12 * h)
            scale = np.abs(slope).max()
            np.testing.assert_allclose(
                values[0][:, order + 1], slope, rtol=0, atol=1e-8 * scale
            )


def test_steps_between_pieces_are_small():
    found = density(True, 1, TurboAtom(4, 0.4, 0.5))
    whole = np.abs(found.piece(0.0, np.linspace(0, R_CUT, 30))).max()
    for before, after in zip(found.starts, found.starts[1:], strict=False):
        step = found.piece(after, np.array([after])) - found.piece(
            before, np.array([after])
        )
        assert 0 < np.abs(step[:, 0]).max() < 1e-5 * whole


@pytest.mark.parametrize("gaussian", [False, True])
def test_the_centre_is_an_atom_at_no_distance(gaussian):
    found = density(gaussian, 1)
    value = found.piece(0.0, np.zeros(1))[0, 0]
    np.testing.assert_allclose(value[1:], 0, atol=1e-300)
    expected = 0.7 * value[0] / np.sqrt(4 * np.pi)
    np.testing.assert_allclose(found.centre, expected, rtol=1e-9)


def test_functions_that_are_too_many_are_refused():
    config = SoapConfig(rbf="poly3gauss", r_cut=3.0, n_max=11, atom_sigma=1.5)
    with pytest.raises(ConfigError, match=r"n_max = 11 .* smaller n_max"):
        turbo_basis(config)
