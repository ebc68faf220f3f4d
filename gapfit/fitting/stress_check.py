"""Stress labels compared with the stress that energies and forces imply.

A quick fit of energies and forces alone predicts virials. Labels of the opposite sign,
with shear components in another order, or with a diagonal that is offset by a constant
(Pulay stress) differ from them visibly.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from scipy.linalg import cho_solve

from gapfit.data.frame import GPA
from gapfit.data.observations import Quantity
from gapfit.fitting.quick_fit import MIN_FRAMES, HeldOut, QuickFit

__all__ = ["VirialComparison", "compare_virials", "diagnose"]

#: Correlation below which labels contradict the prediction, and above which another
#: reading of them agrees with it.
CONTRADICTS, AGREES = 0.5, 0.8
#: Virials smaller than this are noise, eV/atom.
SMALL = 0.003
#: Fewest sheared frames that show an order of components.
MIN_SHEARED = 3
#: Offsets that matter, eV/atom; and in units of their standard error.
MIN_OFFSET, SIGNIFICANT = 0.05, 3.0

#: Labels that are too large or small by this factor are in another unit.
MAX_SCALE = 6.0

#: Factors of usual units of stress to eV/Å³, and the ratio within which one fits.
_UNITS = {"GPa": GPA, "kbar": 10 * GPA, "bar": 1e4 * GPA, "Hartree/Bohr³": 1 / 183.63}
_NEAR_UNIT = 1.4
_SHEAR = ("yz", "xz", "xy")
#: Share of the variance of energies or forces that a quick fit must explain to judge, and
#: least size of its virials relative to their standard deviation; or the correlation that
#: no poor fit has by chance.
_SKILL, _SIZE, _STRIKING = 0.5, 3.0, 0.9
#: Samples of the frames, and the quantile of their evidence that must be clear.
_SAMPLES, _SURE = 200, 0.95
#: Noise of the quick fit, eV/atom and eV/Å.
_SIGMA_ENERGY, _SIGMA_FORCES = 0.005, 0.1


@dataclass(frozen=True, eq=False)
class VirialComparison:
    """Labels of virials, and predictions of a fit without them.

    Attributes
    ----------
    labels, predicted : (n_frames, 6) float64
        Virials, xx yy zz yz xz xy, eV/atom.
    volumes : (n_frames,) float64
        Volumes, Å³/atom.
    config_types : tuple of str
        The config_type of each frame.
    offset_errors : dict of str to float
        Standard error of the predicted mean diagonal of each config_type, eV/atom.
    """

    labels: np.ndarray
    predicted: np.ndarray
    volumes: np.ndarray
    config_types: tuple[str, ...]
    offset_errors: Mapping[str, float]


def compare_virials(fit: QuickFit) -> VirialComparison:
    """Predict the virials of each half of the frames by a fit to the other half.

    Frames of config_types that the fit is too poor to judge are left out.

    Parameters
    ----------
    fit : QuickFit
        Rows of a sample of the data; frames without virial are fitted, not compared.
    """
    held_out = fit.held_out(energy=_SIGMA_ENERGY, forces=_SIGMA_FORCES)
    rows = np.flatnonzero(fit.rows(Quantity.VIRIAL)).reshape(-1, 6)
    rows = rows[_judged(fit, held_out, rows)]
    frames = fit.frame[rows[:, 0]]
    sizes = fit.sizes[frames]
    errors: dict[str, list[float]] = defaultdict(list)
    names = [fit.names[n] for n in frames]
    for half in (0, 1):
        tested = fit.half[frames] != half
        for name in dict.fromkeys(names):
            of_name = tested & (np.array(names) == name)
            if of_name.any():
                errors[name].append(
                    _misfit(fit, held_out, frames[of_name])
                    * _diagonal_error(fit, held_out, half, rows[of_name])
                )
    return VirialComparison(
        labels=fit.y[rows] / sizes[:, None],
        predicted=held_out.values[rows] / sizes[:, None],
        volumes=np.array([fit.frames[n].volume for n in frames]) / sizes,
        config_types=tuple(names),
        offset_errors={name: float(np.mean(both)) for name, both in errors.items()},
    )


def diagnose(comparison: VirialComparison) -> list[str]:
    """Return warnings about virials that contradict their prediction.

    Parameters
    ----------
    comparison : Comparison
        Labels and predictions.

    Returns
    -------
    list of str
        At most one warning for each kind of mistake; all config_types are named in it.
    """
    names = np.array(comparison.config_types)
    signs, units, orders, offsets = [], [], [], []
    for name in dict.fromkeys(comparison.config_types):
        of_type = names == name
        if of_type.sum() < MIN_FRAMES:
            continue
        labels = comparison.labels[of_type]
        predicted = comparison.predicted[of_type]
        about = f"'{name}' ({of_type.sum()} frames"
        sign = _wrong_sign(labels[:, :3], predicted[:, :3])
        if sign:
            signs.append(f"{about}, {sign})")
            labels = -labels
        unit = _wrong_unit(labels[:, :3], predicted[:, :3])
        if unit:
            units.append(f"{about}, {unit})")
        order = _shear_order(labels[:, 3:], predicted[:, 3:])
        if order:
            orders.append(f"{about}, {order})")
        if not sign and not unit:
            error = comparison.offset_errors.get(name, 0.0)
            offset = _offset(labels, predicted, comparison.volumes[of_type], error)
            if offset:
                offsets.append(f"{about}, {offset})")
    return [
        *_sign_warning(signs),
        *_unit_warning(units),
        *_order_warning(orders),
        *_offset_warning(offsets),
    ]


def _sign_warning(evidence: Sequence[str]) -> list[str]:
    if not evidence:
        return []
    return [
        "stress has the opposite sign of what energies and forces imply for config_type "
        f"{', '.join(evidence)}; stress is positive under tension, virial = -stress × "
        "volume: change the sign of the labels, or set use_stress = false"
    ]


def _unit_warning(evidence: Sequence[str]) -> list[str]:
    if not evidence:
        return []
    return [
        "stress is not of the size that energies and forces imply for config_type "
        f"{', '.join(evidence)}; it must be in eV/Å³ (virials in eV): convert the labels, "
        "or set use_stress = false"
    ]


def _order_warning(evidence: Sequence[str]) -> list[str]:
    if not evidence:
        return []
    return [
        "shear components of the stress seem to be in another order than yz xz xy for "
        f"config_type {', '.join(evidence)}; reorder the labels, exclude them (a large "
        "virial sigma for the config_type), or set use_stress = false"
    ]


def _offset_warning(evidence: Sequence[str]) -> list[str]:
    if not evidence:
        return []
    return [
        "the diagonal of the stress differs by a constant from energies and forces "
        f"for config_type {', '.join(evidence)}: Pulay stress of too small a basis, or a "
        "missing term; fitting it would spoil the energies: compute it again with a larger "
        "basis, exclude it (a large virial sigma for the config_type), or set "
        "use_stress = false"
    ]


def _correlation(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Return the cosine between two sets of components; 0 if one is all noise."""
    norms = np.linalg.norm(labels), np.linalg.norm(predicted)
    if min(norms) <= SMALL * np.sqrt(labels.size):
        return 0.0
    return float(np.sum(labels * predicted) / (norms[0] * norms[1]))


def _surely(holds: Callable[[np.ndarray], bool], n_frames: int) -> bool:
    """Return whether a statement holds for nearly all samples of frames, with repeats."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(n_frames, size=(_SAMPLES, n_frames))
    return bool(np.mean([holds(n) for n in drawn]) >= _SURE)


def _wrong_sign(labels: np.ndarray, predicted: np.ndarray) -> str:
    """Return evidence that a diagonal has the wrong sign; empty if there is none.

    A constant offset is not a wrong sign, so the variation must agree.
    """
    correlation = _correlation(labels, predicted)
    variation = _correlation(labels - labels.mean(), predicted - predicted.mean())
    if max(correlation, variation) >= -CONTRADICTS:
        return ""
    if not _surely(lambda n: _correlation(labels[n], predicted[n]) < 0, len(labels)):
        return ""
    return f"correlation {correlation:.2f}"


def _wrong_unit(labels: np.ndarray, predicted: np.ndarray) -> str:
    """Return evidence that a diagonal is in another unit; empty if there is none."""
    largest = np.abs(labels).max()
    # Scaled, as labels in a large unit are small numbers.
    if largest == 0 or _correlation(labels / largest, predicted) <= AGREES:
        return ""
    scale = float(np.sum(labels * predicted) / np.sum(predicted**2))
    if 1 / MAX_SCALE < scale < MAX_SCALE:
        return ""
    near = [
        f" like {unit}"
        for unit, factor in _UNITS.items()
        if 1 / _NEAR_UNIT < scale / factor < _NEAR_UNIT
    ]
    return f"{scale:.3g} times as large{''.join(near)}"


def _shear_order(labels: np.ndarray, predicted: np.ndarray) -> str:
    """Return evidence that the columns of `labels` are permuted; empty if none."""
    if (np.abs(labels).max(axis=1) > SMALL).sum() < MIN_SHEARED:
        return ""
    best = max(
        permutations(range(3)),
        key=lambda order: _correlation(labels[:, order], predicted),
    )
    moved = [k for k in range(3) if best[k] != k]
    now = _correlation(labels[:, moved], predicted[:, moved])
    then = _correlation(labels[:, [best[k] for k in moved]], predicted[:, moved])
    if not moved or now >= CONTRADICTS or then <= AGREES:
        return ""
    order = [best[k] for k in moved]

    def better(n: np.ndarray) -> bool:
        """Return whether the other order is the better one for some frames."""
        expected = predicted[n][:, moved]
        return _correlation(labels[n][:, order], expected) > _correlation(
            labels[n][:, moved], expected
        )

    if not _surely(better, len(labels)):
        return ""
    written = " ".join(_SHEAR[k] for k in moved)
    meant = " ".join(_SHEAR[best.index(k)] for k in moved)
    return f"correlation {now:.2f}, but {then:.2f} if {written} are really {meant}"


def _offset(
    labels: np.ndarray, predicted: np.ndarray, volumes: np.ndarray, error: float
) -> str:
    """Return evidence of a constant offset of the diagonal; empty if there is none."""
    differences = (labels - predicted)[:, :3].mean(axis=1)
    offset, scatter = differences.mean(), differences.std()
    total_error = np.hypot(error, scatter / np.sqrt(len(differences)))
    if abs(offset) < max(MIN_OFFSET, SIGNIFICANT * total_error):
        return ""
    pressure = -np.mean(differences / volumes) * GPA
    return (
        f"virial {offset:+.3f} ± {total_error:.3f} eV/atom, stress {pressure:+.2f} GPa"
    )


def _judged(fit: QuickFit, held_out: HeldOut, rows: np.ndarray) -> np.ndarray:
    """Return which virials belong to config_types that the quick fit can judge.

    Parameters
    ----------
    fit : QuickFit
        Rows of the data.
    held_out : HeldOut
        Prediction by energies and forces.
    rows : (n_frames, 6) int64
        Rows of the virials.
    """
    frames = fit.frame[rows[:, 0]]
    names = np.array(fit.names)
    judged = np.zeros(len(rows), dtype=bool)
    for name in dict.fromkeys(names[frames].tolist()):
        of_type = names == name
        skill = max(
            fit.skill(held_out, quantity, of_type)
            for quantity in (Quantity.ENERGY, Quantity.FORCES)
        )
        members = of_type[frames]
        diagonal = rows[members][:, :3]
        size = np.linalg.norm(held_out.values[diagonal])
        error = np.linalg.norm(_deviations(fit, held_out, diagonal))
        judged[members] = (skill > _SKILL and size > _SIZE * error) or _striking(
            fit.y[diagonal] / fit.sizes[frames[members], None],
            held_out.values[diagonal] / fit.sizes[frames[members], None],
        )
    return judged


def _striking(labels: np.ndarray, predicted: np.ndarray) -> bool:
    """Return whether diagonals and their variation agree or disagree beyond chance."""
    correlations = (
        _correlation(labels, predicted),
        _correlation(labels - labels.mean(), predicted - predicted.mean()),
    )
    return bool(np.min(np.abs(correlations)) > _STRIKING)


def _deviations(fit: QuickFit, held_out: HeldOut, rows: np.ndarray) -> np.ndarray:
    """Return the standard deviations of predicted rows, of the shape of `rows`."""
    deviations = np.zeros(rows.shape)
    for half in (0, 1):
        # Each half was predicted by the other one.
        tested = fit.half[fit.frame[rows]] != half
        K = fit.K[rows[tested]]
        deviations[tested] = np.sqrt(
            np.sum(K * cho_solve(held_out.factors[half], K.T).T, axis=1)
        )
    return deviations


def _misfit(fit: QuickFit, held_out: HeldOut, frames: np.ndarray) -> float:
    """Return the ratio of the errors of some frames to the noise, at least 1."""
    error = held_out.values - fit.y
    of_frames = np.isin(fit.frame, frames)
    energies = fit.rows(Quantity.ENERGY) & of_frames
    # Sums over atoms of independent noise.
    scaled = error[energies] / np.sqrt(fit.sizes[fit.frame[energies]]) / _SIGMA_ENERGY
    forces = error[fit.rows(Quantity.FORCES) & of_frames] / _SIGMA_FORCES
    sizes = [np.sqrt(np.mean(e**2)) for e in (scaled, forces) if len(e)]
    return float(max(1.0, *sizes))


def _diagonal_error(
    fit: QuickFit, held_out: HeldOut, half: int, rows: np.ndarray
) -> float:
    """Return the standard deviation of the predicted mean diagonal, eV/atom.

    Parameters
    ----------
    fit : QuickFit
        Rows of the data.
    held_out : HeldOut
        Posterior of its coefficients.
    half : int
        The half that was fitted.
    rows : (n_frames, 6) int64
        Rows of the virials; the first few frames are taken.
    """
    first = rows[:MIN_FRAMES]
    sizes = fit.sizes[fit.frame[first[:, 0]]]
    mean = (fit.K[first[:, :3]].mean(axis=1) / sizes[:, None]).mean(axis=0)
    return float(np.sqrt(mean @ cho_solve(held_out.factors[half], mean)))
