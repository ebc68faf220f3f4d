"""Workers give the same bits, even where they die."""

from __future__ import annotations

import signal
import sys
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from pathlib import Path

import pytest
from builders import labelled_frames, silicon
from helpers.processes import die_once
from helpers.sums import Inline, Stop, fit, run, same, stopping_after

from gapfit.errors import GapfitError
from gapfit.execution import accumulate as row_sums
from gapfit.execution import checkpoint, executors


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

    def killed(frames, path, **_):
        Path(path).write_bytes(b"the first of them")
        raise Stop

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "write_frames", killed)
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

    original = row_sums.RowBuilder.sum_up
    monkeypatch.setattr(row_sums.RowBuilder, "sum_up", failing)
    with pytest.raises(GapfitError, match=r"frame 7 .*MemoryError: no room"):
        fit(executor=Inline())


def test_a_killed_process_of_the_pool_changes_nothing(tmp_path, monkeypatch):
    flag = tmp_path / "died"

    def pool(n_workers, **options):
        deadly = {"initializer": die_once, "initargs": (str(flag),)}
        return ProcessPoolExecutor(n_workers, **options | deadly)

    monkeypatch.setattr(executors, "ProcessPoolExecutor", pool)
    # So many atoms that each frame is a task.
    frames = labelled_frames(lambda: silicon() * (4, 4, 2), 3)
    parallel = fit(frames=frames, settings={"run": {"workers": 2}})
    assert flag.exists()
    same(parallel, fit(frames=frames))


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
