"""Forces, stresses and energy differences of a potential or of posterior samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gapfit.data.frame import Frame, structure_arrays
from gapfit.data.neighbours import pairs_of
from gapfit.data.observations import Quantity
from gapfit.model.gap_model import GAPModel
from gapfit.model.samples import Samples

__all__ = ["Evaluate", "by_calculator", "by_samples", "energy_std", "energy_stds"]

#: Function of a structure that returns the forces (n, n_atoms, 3), eV/Å, and the stresses
#: (n, 6), eV/Å³ in ASE's sign and Voigt order, of n potentials.
Evaluate = Callable[[Any], tuple[np.ndarray, np.ndarray]]


def by_calculator(calculator: Any) -> Evaluate:
    """Return the evaluation of one potential (n = 1), an ASE calculator."""

    def evaluate(atoms: Any) -> tuple[np.ndarray, np.ndarray]:
        copy = atoms.copy()
        copy.calc = calculator
        return copy.get_forces()[None], copy.get_stress()[None]

    return evaluate


def by_samples(samples: Samples) -> Evaluate:
    """Return the evaluation of all potentials drawn from a posterior."""

    def evaluate(atoms: Any) -> tuple[np.ndarray, np.ndarray]:
        predictions = samples.predict(atoms)
        # Elastic properties are those of crystals: they have a volume.
        assert predictions.stress is not None
        return predictions.forces, predictions.stress

    return evaluate


def energy_std(model: GAPModel, parts: Sequence[tuple[float, Any]]) -> float:
    """Return the standard deviation of a sum of energies of fixed structures, eV.

    Parameters
    ----------
    model : GAPModel
        A model with its posterior.
    parts : sequence of (float, ase.Atoms or Frame)
        Weights w and structures. For relaxed structures this is, to first order, the
        deviation of the relaxed energies: at a minimum the energy is stationary.

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

    Energies are linear in the coefficients, so the sum Σ w E has the kernel row Σ w k,
    whose variance (`Posterior.variance`, subset of regressors) includes all covariances:
    contributions common to two structures cancel. The result is multiplied by the
    calibration factor of energies, if the model has one.

    Parameters
    ----------
    model : GAPModel
        A model with its posterior.
    weights : (n, n_structures) float64
        Weight of each energy in each sum.
    structures : sequence of ase.Atoms or Frame
        The structures; the kernel rows of all are in memory together.

    Raises
    ------
    StructureError
        See `GAPModel.predict`.
    """
    assert model.posterior is not None
    frames = [
        structure if isinstance(structure, Frame) else structure_arrays(structure)
        for structure in structures
    ]
    pairs = pairs_of(frames, model.cutoff)
    rows = [
        term.descriptor.kernel_rows(
            pairs.within(term.descriptor.cutoff), term.sparse, gradients=False
        ).energies
        for term in model.terms
    ]
    variance, _ = model.posterior.variance(weights @ np.concatenate(rows, axis=1))
    scale = model.calibration.scale(Quantity.ENERGY) if model.calibration else None
    # Combinations of energies are not among the residuals that a factor below 1 is from.
    return np.sqrt(variance) * max(scale.factor if scale else 1.0, 1.0)
