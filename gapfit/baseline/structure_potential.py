"""Interface of baselines that need a whole structure, not its pairs within a cutoff."""

from __future__ import annotations

from typing import Protocol

from gapfit.data.frame import Frame
from gapfit.descriptors.protocol import LocalPrediction

__all__ = ["StructurePotential"]


class StructurePotential(Protocol):
    """A known energy of structures: dispersion, point charges, or a calculator."""

    @property
    def title(self) -> str:
        """Name in messages: the keys that ask for it."""
        ...

    def evaluate(self, frame: Frame, *, gradients: bool) -> LocalPrediction:
        """Return energies of atoms, forces and virial of one structure.

        Parameters
        ----------
        frame : Frame
            The structure; its labels are not used.
        gradients : bool
            Whether to compute forces and virial; without, their arrays are empty.

        Returns
        -------
        LocalPrediction
            Energies (n_atoms,), eV; forces (n_atoms, 3), eV/Å; virials (1, 6), -stress ×
            volume in Voigt order, eV, NaN where there is no stress; no virials of atoms.

        Raises
        ------
        GapfitError
            It cannot be evaluated for this structure, or a package is missing.
        """
        ...
