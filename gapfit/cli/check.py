"""Check reference data; fail if they cannot be fitted.

Prints frames, atoms, species, the labels that were used and those that were ignored;
ranges of energy, force, volume and distance for every config_type; and warnings.
"""

from __future__ import annotations

import argparse
import logging
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gapfit.cli._console import Console
from gapfit.cli._data import (
    check_test_data,
    print_contents,
    print_groups,
    print_labels,
)
from gapfit.cli._labels import (
    add_label_arguments,
    given_keys,
    key_options,
    read_files,
)
from gapfit.cli._next_steps import fit_commands
from gapfit.errors import ConfigError, DataError, GapfitError

if TYPE_CHECKING:
    from gapfit.config.sections import FitConfig
    from gapfit.data.dataset import Dataset

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "data",
        nargs="+",
        metavar="DATA",
        help="files with structures, checked together; or one configuration, "
        "CONFIG.toml, whose training and test data are checked",
    )
    parser.add_argument(
        "--no-label-check",
        action="store_true",
        help="skip the comparison of energies, forces and stress by quick fits",
    )
    add_label_arguments(parser, "found automatically, or as CONFIG.toml says")


def run(args: argparse.Namespace, console: Console) -> int:
    """Check the data and print the report."""
    keys = given_keys(args)
    if any(name.endswith(".toml") for name in args.data):
        if len(args.data) > 1:
            raise GapfitError(
                "give either data files or one configuration, not both: "
                + ", ".join(args.data)
            )
        if keys:
            raise GapfitError(
                f"{key_options(keys)[0]} is for data files; give {', '.join(keys)} "
                f"under [data] in {args.data[0]} instead"
            )
        _check_config(Path(args.data[0]), not args.no_label_check, console)
    else:
        _check_files(args.data, keys, not args.no_label_check, console)
    return 0


def _check_files(
    files: list[str], keys: dict[str, Any], compare: bool, console: Console
) -> None:
    """Check data with the settings that `gapfit init` would write."""
    from gapfit.config.sections import DataConfig, E0Config
    from gapfit.data.e0 import e0_warnings, resolve_e0
    from gapfit.fitting.proposal import without_isolated_atom

    dataset = read_files(files, DataConfig.model_validate({"train": files, **keys}))
    warnings = list(dataset.warnings)
    missing = without_isolated_atom(dataset.frames)
    if missing:
        warnings.append(
            f"no energy of an isolated atom of {', '.join(missing)}: `gapfit init` will "
            "propose least squares over the compositions for [e0], which gives wrong "
            "energies of separated atoms; add a frame with the single atom in a large box"
        )
    method = "least_squares" if missing else "isolated"
    options = E0Config.model_validate({"method": method})
    e0, without_atom = resolve_e0(dataset.frames, options)
    warnings += e0_warnings(dataset.frames, options)
    text = e0_text(e0, without_atom)
    _report(console, ", ".join(files), dataset, text)
    if compare:
        warnings += label_check(dataset, e0)
    console.warnings(warnings)
    console.say("\nThese data can be fitted. Next:")
    console.say(f"  gapfit init {shlex.join([*files, *key_options(keys)])}")


def _check_config(path: Path, compare: bool, console: Console) -> None:
    """Check all data of a configuration, and report the errors of all."""
    from gapfit.config.paths import named_files
    from gapfit.config.toml import load_config
    from gapfit.data.files import require_files

    config = load_config(path)
    require_files(named_files(config), path.parent)
    if config.baseline.calculator is not None:
        console.say(
            f"{path}: [baseline] names the calculator {config.baseline.calculator}: it is "
            "imported and called now and by every fit with this file"
        )
    # Warnings of the library are printed at the end.
    logging.getLogger("gapfit").addHandler(logging.NullHandler())
    warnings: list[str] = []
    errors: list[str] = []
    train = _check_train(config, path.parent, compare, console, warnings, errors)
    test = _check_test(config, path.parent, console, warnings, errors)
    if train is not None and test is not None:
        try:
            warnings += check_test_data(train, test)
        except DataError as error:
            errors.append(str(error))
    console.warnings(warnings)
    if errors:
        raise DataError("\n".join(errors))
    console.say("\nThese data can be fitted. Next:")
    for command in fit_commands(path):
        console.say(f"  {command}")


def _check_train(
    config: FitConfig,
    base: Path,
    compare: bool,
    console: Console,
    warnings: list[str],
    errors: list[str],
) -> Dataset | None:
    """Report on the training data, with the checks of a fit; return them."""
    from gapfit._support.progress import silent
    from gapfit.data.dataset import read
    from gapfit.fitting.review import review

    files, text = config.data.train, ""
    try:
        dataset = read(files, config.data, base=base)
    except DataError as error:
        errors.append(str(error))
        return None
    warnings += dataset.warnings
    try:
        prepared = review(
            dataset, config, warnings, base=base, progress=silent, compare=compare
        )
        text = e0_text(prepared.e0, prepared.without_atom)
    except GapfitError as error:
        errors.append(str(error))
    _report(console, f"train: {', '.join(files)}", dataset, text)
    errors += _list_errors(config, dataset, base)
    return dataset


def _check_test(
    config: FitConfig,
    base: Path,
    console: Console,
    warnings: list[str],
    errors: list[str],
) -> Dataset | None:
    """Report on the test data, if there are any; return them."""
    from gapfit.data.dataset import read

    if not config.data.test:
        return None
    try:
        dataset = read(config.data.test, config.data, base=base)
    except DataError as error:
        errors.append(str(error))
        return None
    _report(console, f"test: {', '.join(config.data.test)}", dataset, "")
    warnings += dataset.warnings
    return dataset


def _list_errors(config: FitConfig, train: Dataset, base: Path) -> list[str]:
    """Return the errors of lists of sparse points."""
    from gapfit.model.terms import new_terms
    from gapfit.sparse.listed import listed_points

    try:
        terms = new_terms(config.terms, train.species)
    except ConfigError:
        return []  # which `_check_train` has listed
    errors = []
    for term in terms:
        file = term.config.points_file
        if file is None:
            continue
        try:
            listed_points(base / Path(file).expanduser(), term, train.frames)
        except GapfitError as error:
            errors.append(str(error))
    return errors


def _report(console: Console, name: str, dataset: Dataset, e0: str) -> None:
    print_contents(console, name, dataset)
    if e0:
        console.rows([("e0     ", e0)])
    print_labels(console, dataset)
    print_groups(console, dataset)


def e0_text(e0: dict[int, float], fitted: Sequence[int]) -> str:
    """Return energies of isolated atoms in one line; those `fitted` are least squares."""
    from ase.data import chemical_symbols

    return ", ".join(
        f"{chemical_symbols[z]} {value:.6f} eV" + " (least squares)" * (z in fitted)
        for z, value in e0.items()
    )


def label_check(dataset: Dataset, e0: dict[int, float] | None) -> list[str]:
    """Return warnings from quick fits about labels that contradict each other."""
    from gapfit.fitting.label_check import label_warnings

    return label_warnings(dataset.frames, e0)
