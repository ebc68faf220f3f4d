"""Models of cluster expansions with arbitrary coefficients, and python-ace's numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from gapfit.config import AceConfig
from gapfit.config.sections import DataConfig, FitConfig
from gapfit.model.gap_model import GAPModel
from gapfit.model.terms import FittedTerm, build_term, new_basis


def expansion_model(
    *tables: dict, species: tuple[int, ...] = (14,), seed: int = 0, **more
) -> GAPModel:
    """Return a model with a term for each table, with coefficients and scales at random."""
    rng = np.random.default_rng(seed)
    terms = []
    for table in tables:
        config = AceConfig(**table)
        basis = {
            name: rng.normal(size=(max(config.l_max) + 1, max(config.n_max), 6))
            for name in new_basis(config)
        }
        terms.append(_term(config, species, basis, rng))
    config = FitConfig(
        data=DataConfig(train=["x"]), terms=[t.config for t in terms], **more
    )
    return GAPModel(config, species, {z: -10.0 - z for z in species}, tuple(terms))


def _term(
    config: AceConfig, species: tuple[int, ...], basis: dict, rng: np.random.Generator
) -> FittedTerm:
    n = build_term(config, species, basis).descriptor.n_features
    scales = {z: np.diag(rng.uniform(0.5, 1.5, size=n)) for z in species}
    return replace(
        build_term(config, species, basis, scales),
        sparse={z: np.eye(n) for z in species},
        coefficients={z: rng.normal(size=n) for z in species},
    )


def crystal(*symbols: str, seed: int = 1) -> Atoms:
    """Return eight displaced atoms of these elements in a sheared diamond cell."""
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.2, seed=seed)
    atoms.set_cell(
        atoms.cell[:] @ [[1, 0.05, 0], [0, 1, 0], [0.02, 0, 1.03]], scale_atoms=True
    )
    atoms.symbols = [symbols[n % len(symbols)] for n in range(len(atoms))]
    return atoms


def assert_as_python_ace(path: Path, model: GAPModel, atoms: Atoms) -> None:
    """Check energy, forces and stress of a model against those of a file."""
    pyace = pytest.importorskip("pyace")
    reference = atoms.copy()
    reference.calc = pyace.PyACECalculator(str(path))
    prediction = model.predict(atoms)
    for value, wanted in (
        (prediction.energy, reference.get_potential_energy()),
        (prediction.forces, reference.get_forces()),
        (prediction.stress, reference.get_stress()),
    ):
        scale = max(1.0, float(np.abs(wanted).max()))
        np.testing.assert_allclose(value, wanted, rtol=0, atol=1e-8 * scale)
