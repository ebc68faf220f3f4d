"""What to be careful about in averages that were reweighted, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gapfit.errors import GapfitError
from gapfit.model.gap_model import GAPModel
from gapfit.propagation.results import Average, Method

__all__ = [
    "choose",
    "few_frames",
    "noisy",
    "not_calibrated",
    "other_potential",
    "other_temperature",
]

#: Direct weights need this share of the frames, and so many independent ones.
LEAST_SHARE, LEAST_INDEPENDENT = 0.05, 20.0
# Standard deviation of ΔE/kT from which the first order is doubted.
_FAR = 3.0
# Independent frames below which standard errors are doubted.
_FEW = 20.0
# Share of the error of the potential that may be noise.
_NOISY = 0.5
# Standard deviation of the difference from stored energies, kT.
_OTHER = 0.1
# Relative difference of temperatures.
_OTHER_TEMPERATURE = 0.1


def choose(
    method: Method, sizes: np.ndarray, inefficiencies: np.ndarray, h: np.ndarray
) -> tuple[str, list[str]]:
    """Return the method to use, and notes about it.

    Parameters
    ----------
    method : {"auto", "direct", "cumulant"}
        What the user asked for.
    sizes : (n_samples,) float64
        Effective number of frames behind the direct weights of each sample.
    inefficiencies : (n_samples,) float64
        Correlated frames that count as one, for ΔE of each sample.
    h : (n_frames, n_samples) float64
        ΔE/kT.

    Raises
    ------
    GapfitError
        Direct weights were asked for, and too few frames are behind them.
    """
    n_frames = len(h)
    lacking = (sizes / inefficiencies < LEAST_INDEPENDENT) | (
        sizes < LEAST_SHARE * n_frames
    )
    if method != "cumulant" and not lacking.any():
        return "direct", []
    worst = int(np.argmin(sizes))
    reason = (
        f"direct weights of {lacking.sum()} of {len(sizes)} samples rest on too few "
        f"frames: {sizes[worst]:.1f} of {n_frames} are effective for sample {worst}, "
        f"whose energy differs by {h[:, worst].std():.2g} kT along the trajectory "
        f"(needed: {LEAST_SHARE:.0%} of the frames, and {LEAST_INDEPENDENT:.0f} "
        "independent ones)"
    )
    if method == "direct":
        raise GapfitError(
            f'{reason}; use method = "cumulant", more frames, a smaller cell, or a '
            "potential with smaller errors"
        )
    notes = []
    if method == "auto":
        notes.append(f"{reason}; the cumulant expansion is used instead")
    spread = h.std(axis=0).max()
    if spread > _FAR:
        notes.append(
            f"energies of samples differ by up to {spread:.2g} kT along the trajectory: "
            "the first order is right only where observables and energy differences are "
            "nearly Gaussian; a smaller cell or a better fit makes them smaller"
        )
    return "cumulant", notes


def not_calibrated(model: GAPModel, scale: float | None) -> list[str]:
    """Return a note where samples are as narrow as the posterior of a fit."""
    if model.calibration is not None or scale is not None:
        return []
    return [
        "the model is not calibrated: errors are often several times larger than the "
        "spread of its samples; use gapfit calibrate, or give a scale"
    ]


def few_frames(n_frames: int, g: float) -> list[str]:
    """Return a note where the trajectory is short; g correlated frames count as one."""
    if n_frames / g >= _FEW:
        return []
    return [
        f"only about {n_frames / g:.0f} of {n_frames} frames are independent: statistical "
        "errors are uncertain themselves; run longer"
    ]


def noisy(averages: Mapping[str, Average]) -> list[str]:
    """Return a note that names averages whose model error is mostly noise."""
    names = [
        name
        for name, average in averages.items()
        if np.linalg.norm(average.noise) > _NOISY * np.linalg.norm(average.model_std)
    ]
    if not names:
        return []
    return [
        f"more than half of the model error of {', '.join(names)} is scatter of the "
        "reweighting, so the true one is smaller; run longer to see it"
    ]


def other_potential(
    stored: np.ndarray | None, energies: np.ndarray, beta: float
) -> list[str]:
    """Return a note where a trajectory seems to be that of another potential.

    Parameters
    ----------
    stored : (n_frames,) float64 or None
        Energies in the frames, eV; a constant does not matter.
    energies : (n_frames,) float64
        Energies of the mean potential, eV.
    beta : float
        1 / kT, 1/eV.
    """
    if stored is None or beta * (stored - energies).std() < _OTHER:
        return []
    return [
        "the energies in the trajectory differ from those of this model by "
        f"{(stored - energies).std():.2g} eV from frame to frame: it was run with another "
        "potential, for which these averages hold only as far as both agree"
    ]


def other_temperature(given: float, measured: float) -> list[str]:
    """Return a note where momenta, if there are any, have another temperature, K."""
    if not measured > 0 or abs(measured - given) < _OTHER_TEMPERATURE * given:
        return []
    return [
        f"the frames have a kinetic temperature of {measured:.0f} K, not {given:g} K"
    ]
