"""Errors of averages over correlated frames, on plain arrays."""

from __future__ import annotations

import numpy as np

__all__ = ["inefficiency", "standard_error"]

# Lags are summed up to this many autocorrelation times (Sokal's window).
_WINDOW = 5.0
# Variances below this share of the squared values are rounding.
_CONSTANT = 1e-24


def inefficiency(series: np.ndarray) -> np.ndarray:
    """Return how many correlated frames count as one, for each column.

    1 + 2 Σ_t ρ(t) over the autocorrelation function ρ, up to the least lag that is five
    times the result (A. Sokal, Monte Carlo methods in statistical mechanics (1997)).

    Parameters
    ----------
    series : (n_frames, n) float64
        Values in the order of time, any unit.

    Returns
    -------
    (n,) float64
        At least 1; 1 for values that do not vary.
    """
    n_frames = len(series)
    centred = series - series.mean(axis=0)
    # Zeros behind the series keep its end from meeting its beginning.
    spectrum = np.fft.rfft(centred, n=2 * n_frames, axis=0)
    lagged = np.fft.irfft(np.abs(spectrum) ** 2, n=2 * n_frames, axis=0)[:n_frames]
    varies = lagged[0] > _CONSTANT * (series**2).sum(axis=0)
    rho = lagged / np.where(varies, lagged[0], 1.0)
    sums = 2.0 * np.cumsum(rho, axis=0) - 1.0
    enough = np.arange(n_frames)[:, None] >= _WINDOW * sums
    enough[-1] = True
    found = np.take_along_axis(sums, np.argmax(enough, axis=0)[None], axis=0)[0]
    return np.where(varies, np.clip(found, 1.0, n_frames), 1.0)


def standard_error(series: np.ndarray) -> np.ndarray:
    """Return the standard error of the mean of each column of a time series.

    Parameters
    ----------
    series : (n_frames, n) float64
        Values in the order of time, any unit.

    Returns
    -------
    (n,) float64
        sqrt(g s² / n_frames) with the `inefficiency` g, in the unit of the values.
    """
    variance = series.var(axis=0, ddof=1)
    error: np.ndarray = np.sqrt(inefficiency(series) * variance / len(series))
    return error
