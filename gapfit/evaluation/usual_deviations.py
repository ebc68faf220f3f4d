"""The scale of extrapolation grades: standard deviations in the training data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from gapfit.data.frame import Frame
from gapfit.model.gap_model import GAPModel
from gapfit.model.provenance import why_no_deviations

__all__ = ["with_usual_deviations"]

_PERCENTILE = 99.0
# Atoms whose deviations are looked at, about.
_MOST_ATOMS = 20_000
# As many atoms of each species are looked at, if there are.
_RARE_ATOMS = 100


def with_usual_deviations(model: GAPModel, frames: Sequence[Frame]) -> GAPModel:
    """Return a model whose record has the deviations of atoms in the data, by species.

    They are the scale of `gapfit.model.extrapolation.grades`.

    Parameters
    ----------
    model : GAPModel
        The potential; one without standard deviations is returned as it is.
    frames : sequence of Frame
        Training data. Of large sets some are taken, drawn at random with ``run.seed``,
        and a few more with rare species.
    """
    if why_no_deviations(model) is not None:
        return model
    order = np.random.default_rng([model.config.run.seed, 7]).permutation(len(frames))
    chosen = [frames[n] for n in sorted(_looked_at(frames, order, model.species))]
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


def _looked_at(
    frames: Sequence[Frame], order: np.ndarray, species: Sequence[int]
) -> Iterator[int]:
    """Yield the first frames of an order, and later ones with rare species."""
    n_atoms, counts = 0, Counter[int]()
    for n in order.tolist():
        is_enough = n_atoms >= _MOST_ATOMS
        rare = {z for z in species if counts[z] < _RARE_ATOMS}
        if is_enough and not rare:
            return
        numbers = frames[n].numbers.tolist()
        if not is_enough or rare & set(numbers):
            n_atoms += len(numbers)
            counts.update(numbers)
            yield n
