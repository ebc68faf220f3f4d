"""Baselines from a table of pair energies."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase import Atoms
from builders import STRUCTURES, config, labelled_frames, silicon
from helpers.model_files import header_of, rewritten
from scipy.interpolate import CubicHermiteSpline

import gapfit
from gapfit.baseline.pair_file import read_pairs, table_of_points
from gapfit.config.sections import BaselineConfig
from gapfit.errors import ConfigError, ModelFileError
from gapfit.testing import FORCE_SLOPE, STRESS_SLOPE, forces_error, stress_error


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


def test_points_with_slopes_are_the_cubic_spline_with_these_slopes(tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_text("Si-Ge\n1.0 5.0 -9.0\n2.0 1.0 -1.0  # Å\n4.0 0.0 0.0\n")
    table = table_of_points(read_pairs(path, 1.0), (14, 32), 1.0)
    spline = CubicHermiteSpline([1.0, 2.0, 4.0], [5.0, 1.0, 0.0], [-9.0, -1.0, 0.0])
    for r in (1.0, 1.3, 2.0, 2.9, 3.999):
        v, f = energy(table, r, "SiGe")
        assert v == pytest.approx(spline(r), abs=1e-6)
        assert f == pytest.approx(-spline(r, 1), abs=1e-4)


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
    FORCE_SLOPE.check(forces_error(model, frames[0]))
    STRESS_SLOPE.check(stress_error(model, frames[0]))


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
        (f"Si-Si\nSi-Ge\n{GRID}", 1, "0 points, at least 6"),
        ("Si-Si\n1 2\n2 nan\n", 3, "found '2 nan'"),
        ("Si-Si\n1 2\n2 a\n", 3, "two finite numbers"),
        ("Si-Si\n1 2\n2 3 4\n", 3, "two finite numbers"),
        ("Si-Si\n1 2 3\n2 3\n", 3, "three finite numbers, r (Å), phi (eV) and its"),
        ("Si-Si\n1 2 3\n", 1, "1 points, at least 2"),
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


def test_the_width_of_a_table_alone_has_nothing_to_do_with_the_repulsion():
    wide = {"table": "pairs.txt", "width": 3.0}
    assert BaselineConfig(**wide).width == 3.0
    with pytest.raises(ValueError, match="less than r_cut"):
        BaselineConfig(**wide, repulsion="zbl")
