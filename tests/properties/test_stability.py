"""Dynamics at constant energy."""

from __future__ import annotations

import pytest
from ase.calculators.emt import EMT

from gapfit.errors import GapfitError
from gapfit.properties import (
    run_nve,
)


def test_dynamics_keep_the_energy_and_its_temperature(copper):
    kept = run_nve(copper, EMT(), temperature=300, timestep=2.0, steps=300, width=7.0)
    assert kept.n_atoms == 32
    assert 200 < kept.temperature < 400
    assert abs(kept.drift) < 1.0
    rough = run_nve(copper, EMT(), temperature=300, timestep=8.0, steps=75, width=7.0)
    # Errors of velocity Verlet go with the square of the timestep.
    assert 8 < rough.fluctuation / kept.fluctuation < 32


class Heater(EMT):
    """Pushes atoms along: energy grows."""

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        self.results["forces"] = (
            self.results["forces"] + 5 * self.atoms.get_velocities()
        )


def test_a_drift_is_measured(copper):
    found = run_nve(copper, Heater(), steps=60, width=5.0, timestep=2.0)
    assert found.drift > 1.0
    told = []
    run_nve(copper, EMT(), steps=12, width=3.0, progress=lambda *own: told.append(own))
    assert told[-1] == (12, 12)


def test_dynamics_that_cannot_run_are_refused(copper):
    with pytest.raises(GapfitError, match="the atoms fly apart"):
        run_nve(copper, EMT(), timestep=100.0, steps=200, width=3.0)
    with pytest.raises(GapfitError, match="5 steps of 1 fs at 300 K: give at least 10"):
        run_nve(copper, EMT(), steps=5)
