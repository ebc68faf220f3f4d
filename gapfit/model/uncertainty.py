"""Standard deviations of predictions: variances, calibration and noise put together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from gapfit.config.sections import SigmaConfig
from gapfit.data.batching import batches
from gapfit.data.frame import Frame
from gapfit.data.neighbours import Pairs, pairs_of
from gapfit.data.sigmas import frame_sigmas
from gapfit.gp.posterior import ROUNDING, Posterior
from gapfit.model.calibration import Calibration
from gapfit.model.prediction import Wanted
from gapfit.model.row_variances import (
    RowVariances,
    atom_variances,
    row_variances,
    rows_at_once,
)
from gapfit.model.terms import FittedTerm

__all__ = ["Uncertainty"]


class _Part(NamedTuple):
    """One kind of observation of a frame: posterior std, sqrt(n_atoms) or 1, noise."""

    kind: str
    std: np.ndarray
    root: float
    sigma: np.ndarray | float


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """Standard deviations of a potential from its posterior, calibration and noise.

    Attributes
    ----------
    terms : sequence of FittedTerm
        With sparse points.
    posterior : Posterior
        Of the fit.
    sigma : SigmaConfig
        Noise of observations where there is no calibration.
    calibration : Calibration or None
        None leaves the standard deviations as the posterior has them.
    """

    terms: Sequence[FittedTerm]
    posterior: Posterior
    sigma: SigmaConfig
    calibration: Calibration | None

    def of(
        self,
        frames: Sequence[Frame],
        pairs: Pairs,
        wanted: Wanted,
        variances: np.ndarray,
        prior: np.ndarray,
    ) -> list[dict[str, Any]]:
        """Return standard deviations of each frame, named as in `Prediction`.

        Parameters
        ----------
        frames : sequence of Frame
            Some structures.
        pairs : Pairs
            Neighbours of all their atoms.
        wanted : Wanted
            What is asked for.
        variances : (n_atoms,) float64
            Those of local energies, if they were found along with the energies; else
            empty. Where ``energies`` are not asked for, what the sparse points leave of
            the prior variances.
        prior : (n_atoms,) float64
            Prior variances of local energies, if there are `variances`.
        """
        found: list[dict[str, Any]] = [{"n_negative": 0} for _ in frames]
        if wanted.local:
            self._add_local(found, frames, pairs, wanted, variances, prior)
        if wanted.rows:
            self._add_rows(found, frames, wanted)
        return found

    def _add_local(
        self,
        found: list[dict[str, Any]],
        frames: Sequence[Frame],
        pairs: Pairs,
        wanted: Wanted,
        variances: np.ndarray,
        prior: np.ndarray,
    ) -> None:
        negative = np.zeros(pairs.n_atoms, dtype=bool)
        share = np.maximum(variances, 0.0) / prior if len(variances) else np.zeros(0)
        if not len(variances) or (wanted.novelty and "energies" in wanted.std):
            local = atom_variances(self.terms, self.posterior, pairs)
            share, negative = local.unexplained, local.negative
            variances = variances if len(variances) else local.energies
        scale = sum(term.config.delta**2 for term in self.terms)
        negative |= variances < -ROUNDING * scale
        for own, atoms in zip(found, _atoms(frames), strict=True):
            if "energies" in wanted.std:
                own["energies_std"] = np.sqrt(np.maximum(variances[atoms], 0.0))
            if wanted.novelty:
                own["novelty"] = np.sqrt(np.minimum(share[atoms], 1.0))
            own["n_negative"] += int(negative[atoms].sum())

    def _add_rows(
        self, found: list[dict[str, Any]], frames: Sequence[Frame], wanted: Wanted
    ) -> None:
        # Rows take far more memory than predictions: fewer structures at a time.
        cutoff = max(term.descriptor.cutoff for term in self.terms)
        n_sparse = self.posterior.whitening.n_sparse
        gradients = not wanted.row_kinds.isdisjoint(("forces", "stress"))
        for part in batches([f.n_atoms for f in frames], rows_at_once(n_sparse)):
            some = frames[part]
            variances = row_variances(
                self.terms,
                self.posterior,
                pairs_of(some, cutoff),
                gradients=gradients,
                form=wanted.form,
            )
            for n, (frame, atoms) in enumerate(zip(some, _atoms(some), strict=True)):
                own = found[part.start + n]
                own |= self._named(frame, variances, n, atoms, wanted)
                own["n_negative"] += int(variances.n_negative[n])

    def _named(
        self,
        frame: Frame,
        variances: RowVariances,
        number: int,
        atoms: slice,
        wanted: Wanted,
    ) -> dict[str, Any]:
        """Return the standard deviations of one frame."""
        root = float(np.sqrt(frame.n_atoms))
        of_energy, of_forces, of_virial = frame_sigmas(frame, self.sigma)
        parts: dict[str, _Part] = {}
        if "energy" in wanted.row_kinds:
            std = np.sqrt(variances.energies[number])
            parts["energy"] = _Part("energy", std, root, of_energy)
        if "forces" in wanted.row_kinds:
            std = np.sqrt(variances.forces[atoms])
            parts["forces"] = _Part("forces", std, 1.0, of_forces)
        if "stress" in wanted.row_kinds and frame.volume > 1e-8:
            std = np.sqrt(variances.virials[number])
            parts["stress"] = _Part("virial", std, root, of_virial)
        named: dict[str, Any] = {}
        for name, part in parts.items():
            unit = frame.volume if name == "stress" else 1.0
            if name in wanted.std:
                named[f"{name}_std"] = self._total(part, wanted) / unit
            if part.kind in wanted.multipliers:
                half = wanted.multipliers[part.kind] * self._observed(part, True)
                named[f"{name}_interval"] = half / unit
        return {
            name: float(value) if name.startswith("energy") else value
            for name, value in named.items()
        }

    def _total(self, part: _Part, wanted: Wanted) -> np.ndarray:
        """Return the standard deviation of the function, or of an observation of it."""
        if wanted.observation:
            return self._observed(part, wanted.calibrated)
        known = self.calibration if wanted.calibrated else None
        scale = known.scale(part.kind) if known else None
        return part.std if scale is None else scale.factor * part.std

    def _observed(self, part: _Part, calibrated: bool) -> np.ndarray:
        """Return the standard deviation of an observation."""
        if self.calibration is None or not calibrated:
            std: np.ndarray = np.hypot(part.std, part.sigma)
            return std
        return self.calibration.observed(part.kind, part.std, part.sigma, part.root)


def _atoms(frames: Sequence[Frame]) -> Iterator[slice]:
    """Yield the atoms of each frame."""
    first = 0
    for frame in frames:
        yield slice(first, first + frame.n_atoms)
        first += frame.n_atoms
