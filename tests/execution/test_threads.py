"""The default number of threads is what batch systems and OpenMP say."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_info

from gapfit.errors import ConfigError
from gapfit.threads import (
    available,
    ignored_values,
    native_threads,
    side_by_side,
    use_threads,
)

NAMES = ("GAPFIT_NUM_THREADS", "OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK")
ALL_CORES = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("3", "5", "7"), 3),
        ((None, "5", "7"), 5),
        ((None, " 6,2,1", "7"), 6),
        ((None, None, "7"), 7),
        ((None, "", "7"), 7),
        ((None, "many", "7"), 7),
        ((None, "0", "7"), 7),
        ((None, "99999999", "7"), 7),
        ((None, "-2", "some"), ALL_CORES),
        ((None, None, None), ALL_CORES),
    ],
)
def test_the_first_variable_that_says_a_number_counts(monkeypatch, values, expected):
    for name, value in zip(NAMES, values, strict=True):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert available() == expected


def test_values_in_vain_are_named_unless_the_variable_of_gapfit_counts(monkeypatch):
    for name, value in zip(NAMES, (None, "abc", "0"), strict=True):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    both = [("OMP_NUM_THREADS", "abc"), ("SLURM_CPUS_PER_TASK", "0")]
    assert ignored_values() == both
    monkeypatch.setenv("OMP_NUM_THREADS", "6,2")
    assert ignored_values() == []
    monkeypatch.setenv("OMP_NUM_THREADS", "0")
    monkeypatch.setenv("GAPFIT_NUM_THREADS", "2")
    assert ignored_values() == []


@pytest.mark.parametrize("text", ["0", "", "two", "-1", "1e3", "4,2", "9" * 30])
def test_a_wrong_value_of_the_variable_of_gapfit_is_an_error(monkeypatch, text):
    monkeypatch.setenv("GAPFIT_NUM_THREADS", text)
    with pytest.raises(ConfigError, match=r"GAPFIT_NUM_THREADS = .* from 1 to 1024"):
        available()


def test_results_side_by_side_keep_their_order():
    together = threading.Barrier(3, timeout=60)

    def square(n: int) -> int:
        # Passes only if three threads are here at once.
        together.wait()
        return n * n

    with use_threads(3):
        assert list(side_by_side(square, range(9), most=8)) == [n * n for n in range(9)]


@pytest.mark.parametrize(("n_threads", "most"), [(4, 1), (1, 4), (4, 0)])
def test_no_more_results_at_once_than_allowed(n_threads, most):
    threads = []

    def note(n: int) -> int:
        threads.append(threading.current_thread())
        return n

    with use_threads(n_threads):
        assert list(side_by_side(note, range(3), most)) == [0, 1, 2]
    assert set(threads) == {threading.main_thread()}


@pytest.mark.parametrize("n_threads", [1, 2])
def test_each_result_is_computed_on_one_thread(n_threads):
    def numbers(_: int) -> set[int]:
        with native_threads() as n:
            blas = {
                library["num_threads"]
                for library in threadpool_info()
                if library["user_api"] == "blas"
            }
            return {n} | blas

    with use_threads(n_threads):
        assert list(side_by_side(numbers, range(4), most=2)) == [{1}] * 4
        with native_threads() as n:
            assert n == n_threads


def test_an_error_ends_what_is_side_by_side():
    begun = []

    def fail_at_two(n: int) -> int:
        begun.append(n)
        if n == 2:
            raise ZeroDivisionError
        return n

    with use_threads(2), pytest.raises(ZeroDivisionError):
        list(side_by_side(fail_at_two, range(1000), most=2))
    assert max(begun) < 10


def test_one_of_its_own_threads_may_drop_what_is_side_by_side():
    """The garbage collector ends it wherever it runs."""
    running: list[Iterator[int]] = []
    begun, ended = threading.Event(), threading.Event()

    def drop(item: int) -> int:
        if item == 2 and begun.wait(10.0):
            running[0].close()
            ended.set()
        return item

    with use_threads(2):
        running.append(side_by_side(drop, range(9), most=2))
        assert next(running[0]) == 0
        begun.set()
        assert ended.wait(10.0)
    assert list(running[0]) == []
