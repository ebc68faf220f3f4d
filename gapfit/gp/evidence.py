"""Log marginal likelihood of deltas, powers and sigmas, and errors of held-out folds.

Both come from Gram matrices (`gapfit.gp.fold_grams`) at O(n_sparse³) for each trial.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import lapack
from scipy.linalg.blas import dsymv

from gapfit.gp.columns import Columns
from gapfit.gp.fold_grams import FoldGrams
from gapfit.gp.normal_equations import NormalEquations, solve_normal

__all__ = ["Evidence", "HeldOut", "Scales", "held_out", "log_evidence", "system"]

# Errors below this are zero, eV/Å over sigma.
_ZERO = 1e-12


@dataclass(frozen=True, eq=False)
class Scales:
    """Ratios of deltas and sigmas to those of the Gram matrices, and changes of powers.

    Attributes
    ----------
    delta : (n_terms,) float64
        By term.
    sigma : (n_groups,) float64
        By group, in the order of `FoldGrams.groups`.
    powers : mapping of int to float
        By term, added to the power by which its prior falls; 0 where absent.
    """

    delta: np.ndarray
    sigma: np.ndarray
    powers: Mapping[int, float] = field(default_factory=dict)

    def column_scale(self, columns: Columns) -> np.ndarray:
        """Return the factor of each sparse point, (n_sparse,)."""
        delta = columns.delta_scale(self.delta)
        return np.asarray(delta * columns.power_scale(self.powers))


@dataclass(frozen=True, eq=False)
class Evidence:
    """Log marginal likelihood and its gradient.

    Attributes
    ----------
    value : float
        log p(y).
    delta : (n_terms,) float64
        d/d log delta of each term.
    sigma : (n_groups,) float64
        d/d log sigma of each group.
    powers : dict of int to float
        d/d power of each term whose prior falls with a degree.
    """

    value: float
    delta: np.ndarray
    sigma: np.ndarray
    powers: dict[int, float]


def system(
    grams: Sequence[NormalEquations | None], scales: Scales, d: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return D Σ_g G_g/s_g² D (upper triangle) and D Σ_g b_g/s_g².

    Parameters
    ----------
    grams : sequence of (NormalEquations or None)
        One for each group.
    scales : Scales
        Ratios of deltas and sigmas.
    d : (n_sparse,) float64
        `Scales.column_scale`.
    """
    n = len(d)
    S, b = np.zeros((n, n), order="F"), np.zeros(n)
    for gram, factor in zip(grams, scales.sigma, strict=True):
        if gram is not None:
            S += gram.G / factor**2
            b += gram.b / factor**2
    S *= d[:, None]
    S *= d
    return S, b * d


def log_evidence(
    grams: Sequence[NormalEquations], columns: Columns, scales: Scales
) -> Evidence:
    """Return the log marginal likelihood under the subset-of-regressors prior.

    log p(y) = -½ (|ỹ|² - b^T B^-1 b + log|B| + n log 2π) - Σ log sigma with
    B = I + Φ^T Φ and b = Φ^T ỹ (Eq. 8; Quiñonero-Candela & Rasmussen, JMLR 6, 1939, 2005).

    Parameters
    ----------
    grams : sequence of NormalEquations
        One for each group.
    columns : Columns
        Columns of each term.
    scales : Scales
        Ratios of deltas and sigmas.

    Raises
    ------
    LostDigitsError
        B is not positive definite to working precision.
    """
    d = scales.column_scale(columns)
    B, b = system(grams, scales, d)
    B[np.diag_indices_from(B)] += 1.0
    solved = solve_normal(B, b)
    z, log_det = solved.z, solved.log_det
    # The factor has a positive diagonal: the inverse exists.
    inverse, _ = lapack.dpotri(solved.R, lower=0, overwrite_c=1)
    inverse = np.triu(inverse)
    determined = 1.0 - np.diag(inverse)  # diagonal of B^-1 Φ^T Φ
    gains = z**2 - determined  # d/d log of the scale of each column
    slopes = [gains[part].sum() for part in columns.terms]
    powers: dict[int, float] = {}
    for part in columns.falling:
        slope = gains[part.columns] @ part.slopes(scales.powers.get(part.term, 0.0))
        powers[part.term] = powers.get(part.term, 0.0) + float(slope)
    weights = 1.0 / scales.sigma**2
    misfit, n_rows, log_sigma = -float(solved.half @ solved.half), 0, 0.0
    changes = []
    scaled_inverse = inverse * d[:, None] * d
    diagonal = np.diag(scaled_inverse).copy()
    for gram, weight, factor in zip(grams, weights, scales.sigma, strict=True):
        misfit += weight * gram.square
        n_rows += gram.n_rows
        log_sigma += gram.log_sigma + gram.n_rows * float(np.log(factor))
        dz = d * z
        residual = gram.square - 2 * dz @ gram.b + dz @ dsymv(1.0, gram.G, dz)
        trace = 2 * np.vdot(scaled_inverse, gram.G) - diagonal @ np.diag(gram.G)
        changes.append(weight * (residual + trace) - gram.n_rows)
    value = -0.5 * (misfit + log_det + n_rows * np.log(2 * np.pi)) - log_sigma
    return Evidence(float(value), np.array(slopes), np.array(changes), powers)


@dataclass(frozen=True)
class HeldOut:
    """Errors of held-out frames, predicted by the fit without them.

    Frames that bring their own sigmas are weighted by the ratio of the global sigma to
    theirs. NaN where there are no targets.

    Attributes
    ----------
    energy_mae, energy_rmse : float
        Errors of energies, eV per atom.
    forces_rmse : float
        Error of force components, eV/Å.
    virial_rmse : float
        Error of components of the virial, eV per atom (over sqrt(n_atoms), as their
        sigma).
    forces_typical : float
        Geometric mean over the folds of the error of force components, eV/Å: one fold
        with frames unlike all others does not decide it.
    """

    energy_mae: float
    energy_rmse: float
    forces_rmse: float
    virial_rmse: float
    forces_typical: float = np.nan


def held_out(
    grams: FoldGrams, totals: Sequence[NormalEquations], scales: Scales
) -> HeldOut:
    """Fit without each fold in turn and return the errors of its frames.

    Parameters
    ----------
    grams : FoldGrams
        All groups, by fold.
    totals : sequence of NormalEquations
        Their `FoldGrams.totals`.
    scales : Scales
        Ratios of deltas and sigmas.

    Raises
    ------
    LostDigitsError
        The systems are not positive definite to working precision.
    """
    d = scales.column_scale(grams.columns)
    S, b = system(totals, scales, d)
    S[np.diag_indices_from(S)] += 1.0
    energies = [np.zeros(0)]
    kinds = ("forces", "virial")
    squares, counts = (np.zeros((len(kinds), len(grams.folds))) for _ in range(2))
    for n, fold in enumerate(grams.folds):
        fold_sums = grams.of_fold(fold)
        S_fold, b_fold = system(fold_sums, scales, d)
        z = d * solve_normal(S - S_fold, b - b_fold).z
        energies.extend(
            (rows.phi @ z - rows.y) / np.sqrt(rows.n_atoms)
            for rows in grams.energies.get(fold, [])
        )
        for (kind, _), gram in zip(grams.groups, fold_sums, strict=True):
            if gram is not None and kind in kinds:
                residual = gram.square - 2 * z @ gram.b + z @ dsymv(1.0, gram.G, z)
                squares[kinds.index(kind), n] += max(float(residual), 0.0)
                counts[kinds.index(kind), n] += gram.n_rows
    errors = grams.sigmas["energy"] * np.concatenate(energies)
    forces, virial = (
        grams.sigmas[kind] * _rmse(square.sum(), count.sum())
        for kind, square, count in zip(kinds, squares, counts, strict=True)
    )
    by_fold = _rmse(squares[0], counts[0])[counts[0] > 0]
    typical = (
        np.exp(np.log(np.maximum(by_fold, _ZERO)).mean()) if len(by_fold) else np.nan
    )
    return HeldOut(
        float(np.abs(errors).mean()) if len(errors) else np.nan,
        float(np.sqrt((errors**2).mean())) if len(errors) else np.nan,
        float(forces),
        float(virial),
        float(grams.sigmas["forces"] * typical),
    )


def _rmse(square: np.ndarray, n_rows: np.ndarray) -> np.ndarray:
    """Return root mean squares; NaN without rows."""
    return np.sqrt(square / np.where(n_rows > 0, n_rows, np.nan))
