"""Messages of i-PI's socket protocol, read and written by a client.

All data of the server are checked: the number of atoms must be that of the structure,
strings must be short, and cell and positions must be possible.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

import numpy as np
from ase import units

from gapfit.data.frame import determinant
from gapfit.errors import GapfitError

__all__ = ["BrokenOffError", "Protocol"]

#: Bytes of a header: a word and blanks.
_HEADER = 12
_WORDS = ("STATUS", "INIT", "POSDATA", "GETFORCE", "EXIT")
#: Largest size of an initialisation string, bytes; that of i-PI has a few words.
_LONGEST_INIT = 1 << 20
#: Largest coordinate, Å; beyond it distances of atoms have no digits.
_LARGEST = 1e9
#: Least volume per atom of a crystal, Å³: a tenth of hydrogen at 500 GPa.
_LEAST_VOLUME = 0.1
#: Least area (Å²) or length (Å) of the cell of a slab or a chain, whatever is in it.
_LEAST_AREA = 0.1
_UNITS = {1: "Å", 2: "Å²", 3: "Å³"}
_INT, _REAL = np.dtype(np.int32), np.dtype(np.float64)


class BrokenOffError(Exception):
    """A connection that ended before a message was complete; the text says where."""


class Protocol:
    """The client's side of a connection.

    Parameters
    ----------
    connection : socket.socket
        The connected socket.
    where : str
        The address, for messages.
    """

    def __init__(self, connection: socket.socket, where: str) -> None:
        self.where = where
        self._socket = connection

    def word(self, state: str, *, may_end: bool = False) -> str | None:
        """Return the next word of the server.

        Parameters
        ----------
        state : str
            State of the client, for messages.
        may_end : bool
            Whether the server may close the connection instead; then None is returned.

        Raises
        ------
        GapfitError
            It is not a word of the protocol.
        BrokenOffError
            The connection ended.
        """
        start = self._piece(1)
        if not start:
            if may_end:
                return None
            raise BrokenOffError("no EXIT")
        header = start + self._received(_HEADER - 1, "a header")
        for word in _WORDS:
            if header == word.encode().ljust(_HEADER):
                return word
        shown = header.rstrip()
        text = repr(shown.decode()) if shown.isascii() else repr(shown)
        raise self.foreign(text, state)

    def foreign(self, text: str, state: str) -> GapfitError:
        """Return the error about an unexpected header in a state of the client."""
        return GapfitError(
            f"{self.where}: the server sent {text} to a client that is {state}; it "
            "does not follow i-PI's protocol"
        )

    def skip_init(self) -> None:
        """Read and ignore the data of INIT.

        Raises
        ------
        GapfitError
            The announced length is impossible.
        BrokenOffError
            The connection ended.
        """
        _, n_bytes = np.frombuffer(self._received(8, "INIT"), _INT)
        if not 0 <= n_bytes <= _LONGEST_INIT:
            raise GapfitError(
                f"{self.where}: the server announced an initialisation string of "
                f"{n_bytes} bytes; 0 to {_LONGEST_INIT} are allowed"
            )
        self._received(int(n_bytes), "INIT")

    def structure(
        self, n_atoms: int, pbc: Sequence[bool]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Read the data of POSDATA.

        Parameters
        ----------
        n_atoms : int
            Expected number of atoms.
        pbc : sequence of 3 bool
            Periodic directions.

        Returns
        -------
        cell : (3, 3) float64
            Lattice vectors as rows, Å.
        positions : (n_atoms, 3) float64
            Positions, Å.

        Raises
        ------
        GapfitError
            The number of atoms differs; the cell or positions are impossible.
        BrokenOffError
            The connection ended.
        """
        cell = self._lengths(9).T
        self._received(9 * _REAL.itemsize, "POSDATA")  # its inverse
        announced = int(np.frombuffer(self._received(4, "POSDATA"), _INT)[0])
        if announced != n_atoms:
            raise GapfitError(
                f"{self.where}: the server sent {announced} atoms, the structure has "
                f"{n_atoms}: give the structure that the server started from"
            )
        self._require_cell(cell, n_atoms, pbc)
        positions = self._lengths(3 * n_atoms)
        if (bad := ~_possible(positions)).any():
            atom = int(np.flatnonzero(bad.any(axis=1))[0])
            raise GapfitError(
                f"{self.where}: the server sent atom {atom} at {_vector(positions[atom])} "
                "Å; see its output, the run may have exploded"
            )
        return cell, positions

    def send_word(self, word: str) -> None:
        """Send the state of the client.

        Raises
        ------
        BrokenOffError
            The connection ended.
        """
        self._send(word.encode().ljust(_HEADER))

    def send_forces(
        self, energy: float, forces: np.ndarray, virial: np.ndarray, extra: bytes
    ) -> None:
        """Send the answer to GETFORCE.

        Parameters
        ----------
        energy : float
            Energy, eV.
        forces : (n_atoms, 3) float64
            Forces, eV/Å.
        virial : (3, 3) float64
            Virial, eV.
        extra : bytes
            The extra string, at least one byte: an empty one could be mistaken for the
            end.

        Raises
        ------
        BrokenOffError
            The connection ended.
        """
        parts = (
            b"FORCEREADY".ljust(_HEADER),
            np.array(energy / units.Ha, _REAL).tobytes(),
            np.array(len(forces), _INT).tobytes(),
            np.asarray(forces * (units.Bohr / units.Ha), _REAL).tobytes(),
            np.asarray(virial.T / units.Ha, _REAL).tobytes(),
            np.array(len(extra), _INT).tobytes(),
            extra,
        )
        self._send(b"".join(parts))

    def _require_cell(
        self, cell: np.ndarray, n_atoms: int, pbc: Sequence[bool]
    ) -> None:
        vectors = ", ".join(_vector(vector) for vector in cell)
        if not _possible(cell).all():
            raise GapfitError(
                f"{self.where}: the server sent the cell {vectors} Å; see its output, the "
                "run may have exploded"
            )
        periodic = cell[np.asarray(pbc, dtype=bool)]
        # Lengths, areas and volumes alike; open directions may lack a vector.
        size = float(np.sqrt(max(determinant(periodic @ periodic.T), 0.0)))
        least = _LEAST_VOLUME * n_atoms if len(periodic) == 3 else _LEAST_AREA
        if len(periodic) and size < least:
            raise GapfitError(
                f"{self.where}: the server sent the cell {vectors} Å, of {size:.3g} "
                f"{_UNITS[len(periodic)]} for {n_atoms} atoms; see its output, or give "
                "--pbc none for a molecule"
            )

    def _lengths(self, count: int) -> np.ndarray:
        """Return vectors, Å."""
        data = self._received(count * _REAL.itemsize, "POSDATA")
        with np.errstate(invalid="ignore"):  # NaN is detected later
            return np.frombuffer(data, _REAL).reshape(-1, 3) * units.Bohr

    def _received(self, n_bytes: int, message: str) -> bytes:
        data = bytearray()
        while len(data) < n_bytes:
            piece = self._piece(n_bytes - len(data))
            if not piece:
                raise BrokenOffError(f"in the middle of {message}")
            data += piece
        return bytes(data)

    def _piece(self, most: int) -> bytes:
        try:
            return self._socket.recv(most)
        except OSError as error:
            raise BrokenOffError(error.strerror or str(error)) from error

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise BrokenOffError(error.strerror or str(error)) from error


def _possible(lengths: np.ndarray) -> np.ndarray:
    """Return whether lengths (Å) are possible; NaN is not."""
    return np.abs(lengths) <= _LARGEST


def _vector(vector: np.ndarray) -> str:
    return "(" + ", ".join(f"{x:.6g}" for x in vector) + ")"
