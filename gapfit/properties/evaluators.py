"""One potential or many drawn from its posterior: forces, stresses and differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gapfit.data.frame import Frame, structure_arrays
from gapfit.data.neighbours import pairs_of
from gapfit.model.gap_model import GAPModel
from gapfit.model.samples import Samples

__all__ = ["Evaluate", "by_calculator", "by_samples", "energy_std", "energy_stds"]

#: Gives the forces (n, n_atoms, 3), eV/Å, and the stresses (n, 6), eV/Å³ in ASE's sign
#: and Voigt order, that n potentials find in a structure.
Evaluate = Callable[[Any], tuple[np.ndarray, np.ndarray]]


def by_calculator(calculator: Any) -> Evaluate:
    """Return the evaluation of one potential, n = 1, an ASE calculator."""

    def evaluate(atoms: Any) -> tuple[np.ndarray, np.ndarray]:
        own = atoms.copy()
        own.calc = calculator
        return own.get_forces()[None], own.get_stress()[None]

    return evaluate


def by_samples(samples: Samples) -> Evaluate:
    """Return the evaluation of all potentials drawn from a posterior."""

    def evaluate(atoms: Any) -> tuple[np.ndarray, np.ndarray]:
        found = samples.predict(atoms)
        # Elastic properties are those of crystals: they have a volume.
        assert found.stress is not None
        return found.forces, found.stress

    return evaluate


def energy_std(model: GAPModel, parts: Sequence[tuple[float, Any]]) -> float:
    """Return the standard deviation of a sum of energies of fixed structures, eV.

    Parameters
    ----------
    model : GAPModel
        With its posterior.
    parts : sequence of (float, ase.Atoms or Frame)
        Weights w and structures. Between relaxed structures the sum is that of the
        relaxed energies to first order: at a minimum the energy is stationary.

    Raises
    ------
    StructureError
        See `GAPModel.predict`.
    """
    weights = np.array([[weight for weight, _ in parts]])
    return float(energy_stds(model, weights, [atoms for _, atoms in parts])[0])


def energy_stds(
    model: GAPModel, weights: np.ndarray, structures: Sequence[Any]
) -> np.ndarray:
    """Return the standard deviations of several sums of energies, (n,) float64, eV.

    Energies are linear in the coefficients, so that the sum Σ w E has the kernel row
    Σ w k, whose variance (`Posterior.variance`, subset of regressors) holds all
    covariances: what two structures have in common cancels. Times the factor of the
    calibration for energies, where the model has one.

    Parameters
    ----------
    model : GAPModel
        With its posterior.
    weights : (n, n_structures) float64
        What the energies are multiplied with in each sum.
    structures : sequence of ase.Atoms or Frame
        The structures, whose kernel rows are held at a time.

    Raises
    ------
    StructureError
        See `GAPModel.predict`.
    """
    assert model.posterior is not None
    frames = [
        own if isinstance(own, Frame) else structure_arrays(own) for own in structures
    ]
    pairs = pairs_of(frames, model.cutoff)
    rows = [
        term.descriptor.kernel_rows(
            pairs.within(term.descriptor.cutoff), term.sparse, gradients=False
        ).energies
        for term in model.terms
    ]
    variance, _ = model.posterior.variance(weights @ np.concatenate(rows, axis=1))
    scale = model.calibration.scale("energy") if model.calibration else None
    return np.sqrt(variance) * (scale.factor if scale else 1.0)
