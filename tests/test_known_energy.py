"""Baselines from a table and from a calculator: subtracted, added again, stored."""

from __future__ import annotations

import json
import sys
import types

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator
from conftest import ROOT, STRUCTURES, config, labelled_frames, silicon, three_species
from test_storage import header_of, rewritten

import gapfit
from gapfit._support.progress import silent
from gapfit.baseline.baseline import build_baseline, without_baseline
from gapfit.baseline.pair_file import read_pairs, table_of_points
from gapfit.config.sections import BaselineConfig
from gapfit.config.toml import as_config
from gapfit.data.dataset import as_dataset
from gapfit.errors import ConfigError, GapfitError, ModelFileError
from gapfit.testing import forces_error, invariance_errors, stress_error
from gapfit.threads import use_threads

LJ = {"sigma": 2.0, "epsilon": 0.4, "rc": 5.0, "smooth": True}
CALCULATOR = {
    "baseline": {
        "calculator": "ase.calculators.lj:LennardJones",
        "calculator_options": LJ,
    }
}


def morse(r):
    x = np.exp(-1.6 * (r - 2.4))
    return 0.8 * (x**2 - 2 * x)


def write_table(path, pairs=("Si-Si",), r=None):
    r = np.arange(1.0, 5.01, 0.05) if r is None else r
    lines = ["# Morse"]
    for pair in pairs:
        lines += [pair, *(f"{a:.6f} {b:.12f}  # eV" for a, b in zip(r, morse(r)))]  # noqa: B905
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def energy(table, r, symbols="Si2"):
    from gapfit.data.frame import structure_arrays
    from gapfit.data.neighbours import pair_list

    pair = structure_arrays(Atoms(symbols, [[0, 0, 0], [r, 0, 0]]))
    found = table.evaluate(pair_list(pair, 6.0), gradients=True)
    return found.energies.sum(), found.forces[1, 0]


@pytest.fixture
def table(tmp_path):
    points = read_pairs(write_table(tmp_path / "pairs.txt"), 1.0)
    return table_of_points(points, (14, 32), 1.0)


def test_between_its_points_the_table_is_the_function(table):
    for r in np.linspace(1.2, 4.0, 97):
        v, f = energy(table, r)
        assert v == pytest.approx(morse(r), abs=1e-6)
        slope = (morse(r + 1e-5) - morse(r - 1e-5)) / 2e-5
        assert f == pytest.approx(-slope, abs=2e-5)


def test_the_table_ends_smoothly_and_absent_pairs_have_none(table):
    r = np.linspace(3.9, 5.1, 400)
    forces = np.array([energy(table, x)[1] for x in r])
    assert np.abs(np.diff(forces)).max() < 0.02
    assert energy(table, 4.999)[0] == pytest.approx(0, abs=1e-8)
    assert energy(table, 5.01) == (0, 0)
    assert energy(table, 2.4, "SiGe") == (0, 0)


def test_below_the_first_point_it_repels_ever_more(table):
    r = np.arange(0.4, 1.3, 0.01)
    forces = np.array([energy(table, x)[1] for x in r])
    assert np.all(np.diff(forces) < 0)
    assert np.abs(np.diff(forces, 2)).max() < 0.3
    value = energy(table, 0.8)[0]
    slope = -energy(table, 1.0)[1]
    curvature = (morse(1.002) - 2 * morse(1.001) + morse(1.0)) / 1e-6
    assert value == pytest.approx(morse(1.0) - 0.2 * slope + 0.02 * curvature, rel=2e-3)


@pytest.mark.parametrize("name", ["silicon", "three_species"])
def test_derivatives_with_a_table_and_zbl(tmp_path, name):
    write_table(tmp_path / "pairs.txt", ("Si-Si", "Te-Ge", "Ge-Ge"))
    baseline = {"repulsion": "zbl", "r_cut": 2.6, "table": "pairs.txt"}
    frames = labelled_frames(STRUCTURES[name], 3)
    settings = config(n_sparse=20) | {"baseline": baseline}
    model = gapfit.fit(frames, settings, base=tmp_path)
    assert "baseline zbl + table" in repr(model)
    assert forces_error(model, frames[0]) < 1e-6
    assert stress_error(model, frames[0]) < 1e-7


def test_a_model_with_a_table_needs_no_other_file(tmp_path):
    path = write_table(tmp_path / "pairs.txt")
    settings = config(n_sparse=20) | {"baseline": {"table": str(path)}}
    model = gapfit.fit(labelled_frames(silicon, 3), settings)
    model.save(tmp_path / "m.npz")
    path.unlink()
    loaded = gapfit.load(tmp_path / "m.npz")
    a, b = model.predict(silicon()), loaded.predict(silicon())
    assert a.energy == b.energy
    np.testing.assert_array_equal(a.forces, b.forces)
    bare = gapfit.fit(labelled_frames(silicon, 3), config(n_sparse=20))
    close = Atoms("Si2", [[0, 0, 0], [0.8, 0, 0]])
    assert loaded.predict(close).energy > bare.predict(close).energy + 5


def test_a_table_in_a_model_file_is_checked(tmp_path):
    path = write_table(tmp_path / "pairs.txt")
    settings = config(n_sparse=20) | {"baseline": {"table": str(path)}}
    good = tmp_path / "m.npz"
    model = gapfit.fit(labelled_frames(silicon, 2), settings)
    model.save(good)
    header = header_of(good) | {"baseline_pairs": []}
    bad = rewritten(good, tmp_path / "a.npz", header=json.dumps(header).encode())
    with pytest.raises(ModelFileError, match="inconsistent baseline"):
        gapfit.load(bad)
    model.baseline.points[14014][5, 0] = 9.0
    model.save(tmp_path / "b.npz")
    with pytest.raises(ModelFileError, match="ascending"):
        gapfit.load(tmp_path / "b.npz")


GRID = "\n".join(f"{r} 1.0" for r in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0))


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (f"Si-Xx\n{GRID}", 1, "'Xx' is not a chemical symbol"),
        (f"Si\n{GRID}", 1, "expected a pair of species"),
        ("1.0 2.0\n", 1, "before the first numbers"),
        (f"Si-Si\n{GRID}\n5.5 1.0", 8, "must be greater than the r before it, 6 Å"),
        ("Si-Si\n0.0 1", 2, "must be greater than 0"),
        ("# none\n\nSi-Si # a\n1 2\n2 3\n", 3, "2 points, at least 6"),
        ("Si-Si\n1 2\n2 nan\n", 3, "found '2 nan'"),
        ("Si-Si\n1 2\n2 a\n", 3, "two finite numbers"),
        ("Si-Si\n1 2\n2 3 4\n", 3, "two finite numbers"),
        (f"Si-Ge\n{GRID}\nGe-Si\n{GRID}", 8, "occurs twice, first in line 1"),
        ("Si-Si\n" + GRID.replace(".0 ", "e-1 "), 1, "make [baseline] width = 1 Å sm"),
    ],
)
def test_mistakes_in_a_table_are_named_with_their_line(tmp_path, text, line, words):
    path = tmp_path / "pairs.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_pairs(path, 1.0)
    assert str(caught.value).startswith(f"{path}, line {line}: ")
    assert words in str(caught.value)


def test_tables_that_are_none(tmp_path):
    with pytest.raises(ConfigError, match=r"nothing\.txt cannot be read as text"):
        read_pairs(tmp_path / "nothing.txt", 1.0)
    (tmp_path / "empty.txt").write_text("# Si-Si\n")
    with pytest.raises(ConfigError, match="contains no pair potential"):
        read_pairs(tmp_path / "empty.txt", 1.0)
    write_table(tmp_path / "pairs.txt", ("C-C",))
    settings = config() | {"baseline": {"table": "pairs.txt"}}
    with pytest.raises(ConfigError, match=r"no pair of the species in the data \(Si\)"):
        gapfit.fit(labelled_frames(silicon, 1), settings, base=tmp_path)


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
    for fitted in (model, gapfit.load(tmp_path / "m.npz"), model.without_shortcuts()):
        found = fitted.predict(frames[1], std=True)
        np.testing.assert_allclose(found.forces, frames[1].get_forces(), atol=1e-9)
        np.testing.assert_allclose(found.stress, frames[1].get_stress(), atol=1e-9)
        assert found.energy == pytest.approx(frames[1].get_potential_energy())
    atoms = frames[1].copy()
    atoms.calc = LennardJones(**LJ)
    np.testing.assert_allclose(
        found.energies, atoms.get_potential_energies() - 3.0, atol=1e-9
    )


@pytest.mark.parametrize("name", ["silicon", "slab", "cluster", "three_species"])
def test_derivatives_and_invariances_with_a_calculator(name):
    frames = labelled_frames(STRUCTURES[name], 3)
    model = gapfit.fit(frames, config(n_sparse=20) | CALCULATOR)
    assert "baseline ase.calculators.lj:LennardJones" in repr(model)
    assert forces_error(model, frames[0]) < 1e-6
    if name != "cluster":
        assert stress_error(model, frames[0]) < 1e-7
    errors = invariance_errors(model, frames[0], np.random.default_rng(2))
    assert max(errors.values()) < 1e-9


def test_the_uncertainty_does_not_depend_on_the_baseline():
    frames = labelled_frames(silicon, 3)
    bare = gapfit.fit(frames, config()).predict(silicon(), std=True)
    with_lj = gapfit.fit(frames, config() | CALCULATOR).predict(silicon(), std=True)
    np.testing.assert_allclose(bare.energies_std, with_lj.energies_std, rtol=1e-12)


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


@pytest.mark.parametrize(
    ("baseline", "words"),
    [
        ({"calculator": "ase.calculators.lj"}, "package.module:Name"),
        ({"calculator": "ase lj:LJ"}, "package.module:Name"),
        ({"calculator_options": {"rc": 5.0}}, "no calculator"),
        (
            {"calculator": "a:b", "calculator_options": {"rc": float("inf")}},
            "rc must be a finite number",
        ),
        (
            {"calculator": "a:b", "calculator_options": {"f": [{"g": object()}]}},
            "f must be a finite number",
        ),
    ],
)
def test_impossible_settings(baseline, words):
    with pytest.raises(ConfigError, match=words):
        gapfit.fit([silicon()], config() | {"baseline": baseline})


def test_the_width_of_a_table_alone_has_nothing_to_do_with_the_repulsion():
    wide = {"table": "pairs.txt", "width": 3.0}
    assert BaselineConfig(**wide).width == 3.0
    with pytest.raises(ValueError, match="less than r_cut"):
        BaselineConfig(**wide, repulsion="zbl")


def test_targets_do_not_depend_on_the_number_of_threads():
    frames = ase.io.read(ROOT / "data" / "silicon" / "train.extxyz", ":120")
    settings = as_config(
        config() | {"baseline": {"repulsion": "zbl", "r_cut": 5}}, frames
    )
    dataset = as_dataset(frames, settings)
    baseline = build_baseline(settings, dataset.species, {}, trusted=True)

    def forces(n_threads):
        with use_threads(n_threads):
            found = without_baseline(dataset.frames, baseline, silent)
        return np.concatenate([frame.forces for frame in found])

    np.testing.assert_array_equal(forces(1), forces(2))
    np.testing.assert_array_equal(forces(1), forces(3))
