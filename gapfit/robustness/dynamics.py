"""Tests by dynamics: heat, pressure, slabs and a cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gapfit.data.frame import GPA
from gapfit.errors import GapfitError
from gapfit.robustness.cells import piece, scaled
from gapfit.robustness.relaxation import relax
from gapfit.robustness.specimen import Specimen
from gapfit.robustness.watch import FailureError, Watch

__all__ = ["cluster", "hot", "pressure", "surfaces"]

_COLD = 300.0
#: Pressures, GPa.
_PRESSURES = (-10.0, 0.0, 10.0)
# Of the melting temperature: dynamics under pressure, of slabs and clusters.
_WARM = 0.5
# Friction of the thermostat, and steps that the barostat takes, in steps.
_FRICTION, _BAROSTAT = 0.02, 100
# Largest change of the volume in a step; bulk modulus within limits, GPa.
_MOST_CHANGE, _MODULI = 0.01, (20.0, 500.0)
# Temperature beyond a multiple of the thermostat's, K: atoms that fall into a hole set
# energy free, and so do crystals that transform, though less.
_TOO_HOT, _LATENT = 2.0, 1000.0
# Drift of the total energy at constant energy, over kT.
_DRIFT = 0.1
# Volumes over that of the crystal.
_COLLAPSED, _TORN = 0.5, 2.0
# Distances are measured every so many steps, lost atoms and deviations less often.
_OFTEN, _SELDOM = 10, 100
# Atoms of a cluster.
_CLUSTER = 30


def hot(specimen: Specimen, watch: Watch) -> None:
    """Heat the crystal at constant volume, then run at constant energy."""
    atoms = specimen.supercell.copy()
    steps, high = specimen.settings.steps, specimen.hottest
    low = min(_COLD, high)

    def temperature(step: int) -> float:
        return low + (high - low) * min(1.0, step / (0.75 * steps))

    _thermostat(specimen, atoms, steps, temperature, watch, "heated")
    _conserved(specimen, atoms, max(steps // 5, 10), watch)


def pressure(specimen: Specimen, watch: Watch) -> None:
    """Run at constant pressure and half of the melting temperature.

    A crystal that is torn by tension has behaved as crystals do.
    """
    start = specimen.supercell.get_volume()
    modulus = _bulk_modulus(specimen)
    for target in _PRESSURES:
        atoms = specimen.supercell.copy()
        name = f"at {target:g} GPa"

        def barostat(atoms: Any, target: float = target, name: str = name) -> bool:
            ratio = _rescaled(atoms, target, modulus) / start
            if ratio > _TORN and target < 0:
                return True
            if not _COLLAPSED < ratio < _TORN:
                raise FailureError(
                    f"{name}: the volume is {ratio:.2f} of that of the crystal", atoms
                )
            return False

        _thermostat(
            specimen,
            atoms,
            max(specimen.settings.steps // 4, 10),
            lambda _: _WARM * specimen.bounds.melting,
            watch,
            name,
            after=barostat,
        )


def surfaces(specimen: Specimen, watch: Watch) -> None:
    """Run slabs that end at the faces of the supercell."""
    for axis, name in enumerate("abc"):
        slab = specimen.supercell.copy()
        heights = slab.cell.lengths()
        stretched = slab.cell[:].copy()
        stretched[axis] *= 1 + 2 * specimen.model.cutoff / heights[axis]
        slab.set_cell(stretched)
        _aside(specimen, slab, watch, f"slab with a surface across {name}")


def cluster(specimen: Specimen, watch: Watch) -> None:
    """Run a piece of the crystal in vacuum."""
    atoms = piece(specimen.crystal, _CLUSTER)
    _aside(specimen, atoms, watch, f"cluster of {len(atoms)} atoms")


def _aside(specimen: Specimen, atoms: Any, watch: Watch, name: str) -> None:
    """Run a structure with surfaces at half of the melting temperature.

    Surfaces that rebuild themselves become hot, so the temperature says nothing.
    """
    relax(specimen, atoms, watch, name)
    _thermostat(
        specimen,
        atoms,
        max(specimen.settings.steps // 5, 10),
        lambda _: _WARM * specimen.bounds.melting,
        watch,
        name,
        calm=False,
    )


def _thermostat(
    specimen: Specimen,
    atoms: Any,
    steps: int,
    temperature: Callable[[int], float],
    watch: Watch,
    name: str,
    after: Callable[[Any], bool] | None = None,
    calm: bool = True,
) -> None:
    """Run Langevin dynamics.

    `after` is called after each step and may end them; `calm` ones are no hotter than the
    thermostat.
    """
    from ase import units
    from ase.md.langevin import Langevin

    random, dt = specimen.random, specimen.timestep
    atoms.calc = specimen.calculator()
    spread = np.sqrt(units.kB * temperature(0) * atoms.get_masses())[:, None]
    atoms.set_momenta(spread * random.normal(size=(len(atoms), 3)))
    dynamics = Langevin(
        atoms,
        dt * units.fs,
        temperature_K=temperature(0),
        friction=_FRICTION / (dt * units.fs),
        fixcm=False,
        rng=random,
    )
    for step in range(steps):
        target = temperature(step)
        when = f"{name} at {target:.0f} K after {1e-3 * dt * step:.2f} ps"
        dynamics.set_temperature(temperature_K=target)
        _step(dynamics, atoms, watch, when)
        measured = atoms.get_temperature()
        if calm and measured > _allowed(target, len(atoms)):
            raise FailureError(f"{when}: the temperature is {measured:.0f} K", atoms)
        ends = step == steps - 1
        if ends or step % _OFTEN == 0:
            watch.distances(atoms, when)
        if ends or step % _SELDOM == 0:
            watch.lost(atoms, when)
            watch.deviation(atoms, when)
        if after is not None and after(atoms):
            break


def _allowed(temperature: float, n_atoms: int) -> float:
    """Return the temperature that atoms at a thermostat never show, K."""
    fluctuation = 8 * np.sqrt(2 / (3 * n_atoms))
    return float(temperature * max(_TOO_HOT, 1 + fluctuation) + _LATENT)


def _conserved(specimen: Specimen, atoms: Any, steps: int, watch: Watch) -> None:
    """Fail if the total energy drifts at constant energy."""
    from ase import units
    from ase.md.verlet import VelocityVerlet

    dt = specimen.timestep
    dynamics = VelocityVerlet(atoms, dt * units.fs)
    totals = np.empty(steps)
    for step in range(steps):
        when = f"at constant energy after {1e-3 * dt * step:.2f} ps"
        _step(dynamics, atoms, watch, when)
        totals[step] = atoms.get_total_energy() / len(atoms)
        if step % _OFTEN == _OFTEN - 1:
            watch.distances(atoms, when)
    part = max(steps // 4, 1)
    drift = abs(float(totals[-part:].mean() - totals[:part].mean()))
    if drift > _DRIFT * units.kB * specimen.hottest:
        raise FailureError(
            f"at constant energy the total energy drifts by {1e3 * drift:.0f} meV/atom in "
            f"{1e-3 * dt * steps:.2f} ps",
            atoms,
        )


def _step(dynamics: Any, atoms: Any, watch: Watch, when: str) -> None:
    """Make a step and look at its energy."""
    try:
        dynamics.run(1)
        energy = atoms.get_potential_energy()
    except GapfitError as error:
        raise FailureError(f"{when}: {error}", atoms) from None
    watch.energy(atoms, energy, when)


def _bulk_modulus(specimen: Specimen) -> float:
    """Return an estimate for the barostat, eV/Å³."""
    pressures = []
    for factor in (0.99, 1.01):
        stress = specimen.model.predict(scaled(specimen.crystal, factor)).stress
        pressures.append(0.0 if stress is None else -stress[:3].mean())
    modulus = (pressures[0] - pressures[1]) / 0.02
    softest, stiffest = _MODULI
    return float(np.clip(modulus, softest / GPA, stiffest / GPA))


def _rescaled(atoms: Any, target: float, modulus: float) -> float:
    """Scale a cell towards a pressure, GPa; return its volume, Å³."""
    measured = -float(atoms.get_stress(include_ideal_gas=True)[:3].mean())
    change = (measured - target / GPA) / modulus / _BAROSTAT
    change = float(np.clip(change, -_MOST_CHANGE, _MOST_CHANGE))
    atoms.set_cell(atoms.cell[:] * (1 + change) ** (1 / 3), scale_atoms=True)
    return float(atoms.get_volume())
