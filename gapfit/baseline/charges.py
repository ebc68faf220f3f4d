"""Fixed charges of the species: their Coulomb energy, a part of the baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gapfit.baseline.ewald import (
    Sums,
    direct_sums,
    molecule_sums,
    reciprocal_sums,
    widths,
)
from gapfit.data.frame import Frame, to_voigt
from gapfit.data.isolated import is_isolated
from gapfit.data.neighbours import pair_list
from gapfit.descriptors.protocol import LocalPrediction
from gapfit.errors import ConfigError, StructureError
from gapfit.threads import one_thread

__all__ = ["PointCharges", "Refusal", "point_charges"]

#: Largest charge of a neutral cell, as a part of the sum of the sizes of its charges.
_NEUTRAL = 1e-8
#: Range of the search for overlapping atoms of molecules, Å.
_NEAR = 2.0


class Refusal(NamedTuple):
    """Why a structure has no energy of charges, and what to do.

    Attributes
    ----------
    reason, cure : str
        Parts of a sentence.
    """

    reason: str
    cure: str


@dataclass(frozen=True, eq=False)
class PointCharges:
    """Point charges, the same for all atoms of a species.

    Attributes
    ----------
    by_species : dict of int to float
        Charge, e, by atomic number.
    """

    by_species: dict[int, float]

    @property
    def title(self) -> str:
        """Name in messages: the keys that ask for it."""
        return "[baseline.charges]"

    def refusal(self, frame: Frame) -> Refusal | None:
        """Return why a structure has no energy; None if it has one.

        Ewald's sum has none for charged cells, and is not offered for slabs.

        Parameters
        ----------
        frame : Frame
            The structure; its labels and positions are not used.
        """
        if not frame.pbc.any():
            return None
        if not frame.pbc.all():
            return Refusal(
                f"periodic along {int(frame.pbc.sum())} of 3 directions, but "
                "[baseline.charges] needs all (Ewald's sum) or none",
                "add vacuum and set pbc = True along all",
            )
        charges = self._charges(frame)
        total = float(charges.sum())
        if abs(total) <= _NEUTRAL * float(np.abs(charges).sum()):
            return None
        return Refusal(
            f"the charges of [baseline.charges] add up to {total:g} e, and a periodic "
            "structure must be neutral",
            "leave it out, give charges that suit its composition, or set pbc = False if "
            "it is a dimer or a cluster in a box",
        )

    def evaluate(self, frame: Frame, *, gradients: bool) -> LocalPrediction:
        """Return energies of atoms, forces and virial of one structure.

        Parameters
        ----------
        frame : Frame
            A molecule, of any charge, or a neutral structure that is periodic in three
            directions. An isolated atom has no energy: alone it is neutral.
        gradients : bool
            Whether forces and virial are wanted.

        Raises
        ------
        StructureError
            Periodic and not neutral, or periodic along one or two directions.
        """
        with one_thread():  # its sums must not depend on the number of threads
            return self._evaluate(frame, gradients)

    def _evaluate(self, frame: Frame, gradients: bool) -> LocalPrediction:
        if refusal := self.refusal(frame):
            raise StructureError(f"{frame.source}: {refusal.reason}; {refusal.cure}")
        parts = _parts(frame, self._charges(frame))
        energies = np.sum([part.energies for part in parts], axis=0)
        if not gradients:
            return LocalPrediction(
                energies, np.zeros((0, 3)), np.zeros((0, 6)), np.zeros((0, 3, 3))
            )
        virial = np.sum([part.virial for part in parts], axis=0)
        return LocalPrediction(
            energies,
            np.sum([part.forces for part in parts], axis=0),
            to_voigt(virial)[None],
            np.zeros((0, 3, 3)),
        )

    def _charges(self, frame: Frame) -> np.ndarray:
        """Return the charges of atoms, e; alone they are neutral."""
        if frame.n_atoms == 1 and is_isolated(frame):
            return np.zeros(1)
        return np.array([self.by_species[int(z)] for z in frame.numbers])


def _parts(frame: Frame, charges: np.ndarray) -> list[Sums]:
    """Return the parts of the energy of a structure that has one."""
    if not frame.pbc.any():
        pair_list(frame, _NEAR)  # refuses atoms at one place
        return [molecule_sums(charges, frame.positions)]
    chosen = widths(frame.n_atoms, frame.volume)
    pairs = pair_list(frame, chosen.r_cut)
    return [
        direct_sums(charges, pairs.i, pairs.j, pairs.R, chosen.alpha),
        reciprocal_sums(charges, frame.positions, frame.cell, chosen),
    ]


def point_charges(
    by_symbol: Mapping[str, float], species: tuple[int, ...]
) -> PointCharges | None:
    """Return the charges of ``[baseline.charges]``; None without any.

    Parameters
    ----------
    by_symbol : mapping of str to float
        Charges by chemical symbol, e.
    species : tuple of int
        Atomic numbers, ascending.

    Raises
    ------
    ConfigError
        A species has no charge.
    """
    from ase.data import chemical_symbols

    if not by_symbol:
        return None
    symbols = {z: str(chemical_symbols[z]) for z in species}
    missing = [symbol for symbol in symbols.values() if symbol not in by_symbol]
    if missing:
        raise ConfigError(
            f"[baseline.charges]: there is no charge of {', '.join(missing)}, which the "
            f"data contain; give it, such as {missing[0]} = 0.0"
        )
    return PointCharges({z: float(by_symbol[symbol]) for z, symbol in symbols.items()})
