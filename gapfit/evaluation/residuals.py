"""Errors of a model and the standard deviations predicted for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular

from gapfit._support.resources import release_freed
from gapfit.data.frame import Frame
from gapfit.data.observations import Quantity, row_counts
from gapfit.errors import LeftOutError
from gapfit.gp.observations import RowBlock
from gapfit.model.gap_model import GAPModel
from gapfit.model.local_scale import log_of_labels
from gapfit.model.rows import row_block
from gapfit.model.terms import coefficient_vector
from gapfit.threads import side_by_side

__all__ = [
    "Residuals",
    "at_once",
    "left_out_residuals",
    "of_each",
    "predicted_residuals",
    "residuals_nbytes",
]

# Standard deviations below this share of the noise are zero by symmetry, up to the digits
# of the positions: 1e-5 in published sets, where others begin at 1e-3.
_ZERO = 1e-4
# Largest variance over sigma² of a structure left out: beyond this the leave-one-out
# variance is rounding error.
_MOST = 1e10
# Share of the memory that the matrices of all threads may take.
_SHARE = 0.5


@dataclass(frozen=True, eq=False)
class Residuals:
    """Errors of one quantity of one structure.

    Attributes
    ----------
    quantity : Quantity
        Observed quantity.
    config_type : str
        Kind of structure.
    n_atoms : int
        Atoms of the structure.
    volume : float
        Volume of its cell, Å³; 0 without one.
    error : (n,) float64
        Prediction minus reference: total energy (eV), force components (eV/Å), or
        components of the virial (eV).
    std : (n,) float64
        Standard deviation of the function (subset of regressors), not calibrated.
    sigma : (n,) float64
        Noise of the observations in the fit.
    local : (n,) float64 or float
        log of the local scale that the model is calibrated with; 0 without one.
    """

    quantity: Quantity
    config_type: str
    n_atoms: int
    volume: float
    error: np.ndarray
    std: np.ndarray
    sigma: np.ndarray
    local: np.ndarray | float = 0.0

    @property
    def informative(self) -> np.ndarray:
        """Whether each is not zero by symmetry, whatever the potential, (n,) bool."""
        return self.std > _ZERO * self.sigma

    @property
    def root(self) -> float:
        """sqrt(n_atoms) for energies and virials, 1 for forces: see `Scale`."""
        return 1.0 if self.quantity is Quantity.FORCES else float(np.sqrt(self.n_atoms))


def of_each(
    residuals_of: Callable[[GAPModel, Frame], Iterator[Residuals]],
    model: GAPModel,
    frames: Sequence[Frame],
) -> Iterator[list[Residuals] | LeftOutError]:
    """Yield the residuals of each structure, or why it could not be left out.

    Structures are looked at side by side, each on one thread: the same on any machine.

    Parameters
    ----------
    residuals_of : callable
        `left_out_residuals` or `predicted_residuals`.
    model : GAPModel
        With its posterior.
    frames : sequence of Frame
        As `residuals_of` takes them.
    """

    def attempt(frame: Frame) -> list[Residuals] | LeftOutError:
        try:
            return list(residuals_of(model, frame))
        except LeftOutError as error:
            return error
        finally:
            release_freed()

    largest = int(row_counts(frames).sum(axis=1).max(initial=1))
    n_sparse = len(coefficient_vector(model.terms))
    most = at_once(largest, n_sparse, model.config.run.memory_bytes)
    return side_by_side(attempt, frames, most)


def at_once(n_rows: int, n_sparse: int, granted: int) -> int:
    """Return how many structures are looked at side by side at most, where memory allows.

    Parameters
    ----------
    n_rows : int
        Observations of the largest structure.
    n_sparse : int
        Sparse points of all terms.
    granted : int
        ``run.memory``, bytes.
    """
    return int(_SHARE * granted / max(residuals_nbytes(n_rows, n_sparse), 1))


def residuals_nbytes(n_rows: int, n_sparse: int) -> int:
    """Return the memory of the matrices for the residuals of one structure, bytes.

    Parameters
    ----------
    n_rows : int
        Observations of the structure.
    n_sparse : int
        Sparse points of all terms.
    """
    rows, square = n_rows * n_sparse, min(n_rows, n_sparse) ** 2
    # Rows are made of those of each term. Later there are three smaller matrices.
    return 8 * (rows + max(rows, 3 * square))


def left_out_residuals(model: GAPModel, frame: Frame) -> Iterator[Residuals]:
    """Yield the residuals of a training structure for the fit without it.

    With the rows φ of a structure, whitened and over sigma, and the factor R of
    B = I + Φ^T Φ, H = φ B^-1 φ^T (Eq. 12): the residuals of the fit without them are
    (I - H)^-1 r, their variances the diagonal of (I - H)^-1 H, both in units of sigma.
    They are those of a real refit with the same sparse points.

    Parameters
    ----------
    model : GAPModel
        With its posterior.
    frame : Frame
        As it was fitted: without the baseline, with automatic sigmas.

    Raises
    ------
    LeftOutError
        The sigmas are so small, compared with the uncertainty without the structure,
        that rounding decides.
    """
    assert model.posterior is not None
    block = row_block([frame], model.terms, model.e0, model.config.sigma)
    if not len(block.y):
        return
    misfit = (block.y - block.K @ coefficient_vector(model.terms)) / block.sigma
    phi = block.K
    phi /= block.sigma[:, None]
    phi = model.posterior.whitening.apply(phi, overwrite=True)
    try:
        if len(phi) <= phi.shape[1]:
            residual, variance = _from_rows(model.posterior.R, phi, misfit)
        else:
            residual, variance = _from_factor(model, phi, block.y / block.sigma)
    except LinAlgError:
        residual, variance = np.zeros(0), np.array([np.inf])
    if variance.max() > _MOST:
        raise LeftOutError(
            f"{frame.source}: its sigmas are so small that the fit without it is lost in "
            "rounding, or it was not fitted; raise [sigma], or calibrate on structures "
            "that were not fitted"
        )
    error, std = -residual * block.sigma, np.sqrt(variance) * block.sigma
    yield from _by_quantity(model, frame, block, error, std)


def _from_rows(
    R: np.ndarray, phi: np.ndarray, misfit: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return residuals and variances over sigma from matrices of the size of the rows.

    Parameters
    ----------
    R : (n_sparse, n_sparse) float64
        Factor of the fit.
    phi : (n_rows, n_sparse) float64
        φ of the structure, which is overwritten.
    misfit : (n_rows,) float64
        Residuals of the fit with the structure, over sigma.
    """
    V = solve_triangular(R, phi.T, trans="T", check_finite=False, overwrite_b=True)
    H = V.T @ V
    factor = cholesky(np.eye(len(H)) - H, overwrite_a=True, check_finite=False)
    both = np.empty((len(H), len(H) + 1), order="F")
    both[:, :-1], both[:, -1] = H, misfit
    both = cho_solve((factor, False), both, overwrite_b=True)
    return both[:, -1], np.maximum(np.diag(both), 0.0)


def _from_factor(
    model: GAPModel, phi: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the same from matrices of the size of the sparse points, for many rows.

    Parameters
    ----------
    model : GAPModel
        The fit with the structure.
    phi : (n_rows, n_sparse) float64
        φ of the structure, which is overwritten.
    target : (n_rows,) float64
        Observations over sigma.
    """
    assert model.posterior is not None
    R = model.posterior.R
    z = model.posterior.whitening.redo(coefficient_vector(model.terms))
    B = R.T @ R
    B -= phi.T @ phi
    without = cholesky(B, overwrite_a=True, check_finite=False)
    z = cho_solve((without, False), R.T @ (R @ z) - phi.T @ target)
    residual = target - phi @ z
    V = solve_triangular(
        without, phi.T, trans="T", check_finite=False, overwrite_b=True
    )
    return residual, np.einsum("mn,mn->n", V, V)


def predicted_residuals(model: GAPModel, frame: Frame) -> Iterator[Residuals]:
    """Yield the residuals of a structure that was not fitted.

    Parameters
    ----------
    model : GAPModel
        With its posterior.
    frame : Frame
        Without the baseline.
    """
    assert model.posterior is not None
    block = row_block([frame], model.terms, model.e0, model.config.sigma)
    if not len(block.y):
        return
    variance, _ = model.posterior.variance(block.K)
    error = block.K @ coefficient_vector(model.terms) - block.y
    yield from _by_quantity(model, frame, block, error, np.sqrt(variance))


def _by_quantity(
    model: GAPModel, frame: Frame, block: RowBlock, error: np.ndarray, std: np.ndarray
) -> Iterator[Residuals]:
    scale = model.calibration.local if model.calibration else None
    logs = scale.of(model.terms, [frame]) if scale else None
    for quantity in Quantity:
        rows = block.kind == quantity.position
        if rows.any():
            local = 0.0 if logs is None else log_of_labels(logs, frame, quantity)
            yield Residuals(
                quantity,
                frame.config_type,
                frame.n_atoms,
                frame.volume,
                error[rows],
                std[rows],
                block.sigma[rows],
                local,
            )
