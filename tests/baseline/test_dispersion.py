"""DFT-D3 as a baseline against the ASE calculator of the package dftd3."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from builders import STRUCTURES, config, label, labelled_frames, silicon

import gapfit
from gapfit.baseline.dispersion import Dispersion
from gapfit.config.sections import D3Config
from gapfit.data.frame import structure_arrays
from gapfit.errors import ConfigError, GapfitError, StructureError
from gapfit.model.prediction import Prediction
from gapfit.testing import (
    FORCE_SLOPE,
    SAME_POTENTIAL,
    STRESS_SLOPE,
    forces_error,
    invariance_errors,
    stress_error,
)

D3 = {"functional": "pbe", "r_cut": 16.0, "cn_r_cut": 11.0}
SETTINGS = {"baseline": {"dispersion": "d3", "d3": D3}}

#: C6 of two silicon atoms, eV Å⁶: 150 atomic units, about that of the method here.
TAIL = 90.0

needs_package = pytest.mark.usefixtures("_package")


@pytest.fixture
def _package():
    pytest.importorskip("dftd3")


def reference(damping="d3bj", functional="pbe"):
    """Return the calculator of the package with the same cutoffs."""
    calculators = pytest.importorskip("dftd3.ase")
    cutoffs = {"disp2": 16.0, "disp3": 11.0, "cn": 11.0}
    return calculators.DFTD3(
        method=functional, damping=damping, realspace_cutoff=cutoffs
    )


def evaluated(atoms, **changes):
    config = D3Config(**(D3 | changes))
    return Dispersion(config).evaluate(structure_arrays(atoms), gradients=True)


@pytest.mark.parametrize("damping", ["bj", "zero", "bjm", "zerom"])
@pytest.mark.parametrize("name", ["sheared", "cluster", "three_species"])
def test_equal_to_the_calculator_of_the_package(name, damping):
    atoms = STRUCTURES[name]()
    names = {"bjm": "d3bjm", "zerom": "d3zerom"}
    calculator = reference(names.get(damping, f"d3{damping}"))
    atoms.calc = calculator
    found = evaluated(atoms, damping=damping)
    assert found.energies.sum() == pytest.approx(
        atoms.get_potential_energy(), abs=1e-10
    )
    np.testing.assert_allclose(found.forces, atoms.get_forces(), atol=1e-10)
    if atoms.pbc.all():
        wanted = -atoms.get_stress() * atoms.get_volume()
        np.testing.assert_allclose(found.virials[0], wanted, atol=1e-10)


@needs_package
@pytest.mark.parametrize("name", ["slab", "wire"])
def test_open_directions_are_those_of_a_wide_cell(name):
    atoms = STRUCTURES[name]()
    wide = atoms.copy()
    wide.center(vacuum=20.0, axis=[n for n in range(3) if not atoms.pbc[n]])
    wide.pbc = True
    narrow = atoms.copy()
    lengths = np.where(atoms.pbc, atoms.cell.lengths(), 1.0)
    axes = np.eye(3) * lengths[:, None]
    narrow.set_cell(axes)
    narrow.positions += [0.3, 0.2, 0.9]
    wanted = evaluated(wide)
    for other in (atoms, narrow):
        found = evaluated(other)
        np.testing.assert_allclose(found.energies, wanted.energies, atol=1e-10)
        np.testing.assert_allclose(found.forces, wanted.forces, atol=1e-10)


@needs_package
def test_far_atoms_attract_with_the_sixth_power():
    def energy(r):
        pair = Atoms("Ar2", [[0, 0, 0], [0, 0, r]])
        return evaluated(pair, r_cut=40.0).energies

    near, far = energy(14.0), energy(15.0)
    assert near[0] == pytest.approx(near[1])
    slope = np.log(far.sum() / near.sum()) / np.log(15 / 14)
    assert slope == pytest.approx(-6.0, abs=0.15)
    # C6 of argon is 64 atomic units (Kumar and Meath, Mol. Phys. 54, 823 (1985)).
    assert -near.sum() * 14.0**6 == pytest.approx(64 * 0.5976, rel=0.15)


class Alone:
    """The dispersion without anything else, as a potential."""

    def __init__(self, **changes):
        self.changes = changes

    def predict(self, atoms):
        found = evaluated(atoms, **self.changes)
        return Prediction(
            energy=found.energies.sum(),
            energies=found.energies,
            forces=found.forces,
            stress=-found.virials[0] / atoms.get_volume() if atoms.pbc.any() else None,
        )


def labelled_with_dispersion(n=4):
    frames = []
    for atoms in labelled_frames(silicon, n):
        short = atoms.calc.results
        atoms.calc = reference()
        results = {
            "energy": short["energy"] + atoms.get_potential_energy(),
            "forces": short["forces"] + atoms.get_forces(),
            "stress": short["stress"] + atoms.get_stress(),
        }
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    return frames


def test_a_fit_is_that_of_the_rest(tmp_path):
    frames = labelled_with_dispersion()
    model = gapfit.fit(frames, config(n_sparse=20) | SETTINGS)
    model.save(tmp_path / "m.npz")
    rest = gapfit.fit(labelled_frames(silicon, 4), config(n_sparse=20))
    atoms = silicon(7)
    short = rest.predict(atoms)
    atoms.calc = reference()
    for fitted in (model, gapfit.load(tmp_path / "m.npz")):
        found = fitted.predict(atoms, std="energies")
        wanted = short.energy + atoms.get_potential_energy()
        assert found.energy == pytest.approx(wanted, abs=1e-8)
        SAME_POTENTIAL.check(found.forces, short.forces + atoms.get_forces())
        SAME_POTENTIAL.check(found.stress, short.stress + atoms.get_stress())
        assert found.energies.sum() == pytest.approx(found.energy)
        assert "baseline d3" in repr(fitted)
    served = silicon(7)
    served.calc = gapfit.GAPCalculator(model)
    SAME_POTENTIAL.check(served.get_forces(), model.predict(served).forces)
    SAME_POTENTIAL.check(served.get_stress(), model.predict(served).stress)


@needs_package
@pytest.mark.parametrize("name", ["sheared", "slab", "wire", "cluster"])
def test_invariances(name):
    frames = labelled_frames(STRUCTURES[name], 2)
    model = gapfit.fit(frames, config(n_sparse=10) | SETTINGS)
    errors = invariance_errors(model, frames[0], np.random.default_rng(2))
    SAME_POTENTIAL.check([*errors.values()])


@needs_package
@pytest.mark.parametrize("pbc", [True, (True, True, False), False])
def test_derivatives_are_those_of_the_energy(pbc):
    # Energies jump where a pair crosses a cutoff, which must not happen in the differences:
    # the cutoffs are between shells of neighbours.
    atoms = bulk("Ar", "fcc", a=6.0, cubic=True)
    atoms.pbc = pbc
    atoms.rattle(0.05, seed=1)
    alone = Alone(r_cut=12.36, cn_r_cut=9.0)
    FORCE_SLOPE.check(forces_error(alone, atoms))
    if atoms.pbc.any():
        STRESS_SLOPE.check(stress_error(alone, atoms))


def layers(distance):
    """Return two sheets of silicon, far apart, with the tail -c/r⁶ between all atoms."""
    sheet = bulk("Si", cubic=True)[:4]
    sheet.set_cell([7.0, 7.0, 60.0])
    upper = sheet.copy()
    upper.positions[:, 2] += np.ptp(sheet.positions[:, 2]) + distance
    atoms = sheet + upper
    atoms.pbc = False
    label(atoms)
    energy, forces = atoms.calc.results["energy"], atoms.calc.results["forces"].copy()
    R = atoms.positions[None] - atoms.positions[:, None]
    r = np.linalg.norm(R, axis=-1) + np.eye(len(atoms)) * 1e6
    tail = np.where(r > 5.0, -TAIL / r**6, 0.0)
    energy += 0.5 * tail.sum()
    forces -= np.einsum("ij,ijx->ix", 6 * tail / r**2, R)
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
    return atoms


@needs_package
def test_a_tail_beyond_the_cutoff_is_described_better():
    frames = [layers(d) for d in (5.5, 6.5, 7.5, 8.5, 10.0, 14.0)]
    plain = config(n_sparse=20, r_cut=4.5)

    def error(settings):
        model = gapfit.fit(frames, plain | settings)
        found = [model.predict(atoms).energy for atoms in frames]
        given = [atoms.get_potential_energy() for atoms in frames]
        return np.std(np.subtract(found, given))

    without, with_d3 = error({}), error(SETTINGS)
    assert with_d3 < 0.5 * without


@needs_package
def test_an_unknown_functional_is_named():
    with pytest.raises(ConfigError, match=r"functional = 'pbee'.*give another"):
        evaluated(silicon(), functional="pbee")


@needs_package
def test_heavy_elements_are_refused():
    atoms = bulk("Og", "fcc", a=6.0)
    with pytest.raises(StructureError, match="element with number 118"):
        evaluated(atoms)


@needs_package
def test_no_virials_of_atoms():
    model = gapfit.fit(labelled_frames(silicon, 2), config(n_sparse=10) | SETTINGS)
    with pytest.raises(
        GapfitError, match='dispersion = "d3" gives no virials of atoms'
    ):
        model.predict(silicon(), atom_virials=True)


@needs_package
def test_the_package_is_needed_for_prediction_only(monkeypatch, tmp_path):
    model = gapfit.fit(labelled_frames(silicon, 2), config(n_sparse=10) | SETTINGS)
    model.save(tmp_path / "m.npz")
    monkeypatch.setitem(sys.modules, "dftd3", None)
    monkeypatch.setitem(sys.modules, "dftd3.interface", None)
    model = gapfit.load(tmp_path / "m.npz")
    assert "baseline d3" in repr(model)
    words = r'dispersion = "d3" needs a package .*pip install \'gapfit\[dispersion\]\''
    with pytest.raises(GapfitError, match=words):
        model.predict(silicon())
    with pytest.raises(GapfitError, match=words):
        gapfit.fit(labelled_frames(silicon, 2), config() | SETTINGS)


@pytest.mark.parametrize(
    ("baseline", "words"),
    [
        ({"dispersion": "d3"}, r"needs a table \[baseline.d3\]"),
        ({"d3": D3}, 'given, but not dispersion = "d3"'),
        ({"dispersion": "d3", "d3": {}}, "functional"),
        ({"dispersion": "d3", "d3": D3 | {"damping": "xdm"}}, "damping"),
        ({"dispersion": "d3", "d3": D3 | {"cn_r_cut": 17.0}}, "at most r_cut"),
    ],
)
def test_impossible_settings(baseline, words):
    with pytest.raises(ConfigError, match=words):
        gapfit.fit([silicon()], config() | {"baseline": baseline})
