"""Where a model is not sure enough of a structure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gapfit.config.learn import ThresholdConfig
from gapfit.model.gap_model import GAPModel

__all__ = ["Reading", "UncertaintyMonitor"]


@dataclass(frozen=True)
class Reading:
    """What was seen of one structure.

    Attributes
    ----------
    kind : str
        "forces" or "energies": of several, the one nearest to its threshold.
    largest : float
        The largest standard deviation of an atom, eV/Å or eV.
    atom : int
        The atom that has it.
    threshold : float
        In the same unit.
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
        """Of the standard deviation."""
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
        The structures it was fitted to.
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
        known = self._deviations(list(frames), (kind,))
        return multiple * max(float(p.energies_std.max()) for p in known)

    def look(self, atoms: Any) -> Reading:
        """Return what is seen of a structure."""
        seen = self._deviations(atoms, self._kinds)
        looks = []
        for kind in self._kinds:
            std = getattr(seen, f"{kind}_std")
            by_atom = std.max(axis=1) if kind == "forces" else std
            atom = int(np.argmax(by_atom))
            looks.append(Reading(kind, float(by_atom[atom]), atom, self.limits[kind]))
        return max(looks, key=lambda look: look.ratio)

    def _deviations(self, structures: Any, kinds: tuple[str, ...]) -> Any:
        return self.model.predict(
            structures,
            forces=False,
            stress=False,
            std=kinds,
            n_threads=self._n_threads,
        )
