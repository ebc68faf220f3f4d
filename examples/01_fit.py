"""Fit a potential: silicon, or another system with data in this repository.

Prints the errors on training and test data, by kind of structure, and writes the model
that the other examples take with --model. Of a set of your own: --train FILE ... --test
FILE ..., fitted as the fit.toml of the system says.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from common import HERE, SYSTEMS, run

import gapfit
from gapfit.config.sections import DataConfig, E0Config, FitConfig
from gapfit.config.toml import load_config
from gapfit.data.dataset import read
from gapfit.evaluation.evaluate import Metrics, format_table
from gapfit.fitting.proposal import without_isolated_atom


def main(arguments: Sequence[str] = ()) -> tuple[gapfit.GAPModel, Metrics]:
    """Return the potential, and its errors on the test data (or all there are)."""
    given = parse(arguments)
    folder = HERE / given.system
    config = load_config(folder / "fit.toml")
    if given.train:
        config = with_files(config, given)
    if given.n_sparse:
        config = with_sparse_points(config, given.n_sparse)
    model = gapfit.fit(config=config, base=folder)
    for part in ("train", "test"):
        if names := getattr(config.data, part):
            metrics = gapfit.evaluate(model, names, data=config.data, base=folder)
            print(format_table(metrics, f"{given.system}, {part}"))
    output = given.output or Path(f"{given.system}.npz")
    model.save(output)
    print(f"\nWrote {output}: {model!r}")
    return model, metrics


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return what the command line says, files as absolute paths."""
    parser = argparse.ArgumentParser(description="Fit an example, or other data.")
    parser.add_argument("system", nargs="?", default="silicon", choices=SYSTEMS)
    files = {"nargs": "+", "type": lambda name: str(Path(name).absolute())}
    parser.add_argument("--train", **files)
    parser.add_argument("--test", **files)
    parser.add_argument("--n-sparse", type=int, metavar="N", help="of SOAP terms")
    parser.add_argument("--output", type=Path, help="default: SYSTEM.npz")
    given = parser.parse_args(arguments)
    if given.test and not given.train:
        parser.error("--test needs --train: energies of two sources do not compare")
    return given


def with_sparse_points(config: FitConfig, n_sparse: int) -> FitConfig:
    terms = [
        term.model_copy(update={"n_sparse": n_sparse}) if term.type == "soap" else term
        for term in config.terms
    ]
    return config.model_copy(update={"terms": terms})


def with_files(config: FitConfig, given: argparse.Namespace) -> FitConfig:
    data = DataConfig(train=given.train, test=given.test or [])
    changes: dict[str, object] = {"data": data}
    if missing := without_isolated_atom(read(given.train, data).frames):
        print(f"No isolated atom of {', '.join(missing)}: e0 by least squares.")
        changes["e0"] = E0Config(method="least_squares")
    return config.model_copy(update=changes)


if __name__ == "__main__":
    run(main)
