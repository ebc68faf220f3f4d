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

from gapfit.errors import GapfitError, StructureError
from gapfit.serving.ipi_protocol import BrokenOffError, Protocol

__all__ = ["DEFAULT_PORT", "Served", "address", "serve"]

DEFAULT_PORT = 31415
#: Seconds between two attempts to reach the server.
_PAUSE = 0.1
#: Seconds in which a server that is left has to close the connection.
_FAREWELL = 2.0
_LARGEST_PORT = 65535


class Served(NamedTuple):
    """What was done for a server.

    Attributes
    ----------
    evaluations : int
        How many.
    told : bool
        Whether the server said that it is done (``EXIT``), as i-PI does. Otherwise it
        closed the connection when it had its forces, as ASE's server does at its end.
    """

    evaluations: int
    told: bool


def address(unix: str | None, host: str, port: int) -> str:
    """Return where a server is, in words.

    Raises
    ------
    GapfitError
        There is no such port.
    """
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
    """Compute for a server until it is done.

    Parameters
    ----------
    atoms : ase.Atoms
        With a `gapfit.GAPCalculator`. Species and their order, and the periodic
        directions, which the protocol does not know; positions and cell come from the
        server. Changed in place. The standard deviations and the novelty that the
        calculator was made to compute (``uncertainty=...``) are sent as the extra string,
        a JSON object of names and values in eV, eV/Å and eV/Å³.
    unix : str, optional
        Name of a UNIX socket, the file /tmp/ipi_NAME; by default a TCP connection.
    host, port : str, int
        Of the TCP connection.
    patience : float
        Seconds to wait for a server that is not there yet, 0 or more.

    Returns
    -------
    Served
        Number of evaluations, and how the server ended.

    Raises
    ------
    GapfitError
        There is no server, or it closes the connection before it asked for forces or
        while it waits for some, as it does if it crashes; it has another number of
        atoms, sends a cell or positions that cannot be or what is not i-PI's protocol;
        `port` or `patience` cannot be.
    StructureError
        As `gapfit.GAPModel.predict`; the connection is closed.
    """
    where = address(unix, host, port)
    if not patience >= 0:
        raise GapfitError(f"patience = {patience} s: give 0 or more")
    with _leaving(_connected(unix, host, port, patience)) as connection:
        return _Client(atoms, Protocol(connection, where)).run()


class _Client:
    """Answers a server."""

    def __init__(self, atoms: Any, protocol: Protocol) -> None:
        self.atoms, self.protocol = atoms, protocol
        self.count = 0
        self.results: tuple[float, np.ndarray, np.ndarray, bytes] | None = None

    def run(self) -> Served:
        """Answer until the server is done."""
        word: str | None = None
        try:
            # A server that closes the connection is at its end only where it has all that
            # it asked for: i-PI asks for the state at once when it has its forces, ASE's
            # server does not.
            while word := self.protocol.word(self._state, may_end=word == "GETFORCE"):
                if word == "EXIT":
                    break
                self._answer(word)
        except BrokenOffError as error:
            raise GapfitError(
                f"{self.protocol.where}: the server closed the connection after "
                f"{self.count} evaluations without saying that it is done ({error}): it "
                "crashed or was stopped; see its output"
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
        """Give the atoms the positions and the cell that come, and compute."""
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
    """Close a connection at the end in a way that the server survives.

    To close it while a request of the server is unread would reset the connection: the
    thread of i-PI that serves all clients dies of that. Here the server finds the end
    of what is sent to it, as of any client that leaves, and closes its side.
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
    virial = np.zeros((3, 3))
    if atoms.pbc.any():
        virial = -atoms.get_volume() * atoms.get_stress(voigt=False)
    kinds = [f"{kind}_std" for kind in calculator.uncertainty]
    kinds += ["novelty"] if calculator.novelty else []
    extras = {kind: np.asarray(calculator.results[kind]).tolist() for kind in kinds}
    # An empty string could be taken for a closed connection.
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
        except (OSError, UnicodeError) as error:  # the latter for names that cannot be
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
