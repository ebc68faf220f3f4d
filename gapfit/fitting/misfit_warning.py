"""Warning of a fit that misses its training data by many sigmas."""

from __future__ import annotations

from gapfit.data.observations import Quantity
from gapfit.gp.training_sums import TrainingSums
from gapfit.gp.whitening import Solution
from gapfit.model.observation_groups import ISOLATED

__all__ = ["MISFIT", "misfit_warning"]

#: Start of the warning.
MISFIT = "the fit misses its training data: "
#: Errors of so many sigmas are warned of; ordinary fits have one to five.
_MANY_SIGMAS = 10.0


def misfit_warning(
    sums: TrainingSums, solution: Solution, atoms_per_frame: float
) -> str | None:
    """Return a warning with advice if errors are many times the sigma; else None.

    Parameters
    ----------
    sums : TrainingSums
        Sums over the data.
    solution : Solution
        Their solution.
    atoms_per_frame : float
        Mean number of atoms of a frame, by which errors of energies are told per atom.
    """
    energies = _misfit(sums, solution, Quantity.ENERGY)
    forces = _misfit(sums, solution, Quantity.FORCES)
    evidence = []
    # The sigma of a total energy grows with the root of the atoms, the error per atom is
    # the total one over their number.
    root = atoms_per_frame**0.5
    if energies and energies[0] > _MANY_SIGMAS * root:
        error, sigma = energies[0] * energies[1] / atoms_per_frame, energies[1] / root
        evidence.append(
            f"energies by about {1e3 * error:.3g} meV/atom (root mean square), where sigma "
            f"is {1e3 * sigma:.3g}"
        )
    if forces and forces[0] > _MANY_SIGMAS:
        error, sigma = forces[0] * forces[1], forces[1]
        evidence.append(
            f"forces by about {error:.3g} eV/Å (root mean square), where sigma is "
            f"{sigma:.3g}"
        )
    if not evidence:
        return None
    return (
        f"{MISFIT}{', '.join(evidence)}: run gapfit tune, or take more sparse points; or "
        "the labels contradict each other (gapfit check)"
    )


def _misfit(
    sums: TrainingSums, solution: Solution, quantity: Quantity
) -> tuple[float, float] | None:
    """Return the errors of a quantity over sigma, and sigma, of all but isolated atoms."""
    groups = [g for g in sums.groups if g[0] == quantity and g[1] != ISOLATED]
    return sums.misfit(solution, groups)
