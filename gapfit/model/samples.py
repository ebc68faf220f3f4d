"""Potentials drawn from the posterior: how uncertain a computed property is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np

from gapfit.data.frame import Frame, structure_arrays
from gapfit.data.neighbours import pairs_of
from gapfit.data.observations import Quantity
from gapfit.model.calibration import Calibration
from gapfit.model.gap_model import GAPModel
from gapfit.model.terms import coefficient_vector, with_coefficients

__all__ = ["SamplePrediction", "Samples"]


@dataclass(frozen=True, eq=False)
class SamplePrediction:
    """Predictions of all samples for one structure.

    Attributes
    ----------
    energies : (n_samples,) float64
        Total energies, eV.
    forces : (n_samples, n_atoms, 3) float64
        eV/Å.
    stress : (n_samples, 6) float64 or None
        ASE sign and Voigt order, eV/Å³; None without a volume.
    """

    energies: np.ndarray
    forces: np.ndarray
    stress: np.ndarray | None


class Samples(Sequence[GAPModel]):
    """Potentials drawn from the posterior of a fit; see `GAPModel.sample`.

    Each is a `GAPModel` and gives consistent energies, forces and stresses: a property
    computed with all of them shows the uncertainty as their spread. `predict` treats all
    together.

    Parameters
    ----------
    model : GAPModel
        With its posterior.
    n : int
        Number of samples.
    seed : int
        Seed of the random numbers.
    scale : float or None
        Factor of the standard deviation of the coefficients; None takes that of the
        model's calibration, at least 1.

    Attributes
    ----------
    coefficients : (n, n_sparse) float64
        c + scale U^-1 R^-1 ξ, 1/eV, ξ being standard normal (Eq. 11).
    scale : float
        The factor used.
    """

    def __init__(
        self, model: GAPModel, n: int, seed: int, scale: float | None = None
    ) -> None:
        assert model.posterior is not None
        self.model = model
        self.scale = _scale(model.calibration) if scale is None else scale
        n_sparse = model.posterior.whitening.n_sparse
        xi = np.random.default_rng(seed).standard_normal((n_sparse, n))
        mean = coefficient_vector(model.terms)
        spread = model.posterior.coefficients(xi.T)
        self.coefficients = mean + self.scale * spread

    def __len__(self) -> int:
        return len(self.coefficients)

    @overload
    def __getitem__(self, index: int) -> GAPModel: ...

    @overload
    def __getitem__(self, index: slice) -> list[GAPModel]: ...

    def __getitem__(self, index: int | slice) -> GAPModel | list[GAPModel]:
        if isinstance(index, slice):
            return [self[n] for n in range(*index.indices(len(self)))]
        # Projections were verified for the coefficients of the fit only.
        terms = [
            replace(term, lossless={})
            for term in with_coefficients(self.model.terms, self.coefficients[index])
        ]
        return replace(
            self.model,
            terms=tuple(terms),
            posterior=None,
            training_sums=None,
            calibration=None,
        )

    def predict(self, atoms: Any) -> SamplePrediction:
        """Return the predictions of all samples for a structure.

        The kernel rows of the structure are computed once; each sample then costs a
        product with its coefficients.

        Parameters
        ----------
        atoms : ase.Atoms or Frame
            The structure.

        Raises
        ------
        StructureError
            See `GAPModel.predict`.
        """
        frame = atoms if isinstance(atoms, Frame) else structure_arrays(atoms)
        pairs = pairs_of([frame], self.model.cutoff)
        n = len(self)
        energies = np.zeros(n)
        forces = np.zeros((n, frame.n_atoms, 3))
        virials = np.zeros((n, 6))
        first = 0
        for term in self.model.terms:
            c = self.coefficients[:, first : first + term.n_sparse].T
            first += term.n_sparse
            rows = term.descriptor.kernel_rows(
                pairs.within(term.descriptor.cutoff), term.sparse, gradients=True
            )
            energies += rows.energies[0] @ c
            forces += np.moveaxis(rows.forces @ c, -1, 0)
            virials += (rows.virials[0] @ c).T
        # All samples have e0 and the baseline in common.
        common = self.model.without_terms().predict(frame)
        assert common.forces is not None
        stress = None
        if common.stress is not None:
            stress = common.stress - virials / frame.volume
        return SamplePrediction(
            energies + common.energy, forces + common.forces, stress
        )


def _scale(calibration: Calibration | None) -> float:
    """Return the scale of coefficients: that of forces, the most numerous data.

    Samples go wherever a simulation does, so a factor below 1 scales nothing down.
    """
    scale = calibration.scale(Quantity.FORCES) if calibration else None
    return max(scale.factor if scale else 1.0, 1.0)
