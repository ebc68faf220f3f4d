"""Stress labels against what energies and forces imply.

A quick fit of energies and forces alone predicts virials. Labels of the opposite sign,
with shear components in another order, or with a diagonal that is offset by a constant
(Pulay stress) show up against them.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np

from gapfit.config import DataConfig, E0Config, FitConfig, SigmaConfig, SoapConfig
from gapfit.frame import Frame
from gapfit.neighbours import pair_list

if TYPE_CHECKING:
    from gapfit.model import GAPModel, Prediction

__all__ = ["Comparison", "compare", "diagnose", "stress_warnings"]

#: Size of the quick fit.
MAX_FRAMES, MAX_ATOMS, N_SPARSE = 150, 1500, 400
#: Its cutoff, in units of the median distance to the nearest neighbour.
CUTOFF = 2.2
#: Fewer frames than this prove nothing; such config_types are taken together.
MIN_FRAMES = 4
#: Correlation below which labels contradict the prediction, and above which another
#: reading of them agrees with it.
CONTRADICTS, AGREES = 0.5, 0.8
#: Virials smaller than this are noise, eV/atom.
SMALL = 0.003
#: Offsets that matter, eV/atom; and in units of their standard error.
MIN_OFFSET, SIGNIFICANT = 0.05, 5.0

_EV_PER_A3_IN_GPA = 160.21766
_SHEAR = ("yz", "xz", "xy")
#: Atoms without a neighbour this near are not asked for their distance, Å.
_FAR = 4.0


@dataclass(frozen=True, eq=False)
class Comparison:
    """Virials as labelled and as a fit without them predicts them.

    Attributes
    ----------
    labels, predicted : (n_frames, 6) float64
        Virial, xx yy zz yz xz xy, eV/atom.
    volumes : (n_frames,) float64
        Å³/atom.
    config_types : tuple of str
        Of each frame.
    offset_errors : dict of str to float
        Standard error of the predicted mean diagonal of each config_type, eV/atom.
    """

    labels: np.ndarray
    predicted: np.ndarray
    volumes: np.ndarray
    config_types: tuple[str, ...]
    offset_errors: Mapping[str, float]


def stress_warnings(
    frames: Sequence[Frame], e0: Mapping[int, float] | None = None
) -> list[str]:
    """Compare stress labels with a quick fit of energies and forces.

    Parameters
    ----------
    frames : sequence of Frame
        Training frames; a sample of them is used.
    e0 : dict of int to float, optional
        Energies of isolated atoms, eV; found by least squares when absent.

    Returns
    -------
    list of str
        Warnings with their evidence; empty when nothing is wrong or there is no stress.
    """
    labelled = [frame for frame in frames if frame.virial is not None]
    sample = _sample([frame for frame in labelled if frame.forces is not None])
    if len(sample) < MIN_FRAMES:
        if len(labelled) < MIN_FRAMES:
            return []
        return [
            f"the stress of {len(labelled)} frames was not checked: only {len(sample)} of "
            f"them have forces, and {MIN_FRAMES} are needed to compare it with"
        ]
    return diagnose(compare(sample, e0))


def diagnose(comparison: Comparison) -> list[str]:
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
    signs, orders, offsets = [], [], []
    for name in dict.fromkeys(comparison.config_types):
        own = names == name
        if own.sum() < MIN_FRAMES:
            continue
        labels, predicted = comparison.labels[own], comparison.predicted[own]
        about = f"'{name}' ({own.sum()} frames"
        sign = _wrong_sign(labels[:, :3], predicted[:, :3])
        if sign:
            signs.append(f"{about}, {sign})")
            labels = -labels
        order = _shear_order(labels[:, 3:], predicted[:, 3:])
        if order:
            orders.append(f"{about}, {order})")
        if not sign:
            error = comparison.offset_errors.get(name, 0.0)
            offset = _offset(labels, predicted, comparison.volumes[own], error)
            if offset:
                offsets.append(f"{about}, {offset})")
    return _sign_warning(signs) + _order_warning(orders) + _offset_warning(offsets)


def _sign_warning(found: Sequence[str]) -> list[str]:
    if not found:
        return []
    return [
        "stress has the opposite sign to what energies and forces imply for config_type "
        f"{', '.join(found)}; stress is positive under tension, virial = -stress × volume: "
        "change the sign of the labels, or set use_stress = false"
    ]


def _order_warning(found: Sequence[str]) -> list[str]:
    if not found:
        return []
    return [
        "shear components of the stress seem to be in another order than yz xz xy for "
        f"config_type {', '.join(found)}; reorder the labels, exclude them (a large virial "
        "sigma for the config_type), or set use_stress = false"
    ]


def _offset_warning(found: Sequence[str]) -> list[str]:
    if not found:
        return []
    return [
        "the diagonal of the stress is offset by a constant against energies and forces "
        f"for config_type {', '.join(found)}: Pulay stress of too small a basis, or a "
        "missing term; fitted, it would spoil the energies: compute it again with a larger "
        "basis, exclude it (a large virial sigma for the config_type), or set "
        "use_stress = false"
    ]


def _correlation(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Return the cosine between two sets of components; 0 where there is nothing."""
    norms = np.linalg.norm(labels), np.linalg.norm(predicted)
    if min(norms) <= SMALL * np.sqrt(labels.size):
        return 0.0
    return float(np.sum(labels * predicted) / (norms[0] * norms[1]))


def _wrong_sign(labels: np.ndarray, predicted: np.ndarray) -> str:
    """Return evidence that a diagonal has the wrong sign, or nothing.

    A constant offset must not be taken for it, so the variation is asked, too.
    """
    correlation = _correlation(labels, predicted)
    variation = _correlation(labels - labels.mean(), predicted - predicted.mean())
    if max(correlation, variation) >= -CONTRADICTS:
        return ""
    return f"correlation {correlation:.2f}"


def _shear_order(labels: np.ndarray, predicted: np.ndarray) -> str:
    """Return evidence that the columns of `labels` are permuted, or nothing."""
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
    """Return evidence of a constant offset of the diagonal, or nothing."""
    differences = (labels - predicted)[:, :3].mean(axis=1)
    offset, scatter = differences.mean(), differences.std()
    total_error = np.hypot(error, scatter / np.sqrt(len(differences)))
    if abs(offset) < max(MIN_OFFSET, SIGNIFICANT * total_error):
        return ""
    pressure = -np.mean(differences / volumes) * _EV_PER_A3_IN_GPA
    return (
        f"virial {offset:+.3f} ± {total_error:.3f} eV/atom, stress {pressure:+.2f} GPa"
    )


def compare(
    frames: Sequence[Frame], e0: Mapping[int, float] | None = None
) -> Comparison:
    """Fit energies and forces and predict the virials.

    Parameters
    ----------
    frames : sequence of Frame
        All with forces and virial; few, as they are all fitted.
    e0 : dict of int to float, optional
        Energies of isolated atoms, eV.
    """
    from gapfit.dataset import Dataset
    from gapfit.fitting import fit

    config = _quick_config(frames, e0)
    bare = tuple(replace(frame, virial=None) for frame in frames)
    with _silence("gapfit"):
        model = fit(Dataset(bare), config)
    predictions = model.predict(list(frames))
    sizes = np.array([frame.n_atoms for frame in frames])
    volumes = np.array([frame.volume for frame in frames])
    stresses = np.array([p.stress for p in predictions])
    misfit = _misfit(frames, predictions, config.sigma)
    groups = defaultdict(list)
    types = _grouped([frame.config_type for frame in frames])
    for name, frame in zip(types, frames, strict=True):
        groups[name].append(frame)
    return Comparison(
        labels=np.array([frame.virial for frame in frames]) / sizes[:, None],
        predicted=-stresses * (volumes / sizes)[:, None],
        volumes=volumes / sizes,
        config_types=types,
        offset_errors={
            name: misfit * _diagonal_error(model, group)
            for name, group in groups.items()
        },
    )


def _sample(frames: Sequence[Frame]) -> list[Frame]:
    """Return frames of all config_types in turn, within `MAX_FRAMES` and `MAX_ATOMS`."""
    queues: dict[str, list[Frame]] = defaultdict(list)
    for frame in frames:
        queues[frame.config_type].append(frame)
    # Multiples of the golden ratio, modulo one, spread evenly however many are taken.
    waiting = [
        [queue[i] for i in np.argsort(np.arange(len(queue)) * 0.618033989 % 1.0)]
        for queue in queues.values()
    ]
    taken: list[Frame] = []
    n_atoms = 0
    while any(waiting) and len(taken) < MAX_FRAMES:
        for queue in waiting:
            if queue and len(taken) < MAX_FRAMES:
                frame = queue.pop(0)
                if n_atoms + frame.n_atoms <= MAX_ATOMS or len(taken) < MIN_FRAMES:
                    taken.append(frame)
                    n_atoms += frame.n_atoms
    return taken


def _grouped(config_types: Sequence[str]) -> tuple[str, ...]:
    """Return the config_types with the rare ones taken together."""
    counts = Counter(config_types)
    rare = [name for name, count in counts.items() if count < MIN_FRAMES]
    together = ", ".join(rare)
    return tuple(together if name in rare else name for name in config_types)


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

    def nothing(record: logging.LogRecord) -> bool:
        return False

    logger = logging.getLogger(name)
    logger.addFilter(nothing)
    try:
        yield
    finally:
        logger.removeFilter(nothing)


def _misfit(
    frames: Sequence[Frame], predictions: Sequence[Prediction], sigma: SigmaConfig
) -> float:
    """Return how many times larger than sigma the errors of the fit are, at least 1."""
    energies, forces = [], []
    for frame, prediction in zip(frames, predictions, strict=True):
        assert frame.forces is not None
        assert prediction.forces is not None
        if frame.energy is not None:
            error = (prediction.energy - frame.energy) / np.sqrt(frame.n_atoms)
            energies.append(error / sigma.energy)
        forces.append(((prediction.forces - frame.forces) / sigma.forces).ravel())
    sizes = [
        np.sqrt(np.mean(np.square(e)))
        for e in (energies, np.concatenate(forces))
        if len(e)
    ]
    return float(max(1.0, *sizes))


def _diagonal_error(model: GAPModel, frames: Sequence[Frame]) -> float:
    """Return the standard deviation of the predicted mean diagonal, eV/atom.

    That of the posterior of the coefficients; a few frames stand for all.
    """
    from scipy.linalg import solve_triangular

    from gapfit.assembly import row_block

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
