"""Scales of standard deviations from residuals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from gapfit.data.frame import Frame
from gapfit.data.observations import Quantity
from gapfit.evaluation.local_scales import INDEPENDENT, fitted_local_scale
from gapfit.evaluation.residuals import Residuals
from gapfit.gp.conformal import conformal_quantiles
from gapfit.model.calibration import Calibration, KindCalibration
from gapfit.model.gap_model import GAPModel
from gapfit.model.local_scale import LocalScale, log_of_labels
from gapfit.model.scales import Scale, fitted_scale, tilted_scale, with_local

__all__ = ["calibration_of", "local_scale_of", "with_logs"]

# A config_type gets its own scale from this many structures on.
_LEAST_STRUCTURES = 3


def local_scale_of(
    model: GAPModel, parts: Sequence[tuple[Frame, Residuals]]
) -> LocalScale | None:
    """Return the local scale that forces give."""
    forces = [pair for pair in parts if pair[1].quantity is Quantity.FORCES]
    found = _joined([part for _, part in forces])
    if found is None:
        return None
    return fitted_local_scale(model.terms, forces, _scale(found, len(forces)))


def with_logs(
    model: GAPModel,
    local: LocalScale | None,
    parts: Sequence[tuple[Frame, Residuals]],
) -> list[Residuals]:
    """Return residuals with the logs of their local scale."""
    if local is None:
        return [part for _, part in parts]
    frames = {id(frame): frame for frame, _ in parts}
    logs = {key: local.of(model.terms, [frame]) for key, frame in frames.items()}
    return [
        replace(part, local=log_of_labels(logs[id(frame)], frame, part.quantity))
        for frame, part in parts
    ]


def calibration_of(
    residuals: Sequence[Residuals],
    method: str,
    n_structures: int,
    extra: Sequence[Residuals] = (),
) -> Calibration:
    """Return the calibration that the residuals of structures give.

    Parameters
    ----------
    residuals : sequence of Residuals
        Those of structures like those that will be predicted.
    method : str
        See `Calibration`.
    n_structures : int
        Structures behind `residuals`.
    extra : sequence of Residuals
        Those of more structures of rare config_types, used for their scales alone.
    """
    kinds = {}
    for quantity in Quantity:
        calibration = _kind_calibration(
            [part for part in residuals if part.quantity == quantity],
            [part for part in extra if part.quantity == quantity],
        )
        if calibration:
            kinds[quantity] = calibration
    return Calibration(kinds, method, n_structures)


class _Joined(NamedTuple):
    """Residuals of one quantity, over sqrt(n_atoms) for sums; see `Residuals`."""

    error: np.ndarray
    std: np.ndarray
    local: np.ndarray
    informative: np.ndarray
    structure: np.ndarray
    config_type: np.ndarray

    def at(self, rows: np.ndarray) -> _Joined:
        """Return some of them."""
        return _Joined(*(column[rows] for column in self))


def _joined(parts: Sequence[Residuals]) -> _Joined | None:
    """Return the residuals of all structures; None if none says anything."""
    if not any(part.informative.any() for part in parts):
        return None
    sizes = [len(part.error) for part in parts]
    return _Joined(
        np.concatenate([part.error / part.root for part in parts]),
        np.concatenate([part.std / part.root for part in parts]),
        np.concatenate(
            [np.broadcast_to(part.local, len(part.error)) for part in parts]
        ),
        np.concatenate([part.informative for part in parts]),
        np.repeat(np.arange(len(sizes)), sizes),
        np.repeat([part.config_type for part in parts], sizes),
    )


def _scale(found: _Joined, n_structures: int) -> Scale:
    """Return the scale of all structures, without the local one."""
    own = found.at(found.informative)
    return tilted_scale(own.error, own.std, float(INDEPENDENT * n_structures))


def _kind_calibration(
    common: Sequence[Residuals], extra: Sequence[Residuals]
) -> KindCalibration | None:
    if not any(part.informative.any() for part in common):
        return None
    found = _joined([*common, *extra])
    assert found is not None
    of_common = found.at(found.structure < len(common))
    scale = _scale(of_common, len(common))
    own = of_common.at(of_common.informative)
    if own.local.any():
        scale = _with_local(scale, own, common[0].quantity, len(common))
    by_type = {}
    of_all = found.at(found.informative)
    for name in sorted(set(of_all.config_type.tolist())):
        typed = of_all.at(of_all.config_type == name)
        n_structures = len(np.unique(typed.structure))
        if n_structures >= _LEAST_STRUCTURES:
            independent = min(float(len(typed.error)), INDEPENDENT * n_structures)
            by_type[name] = _of_type(typed, scale, independent)
    scores = np.abs(own.error) / scale.std(own.std, local=own.local)
    levels, quantiles = conformal_quantiles(scores, own.structure)
    return KindCalibration(scale, by_type, len(own.error), levels, quantiles)


def _with_local(
    scale: Scale, found: _Joined, quantity: Quantity, n_structures: int
) -> Scale:
    """Return the scale with the local one, which is that of force components."""
    if quantity is Quantity.FORCES and scale.tilt is not None:
        whole = replace(scale, tilt=replace(scale.tilt, power=1.0))
        # Lines count structures, and the scale counts components.
        z = found.error / whole.std(found.std, local=found.local)
        factor = scale.tilt.factor * float(np.sqrt(np.mean(z**2)))
        return replace(scale, tilt=replace(scale.tilt, factor=factor, power=1.0))
    independent = float(INDEPENDENT * n_structures)
    return with_local(scale, found.error, found.std, found.local, independent)


def _of_type(found: _Joined, scale: Scale, n_independent: float) -> Scale:
    """Return the scale of one config_type, around that of all and with its tilt."""
    error, std, tilt = found.error, found.std, scale.tilt
    if tilt is None:
        return fitted_scale(error, std, scale, n_independent)
    untilted = error / tilt.of(std, found.local)
    return replace(fitted_scale(untilted, std, scale, n_independent), tilt=tilt)
