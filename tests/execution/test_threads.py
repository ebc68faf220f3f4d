"""The default number of threads is what batch systems and OpenMP say."""

from __future__ import annotations

import os

import pytest

from gapfit.errors import ConfigError
from gapfit.threads import available, ignored_values

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
