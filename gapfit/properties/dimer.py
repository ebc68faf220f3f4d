"""Energy of two atoms against their distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gapfit.data.frame import Frame
from gapfit.data.pair_data import PairData
from gapfit.model.gap_model import GAPModel
from gapfit.properties.evaluators import energy_stds

__all__ = ["DimerCurve", "dimer_curve"]

# Shortest distance, in units of the sum of covalent radii, and number of distances.
_SHORTEST, _TRIED = 0.4, 80


@dataclass(frozen=True, eq=False)
class DimerCurve:
    """Energy of two atoms against their distance.

    Attributes
    ----------
    distances : (n,) float64
        Distances, ascending to the cutoff, Å.
    energies : (n,) float64
        Energies relative to those of the single atoms by the same potential, eV.
    std : (n,) float64 or None
        Standard deviations of the energies, eV; None without a posterior.
    data : PairData or None
        Such pairs in the data of the fit; None where they are not known.
    """

    distances: np.ndarray
    energies: np.ndarray
    std: np.ndarray | None
    data: PairData | None = None

    @property
    def lowest(self) -> int:
        """Index of the lowest energy."""
        return int(np.argmin(self.energies))

    @property
    def is_repulsive(self) -> bool:
        """Whether the energy falls all the way from the shortest distance to the well.

        Otherwise atoms that come close in hot dynamics collapse onto each other.
        """
        return bool((np.diff(self.energies[: self.lowest + 1]) < 0).all())


def dimer_curve(
    model: GAPModel, first: int, second: int, *, reach: float | None = None
) -> DimerCurve:
    """Return the energy of a pair of atoms from 0.4 covalent distances to the cutoff.

    Parameters
    ----------
    model : GAPModel
        The potential.
    first, second : int
        Atomic numbers.
    reach : float, optional
        Largest distance, Å; by default the cutoff of the model.

    Raises
    ------
    StructureError
        The model does not know one of them.
    """
    from ase.data import covalent_radii

    contact = float(covalent_radii[first] + covalent_radii[second])
    distances = np.linspace(_SHORTEST * contact, reach or model.cutoff, _TRIED)
    pairs = [_open_frame([first, second], [0.0, d]) for d in distances]
    atoms = [_open_frame([z], [0.0]) for z in (first, second)]
    predictions = model.predict([*pairs, *atoms], forces=False, stress=False)
    energies = np.array([prediction.energy for prediction in predictions])
    std = None
    if model.posterior is not None:
        apart = -np.ones((len(pairs), len(atoms)))
        std = energy_stds(
            model, np.hstack([np.eye(len(pairs)), apart]), [*pairs, *atoms]
        )
    energies = energies[:-2] - energies[-2:].sum()
    return DimerCurve(distances, energies, std, model.record.pair(first, second))


def _open_frame(numbers: list[int], x: list[float]) -> Frame:
    """Return atoms along a line, without periodicity."""
    positions = np.zeros((len(x), 3))
    positions[:, 0] = x
    return Frame(
        numbers=np.array(numbers),
        positions=positions,
        cell=np.zeros((3, 3)),
        pbc=np.zeros(3, dtype=bool),
        source="dimer",
    )
