"""Lattice constant, bulk modulus and elastic constants of silicon with error bars.

Usage: python 06_uncertainty_of_a_property.py [--model MODEL.npz] [--samples N]
Potentials drawn from the posterior of the fit give each property many times; the spread
is its standard deviation. They stand beside DFT with the settings of the data, or beside
experiment (McSkimin & Andreatch, J. Appl. Phys. 35, 2161 (1964)).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ase.build import bulk

import gapfit
from gapfit.properties import Settings, compute

SILICON = Path(__file__).parent / "silicon" / "fit.toml"
#: Name in the report, name here, value to compare with, and its source.
PROPERTIES = (
    ("structure.a", "a", 5.476, "DFT"),
    ("eos.bulk_modulus", "B", 88.2, "DFT"),
    ("elastic.C11", "C11", 165.6, "experiment"),
    ("elastic.C12", "C12", 63.9, "experiment"),
    ("elastic.C44", "C44", 79.5, "experiment"),
)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, help="default: --config is fitted first")
    parser.add_argument("--config", type=Path, default=SILICON)
    parser.add_argument("--samples", type=int, default=30, help="of the posterior")
    given = parser.parse_args(words)
    model = gapfit.load(given.model) if given.model else gapfit.fit(config=given.config)
    report = compute(
        model,
        bulk("Si", "diamond", 5.47, cubic=True),
        only=("eos", "elastic"),
        settings=Settings(samples=given.samples),
    )
    for full_name, name, reference, source in PROPERTIES:
        quantity = report.quantities[full_name]
        value = f"{quantity.value:8.3f} ± {quantity.std:.4f} {quantity.unit}"
        print(f"{name:4}{value:24} {source}: {reference}")


if __name__ == "__main__":
    main()
