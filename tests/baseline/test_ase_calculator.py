"""Baselines from a calculator: subtracted, added again, stored."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest
from ase.calculators.calculator import Calculator, PropertyNotImplementedError
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator
from builders import STRUCTURES, config, labelled_frames, silicon, three_species

import gapfit
from gapfit.errors import GapfitError
from gapfit.testing import (
    FORCE_SLOPE,
    ROUNDING,
    SAME_POTENTIAL,
    STRESS_SLOPE,
    forces_error,
    invariance_errors,
    stress_error,
)

LJ = {"sigma": 2.0, "epsilon": 0.4, "rc": 5.0, "smooth": True}
CALCULATOR = {
    "baseline": {
        "calculator": "ase.calculators.lj:LennardJones",
        "calculator_options": LJ,
    }
}


def labelled_by(calculator, e0=0.0, n=3, build=silicon):
    frames = []
    for seed in range(n):
        atoms = build()
        atoms.rattle(0.1, seed=seed)
        atoms.calc = calculator
        results = {
            "energy": atoms.get_potential_energy() + e0 * len(atoms),
            "forces": atoms.get_forces(),
            "stress": atoms.get_stress(),
        }
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    return frames


def test_a_perfect_calculator_leaves_nothing_to_fit(tmp_path):
    frames = labelled_by(LennardJones(**LJ), e0=-3.0)
    model = gapfit.fit(frames, config() | CALCULATOR | {"e0": {"Si": -3.0}})
    assert max(np.abs(c).max() for c in model.terms[0].coefficients.values()) < 1e-9
    model.save(tmp_path / "m.npz")
    for fitted in (model, gapfit.load(tmp_path / "m.npz"), model.without_projections()):
        found = fitted.predict(frames[1], std=True)
        SAME_POTENTIAL.check(found.forces, frames[1].get_forces())
        SAME_POTENTIAL.check(found.stress, frames[1].get_stress())
        assert found.energy == pytest.approx(frames[1].get_potential_energy())
    atoms = frames[1].copy()
    atoms.calc = LennardJones(**LJ)
    SAME_POTENTIAL.check(found.energies, atoms.get_potential_energies() - 3.0)


@pytest.mark.parametrize("name", ["silicon", "slab", "cluster", "three_species"])
def test_derivatives_and_invariances_with_a_calculator(name):
    frames = labelled_frames(STRUCTURES[name], 3)
    model = gapfit.fit(frames, config(n_sparse=20) | CALCULATOR)
    assert "baseline ase.calculators.lj:LennardJones" in repr(model)
    FORCE_SLOPE.check(forces_error(model, frames[0]))
    if name != "cluster":
        STRESS_SLOPE.check(stress_error(model, frames[0]))
    errors = invariance_errors(model, frames[0], np.random.default_rng(2))
    SAME_POTENTIAL.check([*errors.values()])


def test_the_uncertainty_does_not_depend_on_the_baseline():
    frames = labelled_frames(silicon, 3)
    bare = gapfit.fit(frames, config()).predict(silicon(), std=True)
    with_lj = gapfit.fit(frames, config() | CALCULATOR).predict(silicon(), std=True)
    ROUNDING.check(bare.energies_std, with_lj.energies_std)


def test_a_calculator_without_energies_of_atoms_gives_equal_shares():
    def build():
        atoms = three_species()
        atoms.numbers[:] = 29
        atoms.set_cell(atoms.cell * 0.62, scale_atoms=True)
        return atoms

    settings = config(n_sparse=20) | {"e0": {"Cu": 0.0}}
    settings["baseline"] = {"calculator": "ase.calculators.emt:EMT"}
    frames = labelled_by(EMT(), build=build)
    model = gapfit.fit(frames, settings)
    found = model.predict(frames[0])
    assert found.energy == pytest.approx(frames[0].get_potential_energy())
    assert found.energies.sum() == pytest.approx(found.energy)


def made_up(monkeypatch, calculate):
    """Offer a calculator as ``made_up:Toy``."""

    class Toy(Calculator):
        implemented_properties = ["energy", "forces"]  # noqa: RUF012

        def calculate(self, atoms=None, properties=(), changes=()):
            super().calculate(atoms, properties, changes)
            self.results = {"energy": 1.0, "forces": np.zeros((len(atoms), 3))}
            calculate(self, atoms)

    module = types.ModuleType("made_up")
    module.Toy = Toy
    module.number = 3
    module.make_text = str
    monkeypatch.setitem(sys.modules, "made_up", module)
    return {"baseline": {"calculator": "made_up:Toy"}}


def test_no_stress_from_the_calculator(monkeypatch):
    settings = made_up(monkeypatch, lambda self, atoms: None)
    frames = labelled_frames(silicon, 2)
    with pytest.raises(
        GapfitError, match=r"'made_up:Toy' gives no stress for frame 0.*"
    ):
        gapfit.fit(frames, config(n_sparse=10) | settings)
    data = {"train": ["in memory"], "use_stress": False}
    model = gapfit.fit(frames, config(n_sparse=10) | settings | {"data": data})
    assert model.predict(silicon()).stress is None
    atoms = silicon()
    atoms.calc = gapfit.GAPCalculator(model)
    assert np.isfinite(atoms.get_potential_energy())
    with pytest.raises(PropertyNotImplementedError, match="made_up:Toy"):
        atoms.get_stress()


def test_no_virials_of_atoms_from_the_calculator():
    model = gapfit.fit(labelled_frames(silicon, 2), config(n_sparse=10) | CALCULATOR)
    with pytest.raises(GapfitError, match="LennardJones' gives no virials of atoms"):
        model.predict(silicon(), atom_virials=True)


def test_a_failing_calculator_is_named_with_its_frame(monkeypatch):
    def fail(self, atoms):
        if len(atoms) < 5:
            raise RuntimeError("too small")
        self.results["energy"] = np.nan

    settings = config() | made_up(monkeypatch, fail)
    settings["data"] = {"train": ["in memory"], "use_stress": False}
    small = labelled_frames(STRUCTURES["sheared"], 1)
    with pytest.raises(GapfitError, match=r"Toy' failed for frame 0: .*too small"):
        gapfit.fit(small, settings)
    with pytest.raises(GapfitError, match="Toy' gave an energy or a force that is not"):
        gapfit.fit(labelled_frames(silicon, 1), settings)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("no_such_package.here:Toy", {}, "cannot be imported .*install the package"),
        ("made_up:Tool", {}, "the module made_up has no Tool"),
        ("made_up:Toy", {"atoms": 1}, r"calculator_options atoms = 1: "),
        ("made_up:number", {}, "not callable"),
        ("made_up:make_text", {}, "gives a str, not an ASE calculator"),
    ],
)
def test_calculators_that_cannot_be_made(monkeypatch, name, options, words):
    made_up(monkeypatch, lambda self, atoms: None)
    baseline = {"calculator": name, "calculator_options": options}
    with pytest.raises(GapfitError, match=words):
        gapfit.fit(labelled_frames(silicon, 1), config() | {"baseline": baseline})


def test_the_package_of_the_calculator_is_needed_for_prediction_only(
    monkeypatch, tmp_path
):
    def stress(self, atoms):
        self.results["energy"] = float(len(atoms))

    settings = config(n_sparse=10) | made_up(monkeypatch, stress)
    settings["data"] = {"train": ["in memory"], "use_stress": False}
    gapfit.fit(labelled_frames(silicon, 2), settings).save(tmp_path / "m.npz")
    monkeypatch.delitem(sys.modules, "made_up")
    model = gapfit.load(tmp_path / "m.npz")
    assert "made_up:Toy" in repr(model)
    with pytest.raises(GapfitError, match="GAPFIT_TRUST_CALCULATORS=1"):
        model.predict(silicon())
    monkeypatch.setenv("GAPFIT_TRUST_CALCULATORS", "1")
    with pytest.raises(GapfitError, match="the module made_up cannot be imported"):
        model.predict(silicon())
