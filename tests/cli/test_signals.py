"""SIGTERM and SIGHUP end a command in order."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from gapfit._support.termination import Terminated
from gapfit.cli import main
from gapfit.cli._signals import orderly_end
from gapfit.model import storage


@pytest.fixture(autouse=True)
def default_of_hangup() -> Iterator[None]:
    """Let SIGHUP end a process, also where nohup has started the tests."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("number", "status"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_ends_the_command_with_its_status(capsys, monkeypatch, number, status):
    cleaned = []

    def killed(_path):
        try:
            os.kill(os.getpid(), signal.Signals[number])
            signal.pause()
        finally:
            # It comes again, to the group of processes.
            os.kill(os.getpid(), signal.Signals[number])
            cleaned.append(True)

    monkeypatch.setattr(storage, "load", killed)
    before = signal.getsignal(signal.SIGTERM)
    assert main(["info", "x"]) == status
    assert cleaned == [True]
    assert capsys.readouterr().err == f"gapfit: stopped by {number}\n"
    assert signal.getsignal(signal.SIGTERM) == before


def test_what_a_user_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with orderly_end():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_outside_of_the_block_nothing_changes():
    with orderly_end(), pytest.raises(Terminated, match="SIGTERM"):
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
