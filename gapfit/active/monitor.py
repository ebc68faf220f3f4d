"""Comparison of the uncertainty of a structure with thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gapfit.config.learn import ThresholdConfig
from gapfit.data.observations import Quantity
from gapfit.model.gap_model import GAPModel

__all__ = ["Reading", "UncertaintyMonitor"]


@dataclass(frozen=True)
class Reading:
    """Largest standard deviation of one structure.

    Attributes
    ----------
    kind : str
        "forces" or "energies"; of both, the one closer to its threshold.
    largest : float
        The largest standard deviation of an atom, eV/Å or eV.
    atom : int
        Index of the atom with it.
    threshold : float
        Threshold in the same unit.
    """

    kind: str
    largest: float
    atom: int
    threshold: float

    @property
    def ratio(self) -> float:
        """Largest standard deviation over threshold."""
        return self.largest / self.threshold

    @property
    def unit(self) -> str:
        """Unit of the standard deviation."""
        return "eV/Å" if self.kind == "forces" else "eV"


class UncertaintyMonitor:
    """Compares standard deviations with their thresholds.

    Parameters
    ----------
    config : ThresholdConfig
        The thresholds.
    model : GAPModel
        The potential.
    frames : sequence
        The structures that the model was fitted to.
    n_threads : int, optional
        Threads of predictions.
    """

    def __init__(
        self,
        config: ThresholdConfig,
        model: GAPModel,
        frames: Sequence[Any],
        n_threads: int | None = None,
    ) -> None:
        self.model = model
        self._n_threads = n_threads
        self._kinds = config.kinds
        self.limits = {kind: self._limit(config, kind, frames) for kind in self._kinds}

    def _limit(
        self, config: ThresholdConfig, kind: str, frames: Sequence[Any]
    ) -> float:
        absolute = getattr(config, kind)
        if absolute is not None:
            return float(absolute)
        multiple = float(getattr(config, f"{kind}_relative"))
        if kind == "forces":
            return multiple * self.model.config.sigma.forces
        predictions = self._deviations(list(frames), (kind,))
        return multiple * max(float(p.energies_std.max()) for p in predictions)

    def read(self, atoms: Any) -> Reading:
        """Return the reading of a structure."""
        prediction = self._deviations(atoms, self._kinds)
        readings = []
        for kind in self._kinds:
            std = getattr(prediction, f"{kind}_std")
            by_atom = std.max(axis=1) if kind == "forces" else std
            atom = int(np.argmax(by_atom))
            largest = float(by_atom[atom])
            readings.append(Reading(kind, largest, atom, self.limits[kind]))
        return max(readings, key=lambda reading: reading.ratio)

    def _deviations(self, structures: Any, kinds: tuple[str, ...]) -> Any:
        """Return predictions with standard deviations.

        A calibration on structures that are much alike gives a factor below 1, which says
        nothing about new ones. Then, and without a calibration, the deviations are those
        of the posterior, with what the sparse points do not describe. No labels lower the
        floor of a calibration, so it is left out.
        """
        calibration = self.model.calibration
        scale = calibration.scale(Quantity.FORCES) if calibration else None
        is_trusted = scale is not None and scale.factor >= 1
        return self.model.predict(
            structures,
            forces=False,
            stress=False,
            std=kinds,
            observation=False,
            calibrated=is_trusted,
            form="sor" if is_trusted else "dtc",
            n_threads=self._n_threads,
        )
