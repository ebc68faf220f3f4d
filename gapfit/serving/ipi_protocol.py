"""Messages of i-PI's socket protocol, as a client reads and writes them.

Nothing that a server announces is believed before it is checked: no number of atoms but
that of the structure, no long strings, no cell or positions that cannot be.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

import numpy as np
from ase import units

from gapfit.errors import GapfitError

__all__ = ["BrokenOffError", "Protocol"]

#: Bytes of a header: a word and blanks.
_HEADER = 12
_WORDS = ("STATUS", "INIT", "POSDATA", "GETFORCE", "EXIT")
#: Bytes of an initialisation string; i-PI's is a few words.
_LONGEST_INIT = 1 << 20
#: Å; coordinates and cell vectors beyond have no digits left for the distances of atoms.
_LARGEST = 1e9
#: Å³ for each atom of a periodic structure: a tenth of hydrogen's at 500 GPa.
_LEAST_VOLUME = 0.1
_INT, _REAL = np.dtype(np.int32), np.dtype(np.float64)


class BrokenOffError(Exception):
    """A connection that ended where a message was due; says where."""


class Protocol:
    """One side of a connection, that of the client.

    Parameters
    ----------
    connection : socket.socket
        Connected.
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
            Of the client, for messages.
        may_end : bool
            Whether the server may close the connection instead: None then.

        Raises
        ------
        GapfitError
            It is no word of the protocol.
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
        """Return the error of a header that has no place in this state of the client."""
        return GapfitError(
            f"{self.where}: the server sent {text} to a client that is {state}; it "
            "speaks another protocol than i-PI's"
        )

    def skip_init(self) -> None:
        """Read what follows INIT, which is of no use here.

        Raises
        ------
        GapfitError
            The string cannot be as long as the server says.
        BrokenOffError
            The connection ended.
        """
        _, n_bytes = np.frombuffer(self._received(8, "INIT"), _INT)
        if not 0 <= n_bytes <= _LONGEST_INIT:
            raise GapfitError(
                f"{self.where}: the server announced an initialisation string of "
                f"{n_bytes} bytes; 0 to {_LONGEST_INIT} can be"
            )
        self._received(int(n_bytes), "INIT")

    def structure(
        self, n_atoms: int, pbc: Sequence[bool]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Read what follows POSDATA.

        Parameters
        ----------
        n_atoms : int
            That there must be.
        pbc : sequence of 3 bool
            Periodic directions.

        Returns
        -------
        cell : (3, 3) float64
            Lattice vectors as rows, Å.
        positions : (n_atoms, 3) float64
            Å.

        Raises
        ------
        GapfitError
            Another number of atoms; a cell or positions that cannot be.
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
        if (bad := ~_sound(positions)).any():
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
            eV.
        forces : (n_atoms, 3) float64
            eV/Å.
        virial : (3, 3) float64
            eV.
        extra : bytes
            The extra string, one byte at least: none could be taken for the end.

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
        if not _sound(cell).all():
            raise GapfitError(
                f"{self.where}: the server sent the cell {vectors} Å; see its output, the "
                "run may have exploded"
            )
        volume = abs(float(np.linalg.det(cell)))
        if any(pbc) and volume < _LEAST_VOLUME * n_atoms:
            raise GapfitError(
                f"{self.where}: the server sent the cell {vectors} Å, of {volume:.3g} Å³ "
                f"for {n_atoms} atoms; see its output, or give --pbc none for a molecule"
            )

    def _lengths(self, count: int) -> np.ndarray:
        """Return vectors, Å."""
        data = self._received(count * _REAL.itemsize, "POSDATA")
        with np.errstate(invalid="ignore"):  # NaN is looked for afterwards
            return np.frombuffer(data, _REAL).reshape(-1, 3) * units.Bohr

    def _received(self, n_bytes: int, what: str) -> bytes:
        data = bytearray()
        while len(data) < n_bytes:
            piece = self._piece(n_bytes - len(data))
            if not piece:
                raise BrokenOffError(f"in the middle of {what}")
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


def _sound(lengths: np.ndarray) -> np.ndarray:
    """Return which lengths (Å) can be; NaN cannot."""
    return np.abs(lengths) <= _LARGEST


def _vector(vector: np.ndarray) -> str:
    return "(" + ", ".join(f"{x:.6g}" for x in vector) + ")"
