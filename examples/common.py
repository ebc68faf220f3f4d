"""What the examples share: files given on the command line, the fit and its errors."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import gapfit
from gapfit.config import DataConfig, E0Config, FitConfig
from gapfit.config_file import load_config
from gapfit.dataset import read
from gapfit.evaluation import Metrics, format_table
from gapfit.proposal import without_isolated_atom


def fit_and_evaluate(
    folder: Path, arguments: Sequence[str]
) -> tuple[gapfit.GAPModel, Metrics]:
    """Fit as ``fit.toml`` in a folder says, and print the errors.

    Parameters
    ----------
    folder : Path
        That of the example.
    arguments : sequence of str
        Of the command line: ``--train FILE ... --test FILE ...`` replace the data of
        ``fit.toml``, ``--n-sparse N`` the sparse points of its SOAP terms.

    Returns
    -------
    GAPModel, Metrics
        The potential, and its errors for the test data (without any: training data).
    """
    config = load_config(folder / "fit.toml")
    given = parse(arguments)
    if given.train:
        config = with_files(config, given)
    if given.n_sparse:
        config = with_sparse_points(config, given.n_sparse)
    model = gapfit.fit(config=config, base=folder)
    for part in ("train", "test"):
        if names := getattr(config.data, part):
            metrics = gapfit.evaluate(model, names, data=config.data, base=folder)
            print(format_table(metrics, f"{folder.name}, {part}"))
    return model, metrics


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return what the command line says, files as absolute paths."""
    parser = argparse.ArgumentParser(description="Fit this example, or other data.")
    files = {"nargs": "+", "type": lambda name: str(Path(name).absolute())}
    parser.add_argument("--train", **files)
    parser.add_argument("--test", **files)
    parser.add_argument("--n-sparse", type=int, metavar="N")
    given = parser.parse_args(arguments)
    if given.test and not given.train:
        parser.error("--test needs --train: energies of two sources do not compare")
    return given


def with_sparse_points(config: FitConfig, n_sparse: int) -> FitConfig:
    """Return the configuration with other numbers of sparse points for SOAP."""
    terms = list(config.terms)
    for k, term in enumerate(terms):
        if term.type == "soap":
            terms[k] = term.model_copy(update={"n_sparse": n_sparse})
    return config.model_copy(update={"terms": terms})


def with_files(config: FitConfig, given: argparse.Namespace) -> FitConfig:
    """Return the configuration for other data."""
    data = DataConfig(train=given.train, test=given.test or [])
    changes: dict[str, object] = {"data": data}
    if missing := without_isolated_atom(read(given.train, data).frames):
        print(f"No isolated atom of {', '.join(missing)}: e0 by least squares.")
        changes["e0"] = E0Config(method="least_squares")
    return config.model_copy(update=changes)
