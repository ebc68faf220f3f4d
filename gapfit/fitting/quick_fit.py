"""Virials predicted by a quick fit of energies and forces, with their uncertainty.

Each half of a sample of the data is predicted by a fit to the other half, so that the
errors are honest; virials are never fitted.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from gapfit._support.progress import silent
from gapfit.config.sections import (
    DataConfig,
    E0Config,
    FitConfig,
    PredictionConfig,
    SigmaConfig,
    SoapConfig,
)
from gapfit.data.dataset import Dataset
from gapfit.data.frame import Frame
from gapfit.data.frame_file import config_types, frame_sizes
from gapfit.data.neighbours import pair_list
from gapfit.fitting.fit_prepared import fit_prepared
from gapfit.fitting.prepare import prepare
from gapfit.model.gap_model import GAPModel
from gapfit.model.prediction import Prediction
from gapfit.model.rows import row_block

__all__ = ["MIN_FRAMES", "VirialComparison", "compare", "sample"]

#: Size of the quick fits.
MAX_FRAMES, MAX_ATOMS, N_SPARSE = 150, 2000, 400
#: Their cutoff, in units of the median distance to the nearest neighbour.
CUTOFF = 2.2
#: Config_types with fewer frames prove nothing alone; they are pooled.
MIN_FRAMES = 6

#: Range of the search for nearest neighbours, Å.
_FAR = 4.0


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


def compare(
    frames: Sequence[Frame], e0: Mapping[int, float] | None = None
) -> VirialComparison:
    """Predict the virials of each half of the frames by a fit to the other half.

    Parameters
    ----------
    frames : sequence of Frame
        All with forces and virial; a small number, as all are fitted.
    e0 : dict of int to float, optional
        Energies of isolated atoms, eV; by least squares when absent.
    """
    config = _quick_config(frames, e0)
    groups: dict[str, list[Frame]] = defaultdict(list)
    for name, frame in zip(_group_names(frames), frames, strict=True):
        groups[name].append(frame)
    kept: list[tuple[str, Frame, Prediction]] = []
    errors: dict[str, list[float]] = defaultdict(list)
    for half in (0, 1):
        model = _fit([f for group in groups.values() for f in group[half::2]], config)
        for name, group in groups.items():
            tested = [
                f for f in group[1 - half :: 2] if set(f.numbers) <= {*model.species}
            ]
            predictions = model.predict(tested)
            kept += zip([name] * len(tested), tested, predictions, strict=True)
            if tested:
                misfit = _misfit(tested, predictions, config.sigma)
                errors[name].append(misfit * _diagonal_error(model, tested))
    sizes = np.array([frame.n_atoms for _, frame, _ in kept])
    volumes = np.array([frame.volume for _, frame, _ in kept]) / sizes
    stresses = np.array([prediction.stress for _, _, prediction in kept]).reshape(-1, 6)
    labels = np.array([frame.virial for _, frame, _ in kept]).reshape(-1, 6)
    return VirialComparison(
        labels=labels / sizes[:, None],
        predicted=-stresses * volumes[:, None],
        volumes=volumes,
        config_types=tuple(name for name, _, _ in kept),
        offset_errors={name: float(np.mean(both)) for name, both in errors.items()},
    )


def sample(frames: Sequence[Frame], usable: Sequence[int]) -> list[Frame]:
    """Return frames of all config_types in turn, within `MAX_FRAMES` and `MAX_ATOMS`.

    Parameters
    ----------
    frames : sequence of Frame
        All frames.
    usable : sequence of int
        Indices of those to choose from.
    """
    types, sizes = config_types(frames), frame_sizes(frames)
    queues: dict[str, list[int]] = defaultdict(list)
    for n in usable:
        queues[types[n]].append(n)
    # Multiples of the golden ratio, modulo one, spread evenly however many are taken.
    waiting = [
        deque(np.array(queue)[np.argsort(np.arange(len(queue)) * 0.618033989 % 1.0)])
        for queue in queues.values()
    ]
    taken: list[Frame] = []
    n_atoms = 0
    while any(waiting) and len(taken) < MAX_FRAMES:
        for queue in waiting:
            if queue and len(taken) < MAX_FRAMES:
                n = queue.popleft()
                if n_atoms + sizes[n] <= MAX_ATOMS or len(taken) < MIN_FRAMES:
                    taken.append(frames[n])
                    n_atoms += sizes[n]
    return taken


def _group_names(frames: Sequence[Frame]) -> list[str]:
    """Return the config_type of each frame, rare ones pooled."""
    types = config_types(frames)
    counts = Counter(types)
    rare = [name for name, count in counts.items() if count < MIN_FRAMES]
    together = ", ".join(rare)
    return [together if name in rare else name for name in types]


def _fit(frames: Sequence[Frame], config: FitConfig) -> GAPModel:
    bare = Dataset(tuple(replace(frame, virial=None) for frame in frames))
    with _silence("gapfit"):
        return fit_prepared(prepare(bare, config, Path(), silent), config, [])


def _quick_config(frames: Sequence[Frame], e0: Mapping[int, float] | None) -> FitConfig:
    from ase.data import chemical_symbols

    n_species = len({int(z) for frame in frames for z in frame.numbers})
    given: dict[str, Any] = {chemical_symbols[z]: e for z, e in (e0 or {}).items()}
    soap = SoapConfig(
        r_cut=float(np.clip(CUTOFF * _neighbour_distance(frames), 3.0, 6.5)),
        # Features grow with the square of the species: fewer functions for alloys.
        n_max=6 if n_species == 1 else 4,
        l_max=4 if n_species == 1 else 3,
        n_sparse=max(N_SPARSE // n_species, 50),
    )
    return FitConfig(
        data=DataConfig(train=["in memory"]),
        sigma=SigmaConfig(energy=0.005, forces=0.1),
        e0=E0Config(method="least_squares", **given),
        terms=[soap],
        # Projections take longer to verify than they save.
        prediction=PredictionConfig(project=False),
    )


def _neighbour_distance(frames: Sequence[Frame]) -> float:
    """Return the median distance of an atom to its nearest neighbour, Å."""
    distances = []
    for frame in frames:
        pairs = pair_list(frame, _FAR)
        nearest = np.full(frame.n_atoms, _FAR)
        np.minimum.at(nearest, pairs.i, np.linalg.norm(pairs.R, axis=1))
        distances.append(nearest)
    return float(np.median(np.concatenate(distances)))


@contextmanager
def _silence(name: str) -> Iterator[None]:
    """Keep the notes of the quick fit out of the log."""

    def reject(record: logging.LogRecord) -> bool:
        return False

    logger = logging.getLogger(name)
    logger.addFilter(reject)
    try:
        yield
    finally:
        logger.removeFilter(reject)


def _misfit(
    frames: Sequence[Frame], predictions: Sequence[Prediction], sigma: SigmaConfig
) -> float:
    """Return the ratio of the errors of the fit to sigma, at least 1."""
    energies, forces = [], []
    for frame, prediction in zip(frames, predictions, strict=True):
        assert frame.forces is not None
        assert prediction.forces is not None
        if frame.energy is not None:
            error = (prediction.energy - frame.energy) / np.sqrt(frame.n_atoms)
            energies.append(error / sigma.energy)
        labelled = np.isfinite(frame.forces)
        forces.append((prediction.forces - frame.forces)[labelled] / sigma.forces)
    sizes = [
        np.sqrt(np.mean(np.square(e)))
        for e in (energies, np.concatenate(forces))
        if len(e)
    ]
    return float(max(1.0, *sizes))


def _diagonal_error(model: GAPModel, frames: Sequence[Frame]) -> float:
    """Return the standard deviation of the predicted mean diagonal, eV/atom.

    It comes from the posterior of the coefficients, for the first few frames.
    """
    assert model.posterior is not None
    rows = [
        row_block(
            [replace(frame, energy=None, forces=None)],
            model.terms,
            model.e0,
            model.config.sigma,
        )
        .K[:3]
        .mean(axis=0)
        / frame.n_atoms
        for frame in frames[:MIN_FRAMES]
    ]
    whitened = model.posterior.whitening.apply(np.mean(rows, axis=0)[None, :])
    R = model.posterior.R
    return float(np.linalg.norm(solve_triangular(R, whitened.T, trans="T")))
