"""The recipe of the README on published sets: propose, tune, fit, run hot.

Usage: python tests/benchmarks/recipe.py FOLDER ... [--preset default] [--n-sparse 500]
           [--seeds 3] [--ps 5] [--json FILE]
Each FOLDER, named mlearn_Si, inp and so on, holds train.extxyz and test.extxyz (.gz is
fine). The settings of `gapfit init` are fitted as they are and as `gapfit tune` chooses
deltas and sigmas; both predict the test set. The tuned model is then read back with error
bars and exported for LAMMPS, and 64 atoms or so of the crystal run at constant volume and
twice the melting temperature (Langevin, 2 fs; 1 fs for lithium). "lowest" is the lowest
energy on the way against the crystal's, -inf if atoms fell onto each other, and "closest"
the shortest distance of two atoms.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import ase
import numpy as np
from _common import Column, Label, Report, Row, parser, script, threads
from _dynamics import thermostat, warm
from ase.build import bulk, make_supercell
from mlearn import found

import gapfit
from gapfit.config.sections import DataConfig, FitConfig
from gapfit.data.dataset import Dataset, read
from gapfit.fitting.presets import PRESETS
from gapfit.fitting.tune import tune
from gapfit.lammps import export_lammps

#: Melting temperatures, K.
MELTING = {
    "Ni": 1728.0,
    "Cu": 1358.0,
    "Li": 454.0,
    "Mo": 2896.0,
    "Si": 1687.0,
    "Ge": 1211.0,
    "InP": 1335.0,
}
_LIGHT, _DT = 10.0, 2.0
#: Steps between looks at distances.
_LOOK = 20
COLUMNS = (
    Label("set", "set"),
    Column("energy", "MAE meV/atom", ".3f"),
    Column("forces", "MAE eV/Å", ".4f"),
    Column("tuned_energy", "tuned", ".3f"),
    Column("tuned_forces", "tuned", ".4f"),
    Column("temperature", "run at, K", ".0f"),
    Column("lowest", "lowest eV/atom", ".3f"),
    Column("closest", "closest Å", ".2f"),
    Column("hottest", "hottest, K", ".0f"),
)


def crystal(name: str) -> ase.Atoms:
    """Return some 60 atoms of the crystal."""
    if name == "InP":
        return bulk("InP", "zincblende", a=5.83, cubic=True) * (2, 2, 2)
    cell = bulk(name, cubic=True)
    n = round((64 / len(cell)) ** (1 / 3))
    return make_supercell(cell, n * np.eye(3))


def run_hot(
    model: gapfit.GAPModel, name: str, temperature: float, ps: float, seed: int
) -> tuple[float, float, float]:
    """Return lowest energy per atom, shortest distance and highest temperature."""
    rng = np.random.default_rng(seed)
    atoms = crystal(name)
    atoms.calc = gapfit.GAPCalculator(model, uncertainty=False)
    reference = lowest = atoms.get_potential_energy() / len(atoms)
    dt = _DT if atoms.get_masses().min() > _LIGHT else _DT / 2
    warm(atoms, temperature, rng)
    dynamics = thermostat(atoms, dt, temperature, rng)
    closest, hottest = np.inf, 0.0
    for step in range(round(1000 * ps / dt)):
        try:
            dynamics.run(1)
        except gapfit.GapfitError:
            lowest = -np.inf
            break
        lowest = min(lowest, atoms.get_potential_energy() / len(atoms))
        hottest = max(hottest, atoms.get_temperature())
        if step % _LOOK == 0:
            distances = atoms.get_all_distances(mic=True)
            closest = min(closest, distances[distances > 0].min())
    return float(lowest - reference), float(closest), float(hottest)


def proposed(
    train: Dataset, labels: DataConfig, n_sparse: int, preset: str = "default"
) -> FitConfig:
    """Return the settings of `gapfit init` with at most this many sparse points."""
    config = gapfit.propose(train.frames, labels, preset=preset).config
    fewer = min(config.terms[0].n_sparse, n_sparse)
    soap = config.terms[0].model_copy(update={"n_sparse": fewer})
    return config.model_copy(update={"terms": [soap, *config.terms[1:]]})


def errors(model: gapfit.GAPModel, test: Dataset) -> tuple[float, float]:
    metrics = gapfit.evaluate(model, test, uncertainty=False)["all"]
    return metrics["energy"]["mae"], metrics["forces"]["mae"]


def reread(model: gapfit.GAPModel, frame: ase.Atoms) -> gapfit.GAPModel:
    """Return a model as the calculator, `predict --std` and LAMMPS read it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.npz"
        model.save(path)
        export_lammps(model, Path(folder) / "lammps")
        again = gapfit.load(path)
    frame.calc = gapfit.GAPCalculator(again)
    frame.get_potential_energy()
    assert np.isfinite(again.predict(frame, std=True).energy_std)
    return again


def measure(folder: Path, args: argparse.Namespace) -> Row:
    """Return the row of one set."""
    name = {"inp": "InP"}.get(folder.name, folder.name.rpartition("_")[2])
    files = [found(folder, part) for part in ("train", "test")]
    labels = DataConfig(train=[files[0]])
    train, test = (read(file, labels) for file in files)
    config = proposed(train, labels, args.n_sparse, args.preset)
    plain = errors(gapfit.fit(train, config), test)
    best = tune(train, config).config
    model = gapfit.fit(train, best)
    tuned = errors(model, test)
    temperature = 2 * MELTING[name]
    model = reread(model, crystal(name))
    runs = [run_hot(model, name, temperature, args.ps, n) for n in range(args.seeds)]
    lowest, closest, hottest = zip(*runs, strict=True)
    deltas = ", ".join(f"{term.delta:.3g}" for term in best.terms)
    print(f"{name}: deltas {deltas}, sigmas {best.sigma.model_dump()}", flush=True)
    return {
        "set": name,
        "energy": plain[0],
        "forces": plain[1],
        "tuned_energy": tuned[0],
        "tuned_forces": tuned[1],
        "temperature": temperature,
        "lowest": min(lowest),
        "closest": min(closest),
        "hottest": max(hottest),
    }


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__)
    options.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    options.add_argument("--preset", choices=PRESETS, default="default")
    options.add_argument("--n-sparse", type=int, default=500)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--ps", type=float, default=5.0)
    return options


def run(args: argparse.Namespace) -> Report:
    report = Report("recipe", vars(args))
    report.header(
        f"{args.n_sparse} SOAP points for each species; {args.seeds} runs of {args.ps:g} ps"
    )
    with threads(1):
        rows = [measure(folder, args) for folder in args.folders]
    report.table(
        "Untuned, tuned, and tuned at twice the melting temperature", COLUMNS, rows
    )
    return report


if __name__ == "__main__":
    script(arguments(), run)
