"""Energies of some frames compared with those of frames like them.

Frames computed with other settings have energies that differ from all others by a constant
per atom, and forces that do not. A model that fits a kind of structure badly makes errors
that look alike, but those frames are far from the others. So a shift is one that frames
share whose neighbours, as near to them as to each other, do not have it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from gapfit.data.frame import Frame
from gapfit.data.isolated import is_isolated
from gapfit.data.places import list_places
from gapfit.fitting.quick_fit import MIN_FRAMES, QuickFit

__all__ = ["shift_warnings"]

#: Noise of the quick fit, relative to the spread of energies and the size of forces.
_NOISE_ENERGY, _NOISE_FORCES = 0.01, 0.05
#: Prior of a constant per species, eV: energies of isolated atoms may be of least squares.
_CONSTANT = 10.0
#: Fits that weigh energies by their errors; errors of this many scatters count little.
_ROUNDS, _DOUBTFUL = 5, 3.0
#: Errors beyond this many scatters of their config_type are looked at.
_SUSPECT = 5.0
#: Sound frames around a suspect that give the scatter; the nearest of them the energy.
_AROUND, _NEAREST = 10, 3
#: Scatters, times the distance relative to that between sound frames, that prove a shift.
_PROVEN = 6.0
#: A shift has more frames than this number and this share of all frames, or the second
#: share where many are shifted, and at least the last of the frames that seem shifted.
_FEW, _FEW_SHARE, _MANY, _MOST = 3, 0.025, 0.15, 0.6
#: Shifts of frames that belong together differ by this many scatters, or this share.
_ALIKE, _ALIKE_SHARE = 2.0, 0.1
#: Least scatter and least shift, eV/atom.
_LEAST_SCATTER, _LEAST_SHIFT = 0.001, 0.01


def shift_warnings(fit: QuickFit) -> list[str]:
    """Return a warning about frames whose energies are shifted by a constant per atom.

    Parameters
    ----------
    fit : QuickFit
        Of frames whose forces do not contradict the energies.
    """
    energies = _energies(fit)
    if fit.forces_rms == 0 or len(energies.frames) < MIN_FRAMES + _AROUND:
        return []
    errors = _left_out(fit, energies)
    for suspects, share in ((_far_from_its_kind, _FEW_SHARE), (_smaller_half, _MANY)):
        shifts = _shifts(energies, *suspects(energies, errors))
        few = max(_FEW, share * len(energies.frames))
        if text := _warning(energies, shifts, few):
            return [text]
    return []


@dataclass(frozen=True, eq=False)
class _Energies:
    """Energies to compare.

    Attributes
    ----------
    frames : tuple of Frame
        All but isolated atoms.
    features : (n_frames, n_features) float64
        Whitened kernel rows and composition, eV/atom.
    labels : (n_frames,) float64
        Without isolated atoms, eV/atom.
    """

    frames: tuple[Frame, ...]
    features: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, eq=False)
class _Shifts:
    """Suspects against sound frames around them.

    Attributes
    ----------
    suspects : (n_suspects,) int64
        Their indices among the frames.
    size, scatter : (n_suspects,) float64
        Error of the energy beyond that of the nearest sound frames; scatter of errors of
        sound frames there, eV/atom.
    distance : (n_suspects,) float64
        Distance to the nearest sound frame, relative to that between sound frames; at
        least 1.
    """

    suspects: np.ndarray
    size: np.ndarray
    scatter: np.ndarray
    distance: np.ndarray


def _energies(fit: QuickFit) -> _Energies:
    rows = fit.energy_rows()
    kept = [n for n, frame in enumerate(rows.frames) if not is_isolated(frame)]
    frames = tuple(rows.frames[n] for n in kept)
    species = sorted({z for frame in frames for z in frame.numbers.tolist()})
    counts = [(f.numbers == z).sum() for f in frames for z in species]
    composition = np.reshape(counts, (len(frames), len(species)))
    sizes = np.array([frame.n_atoms for frame in frames], dtype=np.float64)
    features = np.hstack([rows.K[kept], _CONSTANT * composition])
    return _Energies(frames, features / sizes[:, None], rows.y[kept] / sizes)


def _left_out(fit: QuickFit, energies: _Energies) -> np.ndarray:
    """Return errors of energies, each by a fit to all forces and all other energies.

    Energies with large errors count less and less, so that they do not bend the fit.

    Returns
    -------
    (n_frames,) float64
        Label minus prediction, eV/atom.
    """
    X, y = energies.features, energies.labels
    sigma = max(_NOISE_ENERGY * _scatter(y), _NOISE_ENERGY * _LEAST_SCATTER)
    F, f = (part / (_NOISE_FORCES * fit.forces_rms) for part in fit.force_rows())
    n_sparse = F.shape[1]
    precision = np.eye(X.shape[1])
    precision[:n_sparse, :n_sparse] += F.T @ F
    target = np.zeros(X.shape[1])
    target[:n_sparse] = F.T @ f
    weights = np.full(len(y), 1 / sigma**2)
    errors = np.zeros(len(y))
    for _ in range(_ROUNDS):
        weighted = X * weights[:, None]
        factor = cho_factor(precision + weighted.T @ X)
        leverage = np.sum(weighted * cho_solve(factor, X.T).T, axis=1)
        fitted = X @ cho_solve(factor, target + weighted.T @ y)
        errors = (y - fitted) / (1 - leverage)
        doubts = errors / (_DOUBTFUL * max(_scatter(errors), _LEAST_SCATTER / 100))
        weights = 1 / (sigma * (1 + doubts**2)) ** 2
    return errors


def _far_from_its_kind(
    energies: _Energies, errors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return errors without the median of their config_type, and who is suspect.

    A config_type as a whole proves nothing: the quick fit may be worse for it.
    """
    names = np.array([frame.config_type for frame in energies.frames])
    centred = errors - np.median(errors)
    scatter = np.full(len(errors), _scatter(errors))
    for name, count in Counter(names.tolist()).items():
        if count > MIN_FRAMES:
            members = names == name
            centred[members] = errors[members] - np.median(errors[members])
            scatter[members] = _scatter(errors[members])
    return centred, np.abs(centred) > _SUSPECT * np.maximum(scatter, _LEAST_SCATTER)


def _smaller_half(
    energies: _Energies, errors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return errors without the median of the larger part, and who is of the smaller.

    A shift of half of the frames makes no frame unusual. So errors are divided where
    their variance within the two parts is least.
    """
    order = np.sort(errors)
    n = np.arange(1, len(order))
    sums = np.cumsum(order)
    left, right = sums[:-1] / n, (sums[-1] - sums[:-1]) / (len(order) - n)
    best = int(np.argmax(n * (len(order) - n) * (right - left) ** 2))
    smaller = errors > order[best]
    if smaller.sum() > len(errors) / 2:
        smaller = ~smaller
    return errors - np.median(errors[~smaller]), smaller


def _shifts(energies: _Energies, errors: np.ndarray, suspect: np.ndarray) -> _Shifts:
    """Compare suspects with the sound frames around them."""
    suspects, sound = np.flatnonzero(suspect), np.flatnonzero(~suspect)
    if len(sound) <= _AROUND:
        suspects = suspects[:0]
    X = energies.features
    spacing = _distances(X[sound], X[sound])
    np.fill_diagonal(spacing, np.inf)
    nearest = spacing.min(axis=1, initial=np.inf)
    away = _distances(X[suspects], X[sound])
    around = np.argsort(away, axis=1)[:, :_AROUND]
    errors_around = errors[sound][around]
    usual = np.median(errors_around[:, :_NEAREST], axis=1)
    middle = np.median(errors_around, axis=1, keepdims=True)
    scatter = 1.4826 * np.median(np.abs(errors_around - middle), axis=1)
    # Duplicates have no distance; they are no measure of how near frames are.
    usual_distance = np.maximum(np.median(nearest[around], axis=1), 1e-12)
    return _Shifts(
        suspects,
        errors[suspects] - usual,
        np.maximum(scatter, _LEAST_SCATTER),
        np.maximum(away.min(axis=1, initial=np.inf) / usual_distance, 1.0),
    )


def _warning(energies: _Energies, shifts: _Shifts, few: float) -> str:
    """Return a warning about a proven shift of more than a few frames; empty without."""
    proven = np.abs(shifts.size) > _PROVEN * shifts.scatter * shifts.distance
    members = _largest_group(shifts, proven)
    if members.sum() <= few or members.sum() < _MOST * proven.sum():
        return ""
    size = float(np.median(shifts.size[members]))
    return _text(energies, shifts, members, size) if abs(size) >= _LEAST_SHIFT else ""


def _largest_group(shifts: _Shifts, proven: np.ndarray) -> np.ndarray:
    """Return which of the proven shifts are alike, (n_suspects,) bool: the most."""
    best = np.zeros(len(proven), dtype=bool)
    if not proven.any():
        return best
    scatter = np.median(shifts.scatter[proven])
    for size in shifts.size[proven]:
        tolerance = max(_ALIKE * scatter, _ALIKE_SHARE * abs(size))
        alike = proven & (np.abs(shifts.size - size) < tolerance)
        if alike.sum() > best.sum():
            best = alike
    return best


def _text(
    energies: _Energies, shifts: _Shifts, members: np.ndarray, size: float
) -> str:
    scatter = float(np.median(shifts.scatter[members]))
    # The frames that suspects are compared with have errors, too.
    error = np.hypot(
        _scatter(shifts.size[members]) / np.sqrt(members.sum()),
        scatter / np.sqrt(_NEAREST),
    )
    order = [int(n) for n in shifts.suspects[members]]
    order.sort(key=lambda n: _place(energies.frames[n]))
    return (
        f"the energies of {members.sum()} of {len(energies.frames)} frames compared are "
        f"shifted by {size:+.3f} ± {error:.3f} eV/atom against frames like them, and their "
        f"forces do not explain it ({list_places(energies.frames, order)}): they look "
        "computed with other settings (cutoff, k-points, functional, pseudopotential); "
        "there may be more among the frames not compared: find the calculations they come "
        "from, and compute them again like the rest or leave them out"
    )


def _place(frame: Frame) -> tuple[str, int, str]:
    """Return a key that sorts frames by file and number."""
    file, _, number = frame.source.rpartition("frame ")
    return (file, int(number), "") if number.isdecimal() else (frame.source, 0, number)


def _distances(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """Return distances between rows, (n_X, n_Y)."""
    squares = np.sum(X**2, axis=1)[:, None] + np.sum(Y**2, axis=1) - 2 * X @ Y.T
    return np.sqrt(np.maximum(squares, 0.0))


def _scatter(values: np.ndarray) -> float:
    """Return the robust standard deviation, by the median absolute deviation."""
    return float(1.4826 * np.median(np.abs(values - np.median(values))))
