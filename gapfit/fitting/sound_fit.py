"""Fits whose error bars rounding would spoil, cured as the data at hand allow."""

from __future__ import annotations

from collections.abc import Callable

from gapfit.errors import LostDigitsError
from gapfit.gp.conditioning import well_conditioned
from gapfit.gp.sound_posterior import excess, ridged
from gapfit.gp.training_sums import TrainingSums
from gapfit.gp.whitening import Solution

__all__ = ["SPOILT", "sound_fit"]

#: Start of the notes.
SPOILT = "rounding in the normal equations would spoil the error bars "
_ADVICE = "larger sigmas or smaller deltas avoid this"
_SUMMED_AGAIN = (
    'the rows were summed up again with solver.method = "qr", which takes longer; '
    f"{_ADVICE}"
)


def sound_fit(
    sums: TrainingSums,
    by_qr: Callable[[], TrainingSums | None] | None,
    notes: list[str],
    *,
    with_posterior: bool,
) -> tuple[TrainingSums, Solution]:
    """Return sums and their solution, whose posterior gives standard deviations.

    Parameters
    ----------
    sums : TrainingSums
        Sums over the rows.
    by_qr : callable or None
        Sums over the same rows by QR, the first choice where normal equations lose too
        many digits; see `gapfit.fitting.solve.solved`.
    notes : list of str
        A note on what was done is added to it.
    with_posterior : bool
        Whether the posterior is kept; otherwise it need not be sound.

    Raises
    ------
    LostDigitsError, PosteriorError
        Nothing helps.
    """
    normal = sums.method == "cholesky"
    try:
        sums, solution = well_conditioned(sums)
    except LostDigitsError:
        triangles = by_qr() if by_qr and normal else None
        if triangles is None:
            raise
        notes.append(f"{SPOILT}and the fit: {_SUMMED_AGAIN}")
        return _checked(*well_conditioned(triangles), with_posterior)
    size = excess(solution.R) if with_posterior else 0.0
    if not size:
        return sums, solution
    found = f"{SPOILT}(I - B^-1 has the eigenvalue {-size:.1e}): "
    triangles = by_qr() if by_qr and normal else None
    if triangles is not None:
        notes.append(found + _SUMMED_AGAIN)
        return _checked(*well_conditioned(triangles), with_posterior)
    solution, ridge = ridged(sums, size)
    notes.append(
        f"{found}the prior was taken {100 * ridge:.2g} % narrower in variance, which "
        f'changes directions that few data determine; fit again with solver.method = "qr", '
        f"or {_ADVICE}"
    )
    return sums, solution


def _checked(
    sums: TrainingSums, solution: Solution, with_posterior: bool
) -> tuple[TrainingSums, Solution]:
    """Return a solution by QR; refuse it if even its posterior is spoilt."""
    if with_posterior and (size := excess(solution.R)):
        solution, _ = ridged(sums, size)
    return sums, solution
