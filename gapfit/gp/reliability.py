"""Scores of standard deviations: the usual ones.

Kuleshov, Fenner & Ermon, ICML (2018); Gneiting & Raftery, J. Am. Stat. Assoc. 102, 359
(2007); Tran et al., Mach. Learn.: Sci. Technol. 1, 025006 (2020).
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["DIAGRAM_LEVELS", "rank_correlation", "reliability"]

#: Probabilities at which the reliability diagram is taken.
DIAGRAM_LEVELS = np.linspace(0.05, 0.95, 19)
# Steps of the integral that is the miscalibration area.
_STEPS = 200


def reliability(error: np.ndarray, std: np.ndarray) -> dict[str, Any]:
    """Return scores of standard deviations against the errors that were made.

    Parameters
    ----------
    error : (n,) float64
        Prediction minus reference, in any unit.
    std : (n,) float64
        Standard deviations of these, in the same unit.

    Returns
    -------
    dict
        ``n``; ``coverage_68`` and ``coverage_95``: share of errors within ±1 and ±1.96
        std; ``rms_z``: root mean square of error / std; ``miscalibration_area``: mean
        distance between the share of errors inside a central interval and its
        probability; ``rank``: Spearman correlation of |error| and std (None where it is
        not defined); ``sharpness``: root mean square std; ``crps``: mean continuous
        ranked probability score of normal distributions, in the unit of the error, as
        is the sharpness; ``diagram``: the shares at `DIAGRAM_LEVELS`.
    """
    from scipy.special import ndtr, ndtri

    std = np.maximum(std, np.finfo(float).tiny)
    z = np.abs(error) / std
    levels = (np.arange(_STEPS) + 0.5) / _STEPS
    inside = np.searchsorted(np.sort(z), ndtri(0.5 + 0.5 * levels), side="right")
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    score = std * (z * (2 * ndtr(z) - 1) + 2 * density - 1 / np.sqrt(np.pi))
    return {
        "n": len(z),
        "coverage_68": float(np.mean(z <= 1.0)),
        "coverage_95": float(np.mean(z <= ndtri(0.975))),
        "rms_z": float(np.sqrt(np.mean(z**2))),
        "miscalibration_area": float(np.mean(np.abs(inside / len(z) - levels))),
        "rank": rank_correlation(error, std),
        "sharpness": float(np.sqrt(np.mean(std**2))),
        "crps": float(np.mean(score)),
        "diagram": [float(np.mean(z <= ndtri(0.5 + 0.5 * p))) for p in DIAGRAM_LEVELS],
    }


def rank_correlation(error: np.ndarray, std: np.ndarray) -> float | None:
    """Return Spearman's correlation of |error| and std; None without a rank."""
    from scipy.stats import spearmanr

    size = np.abs(error)
    if len(size) < 3 or np.ptp(size) == 0 or np.ptp(std) == 0:
        return None
    return float(spearmanr(size, std).statistic)
