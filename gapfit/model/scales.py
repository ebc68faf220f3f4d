"""Scales from standard deviations of the posterior to errors that are to be expected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

__all__ = ["Scale", "Tilt", "fitted_scale", "tilted_scale", "with_local"]

# Widths of the prior around the scale of all structures: of the log of the size, and of
# the angle whose squared sine is the floor's share of the variance.
_SIZE_WIDTH, _ANGLE_WIDTH = 0.5, 0.4
# Largest exponent of a tilt, either way, and the width of its prior around 0.
_STEEPEST, _TILT_WIDTH = 0.5, 0.5
# Largest power of the local scale for sums over atoms, and the width of its prior around 0.
_LARGEST_POWER, _POWER_WIDTH = 2.0, 0.5
# Share of the smallest standard deviations that a tilt takes for equal.
_SMALLEST = 0.01


@dataclass(frozen=True)
class Tilt:
    """Factor × (std / usual)^exponent × s^power, of an observation's standard deviation.

    Errors do not always grow with the posterior's standard deviation as those of a linear
    model with a noise would: well and badly known structures get scales of their own. So do
    environments, by the local scale s of `gapfit.model.local_scale`.

    Attributes
    ----------
    factor : float
        Factor of usual standard deviations.
    exponent : float
        Between -0.5 and 0.5, and so that larger standard deviations of the function have
        larger bars.
    least, usual, most : float
        Smallest (1 %), median and largest standard deviation of the function that the
        exponent was found with, in the units of `Scale.floor`. Others count as the nearest
        of the smallest and the largest.
    power : float
        Power of the local scale: 1 for forces, 0 where there is none.
    """

    factor: float
    exponent: float
    least: float
    usual: float
    most: float
    power: float = 0.0

    @property
    def is_valid(self) -> bool:
        """Whether the numbers can be those of a tilt."""
        ascending = 0 < self.least <= self.usual <= self.most < np.inf
        positive = 0 < self.factor < np.inf
        steady = abs(self.exponent) <= _STEEPEST and 0 <= self.power <= _LARGEST_POWER
        return ascending and positive and steady

    def of(self, std: np.ndarray, local: np.ndarray | float = 0.0) -> np.ndarray:
        """Return the factor of standard deviations of the function, of their shape.

        Parameters
        ----------
        std : float64
            Standard deviations, in the units of `Scale.floor`.
        local : float64
            log s of their environments.
        """
        inside = np.clip(std, self.least, self.most)
        power = (inside / self.usual) ** self.exponent
        factor: np.ndarray = self.factor * power * np.exp(self.power * local)
        return factor


_TILT_KEYS = tuple(part.name for part in fields(Tilt))


@dataclass(frozen=True)
class Scale:
    """std² = (factor² × variance of the function + floor² of an observation) × tilt².

    This is Eq. 13. A factor is known for standard deviations like those it was found with.
    What lies beyond the largest of them is scaled by no less than `beyond`.

    Attributes
    ----------
    factor : float
        Factor of the standard deviation of the function.
    floor : float
        Error that is not in the posterior: eV per sqrt(atom) for energies and virials,
        eV/Å for forces.
    reach : float, optional
        Largest standard deviation of the function that the factor was found with, in
        the units of `floor`; None: no limit.
    tilt : Tilt, optional
        Further factor of the whole; None: 1. Below 1 it does not scale down what lies
        beyond the largest standard deviation it was found with.
    beyond : float
        Least factor of what lies beyond `reach`: 1, or that of all structures in the scale
        of a config_type.
    """

    factor: float
    floor: float
    reach: float | None = None
    tilt: Tilt | None = None
    beyond: float = 1.0

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Scale:
        """Return the scale that `dataclasses.asdict` describes."""
        reach, tilt = plain.get("reach"), plain.get("tilt")
        return cls(
            float(plain["factor"]),
            float(plain["floor"]),
            None if reach is None else float(reach),
            None
            if tilt is None
            else Tilt(**{k: float(tilt[k]) for k in _TILT_KEYS if k in tilt}),
            float(plain.get("beyond", 1.0)),
        )

    def of_function(
        self, std: np.ndarray, root: np.ndarray | float = 1.0
    ) -> np.ndarray:
        """Return the scaled standard deviation of the function; see `std`."""
        scaled: np.ndarray = self.factor * std
        if self.factor >= self.beyond or self.reach is None:
            return scaled
        outside: np.ndarray = np.maximum(std - self.reach * np.asarray(root), 0.0)
        scaled += (self.beyond - self.factor) * outside
        return scaled

    def std(
        self,
        std: np.ndarray,
        root: np.ndarray | float = 1.0,
        local: np.ndarray | float = 0.0,
    ) -> np.ndarray:
        """Return the standard deviation of an observation, of the shape of `std`.

        Parameters
        ----------
        std : float64
            Standard deviation of the function.
        root : float64
            sqrt(n_atoms) of the structure for energies and virials, 1 for forces.
        local : float64
            log of the local scale, of the shape of `std`.
        """
        total: np.ndarray = np.hypot(self.of_function(std, root), self.floor * root)
        if self.tilt is None:
            return total
        tilt, most = self.tilt.of(std / root, local), self.tilt.most * np.asarray(root)
        known = np.hypot(self.of_function(most, root), self.floor * root)
        less = (1 - tilt) * np.minimum(total, known)
        tilted: np.ndarray = np.where(tilt < 1, total - less, tilt * total)
        return tilted


def fitted_scale(
    error: np.ndarray,
    std: np.ndarray,
    around: Scale | None = None,
    n_independent: float = np.inf,
) -> Scale:
    """Return the scale under which errors are most likely: e ~ N(0, a² std² + b²).

    Its reach is the largest of the standard deviations; beyond it the factor of `around`
    is the least.

    Parameters
    ----------
    error, std : (n,) float64
        Residuals, and standard deviations of the function; for energies and virials both
        divided by sqrt(n_atoms).
    around : Scale, optional
        Centre of a prior in the size of bars (a factor of 1.6 either way) and the floor's
        share of them. No errors tell small floors apart, so their logs have no prior.
    n_independent : float
        Number of independent residuals that these count as against the prior.
    """
    from scipy.optimize import minimize

    size = float(np.sqrt(np.mean(error**2)))
    reach = float(std.max())
    if size == 0.0 or reach == 0.0:
        return Scale(1.0, size)
    factor = size / float(np.sqrt(np.mean(std**2)))
    least = np.log([1e-3 * factor, 1e-6 * size])
    most = np.log([1e3 * factor, 1e3 * size])
    prior = None
    if around is not None:
        prior = _Prior(around, std, min(n_independent, len(error)))

    def loss(p: np.ndarray) -> tuple[float, np.ndarray]:
        parts = np.exp(2 * p)[:, None] * np.stack([std**2, np.ones_like(std)])
        variance = parts.sum(axis=0)
        value = 0.5 * np.mean(error**2 / variance + np.log(variance))
        slope = np.mean((1 / variance - error**2 / variance**2) * parts, axis=1)
        if prior is not None:
            more, steeper = prior.of(p)
            value, slope = value + more, slope + steeper
        return value, slope

    starts = [np.log([factor * a, size * b]) for a in (1, 0.3) for b in (0.5, 0.02)]
    bounds = list(zip(least, most, strict=True))
    results = [
        minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B")
        for start in starts
    ]
    a, b = np.exp(min(results, key=lambda result: result.fun).x)
    beyond = 1.0 if around is None else max(1.0, around.factor)
    return Scale(float(a), float(b), reach, beyond=beyond)


class _Prior:
    """Minus the log of the prior of a scale, over the number of its residuals.

    In the plane of factor × usual std and floor, the logarithm of the length is normal, and
    so is the angle.

    Parameters
    ----------
    around : Scale
        Its centre.
    std : (n,) float64
        Standard deviations of the function, of which the geometric mean is the usual one.
    n_independent : float
        Number of residuals.
    """

    def __init__(self, around: Scale, std: np.ndarray, n_independent: float) -> None:
        self._usual = float(np.exp(np.mean(np.log(std[std > 0]))))
        function = around.factor * self._usual
        length = np.log(np.hypot(function, around.floor))
        self._centre = np.array([length, np.arctan2(around.floor, function)])
        widths = np.array([_SIZE_WIDTH, _ANGLE_WIDTH])
        self._weights = 1 / (n_independent * widths**2)

    def of(self, p: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the value and its slope at the logs of a factor and a floor."""
        function, floor = np.exp(p) * [self._usual, 1.0]
        length = np.hypot(function, floor)
        cosine, sine = function / length, floor / length
        away = np.array([np.log(length), np.arctan2(floor, function)]) - self._centre
        slopes = np.array([[cosine**2, sine**2], [-sine * cosine, sine * cosine]])
        weighted = self._weights * away
        return 0.5 * float(away @ weighted), weighted @ slopes


def tilted_scale(error: np.ndarray, std: np.ndarray, n_independent: float) -> Scale:
    """Return the scale of `fitted_scale`, with the tilt that makes errors most likely.

    Parameters
    ----------
    error, std : (n,) float64
        As in `fitted_scale`.
    n_independent : float
        Number of independent residuals that these count as against the prior of the
        exponent, N(0, 0.5²).
    """
    scale = fitted_scale(error, std)
    if not (error.any() and std.min() > 0):
        return scale
    least, usual = map(float, np.quantile(std, [_SMALLEST, 0.5]))
    most = float(std.max())
    z = error / scale.std(std)
    log_std = np.log(np.clip(std, least, most) / usual)
    # Otherwise larger standard deviations would have smaller bars.
    share = float(
        (scale.of_function(np.array(least)) / scale.std(np.array(least))) ** 2
    )
    weight = min(n_independent, len(error)) * _TILT_WIDTH**2
    limits = (-min(_STEEPEST, share), _STEEPEST)
    log_factor, exponent = _power_law(z, log_std, weight, limits)
    tilt = Tilt(float(np.exp(log_factor)), exponent, least, usual, most)
    return replace(scale, tilt=tilt)


def with_local(
    scale: Scale,
    error: np.ndarray,
    std: np.ndarray,
    local: np.ndarray,
    n_independent: float,
) -> Scale:
    """Return a scale with the power of the local scale that makes errors most likely.

    Parameters
    ----------
    scale : Scale
        That of `tilted_scale`; one without a tilt is returned as it is.
    error, std : (n,) float64
        As in `fitted_scale`.
    local : (n,) float64
        log s of each.
    n_independent : float
        Number of independent residuals that these count as against the prior of the
        power, N(0, 0.5²).
    """
    if scale.tilt is None:
        return scale
    z = error / scale.std(std)
    centre = float(local.mean())
    weight = min(n_independent, len(error)) * _POWER_WIDTH**2
    limits = (0.0, _LARGEST_POWER)
    log_factor, power = _power_law(z, local - centre, weight, limits)
    factor = scale.tilt.factor * float(np.exp(log_factor - power * centre))
    return replace(scale, tilt=replace(scale.tilt, factor=factor, power=power))


def _power_law(
    z: np.ndarray, logs: np.ndarray, weight: float, limits: tuple[float, float]
) -> tuple[float, float]:
    """Return a and p for which z ~ N(0, exp(2 a + 2 p logs)) is most likely.

    The loss is a mean over z, to which the prior of p adds p² / (2 weight).
    """
    from scipy.optimize import minimize

    def loss(p: np.ndarray) -> tuple[float, np.ndarray]:
        exponents = p[0] + p[1] * logs
        square = z**2 * np.exp(-2 * exponents)
        value = float(np.mean(0.5 * square + exponents)) + 0.5 * p[1] ** 2 / weight
        along = float(np.mean((1 - square) * logs)) + p[1] / weight
        return value, np.array([np.mean(1 - square), along])

    bounds = [(-2.0, 2.0), limits]
    best = minimize(loss, np.zeros(2), jac=True, bounds=bounds, method="L-BFGS-B")
    return float(best.x[0]), float(best.x[1])
