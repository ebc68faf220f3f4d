"""The plan of a fit against what the fit takes: rows, memory, and time."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from builders import DATA, config, labelled_frames, silicon

import gapfit
from gapfit._support.resources import resident_bytes
from gapfit.config.toml import config_from_dict
from gapfit.data.dataset import read
from gapfit.errors import GapfitError
from gapfit.execution.memory import Matrices
from gapfit.execution.plan import plan
from gapfit.execution.time_estimate import estimated_seconds

# A process of its own: only then the peak is that of the fit.
MEASURE = """
import json, sys, tempfile
import gapfit
from gapfit.config.toml import as_config
from gapfit.data.dataset import as_dataset
from gapfit.execution.plan import plan
from gapfit._support.resources import peak_bytes

if __name__ == "__main__":
    config = as_config(json.loads(sys.argv[1]), None)
    data = as_dataset(None, config)
    planned = plan(data, config)
    model = gapfit.fit(data, config)
    with tempfile.TemporaryDirectory() as folder:
        model.save(folder + "/model.npz")
    print(json.dumps([planned.memory_bytes, peak_bytes(), planned.n_sparse]))
"""


def soap(n_sparse: int, **settings: object) -> dict:
    return {"n_sparse": n_sparse, "l_max": 6, **settings}


def settings(name: str | Path, *terms: dict, **tables: dict) -> dict:
    train = str(name if isinstance(name, Path) else DATA / name / "train.extxyz")
    data = {"train": [train], "check_labels": False, **tables.pop("data", {})}
    return {"data": data, "terms": list(terms), **tables}


def planned_and_peak(options: dict) -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, "-P", "-c", MEASURE, json.dumps(options)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    planned, peak, _ = json.loads(done.stdout.splitlines()[-1])
    return planned, peak


LONG_PAIRS = {"type": "distance_2b", "n_sparse": 50, "r_cut": 10.0}
CASES = {
    "silicon": settings("silicon", soap(300)),
    "qr": settings("silicon", soap(400), solver={"method": "qr"}),
    "three_species": settings("ge2sb2te5", soap(300)),
    "three_terms": settings(
        "silicon",
        {"type": "distance_2b", "n_sparse": 50},
        {"type": "angle_3b", "n_sparse": 200},
        soap(500),
    ),
    "energies": settings(
        "silicon", soap(1100), data={"use_forces": False, "use_stress": False}
    ),
    "many_points": settings("silicon", soap(1100)),
}


#: Of each kind one in the default run.
QUICK = ("three_species", "energies", "qr")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name in CASES
    ],
)
def test_the_peak_of_a_fit_is_as_planned(name):
    planned, peak = planned_and_peak(CASES[name])
    assert 0.75 * planned < peak < 1.25 * planned


def big_cells(folder: Path, n_frames: int) -> Path:
    """Write rattled silicon in cells of 216 atoms; the labels mean nothing."""
    rng = np.random.default_rng(0)
    frames = [Atoms("Si", cell=[20] * 3, pbc=True)]
    frames[0].calc = SinglePointCalculator(frames[0], energy=-1.0)
    for seed in range(n_frames):
        atoms = bulk("Si", cubic=True) * (3, 3, 3)
        atoms.rattle(0.1, seed=seed)
        labels = {
            "energy": -5.0 * len(atoms) + rng.normal(),
            "forces": rng.normal(size=(216, 3)),
            "stress": rng.normal(size=6) * 0.01,
        }
        atoms.calc = SinglePointCalculator(atoms, **labels)
        frames.append(atoms)
    path = folder / "train.extxyz"
    ase.io.write(path, frames)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_sparse", "tables"),
    [
        (1500, {}),
        (1500, {"run": {"threads": 4}}),  # each has rows of a structure left out
        (1500, {"solver": {"method": "qr"}}),
        (3000, {"data": {"use_forces": False, "use_stress": False}}),
    ],
)
def test_the_peak_of_a_large_fit_is_as_planned(tmp_path, n_sparse, tables):
    path = big_cells(tmp_path, 40)
    planned, peak = planned_and_peak(settings(path, soap(n_sparse), **tables))
    assert 0.75 * planned < peak < 1.25 * planned


@pytest.mark.slow
def test_the_peak_of_threads_is_as_planned(tmp_path):
    """On few cores not all of them have their largest arrays at the same moment."""
    path = big_cells(tmp_path, 16)
    planned, peak = planned_and_peak(settings(path, LONG_PAIRS, run={"threads": 8}))
    assert 0.6 * planned < peak < 1.25 * planned


@pytest.mark.slow
def test_the_time_of_a_fit_is_as_estimated(tmp_path):
    from time import perf_counter

    options = config_from_dict(settings(big_cells(tmp_path, 40), soap(1000)))
    data = read(options.data.train, options.data)
    expected = estimated_seconds(data, options, plan(data, options))
    started = perf_counter()
    gapfit.fit(data, options)
    assert 1 / 1.5 < expected / (perf_counter() - started) < 1.5


def test_a_small_memory_makes_small_batches():
    options = config_from_dict(config())
    sizes = plan(read(labelled_frames(silicon, 3), options.data), options).sizes
    atoms = []
    for granted in (4e9, sizes.matrices.rows + 1e5, sizes.matrices.rows):
        atoms.append(replace(sizes, granted=int(granted)).batch_atoms)
    assert atoms[0] == 256
    assert 10 < atoms[1] < 100
    assert atoms[2] == 1


def test_too_little_memory_is_refused_with_what_is_needed(tmp_path):
    frames = labelled_frames(silicon, 3)
    with pytest.raises(GapfitError) as caught:
        gapfit.fit(frames, config() | {"run": {"memory": "20 kB"}})
    message = str(caught.value)
    assert message.startswith(
        "run.memory = 20 kB is too little: 24 sparse points (chol"
    )
    enough = message.partition('set run.memory = "')[2].partition('"')[0]
    assert gapfit.fit(frames, config() | {"run": {"memory": enough}}).n_sparse == 24


@pytest.mark.parametrize(
    ("n_tasks", "sums"), [(1, 1), (2, 2), (32, 2), (33, 2), (34, 3), (1024, 3)]
)
def test_sums_that_exist_at_once(n_tasks, sums):
    # Two rows are kept as they are: 160 bytes; the ten by ten matrix takes 800.
    matrices = Matrices((10,), (5,), (2, 500), n_tasks, "cholesky")
    assert matrices.rows == matrices.points + sums * 960


@pytest.mark.parametrize(
    ("method", "sums"),
    [
        # Sums as above; two rows of each group wait, and are copied as they are added.
        ("cholesky", 960 + 2 * 160 + 200),
        # Two triangles; two and ten rows wait; then the rows with a triangle, twice, and
        # the new triangle.
        ("qr", 2 * 800 + 160 + 800 + 5 * 800),
    ],
)
def test_a_device_holds_points_sums_and_rows(method, sums):
    # Ten points of five numbers, and their factor; rows up to 6 GB.
    matrices = Matrices((10,), (5,), (2, 500), 1, method)
    assert matrices.on_device == 8 * (10 * 5 + 10 * 10) + sums + 6e9


def test_workers_are_planned_apart():
    options = config_from_dict(config() | {"run": {"workers": 2}})
    data = read(labelled_frames(silicon, 3), options.data)
    assert plan(data, options).worker_bytes > 100e6
    assert plan(data, options, workers=False).worker_bytes == 0


def planned_bytes(path: Path, term: dict, **tables: dict) -> int:
    """Return the planned peak beside Python."""
    options = config_from_dict(settings(path, term, **tables))
    before = resident_bytes()
    return plan(read(options.data.train, options.data), options).memory_bytes - before


def test_the_calibration_is_planned_for_each_thread(tmp_path):
    """Each thread holds the rows of a structure left out twice while they are made."""
    path = big_cells(tmp_path, 8)
    rows = 2 * 8 * 655 * 300
    found = [planned_bytes(path, soap(300), run={"threads": n}) for n in (8, 4)]
    assert 4 * rows < found[0] - found[1] < 4 * (rows + 50e6)
    eight = {"threads": 8}
    without = [
        planned_bytes(path, soap(300), run=eight, calibration={"method": "none"}),
        planned_bytes(path, soap(300), run=eight | {"store_posterior": False}),
    ]
    assert max(without) < found[1]


def test_the_arrays_of_pairs_are_planned_for_each_thread(tmp_path):
    """Nine of 16384 pairs and 50 sparse points, beside which its rows are small."""
    path = big_cells(tmp_path, 8)
    found = [planned_bytes(path, LONG_PAIRS, run={"threads": n}) for n in (8, 4)]
    assert 4 * 59e6 < found[0] - found[1] < 4 * 80e6
