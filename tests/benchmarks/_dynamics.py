"""Hot dynamics that can be repeated: starting velocities and a thermostat."""

from __future__ import annotations

import numpy as np
from ase import Atoms, units
from ase.md.langevin import Langevin


def warm(atoms: Atoms, temperature: float, rng: np.random.Generator) -> None:
    """Draw velocities of a temperature, K."""
    widths = np.sqrt(units.kB * temperature * atoms.get_masses())[:, None]
    atoms.set_momenta(widths * rng.normal(size=(len(atoms), 3)))


def thermostat(
    atoms: Atoms,
    step: float,
    temperature: float,
    rng: np.random.Generator,
    friction: float = 0.01,
) -> Langevin:
    """Return Langevin dynamics that do not correct the centre of mass.

    Parameters
    ----------
    atoms : ase.Atoms
        With a calculator.
    step : float
        Time step, fs.
    temperature : float
        K.
    rng : numpy.random.Generator
        Draws the kicks.
    friction : float
        1/fs.
    """
    return Langevin(
        atoms,
        step * units.fs,
        temperature_K=temperature,
        friction=friction / units.fs,
        fixcm=False,
        rng=rng,
    )
