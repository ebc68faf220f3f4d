"""Options that name the labels of data given on the command line."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gapfit.errors import DataError, GapfitError

if TYPE_CHECKING:
    from gapfit.config.sections import DataConfig
    from gapfit.data.dataset import Dataset

__all__ = [
    "add_file_arguments",
    "add_label_arguments",
    "given_keys",
    "given_species",
    "key_options",
    "read_files",
]

_KINDS = ("energy", "forces", "stress", "virial", "config_type")
_FILES = ("species", "units")
_KEY = re.compile(rf"(?<!['\"\w])({'|'.join(_KINDS)})_key\b( in \[data\])?")


def add_label_arguments(parser: argparse.ArgumentParser, default: str) -> None:
    """Declare ``--energy-key`` and the like.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        The command.
    default : str
        Rule for labels that are not named, for the help.
    """
    group = parser.add_argument_group("names of labels", f"when absent: {default}")
    for kind in _KINDS:
        noun = "kind of frame" if kind == "config_type" else kind
        group.add_argument(_option(kind), metavar="LABEL", help=f"label of the {noun}")
    add_file_arguments(parser)


def add_file_arguments(parser: argparse.ArgumentParser, also: str = "") -> None:
    """Declare ``--species`` and ``--units``.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        The command.
    also : str
        Further meaning of the species, for the help.
    """
    group = parser.add_argument_group("what files of other programs leave out")
    group.add_argument(
        "--species",
        metavar="SI,O",
        help=f"elements of numbered types, in their order (MLIP, LAMMPS, DeePMD){also}",
    )
    group.add_argument(
        "--units",
        choices=["metal", "atomic", "real"],
        help="metal: Å, eV; atomic: Bohr, Hartree; real: Å, kcal/mol (n2p2, LAMMPS)",
    )


def given_species(args: argparse.Namespace) -> list[str]:
    """Return the chemical symbols of ``--species``, with commas or spaces between them.

    Raises
    ------
    GapfitError
        One is not a chemical symbol.
    """
    from ase.data import atomic_numbers

    symbols: list[str] = (args.species or "").replace(",", " ").split()
    for symbol in symbols:
        if atomic_numbers.get(symbol, 0) == 0:
            raise GapfitError(
                f"--species {args.species}: {symbol!r} is not a chemical symbol; write Si,O"
            )
    return symbols


def given_keys(args: argparse.Namespace) -> dict[str, Any]:
    """Return the values of ``[data]`` that were given, by their key."""
    values: dict[str, Any] = {
        f"{kind}_key": getattr(args, f"{kind}_key") for kind in _KINDS
    }
    values |= {"species": given_species(args) or None, "units": args.units}
    return {key: value for key, value in values.items() if value is not None}


def key_options(keys: Mapping[str, Any]) -> list[str]:
    """Return the arguments that pass these values to another command."""
    words = []
    for key, value in keys.items():
        kind = key.removesuffix("_key")
        text = value if isinstance(value, str) else ",".join(value)
        words += [f"--{key}" if key in _FILES else _option(kind), text]
    return words


def read_files(files: list[str], config: DataConfig) -> Dataset:
    """Read files of the command line; messages name options instead of keys."""
    from gapfit.data.dataset import read

    try:
        dataset = read(files, config)
    except DataError as error:
        raise DataError(_with_options(str(error))) from error
    warnings = tuple(_with_options(text) for text in dataset.warnings)
    return replace(dataset, warnings=warnings)


def _option(kind: str) -> str:
    return f"--{kind.replace('_', '-')}-key"


def _with_options(message: str) -> str:
    return _KEY.sub(lambda match: _option(match[1]), message)
