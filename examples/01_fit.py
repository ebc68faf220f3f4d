"""Fit a potential as a fit.toml describes it, print its errors and save it.

Usage: python 01_fit.py [--config FIT.toml] [--output MODEL.npz]
The default is silicon. --train and --test replace the data of the configuration by other
sets of the same elements, such as larger published ones; --least-squares is for data
without isolated atoms; --n-sparse sets the number of sparse points of SOAP terms.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gapfit
from gapfit.evaluation import format_table

SILICON = Path(__file__).parent / "silicon" / "fit.toml"


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", type=Path, default=SILICON)
    parser.add_argument("--train", nargs="+", metavar="FILE")
    parser.add_argument("--test", nargs="+", metavar="FILE")
    parser.add_argument("--least-squares", action="store_true", help="of e0: see above")
    parser.add_argument("--n-sparse", type=int, metavar="N")
    parser.add_argument("--output", type=Path, default=Path("silicon.npz"))
    given = parser.parse_args(words)
    if given.test and not given.train:
        parser.error("--test needs --train: energies of two sources do not compare")
    return given


def configuration(given: argparse.Namespace) -> dict[str, Any]:
    """Return the tables of the configuration with the changes that were asked for."""
    config = tomllib.loads(given.config.read_text())
    if given.train:
        files = {"train": given.train, "test": given.test or []}
        config["data"] = {k: [str(Path(f).absolute()) for f in files[k]] for k in files}
    if given.least_squares:
        config["e0"] = {"method": "least_squares"}
    for term in config["terms"]:
        if given.n_sparse and term["type"] == "soap":
            term["n_sparse"] = given.n_sparse
    return config


def main(words: Sequence[str] | None = None) -> None:
    given = arguments(words)
    config, folder = configuration(given), given.config.parent
    model = gapfit.fit(config=config, base=folder)
    for part in ("train", "test"):
        if files := config["data"].get(part):
            metrics = gapfit.evaluate(model, files, base=folder)
            print(format_table(metrics, part))
    model.save(given.output)
    print(f"\nWrote {given.output}: {model!r}")


if __name__ == "__main__":
    main()
