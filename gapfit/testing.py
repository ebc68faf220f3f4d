"""Checks that any potential should pass: derivatives, invariances, smoothness.

They return errors as numbers, so that tests and users choose the bound. A potential is
anything with the ``predict`` method of `gapfit.GAPModel`.

Bounds that many tests share have a name, which says what may differ and why by so much:
``FORCE_SLOPE.check(forces_error(model, atoms))`` or ``SAME_POTENTIAL.check(one, other)``.
Those of energies, forces and stresses are absolute, since these may vanish by symmetry;
those of numbers that do not vanish are relative.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from gapfit.data.frame import VOIGT
from gapfit.model.prediction import Prediction

__all__ = [
    "DENSE_ALGEBRA",
    "FORCE_SLOPE",
    "OTHER_PROGRAM",
    "PRINTED",
    "REFIT",
    "REORDERED_SUMS",
    "ROUNDING",
    "SAME_POSTERIOR",
    "SAME_POTENTIAL",
    "STRESS_SLOPE",
    "TABULATED",
    "Potential",
    "Tolerance",
    "crossing_jumps",
    "forces_error",
    "invariance_errors",
    "stress_error",
]


@dataclass(frozen=True)
class Tolerance:
    """Largest difference of numbers that should be equal, and why they may differ.

    Attributes
    ----------
    allows : str
        What may make them differ, and why by so much.
    rtol, atol : float
        Bound relative to the expected number, plus an absolute one in the unit of the
        numbers: eV, eV/Å, eV/Å³.
    """

    allows: str
    rtol: float = 0.0
    atol: float = 0.0

    def check(self, found: Any, expected: Any = 0.0) -> None:
        """Raise an AssertionError if numbers differ by more; an error alone is from 0."""
        np.testing.assert_allclose(
            found,
            expected,
            rtol=self.rtol,
            atol=self.atol,
            equal_nan=False,
            err_msg=f"allowed: {self.allows}",
        )


#: One formula, with a few operations more or in another order.
ROUNDING = Tolerance("rounding of a few operations, 1e-16 each", rtol=1e-12)
#: Standard deviations, evidence and scores of one posterior.
SAME_POSTERIOR = Tolerance(
    "other parts of the same sums, in matrices that are well conditioned once whitened",
    rtol=3e-9,
)
#: Posterior against plain inversion.
DENSE_ALGEBRA = Tolerance(
    "dense matrices that are not whitened: their condition costs half of the digits",
    rtol=1e-8,
)
#: Errors of left-out data by algebra against fits without them.
REFIT = Tolerance(
    "the variance that other data leave is a small difference of large numbers",
    rtol=1e-6,
)
#: Energies, forces and stresses of the same coefficients.
REORDERED_SUMS = Tolerance(
    "large coefficients that cancel, added in another order", atol=1e-10
)
#: Energies, forces and stresses of one potential in two forms, or of moved atoms.
SAME_POTENTIAL = Tolerance(
    "kernels computed anew from rounded positions, or another form of the same sum, "
    "times large coefficients that cancel",
    atol=1e-9,
)
#: Energies, forces and stresses against QUIP or scikit-learn.
OTHER_PROGRAM = Tolerance(
    "constants, splines and solvers of another program", atol=1e-8
)
#: Functions in tables against the sum over sparse points.
TABULATED = Tolerance(
    "interpolation between the knots, which are chosen for this error", atol=1e-8
)
#: Numbers in files of text.
PRINTED = Tolerance("eight decimals in a file", atol=1e-8)
#: `forces_error` of a smooth potential, eV/Å.
FORCE_SLOPE = Tolerance(
    "differences of energies at steps of 1e-3 Å: h⁴ and rounding over h", atol=1e-6
)
#: `stress_error` of a smooth potential, eV/Å³.
STRESS_SLOPE = Tolerance(
    "differences of energies at strains of 1e-4, over the volume", atol=1e-7
)


class Potential(Protocol):
    """A potential as the checks need it."""

    def predict(self, atoms: Any) -> Prediction:
        """Return energy, forces and stress of one structure."""


def _slope(energy: Callable[[float], float], step: float) -> float:
    """Return dE/dx at 0 by fourth-order central differences."""
    near = energy(step) - energy(-step)
    far = energy(2 * step) - energy(-2 * step)
    return (8 * near - far) / (12 * step)


def forces_error(potential: Potential, atoms: Any, *, step: float = 1e-3) -> float:
    """Return the largest difference of a force from -dE/dx, eV/Å.

    Parameters
    ----------
    potential : Potential
        The potential to check.
    atoms : ase.Atoms
        Structure; every component of every atom is displaced.
    step : float
        Displacement, Å.
    """

    def energy(atom: int, axis: int, displacement: float) -> float:
        moved = atoms.copy()
        moved.positions[atom, axis] += displacement
        return potential.predict(moved).energy

    forces = potential.predict(atoms).forces
    assert forces is not None
    return max(
        abs(_slope(partial(energy, a, x), step) + forces[a, x])
        for a in range(len(atoms))
        for x in range(3)
    )


def stress_error(potential: Potential, atoms: Any, *, step: float = 1e-4) -> float:
    """Return the largest difference of a stress component from dE/dε / V, eV/Å³."""

    def energy(a: int, b: int, strain: float) -> float:
        deformation = np.eye(3)
        deformation[a, b] += strain / 2
        deformation[b, a] += strain / 2
        strained = atoms.copy()
        strained.set_cell(atoms.cell @ deformation, scale_atoms=False)
        strained.positions = atoms.positions @ deformation
        return potential.predict(strained).energy

    stress = potential.predict(atoms).stress
    assert stress is not None
    volume = atoms.get_volume()
    return max(
        abs(_slope(partial(energy, a, b), step) / volume - component)
        for (a, b), component in zip(VOIGT, stress, strict=True)
    )


def invariance_errors(
    potential: Potential, atoms: Any, rng: np.random.Generator
) -> dict[str, float]:
    """Return the largest violations of the symmetries, eV and eV/Å.

    Parameters
    ----------
    potential : Potential
        The potential to check.
    atoms : ase.Atoms
        Structure to transform.
    rng : numpy.random.Generator
        Draws rotation, translation and permutation.

    Returns
    -------
    dict
        ``rotation``, ``translation``, ``permutation``: largest difference of the energy or
        of the transformed forces; ``supercell`` (along the periodic directions): largest
        difference of the energy per atom or of the forces.
    """
    reference = potential.predict(atoms)
    rotation = _random_rotation(rng)

    rotated = atoms.copy()
    rotated.set_cell(atoms.cell @ rotation.T)
    rotated.positions = atoms.positions @ rotation.T
    translated = atoms.copy()
    translated.positions += rng.normal(scale=3.0, size=3)
    translated.wrap()
    order = rng.permutation(len(atoms))
    repeats = np.where(atoms.pbc, 2, 1)
    n_copies = int(np.prod(repeats))
    copies = np.tile(np.arange(len(atoms)), n_copies)

    def difference(changed: Any, forces: np.ndarray, scale: int = 1) -> float:
        prediction = potential.predict(changed)
        energy = abs(prediction.energy / scale - reference.energy)
        return float(max(energy, np.abs(prediction.forces - forces).max()))

    forces = reference.forces
    assert forces is not None
    return {
        "rotation": difference(rotated, forces @ rotation.T),
        "translation": difference(translated, forces),
        "permutation": difference(atoms[order], forces[order]),
        "supercell": difference(atoms.repeat(tuple(repeats)), forces[copies], n_copies),
    }


def crossing_jumps(
    potential: Potential, atoms: Any, atom: int, cutoff: float, *, step: float = 1e-7
) -> tuple[float, float]:
    """Return the jumps of energy and forces as a neighbour leaves the cutoff of an atom.

    Parameters
    ----------
    potential : Potential
        The potential to check.
    atoms : ase.Atoms
        Open structure; its last atom is put at the cutoff of `atom`, along x.
    atom : int
        The central atom.
    cutoff : float
        Cutoff radius, Å.
    step : float
        Distance on either side, Å; the jumps of a smooth potential vanish with it.

    Returns
    -------
    energy, forces : float
        Jump of the energy, eV, and largest jump of a force component, eV/Å.
    """

    def at(distance: float) -> Prediction:
        moved = atoms.copy()
        moved.positions[-1] = moved.positions[atom] + [distance, 0, 0]
        return potential.predict(moved)

    inside, outside = at(cutoff - step), at(cutoff + step)
    assert inside.forces is not None
    assert outside.forces is not None
    forces = float(np.abs(inside.forces - outside.forces).max())
    return abs(inside.energy - outside.energy), forces


def _random_rotation(rng: np.random.Generator) -> np.ndarray:
    """Return a rotation matrix, uniformly distributed."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q *= np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else -q
