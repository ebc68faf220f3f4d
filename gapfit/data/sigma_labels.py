"""Warnings about sigmas that come with frames: not used, or meant otherwise by gap_fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from gapfit.data.frame import Frame
from gapfit.data.frame_file import frame_sizes
from gapfit.data.label_names import LabelPlan
from gapfit.data.places import count_frames

__all__ = ["sigma_label_warnings"]

#: Meaning of the sigmas of gap_fit that have no counterpart, by the start of their names.
_UNUSED = {
    "force_component": "single force components; give each atom one sigma in an array "
    "force_atom_sigma, or leave atoms out with force_mask",
    "virial_component": "single components of the virial; give the frame one virial_sigma",
    "hessian": "second derivatives, which are not fitted",
    "local_property": "local properties, which are not fitted",
}


def sigma_label_warnings(
    frames: Sequence[Frame], plan: LabelPlan, counts: Counter[str]
) -> list[str]:
    """Return warnings about sigmas of frames.

    Parameters
    ----------
    frames : sequence of Frame
        All frames, with their labels.
    plan : LabelPlan
        Labels that were used.
    counts : Counter
        Number of frames that have each label.
    """
    return [*_unused(plan, counts), *_per_atom(frames, plan, counts)]


def _unused(plan: LabelPlan, counts: Counter[str]) -> Iterator[str]:
    """Yield warnings of sigmas that are not used."""
    used = plan.sigma_keys.values()
    endings = sorted({"sigma", *(key.partition("_")[2] for key in used)})
    for start, meaning in _UNUSED.items():
        for name in (f"{start}_{ending}" for ending in endings):
            if counts[name] and name not in used:
                yield (
                    f"{name} of {count_frames(range(counts[name]))} is not used: gap_fit "
                    f"reads it as the sigma of {meaning}"
                )


def _per_atom(
    frames: Sequence[Frame], plan: LabelPlan, counts: Counter[str]
) -> Iterator[str]:
    """Yield a warning where sigmas of frames may have been meant for totals."""
    keys = [plan.sigma_keys[kind] for kind in ("energy_sigma", "virial_sigma")]
    present = [key for key in keys if counts[key]]
    if plan.frame_sigmas is not None or not present:
        return
    larger = [
        int(n)
        for n in np.flatnonzero(frame_sizes(frames) > 1)
        if (frames[int(n)].energy_sigma, frames[int(n)].virial_sigma) != (None, None)
    ]
    if larger:
        yield (
            f"{' and '.join(present)} of {count_frames(larger)}: taken per atom, so they "
            "enter times sqrt(n_atoms). For gap_fit they are those of the total: set "
            'frame_sigmas = "total" under [data] if these were made for it, or "per_atom" '
            "to go on without this warning"
        )
