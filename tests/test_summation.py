"""Sums over the data in parts: any order of work, any interruption, the same model."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from pathlib import Path

import ase.io
import numpy as np
import pytest
from conftest import ROOT, config, labelled_frames, silicon, three_species

import gapfit
from gapfit._support.archive import Packed, unpacked
from gapfit._support.identity import differences
from gapfit.config.sections import RunConfig
from gapfit.errors import GapfitError
from gapfit.execution import accumulate as row_sums
from gapfit.execution import executors
from gapfit.execution import merge_tree as tree
from gapfit.execution import tasks as summation
from gapfit.execution.accumulate import task_slices
from gapfit.execution.checkpoint import CheckpointFolder
from gapfit.execution.merge_tree import Node, Span, outermost, root
from gapfit.fitting import fit_prepared as fitting

FRAMES = [*labelled_frames(silicon, 11), *labelled_frames(three_species, 2)]
# Sums that are cut among threads differ in their last digits.
SETTINGS = config(n_sparse=15) | {"run": {"threads": 1}}


@pytest.fixture
def small_tasks(monkeypatch):
    """Make every frame a task and the tree three levels high."""

    def one_each(sizes: np.ndarray, n_sparse: int) -> list[slice]:
        return [slice(n, n + 1) for n in range(len(sizes))]

    monkeypatch.setattr(fitting, "task_slices", one_each)
    monkeypatch.setattr(tree, "FAN", 3)
    monkeypatch.setattr(summation, "_LEAST_INTERVAL", 0.0)
    monkeypatch.setattr(summation, "_INTERVALS", 0.0)


def fit(method: str = "cholesky", frames=None, **options) -> gapfit.GAPModel:
    settings = {**SETTINGS, "solver": {"method": method}}
    changed = options.pop("settings", {})
    settings |= changed | {"run": {"threads": 1, **changed.get("run", {})}}
    return gapfit.fit(frames or FRAMES, settings, **options)


def same(one: gapfit.GAPModel, other: gapfit.GAPModel) -> None:
    """Assert that two models are equal to the last bit."""
    assert one.info["log_marginal_likelihood"] == other.info["log_marginal_likelihood"]
    for mine, theirs in zip(one.terms, other.terms, strict=True):
        for block, c in mine.coefficients.items():
            np.testing.assert_array_equal(c, theirs.coefficients[block])
    assert one.info["n_rows"] == other.info["n_rows"]
    np.testing.assert_array_equal(one.posterior.R, other.posterior.R)


# The tree of parts


@pytest.mark.parametrize("n_tasks", [1, 2, 31, 32, 33, 1024, 1025, 5000])
def test_children_share_out_the_tasks_of_their_node(n_tasks):
    waiting, leaves = [root(n_tasks)], []
    assert waiting[0].span == Span(0, n_tasks)
    while waiting:
        node = waiting.pop()
        if node.level == 0:
            leaves.append(node.index)
            continue
        ends = [node.span.first, *(child.span.stop for child in node.children)]
        assert [child.span.first for child in node.children] == ends[:-1]
        assert ends[-1] == node.span.stop
        assert len(node.children) <= tree.FAN
        waiting += node.children
    assert sorted(leaves) == list(range(n_tasks))


def test_sums_of_first_children_stand_for_them_and_others_must_be_there():
    node = Node(1, 1, 100)
    leaves = {Span(n, n + 1) for n in range(32, 64)}
    assert node.parts(leaves) == sorted(leaves)
    assert node.parts(leaves - {Span(50, 51)}) is None
    start = Span(32, 60)
    assert node.parts({start, *leaves}) == [start, *sorted(leaves)[28:]]
    assert node.parts({Span(32, 64)}) == [Span(32, 64)]
    # A sum that ends between two children cannot be used.
    assert Node(2, 0, 100).prefix({Span(0, 33)}) is None


def test_sums_within_others_do_not_count():
    known = {Span(0, 32), Span(3, 4), Span(32, 33), Span(40, 50), Span(49, 50)}
    assert outermost(known) == {Span(0, 32), Span(32, 33), Span(40, 50)}


def test_tasks_depend_on_the_data_alone_and_hold_enough_rows():
    sizes = np.full(1000, 50)
    tasks = task_slices(sizes, 100)
    assert [task.start for task in tasks[1:]] == [task.stop for task in tasks[:-1]]
    assert tasks[0].start == 0
    assert tasks[-1].stop == 1000
    assert 25 < len(task_slices(sizes, 4000)) <= tree.FAN
    assert len(task_slices(np.full(100_000, 50), 4000)) == 625
    assert len(task_slices(np.array([5, 5]), 4000)) == 1


def test_triangles_are_packed_without_loss():
    upper = np.triu(np.random.default_rng(0).normal(size=(7, 7)))
    packed = np.asarray(Packed(upper))
    np.testing.assert_array_equal(unpacked(packed, 7), upper)
    np.testing.assert_array_equal(packed, upper[np.triu_indices(7)])


# One process


@pytest.mark.parametrize("method", ["cholesky", "qr"])
def test_a_fit_in_many_small_tasks_equals_one_in_a_large_one(method, request):
    whole = fit(method)
    request.getfixturevalue("small_tasks")
    cut = fit(method)
    for one, other in zip(whole.predict(FRAMES), cut.predict(FRAMES), strict=True):
        assert one.energy == pytest.approx(other.energy, rel=1e-9)
        np.testing.assert_allclose(one.forces, other.forces, rtol=1e-8, atol=1e-9)


class Stop(BaseException):
    """Stands for a kill."""


def stopping_after(n_rows: int):
    def progress(stage: str, done: int, total: int) -> None:
        if stage == "rows" and done >= n_rows:
            raise Stop

    return progress


@pytest.mark.parametrize("method", ["cholesky", "qr"])
def test_fits_stopped_at_any_moment_resume_to_the_same_bits(
    tmp_path, small_tasks, method
):
    whole, rng = fit(method), np.random.default_rng(5)
    n_rows = sum(whole.info["n_rows"].values())
    folder = tmp_path / "checkpoint"
    for stop in [1, *sorted(rng.integers(2, n_rows, 8)), n_rows]:
        with pytest.raises(Stop):
            fit(method, checkpoint=folder, progress=stopping_after(stop))
        assert (folder / "start.npz").exists()
        resumed = fit(method, checkpoint=folder, resume=True)
        same(resumed, whole)


def test_a_fit_may_be_stopped_again_and_again(tmp_path, small_tasks):
    whole, folder = fit(), tmp_path / "checkpoint"
    total = sum(whole.info["n_rows"].values())
    for n in range(6):
        with pytest.raises(Stop):
            fit(
                checkpoint=folder,
                resume=n > 0,
                progress=stopping_after((n + 1) * total // 7),
            )
    same(fit(checkpoint=folder, resume=True), whole)


def test_resuming_does_not_compute_again_what_is_summed_up(
    tmp_path, small_tasks, monkeypatch
):
    folder, computed = tmp_path / "checkpoint", []
    original = row_sums.Rows.sum_up

    def counting(self, frames, *args, **options):
        computed.append(len(frames))
        return original(self, frames, *args, **options)

    monkeypatch.setattr(row_sums.Rows, "sum_up", counting)
    with pytest.raises(Stop):
        fit(checkpoint=folder, progress=stopping_after(300))
    before = len(computed)
    fit(checkpoint=folder, resume=True)
    # The last task was done but not yet added.
    assert len(computed) == len(FRAMES) + 1
    assert before > 5


def test_checkpoints_keep_what_workers_have_done_ahead(
    tmp_path, small_tasks, monkeypatch
):
    whole, folder, computed = fit(), tmp_path / "checkpoint", []
    with pytest.raises(Stop):
        fit(checkpoint=folder, executor=Inline(), progress=stopping_after(300))
    ahead = CheckpointFolder(folder).spans()
    assert len(ahead) > 2
    original = row_sums.Rows.sum_up

    def counting(self, frames, *args, **options):
        computed.append(frames[0].source)
        return original(self, frames, *args, **options)

    monkeypatch.setattr(row_sums.Rows, "sum_up", counting)
    same(fit(checkpoint=folder, resume=True), whole)
    done = sum(stop - first for first, stop in outermost(ahead))
    assert len(computed) == len(FRAMES) - done


def test_checkpoints_take_a_small_share_of_the_time(tmp_path, small_tasks, monkeypatch):
    """Their interval follows what they cost: at most 1/40 of the time."""
    clock, written = [0.0], []
    monkeypatch.setattr(summation, "_LEAST_INTERVAL", 5.0)
    monkeypatch.setattr(summation, "_INTERVALS", 40.0)
    monkeypatch.setattr(summation.time, "monotonic", lambda: clock[0])

    def slow_write(self, span, sums):
        written.append(clock[0])
        clock[0] += 10.0

    def slow_rows(self, *args, **options):
        clock[0] += 100.0
        return original(self, *args, **options)

    original = row_sums.Rows.sum_up
    monkeypatch.setattr(CheckpointFolder, "write", slow_write)
    monkeypatch.setattr(row_sums.Rows, "sum_up", slow_rows)
    fit(checkpoint=tmp_path / "checkpoint")
    assert len(set(np.diff(written).round()) - {10.0}) > 0
    assert 10.0 * len(written) < 0.1 * clock[0]


def test_checkpoint_of_another_fit_is_refused_with_all_differences(
    tmp_path, small_tasks
):
    folder = tmp_path / "checkpoint"
    with pytest.raises(Stop):
        fit(checkpoint=folder, progress=stopping_after(100))
    terms = [{**SETTINGS["terms"][0], "r_cut": 4.4, "zeta": 4}]
    with pytest.raises(GapfitError, match="another fit") as caught:
        fit(checkpoint=folder, resume=True, settings={"terms": terms})
    text = str(caught.value)
    assert "terms[0].r_cut: 4.5 then, 4.4 now" in text
    assert "terms[0].zeta: 3.0 then, 4.0 now" in text
    assert "without --resume" in text
    with pytest.raises(GapfitError, match=r"frames: 13 then, 12 now\n.*SHA-256"):
        fit(frames=FRAMES[:12], checkpoint=folder, resume=True)
    # Who computes, and with how much memory, may change.
    run = {"memory": "1 GB", "workers": 3}
    same(
        fit(checkpoint=folder, resume=True, settings={"run": run}, executor=Inline()),
        fit(),
    )


def test_other_contents_of_a_named_file_are_refused(tmp_path, small_tasks):
    def write(height: float) -> None:
        rows = [f"{0.5 + 0.1 * n} {height * (2.5 - 0.1 * n)}" for n in range(26)]
        (tmp_path / "table").write_text("\n".join(["Si-Si", *rows]) + "\n")

    again = {
        "frames": FRAMES[:11],
        "settings": {"baseline": {"table": "table"}},
        "checkpoint": tmp_path / "checkpoint",
        "base": tmp_path,
    }
    write(1.0)
    with pytest.raises(Stop):
        fit(**again, progress=stopping_after(150))
    write(2.0)
    with pytest.raises(GapfitError, match=r"SHA-256 of\.table: '\w+' then"):
        fit(**again, resume=True)
    write(1.0)
    fit(**again, resume=True)


def test_a_second_fit_in_the_same_folder_is_refused(tmp_path, small_tasks):
    folder, texts = tmp_path / "checkpoint", []

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "rows" and done and not texts:
            for resume in (False, True):
                with pytest.raises(
                    GapfitError, match="another fit is at work"
                ) as caught:
                    fit(checkpoint=folder, resume=resume)
                texts.append(str(caught.value))

    same(fit(checkpoint=folder, progress=progress), fit())
    assert len(texts) == 2
    assert list(tmp_path.iterdir()) == [folder]


def test_nothing_to_resume_and_folders_of_the_user_are_refused(tmp_path):
    with pytest.raises(GapfitError, match="no unfinished fit to resume"):
        fit(checkpoint=tmp_path / "checkpoint", resume=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(GapfitError, match=r"mine: .* holds thesis\.tex, .* move it"):
        fit(checkpoint=tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.tex").exists()


def test_damaged_checkpoints_are_refused_by_name(tmp_path, small_tasks):
    folder = tmp_path / "checkpoint"
    with pytest.raises(Stop):
        fit(checkpoint=folder, progress=stopping_after(200))
    file = max(folder.glob("sum-*.npz"))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(GapfitError, match=f"{file.name}: damaged .* remove this file"):
        fit(checkpoint=folder, resume=True)
    file.unlink()
    same(fit(checkpoint=folder, resume=True), fit())
    (folder / "state.json").write_text("{")
    with pytest.raises(GapfitError, match=r"state\.json: damaged"):
        fit(checkpoint=folder, resume=True)


def test_differences_of_plain_data():
    old = {"a": 1, "b": {"c": [1, 2]}, "d": None}
    assert differences(old, old) == []
    new = {"a": 2, "b": {"c": [1, 3]}, "e": 0}
    assert differences(old, new) == [
        "a: 1 then, 2 now",
        "b.c[1]: 2 then, 3 now",
        "e: None then, 0 now",
    ]


# Workers


class Inline(Executor):
    """Runs each task at once, in this process."""

    num_workers = 2

    def submit(self, function, /, *args, **options):
        future: Future = Future()
        try:
            future.set_result(function(*args, **options))
        except Exception as error:
            future.set_exception(error)
        return future


class Dying(Inline):
    """Loses a worker at some of its calls."""

    calls = 0
    deaths: tuple[int, ...] = ()

    def submit(self, function, /, *args, **options):
        Dying.calls += 1
        if Dying.calls in Dying.deaths:
            future: Future = Future()
            future.set_exception(BrokenExecutor("a worker was killed"))
            return future
        return super().submit(function, *args, **options)


@pytest.mark.parametrize("method", ["cholesky", "qr"])
def test_workers_give_the_same_bits(small_tasks, method):
    same(fit(method, executor=Inline()), fit(method))


def test_workers_go_on_where_one_process_stopped_and_the_other_way(
    tmp_path, small_tasks
):
    whole, folder = fit(), tmp_path / "checkpoint"
    for stop in (150, 250, 350):
        with pytest.raises(Stop):
            fit(checkpoint=folder, progress=stopping_after(stop))
        same(fit(checkpoint=folder, resume=True, executor=Inline()), whole)
        with pytest.raises(Stop):
            fit(
                checkpoint=folder,
                executor=Inline(),
                progress=stopping_after(stop),
            )
        same(fit(checkpoint=folder, resume=True), whole)


def test_tasks_of_dead_workers_run_again(small_tasks, monkeypatch):
    Dying.calls, Dying.deaths = 0, (2, 3, 9, 15)
    monkeypatch.setattr(executors, "ProcessPoolExecutor", lambda *_, **__: Dying())
    same(fit(settings={"run": {"workers": 2}}), fit())
    assert Dying.calls > 15


def test_a_task_that_always_kills_is_given_up_naming_its_frames(
    small_tasks, monkeypatch
):
    Dying.calls, Dying.deaths = 0, tuple(range(1000))
    monkeypatch.setattr(executors, "ProcessPoolExecutor", lambda *_, **__: Dying())
    with pytest.raises(GapfitError, match=r"workers died .* frame 0.*--resume"):
        fit(settings={"run": {"workers": 2}})
    Dying.calls = 0
    with pytest.raises(GapfitError, match=r"rows of frame 0 \(a worker was killed"):
        fit(executor=Dying())


def test_frames_for_workers_appear_complete_or_not_at_all(tmp_path, monkeypatch):
    folder = tmp_path / "checkpoint"

    def killed(frames, path):
        Path(path).write_bytes(b"the first of them")
        raise Stop

    with monkeypatch.context() as patched:
        patched.setattr(summation, "write_frames", killed)
        with pytest.raises(Stop):
            fit(checkpoint=folder, executor=Inline())
    assert sorted(path.name for path in folder.iterdir()) == ["start.npz", "state.json"]
    same(fit(checkpoint=folder, resume=True, executor=Inline()), fit())


class Repeating(Inline):
    """Runs each task twice, as Dask does where the first answer was lost."""

    def submit(self, function, /, *args, **options):
        super().submit(function, *args, **options)
        return super().submit(function, *args, **options)


def test_tasks_may_run_twice(small_tasks):
    same(fit(executor=Repeating()), fit())


def test_errors_in_workers_name_the_frames(small_tasks, monkeypatch):
    def failing(self, frames, *_, **__):
        if frames[0].source == "frame 7":
            raise MemoryError("no room")
        return original(self, frames, *_, **__)

    original = row_sums.Rows.sum_up
    monkeypatch.setattr(row_sums.Rows, "sum_up", failing)
    with pytest.raises(GapfitError, match=r"frame 7 .*MemoryError: no room"):
        fit(executor=Inline())


def _die_once(flag: str) -> None:
    """Make this worker kill itself at its first task, unless one has done so."""

    def deadly(self, *args, **options):
        if not Path(flag).exists():
            Path(flag).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, *args, **options)

    original = row_sums.Rows.sum_up
    row_sums.Rows.sum_up = deadly


def test_a_killed_process_of_the_pool_changes_nothing(tmp_path, monkeypatch):
    flag = tmp_path / "died"

    def pool(n_workers, **options):
        deadly = {"initializer": _die_once, "initargs": (str(flag),)}
        return ProcessPoolExecutor(n_workers, **options | deadly)

    monkeypatch.setattr(executors, "ProcessPoolExecutor", pool)
    monkeypatch.setattr(row_sums, "_LEAST_ATOMS", 20)
    parallel = fit(settings={"run": {"workers": 2}})
    assert flag.exists()
    same(parallel, fit())


def test_workers_end_with_a_killed_leader():
    script = (
        "import os, signal\n"
        "from gapfit.config.sections import RunConfig\n"
        "from gapfit.execution.executors import open_pool\n"
        "if __name__ == '__main__':\n"
        "    with open_pool(RunConfig(workers=2)) as pool:\n"
        "        pool.executor.submit(os.getpid).result()\n"
        "        print(*pool.executor._processes, flush=True)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    # The pipe is at its end when all processes that write to it are.
    ended = run([sys.executable, "-P", "-c", script])
    assert ended.returncode == -signal.SIGKILL
    assert len(ended.stdout.split()) == 2


# Commands


def write_case(folder: Path, **run: object) -> list[str]:
    """Write data and configuration; return the command that fits them."""
    ase.io.write(folder / "train.extxyz", FRAMES[:11] * 4)
    text = (
        '[data]\ntrain = ["train.extxyz"]\ncheck_stress = false\n'
        '[e0]\nmethod = "least_squares"\n'
        "[[terms]]\nr_cut = 4.5\nn_max = 5\nl_max = 4\nn_sparse = 30\n[run]\n"
    )
    lines = [f"{name} = {json.dumps(value)}" for name, value in run.items()]
    (folder / "fit.toml").write_text(text + "\n".join(lines) + "\n")
    start = "import sys; from gapfit.cli import main; sys.exit(main())"
    return [sys.executable, "-P", "-c", start, "fit", str(folder / "fit.toml")]


def run(command: list[str], **options) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GAPFIT_NUM_THREADS": "1"}
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=240, **options
    )


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Return the model that one process fits."""
    folder = tmp_path_factory.mktemp("alone")
    result = run(write_case(folder))
    assert result.returncode == 0, result.stderr
    return gapfit.load(folder / "fit-model" / "model.npz")


def test_unfinished_fits_are_resumed_or_kept(tmp_path, alone):
    command, model = write_case(tmp_path), tmp_path / "fit-model"
    script = (
        "import os, signal, sys\n"
        "from gapfit import summation\n"
        "from gapfit.cli import main\n"
        "from gapfit.execution.checkpoint import CheckpointFolder\n"
        "summation._LEAST_INTERVAL = summation._INTERVALS = 0.0\n"
        "write = CheckpointFolder.write\n"
        "def deadly(self, span, sums):\n"
        "    write(self, span, sums)\n"
        "    if span.stop >= 2:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "CheckpointFolder.write = deadly\n"
        "main(sys.argv[1:])\n"
    )
    killed = run([sys.executable, "-P", "-c", script, *command[4:]])
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (model / "model.npz").exists()
    again = run(command)
    assert again.returncode == 1
    assert "contains an unfinished fit: continue it with --resume" in again.stderr
    resumed = run([*command, "--resume"])
    assert resumed.returncode == 0, resumed.stderr
    same(gapfit.load(model / "model.npz"), alone)
    assert not (model / "checkpoint").exists()
    assert (model / "fit.log").read_text().count("configuration ") == 2
    assert run([*command, "--resume"]).returncode == 1


def test_two_processes_of_this_machine(tmp_path, alone):
    result = run([*write_case(tmp_path), "--workers", "2"])
    assert result.returncode == 0, result.stderr
    same(gapfit.load(tmp_path / "fit-model" / "model.npz"), alone)


def test_mpi_ranks(tmp_path, alone):
    pytest.importorskip("mpi4py")
    mpiexec = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}:/usr/bin")
    if mpiexec is None:
        pytest.skip("there is no mpiexec")
    command = write_case(tmp_path)
    result = run([mpiexec, "-n", "3", *command, "--executor", "mpi"])
    assert result.returncode == 0, result.stdout + result.stderr
    same(gapfit.load(tmp_path / "fit-model" / "model.npz"), alone)
    # Each of them would fit alone.
    result = run([mpiexec, "-n", "2", *command])
    assert "mpiexec started 2 processes" in result.stdout + result.stderr
    alone_in_mpi = run([*command, "--executor", "mpi"])
    assert alone_in_mpi.returncode == 1
    assert "mpiexec -n 4 gapfit fit" in alone_in_mpi.stderr


def test_mpi4py_without_an_mpi_is_named(monkeypatch):
    def without(name):
        raise RuntimeError("cannot load MPI library")

    monkeypatch.setattr("importlib.import_module", without)
    run = RunConfig(executor="mpi")
    named = pytest.raises(GapfitError, match=r"\(cannot load MPI library\)")
    with named, executors.leading(run):
        pass


def test_dask_workers_one_of_them_killed(tmp_path, alone):
    pytest.importorskip("distributed")
    command = write_case(tmp_path, executor="dask")
    script = (
        "import os, signal, sys\n"
        "from distributed import Client, LocalCluster\n"
        "from gapfit.cli import main\n"
        "from gapfit.execution.checkpoint import CheckpointFolder\n"
        "if __name__ == '__main__':\n"
        "    with LocalCluster(n_workers=2, threads_per_worker=1,\n"
        "                      dashboard_address=None) as cluster:\n"
        "        from gapfit import summation\n"
        "        first = [True]\n"
        "        count = summation._ByWorkers._count\n"
        "        def killing(self):\n"
        "            count(self)\n"
        "            if self.known and first:\n"
        "                first.clear()\n"
        "                worker = list(cluster.workers.values())[0]\n"
        "                os.kill(worker.pid, signal.SIGKILL)\n"
        "                print('killed')\n"
        "        summation._ByWorkers._count = killing\n"
        "        path = sys.argv[1]\n"
        "        with open(path, 'a') as file:\n"
        "            print(f'scheduler = {cluster.scheduler_address!r}', file=file)\n"
        "        sys.exit(main(['fit', path]))\n"
    )
    (tmp_path / "dask_fit.py").write_text(script)
    result = run([sys.executable, str(tmp_path / "dask_fit.py"), command[-1]])
    assert result.returncode == 0, result.stdout + result.stderr
    assert "killed" in result.stdout
    same(gapfit.load(tmp_path / "fit-model" / "model.npz"), alone)


def test_the_example_with_a_scheduler_and_two_workers(tmp_path, alone):
    pytest.importorskip("distributed")
    script = ROOT / "examples/large/dask_fit.sh"
    write_case(tmp_path)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    result = subprocess.run(
        ["bash", str(script), str(tmp_path / "fit.toml")],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, result.stdout + result.stderr
    same(gapfit.load(tmp_path / "fit-model" / "model.npz"), alone)


def test_dask_schedulers_that_do_not_answer_are_named(tmp_path):
    pytest.importorskip("distributed")
    settings = {"run": {"executor": "dask", "scheduler": "nonsense"}}
    with pytest.raises(GapfitError, match=r"run\.scheduler = 'nonsense': no Dask"):
        fit(settings=settings)
