"""The scale of extrapolation grades: standard deviations in the training data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gapfit.data.frame import Frame
from gapfit.data.frame_file import frame_sizes
from gapfit.model.gap_model import GAPModel
from gapfit.model.provenance import why_no_deviations

__all__ = ["with_usual_deviations"]

_PERCENTILE = 99.0
# Atoms whose deviations are looked at, about.
_MOST_ATOMS = 20_000


def with_usual_deviations(model: GAPModel, frames: Sequence[Frame]) -> GAPModel:
    """Return a model whose record has the deviations of atoms in the data, by species.

    They are the scale of `gapfit.model.extrapolation.grades`.

    Parameters
    ----------
    model : GAPModel
        The potential; one without standard deviations is returned as it is.
    frames : sequence of Frame
        Training data. Of large sets some are taken, drawn at random with ``run.seed``.
    """
    if why_no_deviations(model) is not None:
        return model
    sizes = frame_sizes(frames)
    order = np.random.default_rng([model.config.run.seed, 7]).permutation(len(frames))
    enough = int(np.searchsorted(np.cumsum(sizes[order]), _MOST_ATOMS)) + 1
    chosen = [frames[n] for n in np.sort(order[:enough]).tolist()]
    # Energies do not count here, and a baseline may be a slow calculator.
    found = replace(model, baseline=None).predict(
        chosen, forces=False, stress=False, std="energies"
    )
    std = np.concatenate([prediction.energies_std for prediction in found])
    numbers = np.concatenate([frame.numbers for frame in chosen])
    usual = {
        z: float(np.percentile(std[numbers == z], _PERCENTILE))
        for z in np.unique(numbers).tolist()
    }
    usual = {z: value for z, value in usual.items() if value > 0}
    return model.with_record(usual_deviations=usual)
