"""The native core as a guest in Python: threads, signals, processes, bad input."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from builders import STRUCTURES, random_term, silicon
from helpers.processes import forces_of, supercell

from gapfit import _core
from gapfit.data.frame import structure_arrays
from gapfit.data.neighbours import core_pairs, pair_list
from gapfit.descriptors.soap_engine import NativeEngine
from gapfit.errors import ConfigError
from gapfit.model.prediction import Prediction
from gapfit.testing import SAME_POTENTIAL
from gapfit.threads import VARIABLE, native_threads, use_threads

pytestmark = pytest.mark.core


def same(a: Prediction, b: Prediction) -> bool:
    return a.energy == b.energy and np.array_equal(a.forces, b.forces)


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_the_same_number_of_threads_gives_the_same_bits(si_model, n_threads):
    atoms = supercell()
    first, second = (si_model.predict(atoms, n_threads=n_threads) for _ in range(2))
    assert same(first, second)
    np.testing.assert_array_equal(first.stress, second.stress)


@pytest.mark.parametrize("name", ["silicon", "three_species", "isolated"])
def test_threads_change_nothing_but_rounding(name):
    atoms = supercell(2) if name == "isolated" else STRUCTURES[name]() * (2, 2, 1)
    if name == "isolated":
        atoms.positions *= 5
        atoms.cell *= 5
    term = random_term(atoms)
    pairs = pair_list(structure_arrays(atoms), term.descriptor.cutoff)
    found = []
    for n_threads in (1, 2, 5):
        with use_threads(n_threads):
            prediction = term.predict(pairs, gradients=True, atom_virials=True)
            rows = term.descriptor.kernel_rows(pairs, term.sparse, gradients=True)
            found.append((prediction, rows, term.descriptor.environments(pairs)))
    scale = sum(np.abs(c).sum() for c in term.coefficients.values())
    for prediction, rows, environments in found[1:]:
        for a, b in zip(
            vars(prediction).values(), vars(found[0][0]).values(), strict=True
        ):
            np.testing.assert_allclose(a, b, atol=1e-12 * scale)
        for a, b in zip(vars(rows).values(), vars(found[0][1]).values(), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-11)
        for z, own in environments.items():
            np.testing.assert_array_equal(own.values, found[0][2][z].values)


def test_the_number_of_threads_of_calls(monkeypatch):
    monkeypatch.setenv(VARIABLE, "3")
    with native_threads() as n_threads:
        assert n_threads == 3
    with use_threads(2), native_threads() as n_threads:
        assert n_threads == 2


def test_blas_is_held_to_one_thread_meanwhile():
    from threadpoolctl import threadpool_limits

    with threadpool_limits(2):
        # Other packages may have brought a BLAS of one thread.
        before = blas_threads()
        assert 2 in before
        with native_threads():
            assert set(blas_threads()) == {1}
        assert blas_threads() == before


def blas_threads() -> list[int]:
    """Return the number of threads of each BLAS that is loaded."""
    from threadpoolctl import threadpool_info

    return [p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"]


def test_blas_gets_its_threads_back_after_overlapping_calls(si_model):
    from threadpoolctl import ThreadpoolController

    blas = ThreadpoolController().select(user_api="blas")
    structures = [supercell(n) for n in (1, 2, 3, 2)]
    with blas.limit(limits=2), ThreadPoolExecutor(4) as pool:
        before = blas_threads()
        expected = [si_model.predict(s, n_threads=2) for s in structures]
        for _ in range(5):
            found = list(
                pool.map(lambda s: si_model.predict(s, n_threads=2), structures)
            )
            assert all(same(a, b) for a, b in zip(found, expected, strict=True))
        assert blas_threads() == before


@pytest.mark.parametrize("n_threads", [-1, 2.5, "4", True, 2000])
def test_bad_number_of_threads(si_model, n_threads):
    with pytest.raises(ConfigError, match=r"n_threads = .*1 to 1024"):
        si_model.predict(silicon(), n_threads=n_threads)


def test_a_daemon_thread_does_not_disturb_the_exit(tmp_path, si_model):
    si_model.save(tmp_path / "m.npz")
    script = """
import sys, threading, time, gapfit
from ase.build import bulk
model, atoms = gapfit.load(sys.argv[1]), bulk("Si") * (4, 4, 4)
def forever():
    while True:
        model.predict(atoms, n_threads=2)
threading.Thread(target=forever, daemon=True).start()
time.sleep(0.5)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "m.npz")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_threads_work_in_child_processes(tmp_path, si_model, method):
    path = str(tmp_path / "model.npz")
    si_model.save(path)
    here = forces_of(path, 2)
    with multiprocessing.get_context(method).Pool(2) as pool:
        for there in pool.starmap(forces_of, [(path, 2)] * 2):
            np.testing.assert_array_equal(there, here)


@pytest.mark.parametrize("what", ["predict", "rows", "environments"])
def test_signals_interrupt_long_calls(what):
    class StopError(Exception):
        pass

    def stop(*_: object) -> None:
        raise StopError

    atoms = supercell(6)
    term = random_term(supercell(1), n_max=8, l_max=6, repeat=300)
    pairs = pair_list(structure_arrays(atoms), term.descriptor.cutoff)

    def work() -> None:
        for _ in range(100):
            if what == "predict":
                term.predict(pairs, gradients=True)
            elif what == "rows":
                term.descriptor.kernel_rows(pairs, term.sparse, gradients=False)
            else:
                term.descriptor.environments(pairs)

    before = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with use_threads(2), pytest.raises(StopError):
            work()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    if what == "predict":
        again = term.predict(
            pair_list(structure_arrays(silicon()), 4.5), gradients=True
        )
        assert np.isfinite(again.forces).all()


_SCRIPT = """
import sys
import numpy as np
import gapfit
from gapfit.model.prediction import Prediction
from ase.build import bulk
atoms = bulk("Si", cubic=True)
atoms.rattle(0.1, seed=3)
prediction = gapfit.load(sys.argv[1]).predict(atoms)
for heavy in ("dscribe", "sklearn", "matscipy", "matplotlib"):
    assert heavy not in sys.modules, heavy
from gapfit import _core
print(_core.instruction_set, *map(float.hex, prediction.forces.ravel().tolist()))
"""


def _in_new_process(model: Path, bits: int) -> tuple[int, np.ndarray]:
    environment = os.environ | {"GAPFIT_INSTRUCTION_SET": str(bits)}
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(model)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=model.parent,  # not the source folder, which has no compiled core
        check=False,
    )
    assert done.returncode == 0, done.stderr
    used, *numbers = done.stdout.split()
    return int(used), np.array([float.fromhex(number) for number in numbers])


def test_every_instruction_set_gives_the_same_forces_without_dscribe(
    tmp_path, si_model
):
    si_model.save(tmp_path / "m.npz")
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.1, seed=3)
    expected = si_model.predict(atoms, n_threads=1).forces.ravel()
    for bits in (128, 256, 512):
        used, forces = _in_new_process(tmp_path / "m.npz", bits)
        assert used <= bits
        SAME_POTENTIAL.check(forces, expected)


def test_unknown_instruction_set_is_an_error(tmp_path):
    environment = os.environ | {"GAPFIT_INSTRUCTION_SET": "1024"}
    done = subprocess.run(
        [sys.executable, "-c", "import gapfit._core"],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        check=False,
    )
    assert "GAPFIT_INSTRUCTION_SET = '1024'; it must be 128, 256 or 512" in done.stderr


def good_pairs() -> dict:
    return {
        "first": np.array([0, 1, 2]),
        "j": np.array([1, 0]),
        "R": np.array([[0, 0, 2.0], [0, 0, -2.0]]),
        "species": np.array([0, 0], dtype=np.int32),
        "frame": np.array([0, 0]),
        "n_frames": 1,
        "start": 0,
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"j": np.array([1, 2])}, "j must be atoms"),
        ({"j": np.array([1, -1])}, "j must be atoms"),
        ({"j": np.array([1])}, "same length"),
        ({"first": np.array([0, 2, 1])}, "first must"),
        ({"first": np.array([1, 1, 2])}, "first must"),
        ({"first": np.array([0, 3, 2])}, "first must not decrease"),
        ({"first": np.array([0, 1, 2, 2])}, "must be atoms"),
        ({"first": np.zeros(0, dtype=int)}, "must be atoms"),
        ({"start": -1}, "must be atoms"),
        ({"species": np.array([0, -1], dtype=np.int32)}, "species must lie between"),
        ({"species": np.array([0, 2**31 - 1], dtype=np.int32)}, "species must lie"),
        ({"start": 2**63 - 1}, "must be atoms"),
        ({"R": np.array([[0, 0, 2.0], [0, 0, np.nan]])}, "finite and not zero"),
        ({"R": np.array([[0, 0, 2.0], [0, 0, 1e12]])}, "finite and not zero"),
        ({"R": np.array([[0, 0, 2.0], [0, 0, 0]])}, "finite and not zero"),
        ({"frame": np.array([0, 1])}, "frame must lie below"),
        ({"frame": np.array([0])}, "same length"),
    ],
)
def test_inconsistent_pair_lists_raise(change, message):
    _core.PairList(**good_pairs())  # the change alone is what is refused
    with pytest.raises(ValueError, match=message):
        _core.PairList(**(good_pairs() | change))


@pytest.mark.parametrize(
    "change",
    [
        {"R": np.zeros((2, 2))},
        {"R": np.zeros(6)},
        {"R": "text"},
        {"R": None},
        {"R": np.zeros((2, 3), dtype=complex)},
        {"j": np.array([[1, 0]])},
    ],
)
def test_wrong_types_and_shapes_raise(change):
    with pytest.raises(TypeError):
        _core.PairList(**(good_pairs() | change))


def test_strided_and_single_precision_arrays_are_converted():
    term = random_term(silicon())
    pairs = pair_list(structure_arrays(silicon()), term.descriptor.cutoff)
    engine = term.descriptor.engine
    expected = engine.environments(pairs)[0]
    wide = np.zeros((pairs.n_pairs, 6))
    wide[:, ::2] = pairs.R
    strided = type(pairs)(**(vars(pairs) | {"R": wide[:, ::2]}))
    np.testing.assert_array_equal(engine.environments(strided)[0], expected)


def engine_and_pairs() -> tuple[NativeEngine, object]:
    term = random_term(silicon(), n_max=3, l_max=2)
    pairs = pair_list(structure_arrays(silicon()), term.descriptor.cutoff)
    return term.descriptor.engine, core_pairs(pairs, (14,))


def test_arrays_that_do_not_fit_raise():
    engine, pairs = engine_and_pairs()
    core, F = engine._core, engine.n_features
    points = _core.Points(np.ones((4, F)))
    with pytest.raises(ValueError, match="n_threads"):
        core.environments(pairs, 0)
    with pytest.raises(ValueError, match="features of this descriptor"):
        core.predict(
            pairs,
            [_core.SparseBlock(_core.Points(np.ones((4, F + 1))), np.ones(4), 2.0)],
            True,
            False,
            1,
        )
    with pytest.raises(ValueError, match="one coefficient"):
        _core.SparseBlock(points, np.ones(3), 2.0)
    with pytest.raises(ValueError, match="zeta must be"):
        _core.SparseBlock(points, np.ones(4), 0.5)
    with pytest.raises(ValueError, match="square"):
        _core.SparseBlock(points, np.ones(0), 2.0, True)
    with pytest.raises(ValueError, match="same number of columns"):
        _core.Points(np.ones((4, 5)), np.ones((F, 6)))
    with pytest.raises(ValueError, match="one block for each species"):
        core.predict(pairs, [], True, False, 1)
    rows = np.zeros((1, 4))
    with pytest.raises(ValueError, match="observations, sparse points"):
        core.add_rows(pairs, [points], 1.0, 2.0, np.zeros((1, 3)), None, None, 1)
    with pytest.raises(ValueError, match="there are no virials without forces"):
        core.add_rows(pairs, [points], 1.0, 2.0, rows, None, np.zeros((6, 4)), 1)
    for unfit in (np.zeros((1, 8))[:, ::2], np.zeros((1, 4), dtype=np.float32)):
        # A converted copy would take the rows and vanish.
        with pytest.raises(TypeError):
            core.add_rows(pairs, [points], 1.0, 2.0, unfit, None, None, 1)
    frozen = rows.copy()
    frozen.flags.writeable = False
    with pytest.raises(TypeError):
        core.add_rows(pairs, [points], 1.0, 2.0, frozen, None, None, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"table": np.zeros((1, 1, 3, 3, 3))}, "table must be"),
        ({"table": np.zeros((1, 5, 3, 3, 17))}, "n_max between 1 and 16"),
        ({"table_of": [1]}, "name one of the tables"),
        ({"table_of": []}, "a table for each species"),
        ({"next": [(1, 2.0, 0)]}, "tables beyond a distance"),
        ({"next": [(0, 2.0, 1)]}, "tables beyond a distance"),
        ({"next": [(0, 2.0, 0), (0, 1.0, 0)]}, "tables beyond a distance"),
        ({"next": [(0, np.nan, 0)]}, "tables beyond a distance"),
        ({"spacing": 0.0}, "spacing"),
        ({"centre": np.zeros((1, 2))}, "centre"),
        ({"weighting": ("cubic", 1.0, 1.0, 1.0, 1.0)}, "weighting must be"),
        ({"channel": [-1]}, "channels"),
        ({"channel": []}, "one value for each species"),
        ({"blocks": [(0, 1)]}, "pairs of channels"),
        ({"scale": np.ones(3)}, "one value for each feature"),
        ({"products": "first"}, "one value for each feature"),
        ({"products": "some"}, "products must be"),
        ({"mixed": [2]}, "mixing must be"),
        ({"mixed": [4], "mixing": np.zeros((1, 1, 3, 3))}, "mixed channels must have"),
    ],
)
def test_inconsistent_descriptors_raise(change, message):
    good = {
        "table": np.zeros((1, 5, 3, 3, 3)),
        "table_of": [0],
        "next": [],
        "spacing": 0.1,
        "centre": np.zeros((1, 3)),
        "weighting": ("poly", 5.0, 1.0, 1.0, 1.0),
        "channel": [0],
        "species_weight": [1.0],
        "mixed": [],
        "mixing": np.zeros((0, 1, 3, 3)),
        "central_in_all": False,
        "blocks": [(0, 0)],
        "scale": np.ones(18),
        "products": "all",
    }
    _core.Soap(**good)
    with pytest.raises(ValueError, match=message):
        _core.Soap(**(good | change))


def test_a_species_the_descriptor_does_not_know_raises():
    engine, _ = engine_and_pairs()
    strange = good_pairs() | {"species": np.array([0, 1], dtype=np.int32)}
    with pytest.raises(ValueError, match="does not know"):
        engine._core.environments(_core.PairList(**strange), 1)
