"""Inputs of learning on the fly: data, starting structures and the reference."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gapfit.active.driver import Driver
from gapfit.active.engine import Engine, Script, Simulation
from gapfit.active.reference import Reference
from gapfit.baseline.ase_calculator import NamedCalculator
from gapfit.config.learn import LearnConfig, SimulationConfig
from gapfit.config.paths import named_files
from gapfit.data.dataset import Dataset, read
from gapfit.data.digest import data_digest
from gapfit.data.files import require_files, structures
from gapfit.data.frame import Frame, structure_arrays
from gapfit.data.isolated import lone_atoms, most_isolated
from gapfit.errors import ConfigError, DataError

__all__ = ["Job", "Setup", "first_structures"]

# Settings that may change before a learning run is resumed.
_FREE = {
    "learning": {"max_calls", "save"},
    "run": {"threads", "memory", "workers", "executor"},
}
# Side of the box of an isolated atom, Å: no descriptor sees its images.
_BOX = 15.0


@dataclass(frozen=True, eq=False)
class Job:
    """One simulation to do.

    Attributes
    ----------
    name : str
        Its name in messages and the log.
    run : SimulationConfig
        Its settings.
    start : ase.Atoms or None
        Starting structure; a script of another program may have its own.
    script : Script or None
        The script; None with ASE.
    """

    name: str
    run: SimulationConfig
    start: Any
    script: Script | None = None

    @property
    def numbers(self) -> set[int]:
        """Atomic numbers of its atoms."""
        return set(self.script.numbers if self.script else self.start.numbers.tolist())

    def simulation(self, config: LearnConfig, number: int, folder: Path) -> Simulation:
        """Return the simulation, which is not begun.

        Parameters
        ----------
        config : LearnConfig
            The configuration.
        number : int
            Its place among all simulations.
        folder : Path
            Folder of the results.
        """
        if self.script:
            return self.script.begin(config, folder)
        run, seed = config.run, [config.run.seed, number]
        every, n_threads = config.threshold.every, run.threads or None
        return Driver(self.run, self.start, seed, every, n_threads)


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
    lone : list of str
        Elements whose isolated atoms the reference computes first.
    """

    config: LearnConfig
    base: Path
    given: Dataset | None
    jobs: list[Job]
    reference: Reference
    lone: list[str]

    @classmethod
    def read(
        cls,
        config: LearnConfig,
        base: Path,
        calculator: Any = None,
        engines: Mapping[str, Engine] | None = None,
    ) -> Setup:
        """Read and check the inputs that a configuration names.

        Parameters
        ----------
        config : LearnConfig
            The configuration.
        base : Path
            Folder that its relative paths refer to.
        calculator : ase.calculators.calculator.Calculator, optional
            Replaces the calculator of the reference.
        engines : mapping of str to callable, optional
            Readers of the scripts of other programs than ASE, by ``runs.engine``.
        """
        starts = list(dict.fromkeys(run.start for run in config.runs if run.start))
        unused = {*config.data.train} - {*config.given}
        named = [name for name in named_files(config) if name not in unused]
        require_files([*named, *starts], base)
        given = read(config.given, config.data, base=base) if config.given else None
        jobs = list(_jobs(config, base, engines or {}))
        if given is not None and not config.learning.bootstrap:
            _require_species(jobs, given)
        lone = _without_e0(config, given, jobs)
        if lone and not config.learning.isolated_atoms:
            raise _no_e0(lone)
        reference = _reference(config, base, calculator)
        reference.require()
        return cls(config, base, given, jobs, reference, lone)

    @property
    def identity(self) -> dict[str, Any]:
        """Inputs that must be the same when a learning run is resumed."""
        from importlib.metadata import version

        settings = self.config.model_dump(mode="json")
        for table, names in _FREE.items():
            for name in names:
                settings[table].pop(name)
        for run in settings["runs"]:
            run.pop("command")  # of LAMMPS: another number of ranks is welcome
        starts = [structure_arrays(job.start) for job in self.jobs if job.start]
        scripts = [job.script.text for job in self.jobs if job.script]
        return {
            "gapfit": version("gapfit"),
            "reference": self.reference.title,
            "SHA-256 of the data": self.given and data_digest(self.given.frames),
            "SHA-256 of the starts": _digest(starts),
            **({"scripts": scripts} if scripts else {}),
            **settings,
        }


def _digest(frames: Sequence[Frame]) -> str:
    return hashlib.sha256(data_digest(frames).encode()).hexdigest()


def _jobs(
    config: LearnConfig, base: Path, engines: Mapping[str, Engine]
) -> Iterator[Job]:
    for number, run in enumerate(config.runs, start=1):
        name = run.name or f"run {number}"
        starts = _starts(run, base)
        if run.engine != "ase":
            yield Job(
                name, run, starts[0] if starts else None, _script(run, base, engines)
            )
            continue
        for k, atoms in enumerate(starts, start=1):
            suffix = f".{k}" if len(starts) > 1 else ""
            yield Job(f"{name}{suffix}", run, atoms)


def _starts(run: SimulationConfig, base: Path) -> list[Any]:
    if run.start is None:
        return []
    path = base / Path(run.start).expanduser()
    return [_bare(atoms) for _, atoms in structures(path, run.start)]


def _script(run: SimulationConfig, base: Path, engines: Mapping[str, Engine]) -> Script:
    if run.engine not in engines:
        raise ConfigError(
            f'[[runs]] engine = "{run.engine}": in Python, give what reads its script: '
            'gapfit.learn(..., engines={"lammps": gapfit.lammps.LammpsRun.read})'
        )
    return engines[run.engine](run, base)


def _bare(atoms: Any) -> Any:
    """Return a structure with its momenta and constraints, without labels."""
    out = atoms.copy()
    out.calc = None
    out.info = {}
    return out


def _require_species(jobs: Sequence[Job], given: Dataset) -> None:
    from ase.data import chemical_symbols

    for job in jobs:
        new = sorted(job.numbers - set(given.species))
        if new:
            raise DataError(
                f"{job.run.start or job.run.input}: contains "
                f"{', '.join(chemical_symbols[z] for z in new)}, which data.train does "
                "not have; add labelled frames with it, or set learning.bootstrap"
            )


def _without_e0(
    config: LearnConfig, given: Dataset | None, jobs: Sequence[Job]
) -> list[str]:
    """Return the elements whose energy of the isolated atom would be missing."""
    from ase.data import atomic_numbers, chemical_symbols

    if config.e0.method == "least_squares" or not config.data.use_energies:
        return []
    species = {z for job in jobs for z in job.numbers}
    species -= {atomic_numbers[symbol] for symbol in config.e0.given}
    if given is not None:
        atoms = lone_atoms(given.frames, sorted(species))
        species -= {z for z in species if most_isolated(atoms[z])}
    return [str(chemical_symbols[z]) for z in sorted(species)]


def _no_e0(lone: Sequence[str]) -> ConfigError:
    return ConfigError(
        f"no energy of the isolated atom for {', '.join(lone)}: give it under [e0] "
        f"({lone[0]} = ... in eV), let the reference compute it ([learning] "
        'isolated_atoms = true), or choose [e0] method = "least_squares"'
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


def first_structures(setup: Setup) -> list[tuple[str, Any]]:
    """Return structures for a first model, with their config_types.

    Isolated atoms come first, where they are asked for. Then come displaced and strained
    starting structures: starts are used in turn, with displacements that grow from round
    to round.
    """
    from ase import Atoms

    jobs, config = [job for job in setup.jobs if job.start], setup.config
    pbc = all(job.script for job in setup.jobs) or np.any([j.start.pbc for j in jobs])
    made = [
        ("isolated_atom", Atoms(symbol, cell=[_BOX] * 3, pbc=pbc))
        for symbol in setup.lone
    ]
    n, learning = config.learning.bootstrap, config.learning
    rounds = -(-n // len(jobs)) if n else 0
    for k in range(n):
        rng = np.random.default_rng([config.run.seed, k])
        atoms = jobs[k % len(jobs)].start.copy()
        atoms.set_constraint()
        size = (k // len(jobs) + 1) / rounds
        strain = rng.uniform(-learning.strain, learning.strain, (3, 3))
        strain = 0.5 * (strain + strain.T) * np.outer(atoms.pbc, atoms.pbc)
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
        atoms.positions += size * learning.rattle * rng.normal(size=(len(atoms), 3))
        made.append(("bootstrap", atoms))
    return made
