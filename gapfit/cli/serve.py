"""Compute forces for i-PI, or any other server that speaks its socket protocol.

The server moves the atoms, gapfit gives energy, forces and virial, until the server is
done. Start the server, then as many of these as it can use:

  i-pi input.xml &
  gapfit serve model.npz --structure start.extxyz --unix gapfit

The protocol knows no species: they are those of the structure, in its order, and must be
in the order of the server's. Positions and cell are the server's. ASE's server is
ase.calculators.socketio.SocketIOCalculator.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from gapfit.cli._console import Console
from gapfit.errors import GapfitError

__all__ = ["add_arguments", "run"]

#: Seconds to wait for the server, unless told.
_PATIENCE = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="usually model.npz")
    parser.add_argument(
        "--structure",
        type=Path,
        required=True,
        metavar="FILE",
        help="species in the order of the server's; the first structure counts",
    )
    parser.add_argument(
        "--unix", metavar="NAME", help="UNIX socket of the server, /tmp/ipi_NAME"
    )
    parser.add_argument("--host", help="of a TCP connection (localhost)")
    parser.add_argument("--port", type=int, help="of a TCP connection (31415)")
    parser.add_argument(
        "--pbc",
        metavar="DIRECTIONS",
        help="cell vectors along which it is periodic, such as abc, ab or none; needed "
        "if FILE says of no direction that it is",
    )
    parser.add_argument(
        "--std-of",
        action="append",
        default=[],
        choices=("energy", "energies", "forces", "stress", "novelty"),
        metavar="KIND",
        help="send standard deviations in the extra string: energy, energies (of each "
        "atom, cheap), forces, stress, or the novelty; repeatable",
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
    letters = "".join(x for x, own in zip("abc", atoms.pbc, strict=True) if own)
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
    """Refuse what the model cannot give, before a server waits for it."""
    from gapfit.data.checks import refuse_species
    from gapfit.data.frame import structure_arrays

    model = atoms.calc.model
    refuse_species(
        [structure_arrays(atoms, str(args.structure))],
        model.species,
        f"{args.structure}: {args.model} knows no {{species}}; give a model of them",
    )
    if args.std_of:
        model.require_posterior()


def _periodic(args: argparse.Namespace, atoms: Any) -> list[bool]:
    """Return along which cell vectors the structure is periodic."""
    if args.pbc is None:
        if not atoms.pbc.any():
            raise GapfitError(
                f"{args.structure}: says of no direction that it is periodic; give "
                "--pbc abc for a crystal or liquid, --pbc none for a molecule"
            )
        return list(atoms.pbc)
    letters = args.pbc.lower()
    if letters == "none":
        return [False] * 3
    if not letters or set(letters) - set("abc"):
        raise GapfitError(f"--pbc {args.pbc}: give letters among a, b, c, or none")
    return [x in letters for x in "abc"]
