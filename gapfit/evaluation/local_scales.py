"""The local scale of a model, from the force errors of structures left out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import eigh

from gapfit.data.frame import Frame
from gapfit.data.neighbours import pairs_of
from gapfit.data.observations import labelled_forces
from gapfit.evaluation.residuals import Residuals
from gapfit.model.local_scale import LocalLine, LocalScale
from gapfit.model.scales import Scale
from gapfit.model.terms import FittedTerm

__all__ = ["INDEPENDENT", "fitted_local_scale", "local_scale_nbytes"]

#: Force components of a structure are not independent: for a scale of all of them they
#: count as this many.
INDEPENDENT = 15
# Here environments differ within a structure, and more of its components tell something.
_WITHIN = 150
# Fewer structures say too little about single environments.
_LEAST_STRUCTURES = 10
# Directions in which environments vary most, at most so many, and one for so many force
# components; and environments that they are found from.
_DIRECTIONS, _COMPONENTS_EACH, _ENVIRONMENTS = 32, 60, 1000
# Of the prior of the factors of directions of unit variance, N(0, 1 / ridge).
_RIDGE = 10.0
# Spread of unit vectors along a direction that may be the last digits of the positions.
_SAME = 1e-6
# Length along a direction, over the largest, that products of the environments still see.
_LOST = 1e-6
# Limits of log s: a share of the environments either way, and a number.
_TAIL, _LARGEST = 0.005, 1.5


def fitted_local_scale(
    terms: Sequence[FittedTerm],
    structures: Sequence[tuple[Frame, Residuals]],
    scale: Scale,
) -> LocalScale | None:
    """Return the local scale under which errors of forces are most likely.

    They are taken to be normal with the standard deviation of `scale` times s.

    Parameters
    ----------
    terms : sequence of FittedTerm
        Of the model; the environments are those of the first SOAP term.
    structures : sequence of (Frame, Residuals)
        Structures, and the residuals of their forces that have labels.
    scale : Scale
        That of forces.

    Returns
    -------
    LocalScale or None
        None without a SOAP term, without a tilt, or from fewer than 10 structures.
    """
    number = next((n for n, t in enumerate(terms) if t.descriptor.unit_vectors), None)
    few = len(structures) < _LEAST_STRUCTURES
    if number is None or scale.tilt is None or few:
        return None
    values: dict[int, list[np.ndarray]] = {}
    sums: dict[int, list[np.ndarray]] = {}
    descriptor = terms[number].descriptor
    for frame, part in structures:
        squares = _squares(frame, part, scale)
        found = descriptor.environments(pairs_of([frame], descriptor.cutoff))
        for species, environments in found.items():
            own = squares[environments.atoms]
            n_components = own[:, 1].sum()
            if n_components:
                weight = min(1.0, _WITHIN / n_components)
                values.setdefault(species, []).append(environments.values)
                sums.setdefault(species, []).append(weight * own)
    lines = {
        species: _line(parts, np.concatenate(sums[species]))
        for species, parts in values.items()
    }
    return LocalScale(number, lines) if lines else None


def _squares(frame: Frame, forces: Residuals, scale: Scale) -> np.ndarray:
    """Return sum of squares of error / std, and number of components, by atom, (n, 2)."""
    z = forces.error / scale.std(forces.std)
    atoms = np.flatnonzero(labelled_forces(frame)) // 3
    parts = np.stack([z**2, np.ones_like(z)]) * forces.informative
    return np.stack([np.bincount(atoms, own, frame.n_atoms) for own in parts], axis=1)


def local_scale_nbytes(n_atoms: int, n_features: int) -> int:
    """Return the memory for a local scale from environments of one species, bytes.

    Parameters
    ----------
    n_atoms : int
        Environments.
    n_features : int
        Their length.
    """
    sample = min(n_atoms, _ENVIRONMENTS)
    # Beside all of them a sample, and the products of its rows with LAPACK's copies.
    return 8 * n_features * (n_atoms + sample) + 8 * 4 * sample**2


def _line(parts: Sequence[np.ndarray], sums: np.ndarray) -> LocalLine:
    """Return the line of one species.

    Parameters
    ----------
    parts : sequence of (k, n_features) float64
        Environments, those of all parts n. They are not joined: wide ones of the
        observations of a calibration take hundreds of MB.
    sums : (n, 2) float64
        Weighted sum of squares of error / std, and number of components, of each atom.
    """
    from scipy.optimize import minimize

    n_directions = min(_DIRECTIONS, 1 + int(sums[:, 1].sum()) // _COMPONENTS_EACH)
    mean, directions = _directions(parts, n_directions)
    A = np.concatenate([part @ directions for part in parts]) - mean @ directions
    spread = A.std(axis=0)
    varies = spread > _SAME
    directions = directions[:, varies] / spread[varies]
    A = A[:, varies] / spread[varies]
    squares, counts = sums.T

    def loss(p: np.ndarray) -> tuple[float, np.ndarray]:
        logs = p[0] + A @ p[1:]
        scaled = squares * np.exp(-2 * logs)
        value = float(0.5 * scaled.sum() + counts @ logs + 0.5 * _RIDGE * p[1:] @ p[1:])
        slope = counts - scaled
        return value, np.concatenate([[slope.sum()], slope @ A + _RIDGE * p[1:]])

    def curvature(p: np.ndarray) -> np.ndarray:
        scaled = 2 * squares * np.exp(-2 * (p[0] + A @ p[1:]))
        H: np.ndarray = np.empty((len(p), len(p)))
        H[0, 0], H[0, 1:] = scaled.sum(), scaled @ A
        H[1:, 0] = H[0, 1:]
        H[1:, 1:] = A.T @ (scaled[:, None] * A) + _RIDGE * np.eye(len(p) - 1)
        return H

    start = np.zeros(1 + A.shape[1])
    options = {"gtol": 1e-6 * counts.sum(), "maxiter": 100}
    found = minimize(
        loss, start, jac=True, hess=curvature, method="trust-exact", options=options
    )
    # Values of the loss have no more digits; its slope has, and fits of the same data
    # have the same bars.
    p = found.x - np.linalg.lstsq(curvature(found.x), found.jac)[0]
    logs = p[0] + A @ p[1:]
    least, most = np.clip(np.quantile(logs, [_TAIL, 1 - _TAIL]), -_LARGEST, _LARGEST)
    vector = directions @ p[1:]
    return LocalLine(vector, float(p[0] - mean @ vector), float(least), float(most))


def _directions(parts: Sequence[np.ndarray], n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean, and directions of largest variance, (n_features, up to n)."""
    n_values = sum(map(len, parts))
    mean = np.sum([part.sum(axis=0) for part in parts], axis=0) / n_values
    at = np.linspace(0, n_values - 1, min(n_values, _ENVIRONMENTS)).astype(int)
    sample = _rows_at(parts, at)
    sample -= mean
    # Products of few rows take a fraction of the time and memory of a decomposition.
    last = len(sample) - 1
    first = max(len(sample) - n, 0)
    _, own = eigh(sample @ sample.T, subset_by_index=[first, last], overwrite_a=True)
    vectors = sample.T @ own[:, ::-1]
    norms = np.linalg.norm(vectors, axis=0)
    # Products have lost the smaller directions.
    kept = norms > _LOST * norms.max(initial=0.0)
    return mean, vectors[:, kept] / norms[kept]


def _rows_at(parts: Sequence[np.ndarray], at: np.ndarray) -> np.ndarray:
    """Return rows of parts that are not joined, at ascending positions in all of them."""
    ends = np.cumsum([len(part) for part in parts])
    cuts = np.searchsorted(at, ends)
    starts = ends - [len(part) for part in parts]
    return np.concatenate(
        [
            part[own - start]
            for part, start, own in zip(
                parts, starts, np.split(at, cuts[:-1]), strict=True
            )
        ]
    )
