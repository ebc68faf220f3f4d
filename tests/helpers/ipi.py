"""Servers of i-PI's protocol that say whatever a test wants."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ase
import numpy as np
from ase.calculators.socketio import actualunixsocketname
from ase.units import Bohr

import gapfit

__all__ = ["init", "listening", "posdata", "said", "with_calculator"]


def with_calculator(atoms, model, **options):
    out = atoms.copy()
    out.calc = gapfit.GAPCalculator(model, **{"uncertainty": False} | options)
    return out


@contextmanager
def listening(name: str, talk):
    """Let a function talk to the client that connects; close the connection then."""
    with socket.socket(socket.AF_UNIX) as server, ThreadPoolExecutor(1) as pool:
        server.bind(actualunixsocketname(name))
        server.listen()

        def accept() -> Any:
            with server.accept()[0] as connection:
                return talk(connection)

        try:
            yield pool.submit(accept)
        finally:
            Path(actualunixsocketname(name)).unlink()


def posdata(atoms: ase.Atoms, n_atoms: int | None = None) -> bytes:
    """Return the message with the structure, and perhaps another number of atoms."""
    parts = (atoms.cell.T / Bohr, np.eye(3), atoms.positions / Bohr)
    cell, inverse, positions = (np.ascontiguousarray(x).tobytes() for x in parts)
    count = np.int32(len(atoms) if n_atoms is None else n_atoms).tobytes()
    return b"POSDATA     " + cell + inverse + count + positions


def init(n_bytes: int, text: bytes = b"") -> bytes:
    return b"INIT        " + np.array([0, n_bytes], np.int32).tobytes() + text


def said(connection: socket.socket, data: bytes) -> None:
    """Send all, and wait until the client closes the connection in order."""
    connection.settimeout(10)
    connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(4096):
        pass
