"""Labelled silicon cells, and what a reader says of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from gapfit.config.sections import DataConfig
from gapfit.data.dataset import Dataset, KindReport, read
from gapfit.errors import DataError

CONFIG = DataConfig(train=["-"])
STRESS = np.array([0.01, 0.02, 0.03, 0.001, 0.002, 0.003])


def config(**values: object) -> DataConfig:
    return DataConfig(train=["-"], **values)


def frames(count: int = 3, **results: object) -> list[Atoms]:
    """Return silicon cells labelled by a calculator."""
    out = []
    for seed in range(count):
        atoms = bulk("Si", cubic=True)
        atoms.rattle(0.05, seed=seed)
        forces = np.full((8, 3), 0.1) * (-1) ** np.arange(8)[:, None]
        labels = {"energy": -43.0 + 0.1 * seed, "forces": forces, "stress": STRESS}
        atoms.calc = SinglePointCalculator(atoms, **{**labels, **results})
        out.append(atoms)
    return out


def bare(count: int = 3) -> list[Atoms]:
    """Return silicon cells without labels."""
    out = frames(count)
    for atoms in out:
        atoms.calc = None
    return out


def line(dataset: Dataset, *kinds: str) -> KindReport:
    (found,) = [item for item in dataset.report if item.kind in kinds]
    return found


def refuses(message: str, sources: object, settings: DataConfig = CONFIG) -> None:
    with pytest.raises(DataError, match=message):
        read(sources, settings)


def text_of(tmp_path: Path, atoms: list[Atoms]) -> list[str]:
    write(tmp_path / "d.xyz", atoms)
    return (tmp_path / "d.xyz").read_text().splitlines(keepends=True)
