"""What counts as a failure of a single structure."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from gapfit.robustness.bounds import find_bounds
from gapfit.robustness.results import StressSettings
from gapfit.robustness.watch import FailureError, Watch, saved


@pytest.fixture
def watch(good, silicon_data):
    crystal = bulk("Si", a=5.47)
    frame = next(f for f in silicon_data.frames if f.config_type == "bulk_eos")
    bounds = find_bounds(good, silicon_data.frames, frame)
    energy = good.predict(crystal).energy / 2
    settings = StressSettings(alarm=1e-9)
    return Watch(good, bounds, settings, crystal.numbers, energy, alarmed=True)


def test_energies_may_not_fall_below_the_crystal(watch, good):
    crystal = bulk("Si", a=5.47)
    energy = good.predict(crystal).energy
    watch.energy(crystal, energy - 2 * 0.49, "here")
    assert watch.lowest == pytest.approx(-0.49)
    with pytest.raises(FailureError, match=r"the energy is 0\.51 eV/atom below"):
        watch.energy(crystal, energy - 2 * 0.51, "here")
    with pytest.raises(FailureError, match="not finite"):
        watch.energy(crystal, np.nan, "here")


def test_atoms_may_not_collapse(watch):
    watch.distances(Atoms("Si2", [[0, 0, 0], [0, 0, 0.7]]), "now")
    assert watch.closest == pytest.approx(0.7 / 1.1, rel=1e-3)
    with pytest.raises(
        FailureError, match=r"now: Si and Si are 0\.60 Å apart, 0\.55 of"
    ):
        watch.distances(Atoms("Si2", [[0, 0, 0], [0, 0, 0.6]]), "now")


def test_atoms_may_not_get_lost(watch):
    near = [[0, 0, 0], [0, 0, 2.4]]
    watch.lost(Atoms("Si3", [*near, [0, 2.4, 0]]), "now")
    with pytest.raises(
        FailureError, match="now: Si atom 3 is lost, without a neighbour"
    ):
        watch.lost(Atoms("Si3", [*near, [0, 9.0, 0]]), "now")


def test_a_large_standard_deviation_is_an_alarm(watch):
    with pytest.raises(FailureError, match="the standard deviation of the energy is"):
        watch.deviation(bulk("Si", a=6.5), "now")
    assert watch.std > 1e-9


def test_a_frame_without_an_energy_is_kept_as_it_is(good):
    atoms = Atoms("Si2", [[0, 0, 0], [0, 0, 0.1]])
    kept = saved(good, FailureError("overlap", atoms))
    assert kept.calc is None
    assert kept.info["failure"] == "overlap"
