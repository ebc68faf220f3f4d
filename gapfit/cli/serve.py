"""Compute forces for i-PI or another server with its socket protocol.

The server moves the atoms; gapfit returns energy, forces and virial until the server
ends. Start the server, then as many clients as it can use:

  i-pi input.xml &
  gapfit serve model.npz --structure start.extxyz --unix gapfit

The protocol does not transmit species: the structure gives them, and must have the atoms in
the order of the server. Positions and cell come from the server. The server of ASE is
ase.calculators.socketio.SocketIOCalculator.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from gapfit.cli._console import Console
from gapfit.errors import GapfitError

__all__ = ["add_arguments", "run"]

#: Default time to wait for the server, s.
_PATIENCE = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="usually model.npz")
    parser.add_argument(
        "--structure",
        type=Path,
        required=True,
        metavar="FILE",
        help="species in the order of the server; the first structure is used",
    )
    parser.add_argument(
        "--unix", metavar="NAME", help="UNIX socket of the server, /tmp/ipi_NAME"
    )
    parser.add_argument("--host", help="host of a TCP connection (localhost)")
    parser.add_argument("--port", type=int, help="port of a TCP connection (31415)")
    parser.add_argument(
        "--pbc",
        metavar="DIRECTIONS",
        help="periodic cell vectors, such as abc, ab or none; needed if FILE has no "
        "periodic direction",
    )
    parser.add_argument(
        "--std-of",
        action="append",
        default=[],
        choices=("energy", "energies", "forces", "stress", "novelty"),
        metavar="KIND",
        help="send standard deviations in the extra string: energy, energies (per atom, "
        "cheap), forces, stress, or novelty; repeatable",
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=_PATIENCE,
        metavar="SECONDS",
        help=f"how long to wait for the server ({_PATIENCE:g})",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Connect, and compute until the server is done."""
    from gapfit.calculator import GAPCalculator
    from gapfit.cli._data import first_structure
    from gapfit.serving import DEFAULT_PORT, address, serve

    if args.unix is not None and (args.host is not None or args.port is not None):
        raise GapfitError("--unix is one address, --host and --port another; give one")
    if args.unix is not None and ("/" in args.unix or not args.unix):
        raise GapfitError(
            f"--unix {args.unix}: give NAME of the file /tmp/ipi_NAME, without a folder"
        )
    if not args.wait >= 0:
        raise GapfitError(f"--wait {args.wait:g}: give seconds, 0 or more")
    host = args.host or "localhost"
    port = DEFAULT_PORT if args.port is None else args.port
    where = address(args.unix, host, port)
    atoms = first_structure(args.structure)
    atoms.pbc = _periodic(args, atoms)
    atoms.calc = GAPCalculator(args.model, uncertainty=args.std_of)
    _check_model(args, atoms)
    directions = zip("abc", atoms.pbc, strict=True)
    letters = "".join(letter for letter, periodic in directions if periodic)
    console.rows(
        [
            ("structure", f"{atoms.get_chemical_formula()}, order of {args.structure}"),
            ("periodic", letters or "nowhere"),
            ("server", where),
        ]
    )
    done = serve(atoms, unix=args.unix, host=host, port=port, patience=args.wait)
    end = "is done" if done.told else "closed the connection"
    plural = "" if done.evaluations == 1 else "s"
    console.say(f"\nThe server {end}; {done.evaluations} evaluation{plural}")
    return 0


def _check_model(args: argparse.Namespace, atoms: Any) -> None:
    """Refuse species and standard deviations that the model lacks."""
    from gapfit.data.checks import refuse_species
    from gapfit.data.frame import structure_arrays

    model = atoms.calc.model
    refuse_species(
        [structure_arrays(atoms, str(args.structure))],
        model.species,
        f"{args.structure}: {args.model} has no {{species}}; give another model",
    )
    if args.std_of:
        model.require_posterior()


def _periodic(args: argparse.Namespace, atoms: Any) -> list[bool]:
    """Return whether the structure is periodic along each cell vector."""
    if args.pbc is None:
        if not atoms.pbc.any():
            raise GapfitError(
                f"{args.structure}: has no periodic direction; give --pbc abc for a "
                "crystal or liquid, --pbc none for a molecule"
            )
        return list(atoms.pbc)
    letters = args.pbc.lower()
    if letters == "none":
        return [False] * 3
    if not letters or set(letters) - set("abc"):
        raise GapfitError(f"--pbc {args.pbc}: give letters among a, b, c, or none")
    return [x in letters for x in "abc"]
