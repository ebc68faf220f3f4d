"""Averages of all samples, each with the error of the potential and of the sampling."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from gapfit.propagation.correlation import standard_error
from gapfit.propagation.ensemble import SampleEnergies
from gapfit.propagation.observables import Observable
from gapfit.propagation.results import Average
from gapfit.propagation.reweighting import Estimate, Estimator, plain, variance

__all__ = ["energy_average", "heat_capacity", "observable_average"]

#: Heat capacity of the momenta, k_B per atom: classical, all atoms free.
_KINETIC = 1.5


def observable_average(
    observable: Observable, values: np.ndarray, h: np.ndarray, estimator: Estimator
) -> Average:
    """Return the average of a function of the structure, which all samples agree about.

    Parameters
    ----------
    observable : Observable
        For its units and grid.
    values : (n_frames, n_values) float64
        Its values along the trajectory.
    h : (n_frames, n_samples) float64
        (E_k - E) / kT.
    estimator : callable
        `direct` or `cumulant` of `gapfit.propagation.reweighting`.
    """
    found = _average(
        plain(values, h[:, 0]), (estimator(values, column) for column in h.T)
    )
    return replace(
        found,
        unit=observable.unit,
        grid=observable.grid,
        grid_unit=observable.grid_unit,
    )


def energy_average(
    energies: SampleEnergies, h: np.ndarray, n_atoms: int, estimator: Estimator
) -> Average:
    """Return the mean potential energy, eV/atom: of each sample, its own energy.

    Parameters
    ----------
    energies : SampleEnergies
        Along the trajectory.
    h : (n_frames, n_samples) float64
        (E_k - E) / kT.
    n_atoms : int
        Number of atoms.
    estimator : callable
        `direct` or `cumulant` of `gapfit.propagation.reweighting`.
    """
    own = energies.energies / n_atoms
    found = _average(
        plain(energies.mean[:, None] / n_atoms, h[:, 0]),
        (estimator(own[:, [k]], column) for k, column in enumerate(h.T)),
    )
    return replace(found, unit="eV/atom")


def heat_capacity(
    energies: SampleEnergies,
    h: np.ndarray,
    n_atoms: int,
    beta: float,
    estimator: Estimator,
) -> Average:
    """Return the heat capacity at constant volume, k_B per atom.

    C / N k_B = 3/2 + β² (⟨E²⟩ - ⟨E⟩²) / N, of each sample with its own energy.

    Parameters
    ----------
    energies : SampleEnergies
        Along the trajectory, at constant volume.
    h : (n_frames, n_samples) float64
        β (E_k - E).
    n_atoms : int
        Number of atoms.
    beta : float
        1 / kT, 1/eV.
    estimator : callable
        `direct` or `cumulant` of `gapfit.propagation.reweighting`.
    """
    factor = beta / np.sqrt(n_atoms)
    own = factor * energies.energies
    found = _average(
        variance(plain, factor * energies.mean[:, None], h[:, 0]),
        (variance(estimator, own[:, [k]], column) for k, column in enumerate(h.T)),
    )
    return replace(
        found,
        value=found.value + _KINETIC,
        samples=found.samples + _KINETIC,
        unit="k_B/atom",
    )


def _average(mean: Estimate, estimates: Iterable[Estimate]) -> Average:
    """Return an average from the estimates of the mean potential and of all samples."""
    samples, squares = [], []
    for estimate in estimates:
        samples.append(estimate.value)
        squares.append(standard_error(estimate.influence - mean.influence) ** 2)
    values = np.stack(samples)
    return Average(
        value=mean.value,
        samples=values,
        model_std=values.std(axis=0, ddof=1),
        noise=np.sqrt(np.mean(squares, axis=0)),
        statistical_std=standard_error(mean.influence),
    )
