"""Malformed conversations of i-PI's protocol end in one line, and never hang."""

from __future__ import annotations

import os
import socket
import struct
import time
from contextlib import suppress

import numpy as np
import pytest
from builders import silicon
from helpers.ipi import init, listening, posdata, said, with_calculator

import gapfit
from gapfit.serving import serve

#: Conversations of a quick run, those of the slow one, and most seconds of one.
TRIES, MANY, PATIENCE = 250, 100_000, 10.0
NUMBERS = (np.nan, np.inf, -1e308, 1e-308, 0.0, 1e6, -1e12)
COUNTS = (-(2**31), -1, 0, 7, 9, 2**20, 2**31 - 1)


def conversation(rng: np.random.Generator) -> bytes:
    """Return a sound conversation: several rounds, and EXIT."""
    words = [b"STATUS      ", init(4, b"four"), posdata(silicon()), b"GETFORCE    "]
    talk = [words[0], *(words[n] for n in rng.integers(0, 4, rng.integers(1, 9)))]
    return b"".join([*talk, b"EXIT        "])


def malformed(rng: np.random.Generator) -> bytes:
    """Return what a server may send that has gone mad."""
    data = bytearray(conversation(rng))
    for _ in range(rng.integers(1, 5)):
        place = int(rng.integers(0, len(data) + 1))
        kind = rng.integers(0, 6)
        if kind == 0:
            data[place : place + 1] = rng.bytes(1)
        elif kind == 1:
            data[place : place + 4] = struct.pack("<i", int(rng.choice(COUNTS)))
        elif kind == 2:
            data[place : place + 8] = struct.pack("<d", float(rng.choice(NUMBERS)))
        elif kind == 3:
            del data[place : place + int(rng.integers(1, 40))]
        elif kind == 4:
            data[place:place] = rng.bytes(int(rng.integers(1, 40)))
        else:
            data[place:place] = data[place : place + int(rng.integers(1, 400))]
    return bytes(data[: rng.integers(0, len(data) + 1)] if rng.random() < 0.3 else data)


def in_pieces(connection: socket.socket, data: bytes, rng: np.random.Generator) -> None:
    """Send data in pieces, and wait for the end or break the connection."""
    cuts = np.sort(rng.integers(0, len(data) + 1, rng.integers(0, 4)))
    for piece in np.split(np.frombuffer(data, np.uint8), cuts)[:-1]:
        connection.sendall(piece.tobytes())
    if rng.random() < 0.2:  # a reset, with answers unread
        connection.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        return
    last = data[cuts[-1] :] if len(cuts) else data
    said(connection, last)


def outcomes(model, name: str, n: int, seed: int) -> list[str]:
    """Hold conversations; return the errors, each of which is one line."""
    rng, errors = np.random.default_rng(seed), []
    own = with_calculator(silicon(), model)
    for number in range(n):
        sent, own.pbc = malformed(rng), rng.random(3) < 0.7
        started = time.monotonic()

        def talk(connection: socket.socket, sent: bytes = sent) -> None:
            with suppress(OSError):  # the client may leave first
                in_pieces(connection, sent, rng)

        with listening(name, talk) as end:
            try:
                serve(own, unix=name, patience=30)
            except gapfit.GapfitError as error:
                errors.append(str(error))
            end.result(PATIENCE)
        assert time.monotonic() - started < PATIENCE, (seed, number)
    for error in errors:
        assert error.startswith(f"/tmp/ipi_{name}: ")
        assert "\n" not in error
        assert len(error) < 400
    return errors


@pytest.fixture
def name(tmp_path) -> str:
    """Return the name of a socket that no other test has."""
    return f"gapfit_{os.getpid()}_{tmp_path.name}"


def test_malformed_conversations_end_in_one_line(si_model, name):
    errors = outcomes(si_model, name, TRIES, seed=7)
    assert 0.3 * TRIES < len(errors) < TRIES


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_many_malformed_conversations(si_model, name, seed):
    assert outcomes(si_model, name, MANY // 4, seed=100 + seed)
