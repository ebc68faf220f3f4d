"""Standard deviations of predictions: variances, calibration and noise put together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gapfit.assembly import batches, frame_sigmas, pairs_of
from gapfit.calibration import Calibration, Scale
from gapfit.config import SigmaConfig
from gapfit.deviations import (
    RowVariances,
    local_variances,
    row_variances,
    rows_at_once,
)
from gapfit.frame import Frame
from gapfit.neighbours import Pairs
from gapfit.posterior import Posterior
from gapfit.prediction import Wanted
from gapfit.terms import FittedTerm

__all__ = ["Uncertainty"]


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """What knows how uncertain a potential is.

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
        self, frames: Sequence[Frame], pairs: Pairs, wanted: Wanted
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
        """
        found: list[dict[str, Any]] = [{"n_negative": 0} for _ in frames]
        if wanted.local:
            self._add_local(found, frames, pairs, wanted)
        if wanted.rows:
            self._add_rows(found, frames, wanted)
        return found

    def _add_local(
        self,
        found: list[dict[str, Any]],
        frames: Sequence[Frame],
        pairs: Pairs,
        wanted: Wanted,
    ) -> None:
        local = local_variances(self.terms, self.posterior, pairs)
        for own, atoms in zip(found, _atoms(frames), strict=True):
            if "energies" in wanted.std:
                own["energies_std"] = np.sqrt(local.energies[atoms])
            if wanted.novelty:
                own["novelty"] = np.sqrt(np.minimum(local.unexplained[atoms], 1.0))
            own["n_negative"] += int(local.negative[atoms].sum())

    def _add_rows(
        self, found: list[dict[str, Any]], frames: Sequence[Frame], wanted: Wanted
    ) -> None:
        # Rows take far more memory than predictions: fewer structures at a time.
        cutoff = max(term.descriptor.cutoff for term in self.terms)
        n_sparse = self.posterior.whitening.n_sparse
        gradients = any(kind in wanted.std for kind in ("forces", "stress"))
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
        named: dict[str, Any] = {}
        if "energy" in wanted.std:
            std = np.sqrt(variances.energies[number])
            named["energy_std"] = float(
                self._total("energy", std, root, of_energy, wanted)
            )
        if "forces" in wanted.std:
            std = np.sqrt(variances.forces[atoms])
            named["forces_std"] = self._total("forces", std, 1.0, of_forces, wanted)
        if "stress" in wanted.std and frame.volume > 1e-8:
            std = np.sqrt(variances.virials[number])
            std = self._total("virial", std, root, of_virial, wanted)
            named["stress_std"] = std / frame.volume
        return named

    def _total(
        self,
        kind: str,
        std: np.ndarray,
        root: float,
        sigma: np.ndarray | float,
        wanted: Wanted,
    ) -> np.ndarray:
        """Return the standard deviation of the function, or of an observation of it."""
        scale: Scale | None = None
        if wanted.calibrated and self.calibration is not None:
            scale = self.calibration.scale(kind)
        if scale is None:
            return np.hypot(std, sigma) if wanted.observation else std
        return scale.std(std, root) if wanted.observation else scale.factor * std


def _atoms(frames: Sequence[Frame]) -> Iterator[slice]:
    """Yield the atoms of each frame."""
    first = 0
    for frame in frames:
        yield slice(first, first + frame.n_atoms)
        first += frame.n_atoms
