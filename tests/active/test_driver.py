"""Dynamics and relaxations while the model is learned."""

from __future__ import annotations

import json

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.harmonic import SpringCalculator
from helpers.learning import Counting, learn, log, settings

import gapfit
from gapfit.active.driver import Driver
from gapfit.active.monitor import UncertaintyMonitor
from gapfit.config.learn import SimulationConfig
from gapfit.errors import GapfitError

pytestmark = pytest.mark.filterwarnings("ignore:.*NPTBerendsen:DeprecationWarning")


def unrecorded(step, atoms) -> None:
    """Keep no trajectory."""


def test_a_relaxation_ends_where_the_reference_has_no_forces(tmp_path):
    start = bulk("Cu", cubic=True) * (2, 1, 1)
    start.rattle(0.15, seed=3)
    ase.io.write(tmp_path / "cu.extxyz", start)
    told, calculator = [], Counting()
    for method in ("fire", "bfgs"):
        run = {"method": method, "steps": 200, "fmax": 0.01}
        config = settings(tmp_path, run, threshold={"forces": 0.02, "every": 2})
        learn(config, tmp_path / method, calculator, report=told.append)
        assert told[-1].step < 200
        assert told[-1].reading.largest <= 0.02 or told[-2].event
    cell = {"method": "bfgs", "steps": 200, "fmax": 0.005, "relax_cell": True}
    ase.io.write(tmp_path / "cu.extxyz", bulk("Cu", a=3.75, cubic=True))
    config = settings(tmp_path, cell, learning={"bootstrap": 6, "strain": 0.05})
    model = learn(config, tmp_path / "cell", Counting(), report=told.append)
    end = ase.io.read(tmp_path / "cell" / "trajectory.extxyz", -1)
    assert told[-1].step < 200
    learned = _relaxed(end, gapfit.GAPCalculator(model, uncertainty=False))
    expected = _relaxed(end, EMT())
    assert learned.get_volume() == pytest.approx(expected.get_volume(), rel=0.01)


def _relaxed(atoms, calculator):
    run = SimulationConfig(
        start="-", method="bfgs", relax_cell=True, steps=100, fmax=0.005
    )
    driver = Driver(run, atoms, [0])
    driver.use(calculator)
    while not driver.is_done:
        driver.advance(unrecorded)
    return driver.atoms


@pytest.mark.parametrize("method", ["langevin", "nve", "npt"])
def test_dynamics_go_on_to_the_last_bit(method, si_model):
    run = SimulationConfig(start="-", method=method, steps=20, final_temperature=900.0)

    def driver() -> Driver:
        made = Driver(run, bulk("Si", cubic=True), [1, 2])
        made.use(gapfit.GAPCalculator(si_model, uncertainty=False, n_threads=1))
        return made

    first, states = driver(), []
    while not first.is_done:
        states.append(json.dumps(first.state()))
        first.advance(unrecorded)
    second = driver()
    second.restore(json.loads(states[10]))
    while not second.is_done:
        second.advance(unrecorded)
    assert json.dumps(first.state()) == json.dumps(second.state())


def test_the_ramp_and_the_thermostat_give_the_temperature():
    run = SimulationConfig(
        start="-", steps=400, temperature=100.0, final_temperature=500.0
    )
    assert [run.temperature_at(n) for n in (0, 200, 400)] == [100.0, 300.0, 500.0]
    warm = SimulationConfig(
        start="-", steps=600, temperature=600.0, timestep=4.0, friction=0.05
    )
    crystal = bulk("Cu", cubic=True) * (3, 3, 2)
    driver = Driver(warm, crystal, [0])
    driver.use(SpringCalculator(crystal.positions, k=2.0))
    temperatures = []
    while not driver.is_done:
        driver.advance(unrecorded)
        temperatures.append(driver.temperature)
    assert np.mean(temperatures[200:]) == pytest.approx(600, rel=0.06)


def test_a_far_too_large_deviation_leads_back_to_look_at_every_step(
    tmp_path, monkeypatch
):
    """As far out as it was found, a structure would be of little use."""
    read, seen = UncertaintyMonitor.read, []

    def far_at_twenty(self, atoms):
        found = read(self, atoms)
        seen.append(found)
        if len(seen) == 5:  # steps 0, 5, 10, 15, 20
            return reference_look(found, 50 * found.threshold)
        return reference_look(found, 1e-3 * found.threshold)

    def reference_look(found, largest):
        return type(found)(found.kind, largest, found.atom, found.threshold)

    monkeypatch.setattr(UncertaintyMonitor, "read", far_at_twenty)
    told = []
    config = settings(tmp_path, {"steps": 25})
    learn(config, tmp_path / "out", report=told.append)
    assert [s.step for s in told] == [0, 5, 10, 15, *range(15, 26)]
    (back,) = log(tmp_path / "out")
    assert (back["event"], back["step"], back["to"]) == ("back", 20, 15)
    frames = ase.io.read(tmp_path / "out" / "trajectory.extxyz", ":")
    assert [a.info["step"] for a in frames] == [0, 10, 20]


def test_a_simulation_that_explodes_ends_with_one_error(tmp_path):
    run = {"method": "nve", "steps": 100, "timestep": 200.0, "temperature": 2000.0}
    config = settings(tmp_path, run, threshold={"forces": 100.0, "every": 5})
    with pytest.raises(GapfitError, match="the simulation itself explodes; lower"):
        learn(config, tmp_path / "out")
    events = [r["event"] for r in log(tmp_path / "out")]
    assert events == ["back", "back", "call", "back", "back"]
    assert len(ase.io.read(tmp_path / "out" / "labelled.extxyz", ":")) == 3
