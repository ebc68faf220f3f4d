"""Few potentials whose forces say how uncertain forces are.

The variance of a force component (subset of regressors, `gapfit.gp.posterior`) is the sum
of the squares of what potentials with coefficients U^-1 R^-1 e_s give for it, one for each
direction e_s of the whitened coefficients. Mixtures of few directions are nearly as good
(`gapfit.gp.low_rank`), and each costs a part of a prediction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gapfit.data.frame import Frame, structure_arrays
from gapfit.data.neighbours import pairs_of
from gapfit.errors import GapfitError
from gapfit.gp.low_rank import best_split, mixed_directions, principal_axes
from gapfit.gp.posterior import Posterior
from gapfit.model.gap_model import GAPModel
from gapfit.threads import blas_threads

__all__ = ["ForceFactor", "force_factor"]

_RANKS = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
# Atoms that directions are found with, and as many others to measure the error.
_MOST_ATOMS = 1000
# Of a structure; its rows are computed together.
_MOST_OF_ONE = 250
# Standard deviations that are rounding where forces vanish by symmetry, in sigmas.
_NONE = 1e-6
_SEED = 0


@dataclass(frozen=True, eq=False)
class ForceFactor:
    """Coefficients of potentials whose squared forces add up to the variance.

    Attributes
    ----------
    coefficients : (rank, n_sparse) float64
        Of all terms and blocks, 1/eV.
    error : float
        Root mean square of the relative error of the standard deviation of an atom's
        force, |std| over its three components, for atoms that the directions were not
        found with.
    largest_error : float
        The 95th percentile of that error's absolute value.
    n_atoms : int
        Number of atoms that the errors were measured with.
    """

    coefficients: np.ndarray
    error: float
    largest_error: float
    n_atoms: int

    @property
    def rank(self) -> int:
        """Number of potentials."""
        return len(self.coefficients)


def force_factor(
    model: GAPModel,
    structures: Sequence[Any],
    *,
    tolerance: float = 0.1,
    rank: int | None = None,
) -> ForceFactor:
    """Return as few potentials as give standard deviations of forces within a tolerance.

    Parameters
    ----------
    model : GAPModel
        With its posterior.
    structures : sequence of ase.Atoms or Frame
        Two or more, like those to be simulated; labels are not needed. Up to 2000 atoms of
        them are taken: half for the directions, half to measure the error.
    tolerance : float
        Largest `ForceFactor.error`.
    rank : int, optional
        Number of potentials, in place of the tolerance.

    Raises
    ------
    GapfitError
        The model has no posterior, there are less than two structures with uncertain
        forces, or the tolerance or the rank is not positive.
    """
    posterior = model.require_posterior()
    if not tolerance > 0:
        raise GapfitError(
            f"tolerance = {tolerance:g} of standard deviations of forces: give a positive "
            "relative error, such as 0.1"
        )
    if rank is not None and rank < 1:
        raise GapfitError(
            f"rank = {rank} of standard deviations of forces: give 1 or more"
        )
    with blas_threads():
        known, held = _halves(model, posterior, structures)
        std = _atom_std(known)[:, None, None]
        axes = principal_axes((known / std).reshape(-1, known.shape[2]))
        components = held @ axes
        for wanted in (rank,) if rank else (*_RANKS, len(axes)):
            Z, errors = _tried(components, wanted)
            error = float(np.sqrt(np.mean(errors**2)))
            if rank or error <= tolerance:
                break
        coefficients = posterior.coefficients((axes @ Z).T)
    largest = float(np.quantile(np.abs(errors), 0.95))
    return ForceFactor(coefficients, error, largest, len(errors))


def _tried(components: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Return directions, and relative errors of the std of atoms, (n_atoms,).

    Parameters
    ----------
    components : (n_atoms, 3, n_axes) float64
        Rows of force components along the axes.
    rank : int
        Number of directions.
    """
    n_axes = components.shape[2]
    rank = min(rank, n_axes)
    squares = components.reshape(-1, n_axes) ** 2
    squares = squares[squares.sum(axis=1) > 0]
    n_exact = best_split(squares, rank) if rank < n_axes else rank
    Z = mixed_directions(n_axes, rank, n_exact, _SEED)
    found, wanted = _atom_std(components @ Z), _atom_std(components)
    return Z, found / wanted - 1.0


def _atom_std(rows: np.ndarray) -> np.ndarray:
    """Return the lengths of the rows (n_atoms, 3, n) of each atom, (n_atoms,)."""
    std: np.ndarray = np.sqrt(np.sum(rows**2, axis=(1, 2)))
    return std


def _halves(
    model: GAPModel, posterior: Posterior, structures: Sequence[Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows (n_atoms, 3, n_sparse) of atoms of one half of the structures each."""
    rng = np.random.default_rng(_SEED)
    halves: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for rows in _shuffled_rows(model, posterior, structures, rng):
        # To the half that has fewer atoms.
        least = min(halves, key=lambda half: sum(map(len, half)))
        least.append(rows)
        if all(sum(map(len, half)) >= _MOST_ATOMS for half in halves):
            break
    if not halves[1]:
        raise GapfitError(
            f"standard deviations of forces: {len(halves[0])} of {len(structures)} "
            "structures have forces that are uncertain; give two or more, like those to be "
            "simulated"
        )
    joined = [np.concatenate(half) for half in halves]
    return joined[0], joined[1]


def _shuffled_rows(
    model: GAPModel,
    posterior: Posterior,
    structures: Sequence[Any],
    rng: np.random.Generator,
) -> Iterator[np.ndarray]:
    """Yield rows of up to `_MOST_OF_ONE` atoms of each structure that has such rows."""
    for n in rng.permutation(len(structures)):
        atoms = structures[n]
        frame = atoms if isinstance(atoms, Frame) else structure_arrays(atoms)
        rows = posterior.rows(_force_rows(model, frame))
        rows = rows.reshape(frame.n_atoms, 3, -1)
        std = _atom_std(rows)
        uncertain = np.flatnonzero(std > _NONE * model.config.sigma.forces)
        chosen = np.sort(rng.permutation(uncertain)[:_MOST_OF_ONE])
        if len(chosen):
            yield rows[chosen]


def _force_rows(model: GAPModel, frame: Frame) -> np.ndarray:
    """Return kernel rows of all force components, (3 n_atoms, n_sparse)."""
    pairs = pairs_of([frame], max(t.descriptor.cutoff for t in model.terms))
    parts = [
        term.descriptor.kernel_rows(
            pairs.within(term.descriptor.cutoff), term.sparse, gradients=True
        ).forces.reshape(3 * frame.n_atoms, -1)
        for term in model.terms
    ]
    return np.concatenate(parts, axis=1)
