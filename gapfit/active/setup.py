"""Inputs of learning on the fly: data, starting structures and the reference."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gapfit.active.reference import Reference
from gapfit.baseline.ase_calculator import NamedCalculator
from gapfit.config.learn import LearnConfig, SimulationConfig
from gapfit.config.paths import named_files
from gapfit.data.dataset import Dataset, read
from gapfit.data.digest import data_digest
from gapfit.data.files import require_files, structures
from gapfit.data.frame import Frame, structure_arrays
from gapfit.errors import ConfigError, DataError

__all__ = ["Job", "Setup", "first_structures"]

# Settings that may change before a learning run is resumed.
_FREE = {"learning": {"max_calls"}, "run": {"threads", "memory", "workers", "executor"}}


@dataclass(frozen=True, eq=False)
class Job:
    """One simulation to do.

    Attributes
    ----------
    name : str
        Its name in messages and the log.
    run : SimulationConfig
        Its settings.
    start : ase.Atoms
        Starting structure.
    """

    name: str
    run: SimulationConfig
    start: Any


@dataclass(frozen=True, eq=False)
class Setup:
    """Inputs of a learning run.

    Attributes
    ----------
    config : LearnConfig
        The configuration.
    base : Path
        Folder that its relative paths refer to.
    given : Dataset or None
        Labelled frames to start with.
    jobs : list of Job
        The simulations, in order.
    reference : Reference
        Labels structures.
    """

    config: LearnConfig
    base: Path
    given: Dataset | None
    jobs: list[Job]
    reference: Reference

    @classmethod
    def read(cls, config: LearnConfig, base: Path, calculator: Any = None) -> Setup:
        """Read and check the inputs that a configuration names.

        Parameters
        ----------
        config : LearnConfig
            The configuration.
        base : Path
            Folder that its relative paths refer to.
        calculator : ase.calculators.calculator.Calculator, optional
            Replaces the calculator of the reference.
        """
        starts = list(dict.fromkeys(run.start for run in config.runs))
        unused = {*config.data.train} - {*config.given}
        named = [name for name in named_files(config) if name not in unused]
        require_files([*named, *starts], base)
        given = read(config.given, config.data, base=base) if config.given else None
        jobs = list(_jobs(config, base))
        if given is not None and not config.learning.bootstrap:
            _require_species(jobs, given)
        reference = _reference(config, base, calculator)
        reference.require()
        return cls(config, base, given, jobs, reference)

    @property
    def identity(self) -> dict[str, Any]:
        """Inputs that must be the same when a learning run is resumed."""
        from importlib.metadata import version

        settings = self.config.model_dump(mode="json")
        for table, names in _FREE.items():
            for name in names:
                settings[table].pop(name)
        starts = [structure_arrays(job.start) for job in self.jobs]
        return {
            "gapfit": version("gapfit"),
            "reference": self.reference.title,
            "SHA-256 of the data": self.given and data_digest(self.given.frames),
            "SHA-256 of the starts": _digest(starts),
            **settings,
        }


def _digest(frames: Sequence[Frame]) -> str:
    return hashlib.sha256(data_digest(frames).encode()).hexdigest()


def _jobs(config: LearnConfig, base: Path) -> Iterator[Job]:
    for number, run in enumerate(config.runs, start=1):
        path = base / Path(run.start).expanduser()
        starts = [atoms for _, atoms in structures(path, run.start)]
        for k, atoms in enumerate(starts, start=1):
            suffix = f".{k}" if len(starts) > 1 else ""
            yield Job(f"{run.name or f'run {number}'}{suffix}", run, _bare(atoms))


def _bare(atoms: Any) -> Any:
    """Return a structure with its momenta and constraints, without labels."""
    out = atoms.copy()
    out.calc = None
    out.info = {}
    return out


def _require_species(jobs: Sequence[Job], given: Dataset) -> None:
    from ase.data import chemical_symbols

    for job in jobs:
        new = sorted(set(job.start.numbers.tolist()) - set(given.species))
        if new:
            raise DataError(
                f"{job.run.start}: contains "
                f"{', '.join(chemical_symbols[z] for z in new)}, which data.train does "
                "not have; add labelled frames with it, or set learning.bootstrap"
            )


def _reference(config: LearnConfig, base: Path, calculator: Any) -> Reference:
    if calculator is not None:
        return Reference(lambda: calculator, type(calculator).__name__)
    name = config.reference.calculator
    if name is None:
        raise ConfigError(
            "[reference]: `calculator` is missing: name the one that labels structures, "
            'such as "ase.calculators.emt:EMT"'
        )
    named = NamedCalculator(
        name, config.reference.calculator_options, trusted=True, table="reference"
    )
    return Reference(partial(_made, named, base), named.title)


def _made(named: NamedCalculator, base: Path) -> Any:
    with _importable(base):
        return named.calculator


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Make modules in a folder importable."""
    path = str(folder.resolve())
    sys.path.insert(0, path)
    try:
        yield
    finally:
        sys.path.remove(path)


def first_structures(jobs: Sequence[Job], config: LearnConfig) -> list[Any]:
    """Return displaced and strained starting structures for a first model.

    Starts are used in turn, with displacements that grow from round to round.
    """
    n, learning = config.learning.bootstrap, config.learning
    rounds = -(-n // len(jobs))
    made = []
    for k in range(n):
        rng = np.random.default_rng([config.run.seed, k])
        atoms = jobs[k % len(jobs)].start.copy()
        atoms.set_constraint()
        size = (k // len(jobs) + 1) / rounds
        strain = rng.uniform(-learning.strain, learning.strain, (3, 3))
        strain = 0.5 * (strain + strain.T) * np.outer(atoms.pbc, atoms.pbc)
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
        atoms.positions += size * learning.rattle * rng.normal(size=(len(atoms), 3))
        made.append(atoms)
    return made
