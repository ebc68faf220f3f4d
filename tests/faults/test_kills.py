"""Commands killed at any moment: completed to the same bytes, and nothing is left."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from helpers.faults import (
    CASES,
    Case,
    killing,
    names,
    require_all_ended,
    require_completed,
    run,
    temporary,
)

KILL, TERM, INT = signal.SIGKILL, signal.SIGTERM, signal.SIGINT
#: Exit statuses after each signal: 0 if it came too late, negative if too early for Python.
STATUSES = {KILL: {-KILL, 0}, TERM: {143, -TERM, 0}, INT: {130, -INT, 0}}
# Seconds in which workers import gapfit.
_STARTING = 4.0


@pytest.fixture(scope="module")
def whole(inputs):
    """Return a function that gives folder and time of a case that nobody disturbed."""
    done: dict[Case, tuple[Path, float]] = {}

    def undisturbed(name: str) -> tuple[Path, float]:
        if like := CASES[name].like:
            folder, seconds = undisturbed(like)
            return folder, seconds + _STARTING
        if name not in done:
            folder = inputs.parent / name
            shutil.copytree(inputs, folder)
            ended = run(CASES[name].command, folder)
            ended.require(0)
            done[name] = folder, ended.seconds
        return done[name]

    return undisturbed


@pytest.fixture
def kill_and_complete(whole, inputs, tmp_path):
    """Return a function that kills a command after a share of its time."""

    def kill(name: str, number: signal.Signals, share: float, *, group: bool) -> None:
        case, (undisturbed, seconds) = CASES[name], whole(name)
        folder = tmp_path / "folder"
        shutil.copytree(inputs, folder)
        disturb = killing(number, share * seconds, group=group)
        ended = run(case.command, folder, disturb=disturb)
        ended.require(*STATUSES[number])
        require_all_ended(ended.pid)
        assert "Traceback" not in ended.errors, ended.errors
        if ended.status >= 0:
            assert names(temporary(folder)) == []
        require_completed(case, folder, undisturbed)

    return kill


@pytest.mark.parametrize(
    ("name", "number", "share", "group"),
    [
        ("fit", KILL, 0.3, False),
        ("fit", TERM, 0.5, False),
        ("fit", INT, 0.9, True),
        ("workers", INT, 0.8, True),
        ("append", KILL, 0.8, False),
        ("refit", TERM, 0.5, True),
        ("select", INT, 0.6, False),
        ("learn", KILL, 0.6, False),
    ],
)
def test_a_killed_command_is_completed(name, number, share, group, kill_and_complete):
    kill_and_complete(name, number, share, group=group)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200))
def test_commands_killed_at_random_moments_are_completed(seed, kill_and_complete):
    rng = np.random.default_rng(seed)
    name = list(CASES)[seed % len(CASES)]
    number = (KILL, TERM, INT)[rng.integers(3)]
    group, share = bool(rng.integers(2)), float(rng.uniform(0, 1.1))
    kill_and_complete(name, number, share, group=group)
