"""Labels compared: zeros, forces with energies, stress with both, like frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gapfit._support.progress import Progress, note
from gapfit.data.frame import Frame
from gapfit.data.zero_labels import ZeroLabels
from gapfit.fitting.force_check import force_warnings
from gapfit.fitting.quick_fit import MIN_FRAMES, QuickFit, quick_fit, sample
from gapfit.fitting.shift_check import shift_warnings
from gapfit.fitting.stress_check import compare_virials, diagnose

__all__ = ["check_labels", "label_warnings"]

#: Energies compared beyond the sample of the quick fit.
_OTHER_FRAMES, _OTHER_ATOMS = 600, 12000


def label_warnings(
    frames: Sequence[Frame], e0: Mapping[int, float] | None = None
) -> list[str]:
    """Return warnings about labels that contradict each other.

    Parameters
    ----------
    frames : sequence of Frame
        Training frames; zeros are looked for in all, the rest is compared on a sample.
    e0 : dict of int to float, optional
        Energies of isolated atoms, eV; by least squares when absent.

    Returns
    -------
    list of str
        Warnings with their evidence; empty when nothing is wrong.
    """
    zeros = ZeroLabels()
    usable, n_virials = [], 0
    for n, frame in enumerate(frames):
        zero_forces, zero_virial = zeros.add(n, frame)
        n_virials += frame.virial is not None and not zero_virial and not zero_forces
        if frame.forces is not None and not zero_forces:
            usable.append(n)
    warnings = zeros.warnings(frames)
    if len(usable) >= MIN_FRAMES:
        fit = _quick_fit(frames, usable, e0)
        contradictions = force_warnings(fit)
        warnings += contradictions
        if not contradictions:
            warnings += _stress_warnings(fit, n_virials) + shift_warnings(fit)
    elif n_virials >= MIN_FRAMES:
        warnings.append(_not_checked(n_virials, len(usable)))
    return warnings


def check_labels(
    frames: Sequence[Frame], e0: dict[int, float], notes: list[str], progress: Progress
) -> None:
    """Add warnings about labels of frames without the baseline to `notes`."""
    progress("label check", 0, 1)
    for text in label_warnings(frames, e0):
        note(notes, text)
    progress("label check", 1, 1)


def _quick_fit(
    frames: Sequence[Frame], usable: Sequence[int], e0: Mapping[int, float] | None
) -> QuickFit:
    """Return a quick fit of a sample of the usable frames, with energies of others."""
    chosen = sample(frames, usable)
    rest = sorted(set(range(len(frames))) - set(chosen))
    others = sample(frames, rest, _OTHER_FRAMES, _OTHER_ATOMS)
    return quick_fit(
        [_without_zero_virial(frames[n]) for n in chosen],
        e0,
        [frames[n] for n in others],
    )


def _without_zero_virial(frame: Frame) -> Frame:
    if frame.virial is None or frame.virial.any():
        return frame
    return replace(frame, virial=None)


def _stress_warnings(fit: QuickFit, n_virials: int) -> list[str]:
    n_compared = sum(frame.virial is not None for frame in fit.frames)
    if n_compared >= MIN_FRAMES:
        return diagnose(compare_virials(fit))
    return [_not_checked(n_virials, n_compared)] if n_virials >= MIN_FRAMES else []


def _not_checked(n_virials: int, n_usable: int) -> str:
    return (
        f"the stress of {n_virials} frames was not checked: only {n_usable} of "
        f"them have forces, and the comparison needs {MIN_FRAMES}"
    )
