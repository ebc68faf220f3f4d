"""Averages of another potential from frames of one, on plain arrays.

Frames are drawn from exp(-β E), and averages are wanted for exp(-β E_k). With
h = β (E_k - E) there are two estimates (G. Imbalzano et al., J. Chem. Phys. 154, 074102
(2021)): direct weights, exact for infinitely many frames, whose noise grows as exp(h); and
the cumulant expansion of first order, whose noise does not, and which is exact where
observable and h are Gaussian together.

Each estimate has influences: how much a frame moves it. They average to zero, and the
standard error of their mean is that of the estimate (the delta method).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = [
    "Estimate",
    "Estimator",
    "cumulant",
    "direct",
    "effective_size",
    "plain",
    "variance",
]


@dataclass(frozen=True, eq=False)
class Estimate:
    """Averages, and what single frames do to them.

    Attributes
    ----------
    value : (n_values,) float64
        The averages, in the unit of the observable.
    influence : (n_frames, n_values) float64
        First-order change of each average by each frame, times the number of frames.
    """

    value: np.ndarray
    influence: np.ndarray


#: Function of observables (n_frames, n_values) and h (n_frames,).
Estimator = Callable[[np.ndarray, np.ndarray], Estimate]


def plain(A: np.ndarray, h: np.ndarray) -> Estimate:
    """Return averages for the potential that the frames were drawn with; h is not used."""
    value = A.mean(axis=0)
    return Estimate(value, A - value)


def direct(A: np.ndarray, h: np.ndarray) -> Estimate:
    """Return Σ w A with weights w ∝ exp(-h).

    Parameters
    ----------
    A : (n_frames, n_values) float64
        Observables of each frame.
    h : (n_frames,) float64
        β (E_k - E); a constant may be added.
    """
    w = _weights(h)
    value = w @ A
    return Estimate(value, len(w) * w[:, None] * (A - value))


def cumulant(A: np.ndarray, h: np.ndarray) -> Estimate:
    """Return ⟨A⟩ - cov(A, h), the first order in h.

    Parameters
    ----------
    A : (n_frames, n_values) float64
        Observables of each frame.
    h : (n_frames,) float64
        β (E_k - E); a constant may be added.
    """
    mean, h = A.mean(axis=0), h - h.mean()
    products = (A - mean) * h[:, None]
    covariance = products.mean(axis=0)
    return Estimate(mean - covariance, A - mean - products + covariance)


def variance(estimator: Estimator, A: np.ndarray, h: np.ndarray) -> Estimate:
    """Return variances of observables: averages of the squared deviation.

    Parameters
    ----------
    estimator : callable
        `plain`, `direct` or `cumulant`.
    A : (n_frames, n_values) float64
        Observables of each frame.
    h : (n_frames,) float64
        β (E_k - E).
    """
    # First order throughout: the expansion is that about the plain mean.
    centre = (plain if estimator is cumulant else estimator)(A, h)
    found = estimator((A - centre.value) ** 2, h)
    # d⟨(A - c)²⟩ / dc, which is 0 where c is the average itself.
    slope = -2.0 * (estimator(A, h).value - centre.value)
    return Estimate(found.value, found.influence + slope * centre.influence)


def effective_size(h: np.ndarray) -> np.ndarray:
    """Return the effective number of frames behind direct weights, (Σw)² / Σw².

    Parameters
    ----------
    h : (n_frames, n_samples) float64
        β (E_k - E) of each sample.

    Returns
    -------
    (n_samples,) float64
        From 1, one frame has all the weight, to n_frames (L. Kish, Survey Sampling
        (1965)). Correlations in time are not in it.
    """
    w = _weights(h)
    size: np.ndarray = 1.0 / (w**2).sum(axis=0)
    return size


def _weights(h: np.ndarray) -> np.ndarray:
    """Return exp(-h), normalised to 1 along the frames."""
    w = np.exp(h.min(axis=0) - h)
    normalised: np.ndarray = w / w.sum(axis=0)
    return normalised
