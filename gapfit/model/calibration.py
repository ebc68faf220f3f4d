"""Scales that turn posterior standard deviations into errors to be expected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from gapfit.data.observations import Quantity
from gapfit.errors import GapfitError
from gapfit.gp.conformal import HIGHEST, quantile
from gapfit.model.local_scale import LocalScale
from gapfit.model.scales import Scale

__all__ = [
    "CALIBRATION_UNITS",
    "OUTDATED",
    "Calibration",
    "KindCalibration",
    "format_calibration",
    "interval_multipliers",
]

#: Start of the warnings that a new calibration replaces.
OUTDATED = "standard deviations: "


@dataclass(frozen=True)
class KindCalibration:
    """Calibration of the observations of one quantity.

    Attributes
    ----------
    scale : Scale
        Scale of all structures.
    by_type : dict of str to Scale
        Scales of single config_types, pulled towards `scale` where they have few
        structures.
    n : int
        Number of residuals used.
    levels, quantiles : tuple of float
        Conformal quantiles: an interval of ± quantile × std contains a new observation
        with at least the probability level; see `gapfit.gp.conformal`.
    """

    scale: Scale
    by_type: dict[str, Scale] = field(default_factory=dict)
    n: int = 0
    levels: tuple[float, ...] = ()
    quantiles: tuple[float, ...] = ()

    def quantile(self, level: float) -> float | None:
        """Return the conformal quantile of a level; None beyond the highest level."""
        return quantile(self.levels, self.quantiles, level)

    @property
    def is_valid(self) -> bool:
        """Whether scales and intervals can be those of a calibration."""
        all_scales = [self.scale, *self.by_type.values()]
        scales = np.array(
            [
                (scale.factor, scale.floor, scale.reach or 0.0, scale.beyond)
                for scale in all_scales
            ],
            dtype=float,
        )
        tilts = [scale.tilt for scale in all_scales if scale.tilt is not None]
        levels = np.array([0.0, *self.levels, 1.0])
        quantiles = np.array([0.0, *self.quantiles])
        finite = np.isfinite(scales).all() and np.isfinite(quantiles).all()
        ascending = (np.diff(levels) > 0).all() and (np.diff(quantiles) >= 0).all()
        one_each = len(self.levels) == len(self.quantiles)
        return bool(
            finite
            and ascending
            and one_each
            and scales.min() >= 0
            and all(tilt.is_valid for tilt in tilts)
        )


@dataclass(frozen=True)
class Calibration:
    """Calibration of a model.

    Attributes
    ----------
    kinds : dict of Quantity to KindCalibration
        By quantity; those without residuals are absent.
    method : str
        ``"leave one out"`` or ``"validation"``.
    n_structures : int
        Number of structures used.
    local : LocalScale or None
        Size of errors by environment.
    """

    kinds: dict[Quantity, KindCalibration]
    method: str
    n_structures: int
    local: LocalScale | None = None

    def scale(self, quantity: Quantity, config_type: str | None = None) -> Scale | None:
        """Return the scale of a quantity; None where there is none.

        A quantity without residuals shares the factor of forces, or else of energies: all
        depend on the same uncertain coefficients. But a factor below 1 has no evidence
        there, and scales nothing down.

        Parameters
        ----------
        quantity : Quantity
            Observed quantity.
        config_type : str, optional
            Kind of structure, where it is known.
        """
        calibration = self.kinds.get(quantity)
        if calibration is not None:
            return calibration.by_type.get(config_type or "", calibration.scale)
        for related in (Quantity.FORCES, Quantity.ENERGY):
            if related in self.kinds:
                return Scale(self.kinds[related].scale.factor, 0.0, 0.0)
        return None

    def observed(
        self,
        quantity: Quantity,
        std: np.ndarray,
        sigma: np.ndarray | float,
        root: float = 1.0,
        config_type: str | None = None,
        local: np.ndarray | float = 0.0,
    ) -> np.ndarray:
        """Return the standard deviation of an observation, of the shape of `std`.

        Parameters
        ----------
        quantity : Quantity
            Observed quantity.
        std : float64
            Standard deviation of the function, not calibrated.
        sigma : float64
            Noise of the observation in the fit: used where there are no residuals of this
            quantity to give the floor.
        root : float
            sqrt(n_atoms) of the structure for energies and virials, 1 for forces.
        config_type : str, optional
            Kind of structure, where it is known.
        local : float64
            log of the local scale of each observation.
        """
        scale = self.scale(quantity, config_type)
        if scale is not None and quantity in self.kinds:
            return scale.std(std, root, local)
        function = std if scale is None else scale.of_function(std, root)
        observed: np.ndarray = np.hypot(function, sigma)
        return observed

    def multiplier(self, quantity: Quantity, level: float) -> float:
        """Return the half width of an interval over an observation's standard deviation.

        The interval around a prediction contains a new observation with at least the
        probability `level`, whatever the errors' distribution, if the new structures are
        like those of the validation set; see `gapfit.gp.conformal`. The two numbers of
        the scale come from the same structures: with 30 of them, and one observation
        each, this changes the probability by about 1 %. For structures left out in turn
        the probability is very nearly `level`.

        Parameters
        ----------
        quantity : Quantity
            Observed quantity.
        level : float
            Probability, between 0 and 1.

        Raises
        ------
        GapfitError
            There are no residuals of this quantity, or too few structures for the level.
        """
        calibration = self.kinds.get(quantity)
        factor = calibration.quantile(level) if calibration else None
        if not 0 < level < 1 or calibration is None or factor is None:
            levels = calibration.levels if calibration else ()
            highest = levels[-1] if levels else 0.0
            reach = f"up to {highest}" if highest else "at no level"
            more = "; calibrate on more structures (gapfit calibrate)"
            raise GapfitError(
                f"interval {level:g} of the {quantity}: give a probability between 0 and "
                f"1; the {self.n_structures} structures of the calibration give intervals "
                f"{reach}{more if highest < HIGHEST else ', the highest there is'}"
            )
        return factor

    def as_dict(self) -> dict[str, Any]:
        """Return the calibration as plain data, without the vectors of the local scale."""
        return {
            "kinds": {
                str(quantity): asdict(own) for quantity, own in self.kinds.items()
            },
            "method": self.method,
            "n_structures": self.n_structures,
            "local": self.local.as_dict() if self.local else None,
        }

    @classmethod
    def from_dict(
        cls, values: Mapping[str, Any], vectors: Mapping[int, np.ndarray]
    ) -> Calibration:
        """Return the calibration that `as_dict` describes.

        Parameters
        ----------
        values : mapping
            Plain data.
        vectors : mapping of int to (n_features,) float64
            Those of the local scale, by species.
        """
        kinds = {
            Quantity(quantity): KindCalibration(
                Scale.from_dict(plain["scale"]),
                {
                    name: Scale.from_dict(scale)
                    for name, scale in plain["by_type"].items()
                },
                plain["n"],
                tuple(plain["levels"]),
                tuple(plain["quantiles"]),
            )
            for quantity, plain in values["kinds"].items()
        }
        plain = values.get("local")
        local = None if plain is None else LocalScale.from_dict(plain, vectors)
        return cls(kinds, values["method"], values["n_structures"], local)


#: Units of floors.
CALIBRATION_UNITS = {
    Quantity.ENERGY: "eV/√atom",
    Quantity.FORCES: "eV/Å",
    Quantity.VIRIAL: "eV/√atom",
}


def format_calibration(calibration: Calibration) -> str:
    """Return the scales of all structures as a plain-text table."""
    lines = [
        f"Calibration ({calibration.method}, {calibration.n_structures} structures)",
        f"{'':<10}{'residuals':>10}{'std times':>11}{'floor':>11}",
    ]
    for quantity, calibrated in calibration.kinds.items():
        scale = calibrated.scale
        lines.append(
            f"{quantity:<10}{calibrated.n:>10}{scale.factor:>11.3g}{scale.floor:>11.2e} "
            f"{CALIBRATION_UNITS[quantity]}"
        )
    return "\n".join(lines)


def interval_multipliers(
    calibration: Calibration | None, level: float | None
) -> dict[Quantity, float]:
    """Return half widths of intervals over standard deviations, by quantity.

    Parameters
    ----------
    calibration : Calibration or None
        Calibration of a model.
    level : float or None
        Probability of the intervals; None gives an empty result.

    Raises
    ------
    GapfitError
        There is no calibration, or it has too few structures for this level.
    """
    if level is None:
        return {}
    if calibration is None:
        raise GapfitError(
            f"interval {level:g}: the model is not calibrated; use gapfit calibrate"
        )
    return {q: calibration.multiplier(q, level) for q in calibration.kinds}
