"""How much the rounding of 16 digits changes what a model gives for its own data.

Two estimates, the larger counts. Rounding of all numbers that are summed up,
eps Σ_j |column j of R| (|U| |c|)_j, is carried through R (column-wise backward errors, see
Higham, Accuracy and Stability of Numerical Algorithms, 2002, chapter 20). Normal equations
lose more where sigmas differ much: the next step of iterative refinement shows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from gapfit.config import FitConfig, SigmaOverride
from gapfit.errors import GapfitError
from gapfit.groups import OWN, POOL, Group
from gapfit.solver import Whitening
from gapfit.sums import Gram, Triangle

__all__ = ["ROUNDED", "Loss", "Rounding", "rounding_of", "rounding_warning"]

#: How the warning begins.
ROUNDED = "rounding changes "
#: Share of the fitted values that may be rounding; ordinary fits have 1e-9.
TOLERANCE = 1e-4
#: The same of energies of atoms, eV.
LOCAL_TOLERANCE = 1e-3

_EPS = 2.0**-53
_ROWS = 256
_UNITS = {"energy": "eV", "forces": "eV/Å", "virial": "eV"}
_SIGMA_UNITS = {"energy": "eV/atom", "forces": "eV/Å", "virial": "eV/atom"}
_NAMES = {"energy": "energies", "forces": "forces", "virial": "virials"}
_OWN_LABELS = {
    "energy": "energy_sigma",
    "forces": "force_sigma",
    "virial": "virial_sigma",
}
# Deltas and ratios of targets to sigmas that ordinary fits have.
_ORDINARY_DELTA, _ORDINARY_RATIO = 10.0, 1e4


@dataclass(frozen=True)
class Loss:
    """Rounding in the fitted values of one group of observations.

    Attributes
    ----------
    change : float
        Root of the mean square, eV or eV/Å.
    size : float
        The same of the targets.
    sigma : float
        Their standard deviation, the geometric mean.
    """

    change: float
    size: float
    sigma: float

    @property
    def share(self) -> float:
        """Rounding relative to the targets; to 1 eV or 1 eV/Å where they are smaller."""
        return self.change / max(self.size, 1.0)


@dataclass(frozen=True)
class Rounding:
    """Rounding in what a model gives.

    Attributes
    ----------
    groups : mapping of Group to Loss
        In what was fitted.
    local : float
        In the energies of atoms at the sparse points, root of the mean square, eV: what
        few data settle is not in them, but in these.
    """

    groups: Mapping[Group, Loss]
    local: float

    @property
    def worst(self) -> Group | None:
        """The group with the largest share of rounding; None without observations."""
        return max(self.groups, key=lambda own: self.groups[own].share, default=None)


def rounding_of(
    whitening: Whitening,
    R: np.ndarray,
    coefficients: np.ndarray,
    groups: Mapping[Group, Gram | Triangle],
) -> Rounding:
    """Return what rounding changes in the values that a model gives.

    Parameters
    ----------
    whitening : Whitening
        Factors U of K_mm + jitter.
    R : (n_sparse, n_sparse) float64
        Upper factor of I + Φ^T Φ.
    coefficients : (n_sparse,) float64
        The solution c.
    groups : mapping of Group to Gram or Triangle
        Sums over the rows that were fitted.
    """
    changes = [_of_sums(whitening, R, coefficients)]
    grams = [sums for sums in groups.values() if isinstance(sums, Gram)]
    if grams:
        changes.append(_of_refinement(whitening.redo(coefficients), R, grams))
    found = {}
    for group, sums in groups.items():
        # A Triangle has rows that are not whitened.
        lengths = [
            sums.length(dz if isinstance(sums, Gram) else whitening.undo(dz))
            for dz in changes
        ]
        sigma = float(np.exp(sums.log_sigma / sums.n_rows))
        scale = sigma / np.sqrt(sums.n_rows)
        size = float(scale * np.sqrt(sums.square))
        found[group] = Loss(float(scale * max(lengths)), size, sigma)
    local = max(float(np.linalg.norm(whitening.at_points(dz))) for dz in changes)
    return Rounding(found, float(local / np.sqrt(max(len(coefficients), 1))))


def _of_sums(whitening: Whitening, R: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Return a change of U c that rounding of the rows may cause, (n_sparse,)."""
    sizes = [
        np.abs(U[first : first + _ROWS]) @ np.abs(c[block])
        for U, block in zip(whitening.factors, whitening.blocks, strict=True)
        for first in range(0, len(U), _ROWS)
    ]
    columns = np.sqrt(np.einsum("ij,ij->j", R, R))
    errors = np.random.default_rng(0).normal(size=len(c)) / np.sqrt(len(c))
    errors *= _EPS * float(columns @ np.concatenate(sizes))
    return np.asarray(solve_triangular(R, errors, check_finite=False))


def _of_refinement(z: np.ndarray, R: np.ndarray, grams: Sequence[Gram]) -> np.ndarray:
    """Return the step of iterative refinement of the normal equations, (n_sparse,)."""
    left = -z
    for gram in grams:
        left += gram.b - gram.times(z)
    half = solve_triangular(R, left, trans="T", check_finite=False)
    return np.asarray(solve_triangular(R, half, check_finite=False))


def rounding_warning(found: Rounding, config: FitConfig) -> str | None:
    """Return what to say of a fit that rounding spoils, and what to change; else None.

    Parameters
    ----------
    found : Rounding
        Of the fit.
    config : FitConfig
        Its sigmas and deltas.

    Raises
    ------
    GapfitError
        Rounding is as large as the fitted values.
    """
    worst = found.worst
    if worst is None:
        return None
    kind, own = worst[0], found.groups[worst]
    if own.share > TOLERANCE:
        values = (
            f"the fitted {_NAMES.get(kind, 'values')} by about {own.change:.1g} "
            f"{_UNITS.get(kind, 'of their units')}, {own.share:.1g} of their size"
        )
    elif found.local > LOCAL_TOLERANCE:
        values = f"the energies of atoms by about {found.local:.1g} eV"
    else:
        return None
    text = f"{ROUNDED}{values}: {_remedy(found.groups, config)}"
    if own.share >= 1.0:
        raise GapfitError(f"nothing is left of this fit, for {text}")
    return text


def _remedy(groups: Mapping[Group, Loss], config: FitConfig) -> str:
    """Return which delta or sigma is the most unusual, and what to do about it."""
    deltas = [term.delta for term in config.terms]
    number = int(np.argmax(deltas))
    narrow = max(groups, key=lambda group: groups[group].size / groups[group].sigma)
    ratio = groups[narrow].size / groups[narrow].sigma
    large = deltas[number] / _ORDINARY_DELTA > ratio / _ORDINARY_RATIO
    text, advice = (
        f"{_sigma(narrow, groups, config)} is too small for 16 digits",
        "larger",
    )
    if large:
        advice = "smaller"
        text = (
            f"delta = {deltas[number]:g} eV of [[terms]] {number + 1} is too large for the "
            "sigmas and 16 digits"
        )
    advice = f"give a {advice} one"
    if config.solver.method == "cholesky":
        advice += ', or solver.method = "qr", which loses fewer digits'
    return f"{text}; {advice}"


def _sigma(group: Group, groups: Mapping[Group, Loss], config: FitConfig) -> str:
    kind, name = group
    if kind not in _UNITS:
        return "a sigma"
    if name == OWN:
        return f"{_OWN_LABELS[kind]} of frames, {groups[group].sigma:.2g} on average,"
    override = config.sigma.config_types.get(name, SigmaOverride())
    own = getattr(override, kind) if name != POOL else None
    value = getattr(config.sigma, kind) if own is None else own
    place = "sigma" if own is None else f"sigma.config_types.{name}"
    return f"{place}.{kind} = {value:g} {_SIGMA_UNITS[kind]}"
