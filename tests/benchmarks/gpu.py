"""Cost of predictions and fits in torch, on a GPU where there is one, beside the core's.

Usage: python tests/benchmarks/gpu.py [--device cuda] [--max-atoms 1000000] [--batch 1000]
           [--repeats N] [--json FILE]
The fits of examples/silicon and examples/ge2sb2te5: energies, forces and stress of crystals
of 512 atoms and more, and of many of 64 atoms together, in float64 (also compiled by
TorchScript) and float32, in µs per atom without neighbour lists, which have a column of
their own. `core` is the C++ core on all cores for the same structures, with its lists.
Errors are those from its numbers.

Fits: rows of energies, forces and virials of crystals of 64 atoms and their sums
(`run.device`), without the solution; then the example is fitted on the device, too, and
predictions of its test data are compared. Then the same with the cluster expansion of the
preset accurate beside the terms of the example.

On a GPU all of it takes a few minutes, most of them for the core; on a CPU the torch side
has one thread and so has the core, and times are those of the CPU.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from _common import (
    MICRO,
    Column,
    Label,
    Report,
    Row,
    Time,
    cores,
    medians,
    parser,
    script,
    threads,
)
from _fits import EXAMPLES, example
from _models import mixture, silicon
from ase import Atoms
from ase.io import read

import gapfit
from gapfit.config.sections import FitConfig
from gapfit.data.frame import Frame, as_frame
from gapfit.execution.accumulate import RowBuilder
from gapfit.fitting.presets import preset_terms
from gapfit.model.observation_groups import groups_of
from gapfit.model.prediction import Prediction

#: Calls in which TorchScript optimizes.
_FIRST_CALLS = 3
#: Cells of 8 atoms along each direction.
CELLS = (4, 8, 16, 32, 50)
#: The core has this many atoms to predict at most.
MOST_FOR_CORE = 33_000
#: Crystals of 64 atoms that are fitted, and atoms whose rows the core has in memory.
N_FITTED, MOST_TOGETHER = 100, 256
TELLURIDE = (32, 32, 51, 51, 52, 52, 52, 52, 52)

COLUMNS = (
    Label("system", "system"),
    Label("n_structures", "structures"),
    Label("n_atoms", "atoms"),
    Label("dtype", "precision"),
    Time("torch", "torch", ".2f"),
    Time("list", "list", ".2f"),
    Column("core", "core", ".2f"),
    Column("ratio", "torch / core", ".2f"),
    Column("energy", "energy meV/atom", ".1e"),
    Column("forces", "forces eV/Å", ".1e"),
    Column("memory", "GB on device", ".2f"),
)
FITS = (
    Label("system", "system"),
    Label("terms", "terms"),
    Label("n_sparse", "sparse points"),
    Label("n_atoms", "atoms"),
    Time("torch", "torch", ".1f"),
    Time("core", "core", ".1f"),
    Column("ratio", "torch / core", ".2f"),
    Column("energy", "energy meV/atom", ".1e"),
    Column("forces", "forces eV/Å", ".1e"),
    Column("memory", "GB on device", ".2f"),
)


class Device:
    """Where torch runs: its clock, its memory."""

    def __init__(self, name: str) -> None:
        import torch

        self.torch, self.name = torch, name
        self.gpu = name.startswith("cuda")
        if not self.gpu:
            torch.set_num_threads(1)

    @property
    def title(self) -> str:
        version = f"torch {self.torch.__version__}"
        if not self.gpu:
            return f"no GPU, {version} on one thread"
        return f"{self.torch.cuda.get_device_name()}, {version}"

    def wait(self) -> None:
        if self.gpu:
            self.torch.cuda.synchronize()

    def clock(self) -> float:
        return time.perf_counter() if self.gpu else time.process_time()

    def memory(self) -> float | None:
        """Return the largest memory since the last call, GB."""
        if not self.gpu:
            return None
        peak = self.torch.cuda.max_memory_allocated() / 1e9
        self.torch.cuda.reset_peak_memory_stats()
        return float(peak)


def inputs(device: Device, structures: list[Atoms]) -> tuple[Any, ...]:
    """Return positions, cells, pbc, numbers and systems on the device."""
    torch = device.torch
    system = np.repeat(np.arange(len(structures)), [len(a) for a in structures])
    arrays = (
        np.concatenate([atoms.positions for atoms in structures]),
        np.stack([np.asarray(atoms.cell) for atoms in structures]),
        np.stack([atoms.pbc for atoms in structures]),
        np.concatenate([atoms.numbers for atoms in structures]),
        system,
    )
    return tuple(torch.tensor(array, device=device.name) for array in arrays)


def measure(
    device: Device,
    model: gapfit.GAPModel,
    potentials: dict[str, Any],
    structures: list[Atoms],
    repeats: int,
) -> list[Row]:
    """Return a row for each precision."""
    positions, cells, pbc, numbers, system = inputs(device, structures)
    n_atoms = len(positions)

    def make_list() -> Any:
        found = gapfit.torch.neighbour_list(positions, cells, pbc, system, model.cutoff)
        device.wait()
        return found

    pairs, shifts = make_list()
    calls: dict[str, Callable[[], Any]] = {"list": make_list}
    wanted: list[Prediction] = []
    if n_atoms <= MOST_FOR_CORE:
        wanted = model.predict(structures)
        calls["core"] = lambda: model.predict(structures)
    seconds = medians(calls, repeats, device.clock)
    cost = {name: MICRO * value / n_atoms for name, value in seconds.items()}
    rows = []
    for name, potential in potentials.items():
        dtype = getattr(device.torch, name, device.torch.float64)
        given = (positions.to(dtype), cells.to(dtype), numbers, system, pairs, shifts)
        for _ in range(_FIRST_CALLS):
            potential(*given)
        device.memory()
        found = potential(*given)
        memory = device.memory()

        def predict(potential: Any = potential, given: Any = given) -> None:
            potential(*given)
            device.wait()

        own = medians({"torch": predict}, repeats, device.clock)["torch"]
        row = {"dtype": name, "torch": MICRO * own / n_atoms, "memory": memory, **cost}
        if wanted:
            row["ratio"] = row["torch"] / row["core"]
            row |= errors(found, wanted)
        rows.append(row | {"n_structures": len(structures), "n_atoms": n_atoms})
    return rows


def errors(found: dict[str, Any], wanted: list[Prediction]) -> Row:
    """Return the largest errors of energies and forces."""
    local = np.concatenate([one.energies for one in wanted])
    forces = np.concatenate([one.forces for one in wanted])
    own = {name: values.double().cpu().numpy() for name, values in found.items()}
    return {
        "energy": 1000 * float(np.abs(own["energies"] - local).max()),
        "forces": float(np.abs(own["forces"] - forces).max()),
    }


def labelled(structures: list[Atoms]) -> list[Frame]:
    """Return frames with labels of all kinds; their values do not matter for times."""
    frames = [as_frame(atoms, "a crystal") for atoms in structures]
    return [
        replace(
            frame, energy=0.0, forces=np.zeros((frame.n_atoms, 3)), virial=np.ones(6)
        )
        for frame in frames
    ]


def measure_fit(
    device: Device, model: gapfit.GAPModel, structures: list[Atoms], repeats: int
) -> Row:
    """Return the times of the rows of labelled structures and of their sums."""
    frames = labelled(structures)
    groups = groups_of(frames, model.config)
    n_atoms = sum(frame.n_atoms for frame in frames)
    name = device.name if device.gpu else f"torch:{device.name}"

    def summing(device_name: str) -> Callable[[], object]:
        rows = RowBuilder.of(model, device=device_name)
        return lambda: rows.sum_up(frames, groups, MOST_TOGETHER)

    device.memory()
    calls = {"torch": summing(name), "core": summing("cpu")}
    seconds = medians(calls, repeats, device.clock)
    row = {name: MICRO * value / n_atoms for name, value in seconds.items()}
    return {
        "n_sparse": model.n_sparse,
        "n_atoms": n_atoms,
        "memory": device.memory(),
        "ratio": row["torch"] / row["core"],
        **row,
    }


def compare_fit(
    device: Device, config: FitConfig, base: Path, model: gapfit.GAPModel
) -> Row:
    """Return how predictions of a fit on the device differ from those of the core's."""
    device_name = device.name if device.gpu else f"torch:{device.name}"
    run = config.run.model_copy(update={"device": device_name})
    other = gapfit.fit(config=config.model_copy(update={"run": run}), base=base)
    test = [atoms for path in config.data.test for atoms in read(base / path, ":")]
    energies, forces = [], []
    for mine, theirs in zip(other.predict(test), model.predict(test), strict=True):
        energies.append(abs(mine.energy - theirs.energy) / len(mine.forces))
        forces.append(np.abs(mine.forces - theirs.forces).max())
    return {"energy": 1000 * float(max(energies)), "forces": float(max(forces))}


def with_expansion(config: FitConfig, n_species: int) -> FitConfig:
    """Return settings with the cluster expansion of the preset accurate."""
    r_cut = max(term.r_cut for term in config.terms)
    proposed = preset_terms("accurate", r_cut, 1, n_species)
    more = [term for term in proposed if term.type == "ace"]
    return config.model_copy(update={"terms": [*config.terms, *more]})


def compare_fits(
    device: Device, name: str, model: gapfit.GAPModel, structures: list[Atoms], n: int
) -> list[Row]:
    """Return rows of the fit of an example, and of the same with a cluster expansion."""
    base, config = EXAMPLES / name, example(name)
    expanded = with_expansion(config, len(model.species))
    rows = []
    for own, fitted in (
        (config, model),
        (expanded, gapfit.fit(config=expanded, base=base)),
    ):
        row = measure_fit(device, fitted, structures, n)
        row |= compare_fit(device, own, base, fitted)
        rows.append(row | {"terms": " + ".join(term.type for term in own.terms)})
    return rows


def telluride(cells: int, seed: int = 1) -> Atoms:
    return mixture(cells, TELLURIDE, seed=seed)


SYSTEMS: dict[str, tuple[str, Callable[..., Atoms]]] = {
    "Si": ("silicon", silicon),
    "Ge-Sb-Te": ("ge2sb2te5", telluride),
}


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__, repeats=3)
    options.add_argument("--device", help="cuda if there is one, otherwise cpu")
    options.add_argument(
        "--max-atoms", type=int, help="largest crystal; 10⁶ on a GPU, 4096 on a CPU"
    )
    options.add_argument(
        "--batch", type=int, help="structures of 64 atoms; 1000 on a GPU, 100 on a CPU"
    )
    return options


def run(args: argparse.Namespace) -> Report:
    import torch

    device = Device(args.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    most = args.max_atoms or (1_000_000 if device.gpu else 4096)
    n_batch = args.batch or (1000 if device.gpu else 100)
    report = Report("gpu", vars(args) | {"device": device.title})
    report.header(f"{device.title}; µs per atom")
    rows: list[Row] = []
    fits: list[Row] = []
    with threads(cores() if device.gpu else 1):
        for system, (name, build) in SYSTEMS.items():
            model = gapfit.fit(config=example(name), base=EXAMPLES / name)
            potentials = {
                dtype: gapfit.torch.torch_model(model).to(
                    device=device.name, dtype=getattr(torch, dtype)
                )
                for dtype in ("float64", "float32")
            }
            potentials["TorchScript"] = torch.jit.script(potentials["float64"])
            sizes = [cells for cells in CELLS if 8 * cells**3 <= most]
            sets = [[build(cells)] for cells in sizes]
            sets.append([build(2, seed=seed) for seed in range(n_batch)])
            for structures in sets:
                found = measure(device, model, potentials, structures, args.repeats)
                rows += [{"system": system, **row} for row in found]
            n_fitted = N_FITTED if device.gpu else N_FITTED // 10
            structures = [build(2, seed=seed) for seed in range(n_fitted)]
            own = compare_fits(device, name, model, structures, args.repeats)
            fits += [{"system": system, **row} for row in own]
    report.table("Predictions", COLUMNS, rows)
    report.table("Fits", FITS, fits)
    return report


if __name__ == "__main__":
    script(arguments(), run)
