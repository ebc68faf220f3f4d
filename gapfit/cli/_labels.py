"""Options that name the labels of data given on the command line."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from gapfit.errors import DataError

if TYPE_CHECKING:
    from gapfit.config.sections import DataConfig
    from gapfit.data.dataset import Dataset

__all__ = ["add_label_arguments", "given_keys", "key_options", "read_files"]

_KINDS = ("energy", "forces", "stress", "virial", "config_type")
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


def given_keys(args: argparse.Namespace) -> dict[str, str]:
    """Return the labels that were named, by their key in ``[data]``."""
    values = {f"{kind}_key": getattr(args, f"{kind}_key") for kind in _KINDS}
    return {key: value for key, value in values.items() if value is not None}


def key_options(keys: dict[str, str]) -> list[str]:
    """Return the arguments that pass these labels to another command."""
    return [
        word
        for key, value in keys.items()
        for word in (_option(key.removesuffix("_key")), value)
    ]


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
