"""Structures of the benchmarks, and models with random coefficients for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
from ase import Atoms
from ase.build import bulk

from gapfit import GAPModel
from gapfit.config.sections import DataConfig, FitConfig, SoapConfig
from gapfit.data.frame import structure_arrays
from gapfit.data.neighbours import pair_list, pairs_of
from gapfit.model.terms import FittedTerm, build_term, new_basis
from gapfit.sparse.methods import principal_directions

_RATTLES = (0.05, 0.1, 0.15, 0.2)
_STRAINS = (0.97, 0.985, 1.0, 1.015, 1.03)


def silicon(cells: int, *, rattle: float = 0.05, seed: int = 1) -> Atoms:
    """Return a rattled diamond supercell of 8 cells³ atoms."""
    atoms = bulk("Si", cubic=True) * (cells, cells, cells)
    atoms.rattle(rattle, seed=seed)
    return atoms


def mixture(
    cells: int, species: Sequence[int], *, rattle: float = 0.1, seed: int = 1
) -> Atoms:
    """Return a rattled rocksalt lattice (6.0 Å) of 8 cells³ atoms of random species."""
    atoms = bulk("NaCl", "rocksalt", a=6.0, cubic=True) * (cells, cells, cells)
    rng = np.random.default_rng(seed)
    # Nearly equal numbers, so that every species is there.
    atoms.numbers[:] = rng.permutation(np.resize(species, len(atoms)))
    atoms.rattle(rattle, seed=seed)
    return atoms


def _variants(atoms: Atoms) -> Iterator[Atoms]:
    seed = 100
    while True:
        for strain in _STRAINS:
            for rattle in _RATTLES:
                frame = atoms.copy()
                frame.set_cell(frame.cell * strain, scale_atoms=True)
                seed += 1
                frame.rattle(rattle, seed=seed)
                yield frame


def frames_with(atoms: Atoms, n_environments: int) -> list[Atoms]:
    """Return rattled and strained copies with so many environments of each species."""
    _, counts = np.unique(atoms.numbers, return_counts=True)
    return list(islice(_variants(atoms), -(-n_environments // int(counts.min()))))


def silicon_frames(n_environments: int) -> list[Atoms]:
    """Return rattled silicon at several volumes with at least so many atoms."""
    return frames_with(silicon(3, rattle=0.0), n_environments)


def random_model(
    frames: Sequence[Atoms], n_sparse: int, **settings: object
) -> GAPModel:
    """Return a model with environments of the frames and random coefficients.

    Parameters
    ----------
    frames : sequence of ase.Atoms
        With at least `n_sparse` atoms of each species.
    n_sparse : int
        Sparse points of each species.
    **settings
        Of the term; ``components`` are directions of all environments.
    """
    config = SoapConfig.model_validate({"n_sparse": n_sparse} | settings)
    species = tuple(sorted({int(z) for frame in frames for z in frame.numbers}))
    term = build_term(config, species, new_basis(config))
    rng, sparse, projections = np.random.default_rng(9), {}, {}
    for z, values in _environments(term, frames).items():
        if config.components != "all":
            projections[z] = principal_directions(values, config.components)
        chosen = values[rng.choice(len(values), n_sparse, replace=False)]
        sparse[z] = np.ascontiguousarray(
            chosen @ projections[z] if projections else chosen
        )
    term = replace(
        build_term(config, species, term.basis, projections),
        sparse=sparse,
        coefficients={z: rng.normal(size=n_sparse) for z in sparse},
    )
    whole = FitConfig(data=DataConfig(train=["in memory"]), terms=[config])
    return GAPModel(whole, species, dict.fromkeys(species, 0.0), (term,))


def _environments(term: FittedTerm, frames: Sequence[Atoms]) -> dict[int, np.ndarray]:
    pairs = pairs_of([structure_arrays(f) for f in frames], term.descriptor.cutoff)
    found = term.descriptor.environments(pairs)
    return {z: own.values for z, own in found.items()}


class Predict:
    """Energy, forces and stress of one structure; remembers the stages of each call."""

    def __init__(self, model: GAPModel, atoms: Atoms) -> None:
        self.model, self.atoms = model, atoms
        self._stages: list[tuple[float, float, float]] = []

    def __call__(self) -> None:
        self.model.predict(self.atoms)
        self._stages.append(self.model.terms[0].descriptor.engine.last_seconds)

    def stages(self) -> np.ndarray:
        """Return median seconds in descriptors, kernel and adjoint after the warm-up."""
        return np.median(self._stages[2:], axis=0)

    def neighbour_list(self) -> None:
        """Make the neighbour list that a prediction makes."""
        pair_list(structure_arrays(self.atoms), self.model.cutoff)
