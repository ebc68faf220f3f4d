"""Forces for a program that moves the atoms: a client of i-PI's socket protocol.

i-PI (Litman et al., J. Chem. Phys. 161, 062504 (2024)) and ASE's `SocketIOCalculator` are
such programs.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gapfit.data.frame import structure_arrays
from gapfit.errors import GapfitError, StructureError
from gapfit.serving.ipi_protocol import BrokenOffError, Protocol

__all__ = ["DEFAULT_PORT", "Served", "address", "serve"]

DEFAULT_PORT = 31415
#: Seconds between two attempts to reach the server.
_PAUSE = 0.1
#: Seconds that a server has to close the connection after the client left.
_FAREWELL = 2.0
_LARGEST_PORT = 65535


class Served(NamedTuple):
    """Outcome of serving.

    Attributes
    ----------
    evaluations : int
        Number of evaluations.
    told : bool
        Whether the server sent ``EXIT``, as i-PI does. Otherwise it closed the connection
        after it received forces, as ASE's server does.
    """

    evaluations: int
    told: bool


def address(unix: str | None, host: str, port: int) -> str:
    """Return the address of a server for messages.

    Raises
    ------
    GapfitError
        The port is invalid, or the system has no UNIX sockets.
    """
    if unix is not None and not hasattr(socket, "AF_UNIX"):
        raise GapfitError(
            f"--unix {unix}: this system has no UNIX sockets; use --host and --port"
        )
    if unix is None and not 1 <= port <= _LARGEST_PORT:
        raise GapfitError(f"port {port}: give a number from 1 to {_LARGEST_PORT}")
    return f"{host}:{port}" if unix is None else f"/tmp/ipi_{unix}"


def serve(
    atoms: Any,
    *,
    unix: str | None = None,
    host: str = "localhost",
    port: int = DEFAULT_PORT,
    patience: float = 0.0,
) -> Served:
    """Compute forces for a server until it ends.

    Parameters
    ----------
    atoms : ase.Atoms
        Structure with a `gapfit.GAPCalculator`. It gives species, their order and the
        periodic directions, which the protocol does not transmit; positions and cell come
        from the server. Changed in place. Standard deviations and the novelty, if the
        calculator computes them (``uncertainty=...``), are sent as the extra string, a
        JSON object of names and values in eV, eV/Å and eV/Å³.
    unix : str, optional
        Name of a UNIX socket, the file /tmp/ipi_NAME; by default a TCP connection.
    host, port : str, int
        Address of the TCP connection.
    patience : float
        Time to wait for a server that has not started yet, s, 0 or more.

    Returns
    -------
    Served
        Number of evaluations, and how the server ended.

    Raises
    ------
    GapfitError
        There is no server, or it closes the connection before it asked for forces or
        while it waits for them, as after a crash; it has another number of atoms, sends
        an impossible cell or impossible positions, or does not follow i-PI's protocol;
        `port` or `patience` is invalid.
    StructureError
        See `gapfit.GAPModel.predict`; the connection is closed.
    """
    where = address(unix, host, port)
    if not patience >= 0:
        raise GapfitError(f"patience = {patience} s: give 0 or more")
    with _leaving(_connected(unix, host, port, patience)) as connection:
        return _Client(atoms, Protocol(connection, where)).run()


class _Client:
    """Answers the requests of a server."""

    def __init__(self, atoms: Any, protocol: Protocol) -> None:
        self.atoms, self.protocol = atoms, protocol
        self.count = 0
        self.results: tuple[float, np.ndarray, np.ndarray, bytes] | None = None

    def run(self) -> Served:
        """Answer until the server is done."""
        word: str | None = None
        try:
            # A closed connection is a regular end only after the server received forces:
            # i-PI then asks for the state immediately, ASE's server does not.
            while word := self.protocol.word(self._state, may_end=word == "GETFORCE"):
                if word == "EXIT":
                    break
                self._answer(word)
        except BrokenOffError as error:
            raise GapfitError(
                f"{self.protocol.where}: the server closed the connection after "
                f"{self.count} evaluations without sending EXIT ({error}): it crashed or "
                "was stopped; see its output"
            ) from error
        return Served(self.count, word == "EXIT")

    @property
    def _state(self) -> str:
        return "HAVEDATA" if self.results else "READY"

    def _answer(self, word: str) -> None:
        if word == "STATUS":
            self.protocol.send_word(self._state)
        elif word == "INIT":
            self.protocol.skip_init()
        elif word == "POSDATA":
            self._compute()
        elif self.results:
            self.protocol.send_forces(*self.results)
            self.results = None
        else:
            raise self.protocol.foreign(repr(word), self._state)

    def _compute(self) -> None:
        """Receive cell and positions, and compute."""
        atoms = self.atoms
        cell, positions = self.protocol.structure(len(atoms), atoms.pbc)
        atoms.set_cell(cell)
        atoms.set_positions(positions, apply_constraint=False)
        try:
            self.results = _results(atoms)
        except StructureError as error:
            raise StructureError(f"{self.protocol.where}: {error}") from error
        self.count += 1


@contextmanager
def _leaving(connection: socket.socket) -> Iterator[socket.socket]:
    """Close a connection at the end so that the server survives.

    Closing it while a request of the server is unread would reset the connection, which
    kills the thread of i-PI that serves all clients. Here the server sees the end of the
    data and closes its side.
    """
    with closing(connection):
        try:
            yield connection
        finally:
            with suppress(OSError):  # the server may have left first
                connection.shutdown(socket.SHUT_WR)
                connection.settimeout(_FAREWELL)
                deadline = time.monotonic() + _FAREWELL
                while connection.recv(65536) and time.monotonic() < deadline:
                    pass


def _results(atoms: Any) -> tuple[float, np.ndarray, np.ndarray, bytes]:
    """Return energy (eV), forces (eV/Å), virial (eV) and the extra string."""
    calculator = atoms.calc
    energy, forces = atoms.get_potential_energy(), calculator.results["forces"]
    # A slab whose open direction has no cell vector, or a tiny one, has no stress.
    virial = np.zeros((3, 3))
    if atoms.pbc.any() and structure_arrays(atoms).has_volume:
        virial = -atoms.get_volume() * atoms.get_stress(voigt=False)
    extras = {
        name: np.asarray(value).tolist()
        for name, value in calculator.extra_results.items()
    }
    # An empty string could be mistaken for a closed connection.
    text = json.dumps(extras) if extras else "\0"
    return energy, forces, virial, text.encode()


def _connected(
    unix: str | None, host: str, port: int, patience: float
) -> socket.socket:
    where, deadline = address(unix, host, port), time.monotonic() + patience
    while True:
        connection = socket.socket(socket.AF_INET if unix is None else socket.AF_UNIX)
        try:
            connection.connect((host, port) if unix is None else where)
            if unix is None:  # short messages must not wait to be joined
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
        except (OSError, UnicodeError) as error:  # the latter for invalid names
            connection.close()
            if time.monotonic() < deadline:
                time.sleep(_PAUSE)
                continue
            left_over = unix is not None and Path(where).exists()
            raise GapfitError(
                f"{where}: no server answers ({getattr(error, 'strerror', '') or error}); "
                + ("the file is left over: remove it, then " if left_over else "")
                + "start the server first, such as i-pi input.xml, with the same address"
            ) from error
