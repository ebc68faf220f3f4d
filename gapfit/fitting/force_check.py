"""Force labels compared with the energies.

Forces are derivatives of the energies. Where they have another sign, another unit or belong
to other atoms, a fit to both predicts left-out energies worse than a fit to forces that are
put right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gapfit.data.observations import Quantity
from gapfit.fitting.quick_fit import QuickFit

__all__ = ["force_warnings"]

#: Noise of the quick fits, relative to the spread of energies and the size of forces.
_NOISE_ENERGY, _NOISE_FORCES = 0.01, 0.05
#: Forces smaller than this, relative to the rms of all, are left out of comparisons.
_SMALL = 0.05
#: Cosine below which forces do not follow from the positions, and fewest frames for that.
_UNRELATED, _MIN_UNRELATED = 0.25, 8
#: Factor by which unrelated forces raise the errors of energies.
_HARMFUL = 5.0
#: A quick fit that knows too little predicts forces that are larger than the labels by more
#: than this factor, or gets them right, with cosines beyond _FOLLOWS, in this share of the
#: frames.
_WILD, _FOLLOWS, _SHARE = 1.5, 0.6, 0.2
#: Cosine above which forces of energies alone show their scale.
_RELATED = 0.5
#: Scales within this factor are near; those beyond the other are never right.
_NEAR, _MAX_SCALE = 3.0, 6.0
#: The factor for scales that energies alone show badly.
_VAGUE = 10.0
#: Errors of energies must fall to this share when forces are put right, and may exceed
#: those of energies alone by this factor.
_BETTER, _NOT_WORSE = 0.6, 1.5
#: The share for a single config_type; the factor where energies alone show no scale.
_FAR_BETTER, _STILL_BETTER = 0.4, 0.8

#: Units whose errors or scales are within this factor of the best are all named.
_AS_GOOD = 1.3

_SIGN, _SCALE = "sign", "scale"
_BOHR, _HARTREE, _KCAL, _KJ = 0.529177, 27.211386, 23.0605, 96.4853
#: Labels of forces divided by derivatives of the labels of energies, in usual units.
_UNITS = {
    "forces in Hartree/Bohr": _BOHR / _HARTREE,
    "forces in Ry/Bohr": 2 * _BOHR / _HARTREE,
    "forces in eV/Bohr (or Hartree/Bohr beside Hartree)": _BOHR,
    "energies in Hartree": _HARTREE,
    "energies in Ry": _HARTREE / 2,
    "energies in kcal/mol": 1 / _KCAL,
    "energies in kJ/mol": 1 / _KJ,
    "forces in kcal/mol/Å": _KCAL,
    "forces in kJ/mol/Å": _KJ,
    "forces in kJ/mol/nm": _KJ / 10,
    "energies in meV": 1e-3,
    "forces in meV/Å": 1e3,
}


def force_warnings(fit: QuickFit) -> list[str]:
    """Return warnings about forces that contradict the positions or the energies.

    Parameters
    ----------
    fit : QuickFit
        Of frames with forces that are not all zero.
    """
    if fit.forces_rms == 0:
        return []
    forces = _cosines(
        fit, fit.held_out(energy=np.inf, forces=_NOISE_FORCES * fit.forces_rms).values
    )
    if fit.energy_spread == 0 or not fit.rows(Quantity.ENERGY).any():
        return _unrelated_warning(fit, forces, forces)
    energies = _cosines(
        fit,
        fit.held_out(energy=_NOISE_ENERGY * fit.energy_spread, forces=np.inf).values,
    )
    unrelated = _unrelated_warning(fit, forces, energies)
    return unrelated or _scale_warning(fit, energies)


@dataclass(frozen=True, eq=False)
class _Comparison:
    """Cosine of labels and prediction for each frame, nan for small forces; and scale.

    The scale is the size of the labels relative to that of the prediction.
    """

    cosines: np.ndarray
    scales: np.ndarray

    def can_tell(self, frames: np.ndarray) -> bool:
        """Return whether low cosines of frames are not those of a fit that is poor.

        Unrelated labels teach a fit small forces, with low cosines in all frames.
        """
        wild = np.median(self.scales[frames]) < 1 / _WILD
        follow = np.mean(np.abs(self.cosines[frames]) > _FOLLOWS)
        return bool(not wild and follow <= _SHARE)


def _cosines(fit: QuickFit, predicted: np.ndarray) -> _Comparison:
    rows = np.flatnonzero(fit.rows(Quantity.FORCES))
    frame, n = fit.frame[rows], len(fit.frames)

    def sums(values: np.ndarray) -> np.ndarray:
        return np.bincount(frame, values, minlength=n)

    y, x = fit.y[rows], predicted[rows]
    yy, xx, yx, count = sums(y * y), sums(x * x), sums(y * x), sums(np.ones(len(y)))
    with np.errstate(divide="ignore", invalid="ignore"):
        small = np.sqrt(yy / count) <= _SMALL * fit.forces_rms
        cosines = np.where(small | (xx == 0), np.nan, yx / np.sqrt(yy * xx))
        scales = np.where(np.isnan(cosines), np.nan, np.sqrt(yy / xx))
    return _Comparison(cosines, scales)


def _unrelated_warning(
    fit: QuickFit, by_forces: _Comparison, by_energies: _Comparison
) -> list[str]:
    """Warn of config_types whose forces follow neither from forces nor from energies."""
    evidence: list[str] = []
    both = np.isfinite(by_forces.cosines) & np.isfinite(by_energies.cosines)
    groups = [(f"'{name}'", frames) for name, frames in fit.groups()]
    for name, frames in (*groups, ("all config_types", np.ones(len(both), dtype=bool))):
        usable = frames & both
        # All together say something only where no config_type has enough frames.
        if usable.sum() < _MIN_UNRELATED or (evidence and frames.all()):
            continue
        cosine = float(np.median(by_forces.cosines[usable]))
        # Gradients in place of forces follow from the energies, with the other sign.
        follow = abs(np.median(by_energies.cosines[usable])) > _RELATED
        if follow or not by_forces.can_tell(usable):
            continue
        if cosine < _UNRELATED or (cosine < _RELATED and _harmful(fit, frames)):
            evidence.append(f"{name} ({usable.sum()} frames, cosine {cosine:.2f})")
    if not evidence:
        return []
    return [
        f"forces do not follow from the positions for {', '.join(evidence)}: "
        "a quick fit of the other frames does not predict them; look for another order of "
        "atoms or axes, or for forces of other frames, or set use_forces = false"
    ]


def _harmful(fit: QuickFit, frames: np.ndarray) -> bool:
    """Return whether forces make the prediction of left-out energies much worse."""
    with_forces = _energy_error(fit, frames, 1.0)
    return with_forces > _HARMFUL * _energy_error(fit, frames, np.inf)


def _scale_warning(fit: QuickFit, energies: _Comparison) -> list[str]:
    """Warn of forces with another sign or in another unit than the energies."""
    everything = np.ones(len(fit.frames), dtype=bool)
    sure = abs(_medians(energies, everything)[0]) > _RELATED
    text = _wrong_scale(fit, everything, energies, strict=not sure)
    if text:
        return [_scale_text("all config_types", text)]
    evidence: dict[str, list[str]] = {}
    for name, frames in fit.groups():
        cosine, scale = _medians(energies, frames)
        if not abs(cosine) > _RELATED or (scale > 0 and not _far(energies, frames)):
            continue
        text = _wrong_scale(fit, frames, energies, strict=True)
        if text:
            evidence.setdefault(text, []).append(f"'{name}' ({frames.sum()} frames)")
    return [
        _scale_text(f"config_type {', '.join(names)}", text)
        for text, names in evidence.items()
    ]


def _scale_text(where: str, text: str) -> str:
    return (
        f"forces contradict the energies of {where}: {text}; energies must be in eV, "
        "forces in eV/Å and minus the gradient of the energy: convert the labels"
    )


def _medians(energies: _Comparison, frames: np.ndarray) -> tuple[float, float]:
    """Return the median cosine and, with its sign, the median scale of some frames."""
    usable = frames & np.isfinite(energies.cosines)
    if not usable.any():
        return np.nan, np.nan
    cosine = float(np.median(energies.cosines[usable]))
    return cosine, float(np.copysign(np.median(energies.scales[usable]), cosine))


def _far(energies: _Comparison, frames: np.ndarray) -> bool:
    """Return whether most scales of some frames are too large, or most too small."""
    scales = energies.scales[frames & np.isfinite(energies.scales)]
    low, high = np.quantile(scales, [0.25, 0.75])
    return bool(low >= _MAX_SCALE or high <= 1 / _MAX_SCALE)


def _wrong_scale(
    fit: QuickFit, frames: np.ndarray, energies: _Comparison, *, strict: bool
) -> str:
    """Return what is wrong with the forces of some frames; empty if they are right."""
    cosine, scale = _medians(energies, frames)
    if np.isnan(cosine):
        return ""
    clear = abs(cosine) > _RELATED
    candidates = _candidates(fit.sizes[frames], scale, clear=clear)
    errors = {text: _energy_error(fit, frames, s) for text, s in candidates.items()}
    if not errors:
        return ""
    as_given = _energy_error(fit, frames, 1.0)
    alone = _energy_error(fit, frames, np.inf)
    better = _FAR_BETTER if strict else _BETTER
    limit = _NOT_WORSE if clear else _STILL_BETTER
    least = min(errors.values())
    if least > min(better * as_given, limit * alone):
        return ""
    evidence = (
        f" (a quick fit misses left-out energies by {1e3 * as_given:.3g} meV/atom, and by "
        f"{1e3 * least:.3g} with forces put right)"
    )
    like = [
        text
        for text in errors
        if text != _SCALE
        and (errors[text] <= _AS_GOOD * least or _equal(candidates[text], scale))
    ]
    if _SIGN in like:
        return f"they have the opposite sign, like gradients{evidence}"
    size = f"{scale:.2g} times as large" if clear else "in another unit"
    named = f", like {' or '.join(like)}" if like else ""
    return f"they are {size}{named}{evidence}"


def _equal(one: float, other: float) -> bool:
    """Return whether two scales are the same within the accuracy of a quick fit."""
    return bool(1 / _AS_GOOD < one / other < _AS_GOOD)


def _candidates(sizes: np.ndarray, scale: float, *, clear: bool) -> dict[str, float]:
    """Return ratios by which forces may be too large, by unit; near `scale`.

    Where it is not `clear`, it tells the order of magnitude, and not the sign.
    """
    named = {_SIGN: -1.0, **_UNITS}
    if sizes.min() == sizes.max() > 1:
        named["energies per atom"] = float(sizes[0])
    if not clear:
        return {
            text: s for text, s in named.items() if 1 / _VAGUE < abs(s / scale) < _VAGUE
        }
    near = {
        text: s
        for text, s in named.items()
        if s * scale > 0 and 1 / _NEAR < s / scale < _NEAR
    }
    if not 1 / _MAX_SCALE < scale < _MAX_SCALE:
        near[_SCALE] = scale
    return near


def _energy_error(fit: QuickFit, frames: np.ndarray, scale: float) -> float:
    """Return the median error of left-out energies if forces are `scale` times too large.

    eV/atom; forces are not fitted at an infinite scale.
    """
    rows = fit.rows(Quantity.FORCES)
    changed = rows & frames[fit.frame]
    y = fit.y.copy()
    sigma = np.full(len(y), np.inf)
    sizes = fit.sizes[fit.frame]
    energies = fit.rows(Quantity.ENERGY)
    sigma[energies] = _NOISE_ENERGY * fit.energy_spread * sizes[energies]
    sigma[rows] = _NOISE_FORCES * fit.forces_rms
    if np.isfinite(scale):
        y[changed] /= scale
        sigma[changed] /= abs(scale)
    else:
        sigma[changed] = np.inf
    judged = energies & frames[fit.frame]
    error = (fit.solve(sigma, y).values - fit.y)[judged] / sizes[judged]
    return float(np.median(np.abs(error))) if len(error) else np.nan
