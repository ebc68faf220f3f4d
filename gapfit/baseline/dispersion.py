"""The dispersion correction DFT-D3, a part of the baseline, by the package dftd3."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gapfit._support.caching import WithoutCaches
from gapfit._support.extras import needed
from gapfit.config.sections import D3Config
from gapfit.data.frame import Frame, to_voigt
from gapfit.data.neighbours import sound_cell
from gapfit.descriptors.protocol import LocalPrediction
from gapfit.errors import ConfigError, GapfitError, StructureError

__all__ = ["Dispersion"]

#: Classes of ``dftd3.interface`` with the parameters of a functional, by damping.
_DAMPINGS = {
    "bj": "RationalDampingParam",
    "zero": "ZeroDampingParam",
    "bjm": "ModifiedRationalDampingParam",
    "zerom": "ModifiedZeroDampingParam",
}
#: Heaviest element of the method, plutonium; the library does not check.
_HEAVIEST = 94
#: Further space along directions that do not repeat, beyond the largest distance, Å.
_MARGIN = 1.0


@dataclass(frozen=True, eq=False)
class Dispersion(WithoutCaches):
    """DFT-D3 without three-body terms.

    E = -Σ_i<j Σ_n=6,8 s_n C_n,ij / r_ij^n f_n(r_ij), where C_n depends on the numbers of
    neighbours of i and j (Grimme et al., J. Chem. Phys. 132, 154104 (2010),
    doi:10.1063/1.3382344).

    Attributes
    ----------
    config : D3Config
        Functional, damping and cutoffs.
    """

    config: D3Config

    @property
    def title(self) -> str:
        """Name in messages: the keys that ask for it."""
        return '[baseline] dispersion = "d3"'

    @cached_property
    def _interface(self) -> Any:
        return needed("dftd3.interface", "dispersion", self.title)

    @cached_property
    def _parameters(self) -> Any:
        """Parameters of the damping for the functional, none for three-body terms."""
        damping = getattr(self._interface, _DAMPINGS[self.config.damping])
        try:
            return damping(method=self.config.functional, atm=False)
        except RuntimeError as error:
            raise ConfigError(
                f"[baseline.d3] functional = {self.config.functional!r}: the package "
                f"dftd3 has no parameters of it for damping = {self.config.damping!r} "
                f"({error}); give another functional or damping"
            ) from error

    def evaluate(self, frame: Frame, *, gradients: bool) -> LocalPrediction:
        """Return energies of atoms, forces and virial of one structure.

        Half of the energy of a pair belongs to each of its atoms.

        Parameters
        ----------
        frame : Frame
            A structure that is periodic in any directions.
        gradients : bool
            Whether forces and virial are wanted.

        Raises
        ------
        ConfigError
            There are no parameters of the functional.
        StructureError
            An element without parameters.
        GapfitError
            The package is missing or fails.
        """
        from ase.units import Bohr, Hartree

        parameters = self._parameters
        model = self._model(frame, Bohr)
        try:
            pairs = model.get_pairwise_dispersion(parameters)
            derivatives = (
                model.get_dispersion(parameters, grad=True) if gradients else {}
            )
        except RuntimeError as error:
            raise self._failed(frame, error) from error
        energies = pairs["additive pairwise energy"].sum(axis=1) * Hartree
        forces, virials = np.zeros((0, 3)), np.zeros((0, 6))
        if gradients:
            forces = -derivatives["gradient"] * (Hartree / Bohr)
            # The library's "virial" is stress times volume.
            virials = -to_voigt(derivatives["virial"] * Hartree)[None]
        if not (np.isfinite(energies).all() and np.isfinite(forces).all()):
            raise self._failed(frame, "an energy or a force is not finite")
        return LocalPrediction(energies, forces, virials, np.zeros((0, 3, 3)))

    def _model(self, frame: Frame, bohr: float) -> Any:
        """Return the library's model of a structure."""
        heavy = frame.numbers[frame.numbers > _HEAVIEST]
        if len(heavy):
            raise StructureError(
                f"{frame.source}: DFT-D3 has no parameters of the element with number "
                f"{int(heavy[0])} (up to {_HEAVIEST}); fit without {self.title}"
            )
        cell = _wide_cell(frame, self.config.r_cut) if frame.pbc.any() else frame.cell
        r_cut, cn_r_cut = self.config.r_cut / bohr, self.config.cn_r_cut / bohr
        try:
            model = self._interface.DispersionModel(
                frame.numbers,
                frame.positions / bohr,
                cell / bohr,
                np.full(3, frame.pbc.any()),
            )
            model.set_realspace_cutoff(disp2=r_cut, disp3=cn_r_cut, cn=cn_r_cut)
        except RuntimeError as error:
            raise self._failed(frame, error) from error
        return model

    def _failed(self, frame: Frame, reason: object) -> GapfitError:
        return GapfitError(f"{self.title} failed for {frame.source}: {reason}")


def _wide_cell(frame: Frame, r_cut: float) -> np.ndarray:
    """Return a cell that repeats along all directions, in open ones out of reach, Å.

    The library (1.7.0) treats layers and chains as they are only in cells along the axes,
    and folds atoms along open directions, too.
    """
    if frame.pbc.all():
        return frame.cell
    sound_cell(frame, 1.0)  # refuses directions that repeat without a vector
    _, _, axes = np.linalg.svd(frame.cell[frame.pbc])
    across = axes[int(frame.pbc.sum()) :]
    cell = frame.cell.copy()
    lengths = np.ptp(frame.positions @ across.T, axis=0) + r_cut + _MARGIN
    cell[~frame.pbc] = across * lengths[:, None]
    return cell
