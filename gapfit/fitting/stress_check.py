"""Stress labels compared with the stress that energies and forces imply.

A quick fit of energies and forces alone predicts virials. Labels of the opposite sign,
with shear components in another order, or with a diagonal that is offset by a constant
(Pulay stress) differ from them visibly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations

import numpy as np

from gapfit._support.progress import Progress, note
from gapfit.data.frame import GPA, Frame
from gapfit.fitting.quick_fit import MIN_FRAMES, VirialComparison, compare, sample

__all__ = [
    "check_stress",
    "diagnose",
    "stress_warnings",
]

#: Correlation below which labels contradict the prediction, and above which another
#: reading of them agrees with it.
CONTRADICTS, AGREES = 0.5, 0.8
#: Virials smaller than this are noise, eV/atom.
SMALL = 0.003
#: Offsets that matter, eV/atom; and in units of their standard error.
MIN_OFFSET, SIGNIFICANT = 0.05, 3.0

#: Labels that are too large or small by this factor are in another unit.
MAX_SCALE = 6.0

#: Factors of usual units of stress to eV/Å³, and the ratio within which one fits.
_UNITS = {"GPa": GPA, "kbar": 10 * GPA, "bar": 1e4 * GPA, "Hartree/Bohr³": 1 / 183.63}
_NEAR_UNIT = 1.4
_SHEAR = ("yz", "xz", "xy")


def stress_warnings(
    frames: Sequence[Frame], e0: Mapping[int, float] | None = None
) -> list[str]:
    """Compare stress labels with a quick fit of energies and forces.

    Parameters
    ----------
    frames : sequence of Frame
        Training frames; a sample of them is used.
    e0 : dict of int to float, optional
        Energies of isolated atoms, eV; by least squares when absent.

    Returns
    -------
    list of str
        Warnings with their evidence; empty when nothing is wrong or there is no stress.
    """
    n_labelled, usable = 0, []
    for n, frame in enumerate(frames):
        if frame.virial is not None:
            n_labelled += 1
            if frame.forces is not None:
                usable.append(n)
    if len(usable) < MIN_FRAMES:
        if n_labelled < MIN_FRAMES:
            return []
        return [
            f"the stress of {n_labelled} frames was not checked: only {len(usable)} of "
            f"them have forces, and the comparison needs {MIN_FRAMES}"
        ]
    return diagnose(compare(sample(frames, usable), e0))


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


def _wrong_sign(labels: np.ndarray, predicted: np.ndarray) -> str:
    """Return evidence that a diagonal has the wrong sign; empty if there is none.

    A constant offset is not a wrong sign, so the variation must agree.
    """
    correlation = _correlation(labels, predicted)
    variation = _correlation(labels - labels.mean(), predicted - predicted.mean())
    if max(correlation, variation) >= -CONTRADICTS:
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
    best = max(
        permutations(range(3)),
        key=lambda order: _correlation(labels[:, order], predicted),
    )
    moved = [k for k in range(3) if best[k] != k]
    now = _correlation(labels[:, moved], predicted[:, moved])
    then = _correlation(labels[:, [best[k] for k in moved]], predicted[:, moved])
    if not moved or now >= CONTRADICTS or then <= AGREES:
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


def check_stress(
    frames: Sequence[Frame], e0: dict[int, float], notes: list[str], progress: Progress
) -> None:
    """Add warnings about the stress of frames without the baseline to `notes`."""
    if any(frame.virial is not None for frame in frames):
        progress("stress check", 0, 1)
        for text in stress_warnings(frames, e0):
            note(notes, text)
        progress("stress check", 1, 1)
