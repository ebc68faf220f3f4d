"""Standard deviations of predictions: variances, calibration and noise put together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from gapfit.config.sections import SigmaConfig
from gapfit.data.batching import batches
from gapfit.data.frame import Frame
from gapfit.data.neighbours import Pairs, pairs_of
from gapfit.data.observations import Quantity
from gapfit.data.sigmas import frame_sigmas
from gapfit.gp.posterior import ROUNDING, Posterior
from gapfit.model.calibration import Calibration
from gapfit.model.extrapolation import grades
from gapfit.model.local_scale import LocalScale, log_of_observations
from gapfit.model.prediction import PredictionRequest, StdKind
from gapfit.model.row_variances import (
    RowVariances,
    atom_variances,
    row_variances,
)
from gapfit.model.terms import FittedTerm

__all__ = ["StandardDeviations"]


class _Part(NamedTuple):
    """One quantity of a frame: its posterior std, sqrt(n_atoms) or 1, and noise.

    `local` is the log of the local scale.
    """

    quantity: Quantity
    std: np.ndarray
    root: float
    sigma: np.ndarray | float
    local: np.ndarray | float = 0.0

    def with_log(self, logs: np.ndarray) -> _Part:
        """Return the part with the log of its local scale, from those of the atoms."""
        local = log_of_observations(logs, self.quantity)
        if self.quantity is Quantity.FORCES:
            local = np.reshape(local, (-1, 3))
        return self._replace(local=local)


@dataclass(frozen=True, eq=False)
class StandardDeviations:
    """Standard deviations of a potential from its posterior, calibration and noise.

    Attributes
    ----------
    terms : sequence of FittedTerm
        With sparse points.
    posterior : Posterior
        That of the fit.
    sigma : SigmaConfig
        Noise of observations where there is no calibration.
    calibration : Calibration or None
        None leaves the standard deviations those of the posterior.
    usual : mapping of int to float
        Scale of extrapolation grades, `FitRecord.usual_deviations`.
    row_bytes : float
        Memory for the rows of structures handled together, bytes; at least one structure.
    """

    terms: Sequence[FittedTerm]
    posterior: Posterior
    sigma: SigmaConfig
    calibration: Calibration | None
    usual: Mapping[int, float] = field(default_factory=dict)
    row_bytes: float = 64e6

    def of(
        self,
        frames: Sequence[Frame],
        pairs: Pairs,
        request: PredictionRequest,
        variances: np.ndarray,
        prior: np.ndarray,
    ) -> list[dict[str, Any]]:
        """Return standard deviations of each frame, named as in `Prediction`.

        Parameters
        ----------
        frames : sequence of Frame
            The structures.
        pairs : Pairs
            Neighbours of all their atoms.
        request : PredictionRequest
            Quantities asked for.
        variances : (n_atoms,) float64
            Those of local energies, if they were computed along with the energies; else
            empty. Where ``energies`` are not asked for, the unexplained parts of the
            prior variances.
        prior : (n_atoms,) float64
            Prior variances of local energies, if there are `variances`.
        """
        out: list[dict[str, Any]] = [{"n_negative": 0} for _ in frames]
        if request.local:
            self._add_local(out, frames, pairs, request, variances, prior)
        if request.rows:
            self._add_rows(out, frames, request)
        return out

    def _add_local(
        self,
        out: list[dict[str, Any]],
        frames: Sequence[Frame],
        pairs: Pairs,
        request: PredictionRequest,
        variances: np.ndarray,
        prior: np.ndarray,
    ) -> None:
        negative = np.zeros(pairs.n_atoms, dtype=bool)
        # Atoms without energies of the terms have no prior variance.
        share = np.divide(
            np.maximum(variances, 0.0), prior, out=np.zeros(len(prior)), where=prior > 0
        )
        if not len(variances) or (request.novelty and StdKind.ENERGIES in request.std):
            local = atom_variances(self.terms, self.posterior, pairs)
            share, negative = local.unexplained, local.negative
            variances = variances if len(variances) else local.energies
        scale = sum(term.config.delta**2 for term in self.terms)
        negative |= variances < -ROUNDING * scale
        for frame, named, atoms in zip(frames, out, _atoms(frames), strict=True):
            if StdKind.ENERGIES in request.std:
                std = np.sqrt(np.maximum(variances[atoms], 0.0))
                named["energies_std"] = std
                named["extrapolation"] = grades(self.usual, frame.numbers, std)
            if request.novelty:
                named["novelty"] = np.sqrt(np.minimum(share[atoms], 1.0))
            named["n_negative"] += int(negative[atoms].sum())

    def _add_rows(
        self,
        out: list[dict[str, Any]],
        frames: Sequence[Frame],
        request: PredictionRequest,
    ) -> None:
        # Rows take far more memory than predictions: fewer structures at a time.
        cutoff = max(term.descriptor.cutoff for term in self.terms)
        # Three rows for each atom.
        row_bytes = 24 * self.posterior.whitening.n_sparse
        n_atoms = max(int(self.row_bytes / row_bytes), 1)
        gradients = bool(request.row_quantities - {Quantity.ENERGY})
        for part in batches([f.n_atoms for f in frames], n_atoms):
            batch = frames[part]
            variances = row_variances(
                self.terms,
                self.posterior,
                pairs_of(batch, cutoff),
                gradients=gradients,
                form=request.form,
            )
            for n, (frame, atoms) in enumerate(zip(batch, _atoms(batch), strict=True)):
                named = out[part.start + n]
                named |= self._named(frame, variances, n, atoms, request)
                named["n_negative"] += int(variances.n_negative[n])

    def _named(
        self,
        frame: Frame,
        variances: RowVariances,
        number: int,
        atoms: slice,
        request: PredictionRequest,
    ) -> dict[str, Any]:
        """Return the standard deviations of one frame."""
        root = float(np.sqrt(frame.n_atoms))
        of_energy, of_forces, of_virial = frame_sigmas(frame, self.sigma)
        wanted, parts = request.row_quantities, []
        if Quantity.ENERGY in wanted:
            std = np.sqrt(variances.energies[number])
            parts.append(_Part(Quantity.ENERGY, std, root, of_energy))
        if Quantity.FORCES in wanted:
            std = np.sqrt(variances.forces[atoms])
            parts.append(_Part(Quantity.FORCES, std, 1.0, of_forces))
        if Quantity.VIRIAL in wanted and frame.has_volume:
            std = np.sqrt(variances.virials[number])
            parts.append(_Part(Quantity.VIRIAL, std, root, of_virial))
        local = self._local(request)
        if local is not None:
            logs = local.of(self.terms, [frame])
            parts = [part.with_log(logs) for part in parts]
        named: dict[str, Any] = {}
        for part in parts:
            name = part.quantity.reported
            unit = frame.volume if part.quantity is Quantity.VIRIAL else 1.0
            if name in request.std:
                named[f"{name}_std"] = self._total(part, request) / unit
            if part.quantity in request.multipliers:
                half = request.multipliers[part.quantity] * self._observed(part, True)
                named[f"{name}_interval"] = half / unit
        return {
            name: float(value) if name.startswith("energy") else value
            for name, value in named.items()
        }

    def _local(self, request: PredictionRequest) -> LocalScale | None:
        """Return the local scale, where it matters: not for the function alone."""
        observed = request.observation and request.calibrated
        if self.calibration is None or not (observed or request.multipliers):
            return None
        return self.calibration.local

    def _total(self, part: _Part, request: PredictionRequest) -> np.ndarray:
        """Return the standard deviation of the function or of an observation."""
        if request.observation:
            return self._observed(part, request.calibrated)
        calibration = self.calibration if request.calibrated else None
        scale = calibration.scale(part.quantity) if calibration else None
        return part.std if scale is None else scale.of_function(part.std, part.root)

    def _observed(self, part: _Part, calibrated: bool) -> np.ndarray:
        """Return the standard deviation of an observation."""
        if self.calibration is None or not calibrated:
            std: np.ndarray = np.hypot(part.std, part.sigma)
            return std
        return self.calibration.observed(
            part.quantity, part.std, part.sigma, part.root, local=part.local
        )


def _atoms(frames: Sequence[Frame]) -> Iterator[slice]:
    """Yield the atoms of each frame."""
    first = 0
    for frame in frames:
        yield slice(first, first + frame.n_atoms)
        first += frame.n_atoms
