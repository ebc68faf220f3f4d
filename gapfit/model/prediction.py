"""Predictions of one structure, and requests for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Literal, TypedDict, get_args

import numpy as np

from gapfit.data.observations import Quantity
from gapfit.errors import GapfitError

__all__ = [
    "Form",
    "PredictOptions",
    "Prediction",
    "PredictionRequest",
    "StdKind",
    "std_kinds",
]

#: Subset of regressors, or deterministic training conditional; see `Posterior`.
Form = Literal["sor", "dtc"]

_FORMS = get_args(Form)


class StdKind(StrEnum):
    """Part of a prediction that can have a standard deviation, named as in `Prediction`."""

    ENERGY = "energy"
    ENERGIES = "energies"
    FORCES = "forces"
    STRESS = "stress"

    @property
    def quantity(self) -> Quantity | None:
        """Observed quantity; None for energies of atoms, which have no reference."""
        return next((q for q in Quantity if q.reported == self), None)


@dataclass(frozen=True, eq=False)
class Prediction:
    """Energy, forces, stress and their uncertainty of one structure.

    Attributes
    ----------
    energy : float
        Total energy, eV.
    energies : (n_atoms,) float64
        Energy of each atom including e0, eV; they add up to `energy`.
    forces : (n_atoms, 3) float64 or None
        eV/Å.
    stress : (6,) float64 or None
        ASE sign and Voigt order xx yy zz yz xz xy, eV/Å³; None without a volume, or
        where the calculator of the baseline gives none.
    energy_std : float or None
        Standard deviation of the total energy, eV; includes the atoms' covariances.
    energies_std : (n_atoms,) float64 or None
        Standard deviation of each atom's energy, eV. It has no reference, so it is never
        calibrated.
    forces_std : (n_atoms, 3) float64 or None
        Standard deviation of each force component, eV/Å.
    stress_std : (6,) float64 or None
        Standard deviation of each component of the stress, eV/Å³; None without a volume.
    extrapolation : (n_atoms,) float64 or None
        Grade of each atom: `energies_std` over the 99th percentile of atoms of its
        species in the training data. Above 2 an atom is outside of these
        (`gapfit.model.extrapolation`). None without `energies_std`, or where the model
        does not know that percentile.
    novelty : (n_atoms,) float64 or None
        Distance of each environment from the span of the sparse points in the kernel
        metric, 0 (described) to 1 (unlike all of them).
    energy_interval : float or None
        Half width of the interval that contains a new reference energy with the
        probability asked for, eV.
    forces_interval : (n_atoms, 3) float64 or None
        The same for each force component, eV/Å.
    stress_interval : (6,) float64 or None
        The same for each component of the stress, eV/Å³.
    n_negative : int
        Variances that came out negative by more than rounding, and were set to 0.
    atom_virials : (n_atoms, 3, 3) float64 or None
        Virial by atom, -Σ_i R_ij ⊗ dE_i/dR_ij over the atoms i whose energy E_i feels
        atom j, eV; they add up to -stress × volume. W_j v_j, summed, is the potential
        part of the heat flux (Fan et al., PRB 92, 094301 (2015)).
    """

    energy: float
    energies: np.ndarray
    forces: np.ndarray | None = None
    stress: np.ndarray | None = None
    energy_std: float | None = None
    energies_std: np.ndarray | None = None
    forces_std: np.ndarray | None = None
    stress_std: np.ndarray | None = None
    extrapolation: np.ndarray | None = None
    novelty: np.ndarray | None = None
    energy_interval: float | None = None
    forces_interval: np.ndarray | None = None
    stress_interval: np.ndarray | None = None
    n_negative: int = 0
    atom_virials: np.ndarray | None = None

    def finite(self, source: str) -> Prediction:
        """Return the same prediction of the structure `source`.

        Raises
        ------
        GapfitError
            A number in it is not finite.
        """
        for part in fields(self):
            values = getattr(self, part.name)
            if values is not None and not np.isfinite(values).all():
                raise GapfitError(
                    f"{source}: the {part.name} predicted by the model is not finite; its "
                    "coefficients or settings are too large: fit it again, or get the "
                    "model file again"
                )
        return self


class PredictOptions(TypedDict, total=False):
    """Options of `GAPModel.predict`, for its type."""

    forces: bool
    stress: bool
    std: bool | str | Sequence[str]
    novelty: bool
    observation: bool
    calibrated: bool
    interval: float | None
    form: Form
    atom_virials: bool
    n_threads: int | None


@dataclass(frozen=True)
class PredictionRequest:
    """Quantities that a prediction shall contain.

    Attributes
    ----------
    forces, stress, atom_virials, novelty : bool
        As in `GAPModel.predict`.
    std : tuple of StdKind
        Standard deviations asked for.
    observation, calibrated : bool
        As in `GAPModel.predict`.
    form : {"sor", "dtc"}
        Form of the standard deviations of energy, forces and stress.
    multipliers : mapping of Quantity to float
        By quantity, half width of an interval over the standard deviation of an
        observation; empty where no intervals are asked for.

    Raises
    ------
    GapfitError
        There is no such form.
    """

    forces: bool
    stress: bool
    atom_virials: bool
    std: tuple[StdKind, ...]
    novelty: bool
    observation: bool
    calibrated: bool
    form: Form
    multipliers: Mapping[Quantity, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.form not in _FORMS:
            raise GapfitError(
                f"form = {self.form!r}: there is no such form of the variance; choose "
                f"among {', '.join(_FORMS)}"
            )

    @property
    def gradients(self) -> bool:
        """Whether derivatives of the energy are needed."""
        return self.forces or self.stress or self.atom_virials

    @property
    def local(self) -> bool:
        """Whether variances of local energies are needed."""
        return StdKind.ENERGIES in self.std or self.novelty

    @property
    def rows(self) -> bool:
        """Whether there are standard deviations that need kernel rows."""
        return bool(self.row_quantities)

    @property
    def row_quantities(self) -> frozenset[Quantity]:
        """Quantities whose standard deviations or intervals need kernel rows."""
        asked = (quantity for kind in self.std if (quantity := kind.quantity))
        return frozenset(self.multipliers).union(asked)


def std_kinds(std: bool | str | Sequence[str]) -> tuple[StdKind, ...]:
    """Return the standard deviations that the argument `std` of `GAPModel.predict` means.

    Raises
    ------
    GapfitError
        An unknown name.
    """
    if isinstance(std, bool):
        return tuple(StdKind) if std else ()
    names = (std,) if isinstance(std, str) else tuple(std)
    for name in names:
        if name not in tuple(StdKind):
            raise GapfitError(
                f"std = {name!r}: there is no such standard deviation; choose among "
                f"{', '.join(StdKind)}"
            )
    return tuple(map(StdKind, names))
