"""Fits whose error bars rounding would spoil, cured as the data at hand allow."""

from __future__ import annotations

from collections.abc import Callable

from gapfit.gp.conditioning import well_conditioned
from gapfit.gp.sound_posterior import excess, ridged
from gapfit.gp.training_sums import TrainingSums
from gapfit.gp.whitening import Solution

__all__ = ["SPOILT", "sound_fit"]

#: Start of the notes.
SPOILT = "rounding in the normal equations would spoil the error bars "
_ADVICE = "larger sigmas or smaller deltas avoid this"


def sound_fit(
    sums: TrainingSums,
    solution: Solution,
    by_qr: Callable[[], TrainingSums | None] | None,
    notes: list[str],
) -> tuple[TrainingSums, Solution]:
    """Return sums and a solution whose posterior gives standard deviations.

    Parameters
    ----------
    sums : TrainingSums
        Sums over the rows.
    solution : Solution
        Their solution; both are returned as they are if its posterior is sound.
    by_qr : callable or None
        Sums over the same rows by QR, the first choice; see `gapfit.fitting.solve.solved`.
    notes : list of str
        A note on what was done is added to it.

    Raises
    ------
    PosteriorError
        Nothing helps.
    """
    size = excess(solution.R)
    if not size:
        return sums, solution
    found = f"{SPOILT}(I - B^-1 has the eigenvalue {-size:.1e}): "
    triangles = by_qr() if by_qr is not None and sums.method == "cholesky" else None
    if triangles is not None:
        sums, solution = well_conditioned(triangles)
        size = excess(solution.R)
        if not size:
            notes.append(
                f'{found}the rows were summed up again with solver.method = "qr", which '
                f"takes longer; {_ADVICE}"
            )
            return sums, solution
    solution, ridge = ridged(sums, size)
    notes.append(
        f"{found}the prior was taken {100 * ridge:.2g} % narrower in variance, which "
        f'changes directions that few data determine; fit again with solver.method = "qr", '
        f"or {_ADVICE}"
    )
    return sums, solution
