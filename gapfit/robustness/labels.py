"""Test of the labelled data: a potential that is broken does not follow them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gapfit.data.frame import Frame
from gapfit.data.sigmas import frame_sigmas
from gapfit.model.gap_model import GAPModel
from gapfit.model.provenance import energies_were_fitted, is_foreign
from gapfit.robustness.cells import atoms_of
from gapfit.robustness.specimen import Specimen
from gapfit.robustness.watch import FailureError

__all__ = ["labels"]

# Labelled structures that are predicted.
_MOST_FRAMES = 200
# Errors over the spread of the labels: a potential that says nothing has 1.
_SHARE = 0.5
# Errors of energies in sigmas; sigma of models that do not tell theirs, eV/atom.
_SIGMAS, _FOREIGN = 20.0, 0.005


def labels(specimen: Specimen, frames: Sequence[Frame]) -> None:
    """Fail if errors are large against the sigmas of energies, or the size of forces."""
    labelled = [f for f in frames if f.energy is not None or f.forces is not None]
    if not labelled:
        return
    labelled = labelled[:: -(-len(labelled) // _MOST_FRAMES)]
    predicted = specimen.model.predict(labelled, stress=False)
    _energies(specimen, labelled, [prediction.energy for prediction in predicted])
    errors, spread = [np.zeros(0)], [np.zeros(0)]
    for frame, prediction in zip(labelled, predicted, strict=True):
        if frame.forces is not None and prediction.forces is not None:
            fitted = np.isfinite(frame.forces)
            errors.append((prediction.forces - frame.forces)[fitted])
            spread.append(frame.forces[fitted])
    rmse, rms = (_rms(np.concatenate(values)) for values in (errors, spread))
    sigma = 0.0 if is_foreign(specimen.model) else specimen.model.config.sigma.forces
    if rmse > max(_SHARE * rms, sigma):
        raise FailureError(
            f"errors of forces in the data are {rmse:.3g} eV/Å (RMS), those forces "
            f"{rms:.3g}: the potential does not follow its data",
            atoms_of(labelled[0]),
        )


def _energies(
    specimen: Specimen, frames: Sequence[Frame], predicted: Sequence[float]
) -> None:
    """Fail if energies are wrong, one by far or most of them by many sigmas."""
    model = specimen.model
    with_energy = [n for n, frame in enumerate(frames) if frame.energy is not None]
    if not with_energy or not energies_were_fitted(model):
        return
    errors, heights, sigmas = np.empty((3, len(with_energy)))
    for k, n in enumerate(with_energy):
        frame = frames[n]
        energy = frame.energy or 0.0
        isolated = sum(model.e0[z] for z in frame.numbers.tolist())
        errors[k] = abs(predicted[n] - energy) / frame.n_atoms
        heights[k] = (energy - isolated) / frame.n_atoms - specimen.bounds.lowest
        sigmas[k] = _sigma(model, frame)
    allowed = np.maximum(2 * specimen.settings.below, _SHARE * heights)
    beyond = errors - np.maximum(allowed, _SIGMAS * sigmas)
    worst = int(np.argmax(beyond))
    if beyond[worst] > 0:
        frame = frames[with_energy[worst]]
        raise FailureError(
            f"{frame.source}: the energy is wrong by {errors[worst]:.2f} eV/atom",
            atoms_of(frame),
        )
    typical = float(np.median(errors / sigmas))
    if typical > _SIGMAS:
        raise FailureError(
            f"energies of the data are wrong by {1e3 * np.median(errors):.0f} meV/atom "
            f"(median), {typical:.0f} times their sigma: the potential does not follow "
            "its data",
            atoms_of(frames[with_energy[int(np.argmax(errors))]]),
        )


def _sigma(model: GAPModel, frame: Frame) -> float:
    """Return the sigma that the energy of a frame was fitted with, eV/atom."""
    if is_foreign(model):
        return _FOREIGN
    total = frame_sigmas(frame, model.config.sigma, model.e0)[0]
    return total / float(np.sqrt(frame.n_atoms))


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2))) if len(values) else 0.0
