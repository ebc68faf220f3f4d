"""Structures, labels, settings and terms that tests build: seeded, no files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.morse import MorsePotential
from ase.calculators.singlepoint import SinglePointCalculator

from gapfit.config.sections import SoapConfig
from gapfit.data.frame import structure_arrays
from gapfit.data.neighbours import pairs_of
from gapfit.model.terms import FittedTerm, build_term, new_basis
from gapfit.sparse.methods import principal_directions

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"

SOAP = {"r_cut": 4.5, "n_max": 5, "l_max": 4, "n_sparse": 40, "zeta": 3}
TWO_BODY = {"type": "distance_2b", "r_cut": 4.0, "n_sparse": 10, "theta": 0.8}
THREE_BODY = {"type": "angle_3b", "r_cut": 3.4, "n_sparse": 12, "theta": [1.5, 3, 1.5]}
ZBL = {"repulsion": "zbl", "r_cut": 2.6, "width": 1.0}


def silicon(seed: int = 1) -> Atoms:
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.12, seed=seed)
    return atoms


def sheared(seed: int = 2) -> Atoms:
    atoms = bulk("Si") * (2, 1, 1)
    atoms.set_cell(
        atoms.cell @ np.array([[1.02, 0.08, 0], [0, 0.97, 0.05], [0.04, 0, 1.01]]),
        scale_atoms=True,
    )
    atoms.rattle(0.1, seed=seed)
    return atoms


def slab() -> Atoms:
    atoms = silicon(3)
    atoms.pbc = [True, True, False]
    atoms.center(vacuum=5.0, axis=2)
    return atoms


def wire() -> Atoms:
    atoms = Atoms(
        "Si4", [[0, 0, 0], [1.6, 1.7, 0.2], [0.1, -0.3, 2.5], [1.5, 1.4, 2.6]]
    )
    atoms.cell = [0, 0, 5.0]
    atoms.pbc = [False, False, True]
    return atoms


def cluster() -> Atoms:
    atoms = molecule("Si2H6")
    atoms.numbers[:] = 14
    atoms.positions *= 1.5
    return atoms


def one_atom() -> Atoms:
    cell = [[0.1, 2.6, 2.7], [2.6, 0, 2.8], [2.5, 2.7, -0.1]]
    return Atoms("Si", cell=cell, pbc=True)


def three_species() -> Atoms:
    atoms = bulk("NaCl", "rocksalt", a=6.0, cubic=True)
    atoms.numbers[:] = [32, 52, 51, 52, 51, 52, 32, 52]
    atoms.rattle(0.15, seed=4)
    return atoms


STRUCTURES = {
    "silicon": silicon,
    "sheared": sheared,
    "slab": slab,
    "wire": wire,
    "cluster": cluster,
    "one_atom": one_atom,
    "three_species": three_species,
}


def label(atoms: Atoms, **info: object) -> Atoms:
    """Attach energy, forces and stress of a Morse potential."""
    atoms.calc = MorsePotential(epsilon=1.0, rho0=4.0, r0=2.6, rcut1=4.0, rcut2=5.0)
    results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
    if atoms.pbc.all():
        results["stress"] = atoms.get_stress()
    atoms.calc = SinglePointCalculator(atoms, **results)
    atoms.info.update(info)
    return atoms


def labelled_frames(build, n: int = 6) -> list[Atoms]:
    frames = []
    for k in range(n):
        atoms = build()
        atoms.rattle(0.1, seed=100 + k)
        if atoms.pbc.all():
            atoms.set_cell(atoms.cell * (0.96 + 0.02 * k), scale_atoms=True)
        frames.append(label(atoms, config_type="even" if k % 2 == 0 else "odd"))
    return frames


def config(**soap: object) -> dict:
    return {
        "e0": {"method": "least_squares"},
        "terms": [{**SOAP, **soap}],
        "data": {"train": ["in memory"], "check_labels": False},
    }


def random_term(atoms: Atoms, *, repeat: int = 1, **settings: object) -> FittedTerm:
    """Return a term with the structure's environments and random coefficients."""
    species = tuple(sorted(set(atoms.numbers.tolist())))
    wanted = SoapConfig(**({"r_cut": 4.5, "n_max": 5, "l_max": 4} | settings))
    term = build_term(wanted, species, new_basis(wanted))
    pieces = [atoms.copy() for _ in range(repeat)]
    for n, piece in enumerate(pieces):
        piece.rattle(0.1, seed=n)
    rng, sparse, projections = np.random.default_rng(9), {}, {}
    pairs = pairs_of([structure_arrays(p) for p in pieces], term.descriptor.cutoff)
    for z, found in term.descriptor.environments(pairs).items():
        values = found.values
        if wanted.components != "all":
            projections[z] = principal_directions(values, wanted.components)
            values = values @ projections[z]
        sparse[z] = values
    term = build_term(wanted, species, term.basis, projections)
    coefficients = {z: rng.normal(size=len(points)) for z, points in sparse.items()}
    return replace(term, sparse=sparse, coefficients=coefficients)


def without_tables(term: FittedTerm) -> FittedTerm:
    """Return a three-body term that sums over its sparse points."""
    descriptor = copy(term.descriptor)
    descriptor.most_bytes = 0
    return replace(term, descriptor=descriptor)


@contextmanager
def file_size_limit(n_bytes: int) -> Iterator[None]:
    """Let no file grow beyond a size: a write that crosses it stops short of it."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def open_files_limit(n_files: int) -> Iterator[None]:
    """Let only so many more files be open at once;"""
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as free:
        # Numbers of open files have gaps: these are free again below the limit.
        files = [free.enter_context(TemporaryFile()) for _ in range(n_files)]
        most = 1 + max(file.fileno() for file in files)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
