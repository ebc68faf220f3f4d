"""Dynamics at constant energy: drift and fluctuation of the energy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gapfit.errors import GapfitError
from gapfit.properties.relax import supercell

__all__ = ["Stability", "run_nve"]


@dataclass(frozen=True)
class Stability:
    """Energy conservation and temperature of a trajectory at constant energy.

    Attributes
    ----------
    drift : float
        Slope of a straight line through the total energy, meV/atom/ps.
    fluctuation : float
        Root mean square deviation from that line, meV/atom.
    temperature : float
        Mean of the second half, K.
    n_atoms : int
        Atoms of the supercell.
    """

    drift: float
    fluctuation: float
    temperature: float
    n_atoms: int


def run_nve(
    crystal: Any,
    calculator: Any,
    *,
    temperature: float = 300.0,
    timestep: float = 1.0,
    steps: int = 2000,
    width: float = 10.0,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Stability:
    """Run dynamics at constant energy from the relaxed crystal with random momenta.

    Momenta have twice the temperature, since half of it becomes potential energy.

    Parameters
    ----------
    crystal : ase.Atoms
        Relaxed structure.
    calculator : ase.calculators.calculator.Calculator
        A calculator with forces.
    temperature : float
        Temperature after equipartition, K.
    timestep : float
        Time step of the velocity Verlet algorithm, fs.
    steps : int
        Number of steps, at least 10.
    width : float
        Least distance of opposite faces of the supercell, Å.
    seed : int
        Seed of the momenta.
    progress : callable, optional
        Called with the steps done and their total.

    Raises
    ------
    GapfitError
        Too few steps, no temperature or timestep; or the atoms fly apart.
    """
    from ase import units
    from ase.md.verlet import VelocityVerlet

    if steps < 10 or not (0 < temperature < np.inf and 0 < timestep < np.inf):
        raise GapfitError(
            f"{steps} steps of {timestep:g} fs at {temperature:g} K: give at least 10 "
            "steps, and a positive timestep and temperature"
        )
    atoms = supercell(crystal, width)
    atoms.calc = calculator
    masses = atoms.get_masses()[:, None]
    noise = np.random.default_rng(seed).normal(size=(len(atoms), 3))
    momenta = np.sqrt(2 * units.kB * temperature * masses) * noise
    atoms.set_momenta(momenta - masses * momenta.sum(axis=0) / masses.sum())
    # Scaled to the exact temperature: in small cells that of random momenta is far off.
    hotter = np.sqrt(2 * temperature / atoms.get_temperature())
    atoms.set_momenta(hotter * atoms.get_momenta())
    energies, temperatures = np.empty((2, steps))
    dynamics = VelocityVerlet(atoms, timestep * units.fs)
    for n in range(steps):
        dynamics.run(1)
        energies[n] = atoms.get_total_energy() / len(atoms)
        temperatures[n] = atoms.get_temperature()
        if not temperatures[n] < 100 * temperature:
            raise GapfitError(
                f"dynamics at constant energy: {temperatures[n]:.0f} K after {n + 1} "
                f"steps of {timestep:g} fs from {temperature:g} K; the atoms fly apart: "
                "the potential has a hole, or the timestep is too long"
            )
        if progress is not None:
            progress(n + 1, steps)
    times = 1e-3 * timestep * np.arange(steps)
    line = np.polynomial.Polynomial.fit(times, energies, 1)
    residual = energies - line(times)
    return Stability(
        drift=1e3 * float(line.deriv()(0.0)),
        fluctuation=1e3 * float(np.sqrt(np.mean(residual**2))),
        temperature=float(temperatures[steps // 2 :].mean()),
        n_atoms=len(atoms),
    )
