"""What torch moves and computes for predictions and fits: the least time a GPU can take.

Usage: python tests/benchmarks/gpu_traffic.py [--cells 4 16] [--bandwidth TB/s]
           [--tflops TFLOPS] [--launch MICROSECONDS] [--json FILE]
No GPU is needed: models run on a device that stands in for one (tests/helpers), in the
chunks that a GPU would take, and every operation is counted with the bytes that it reads
and writes and the products of its matrices. The time is the sum over all operations of
what is longest: to start it, to move the bytes, or to compute. By default the GPU is an
H200: 4.8 TB/s, 34 TFLOPS in double precision. GPUs reach half to four fifths of such
numbers, so real times are 1.3 to 2 times as long, and small matrices may take longer.

Memory is the most that tensors take at once, without what operations take inside.
"""

from __future__ import annotations

import argparse
import sys
import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from _common import MICRO, Column, Label, Report, Row, parser, script
from _fits import EXAMPLES, ROOT, example
from ase import Atoms
from gpu import SYSTEMS, labelled

import gapfit
from gapfit.execution.accumulate import RowBuilder
from gapfit.model.observation_groups import groups_of

sys.path.insert(0, str(ROOT / "tests"))

from helpers.stand_in_device import Operation, stand_in, watched

#: Operations that move nothing: they look at the same numbers in another way.
VIEWS = {
    "alias",
    "detach",
    "expand",
    "lift_fresh",
    "permute",
    "select.int",
    "slice.Tensor",
    "split.Tensor",
    "split_with_sizes",
    "squeeze.dim",
    "t",
    "transpose.int",
    "unbind.int",
    "unsqueeze",
    "view",
    "_reshape_alias",
    "_unsafe_view",
}
#: Those that the host waits for.
WAITS = ("_local_scalar_dense", "nonzero", "tolist")
#: Of their largest input only what they return is read.
PICKS = ("embedding_bag", "gather", "index", "index_select")
#: Crystals of 64 atoms whose rows are made.
N_FITTED = 16

COLUMNS = (
    Label("system", "system"),
    Label("what", "what"),
    Label("n_atoms", "atoms"),
    Label("dtype", "precision"),
    Column("operations", "operations", ".0f"),
    Column("waits", "waits", ".0f"),
    Column("kilobytes", "kB/atom", ".0f"),
    Column("megaflops", "MFLOP/atom", ".2f"),
    Column("moving", "to move, µs/atom", ".3f"),
    Column("total", "in all, µs/atom", ".3f"),
    Column("memory", "GB", ".2f"),
)


class Traffic:
    """Counts operations on the device, and how long they take at least."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.bandwidth, self.flops = 1e12 * args.bandwidth, 1e12 * args.tflops
        self.launch = args.launch / MICRO
        self.names: Counter[str] = Counter()
        self.n_bytes = self.n_flops = 0
        self.moving = self.total = 0.0
        self.live: Counter[int] = Counter()
        self.memory = self.most = 0

    def add(self, operation: Operation) -> None:
        """Count an operation."""
        for tensor in operation.outputs:
            self._keep(tensor)
        if operation.name in VIEWS:
            return
        self.names[operation.name] += 1
        n_bytes, n_flops = moved(operation), computed(operation)
        self.n_bytes += n_bytes
        self.n_flops += n_flops
        own = max(n_bytes / self.bandwidth, n_flops / self.flops)
        self.moving += own
        self.total += max(own, self.launch)

    def _keep(self, tensor: Any) -> None:
        """Count the memory of a tensor, until it is gone."""
        storage = tensor.untyped_storage()
        place, size = storage.data_ptr(), storage.nbytes()
        if not self.live[place]:
            self.memory += size
            self.most = max(self.most, self.memory)
        self.live[place] += 1
        weakref.finalize(tensor, self._release, place, size)

    def _release(self, place: int, size: int) -> None:
        self.live[place] -= 1
        if not self.live[place]:
            self.memory -= size

    def row(self, n_atoms: int) -> Row:
        """Return what was counted, for each atom."""
        return {
            "n_atoms": n_atoms,
            "operations": sum(self.names.values()),
            "waits": sum(self.names[name] for name in WAITS),
            "kilobytes": 1e-3 * self.n_bytes / n_atoms,
            "megaflops": 1e-6 * self.n_flops / n_atoms,
            "moving": MICRO * self.moving / n_atoms,
            "total": MICRO * self.total / n_atoms,
            "memory": 1e-9 * self.most,
        }


def size(tensor: Any) -> int:
    """Return the bytes of a tensor; those it only repeats count once."""
    n_bytes = tensor.numel() * tensor.element_size()
    return int(min(n_bytes, tensor.untyped_storage().nbytes()))


def moved(operation: Operation) -> int:
    """Return the bytes that an operation reads and writes."""
    written = sum(map(size, operation.outputs))
    read = [size(tensor) for tensor in operation.inputs]
    name = operation.name.partition(".")[0].strip("_")
    if name.startswith(PICKS) and read:
        read[0] = written
    return written + sum(read)


def computed(operation: Operation) -> int:
    """Return the floating point operations of a product of matrices."""
    if operation.name not in ("mm", "bmm", "addmm_"):
        return 0
    left, right = operation.inputs[-2:]
    return int(2 * left.numel() * right.shape[-1])


def predictions(
    model: gapfit.GAPModel, atoms: Atoms, dtype: str, args: argparse.Namespace
) -> dict[str, Row]:
    """Return the rows of the neighbour list and of energies, forces and stress."""
    import torch

    device, precision = stand_in(), getattr(torch, dtype)
    given = (
        torch.tensor(atoms.positions, dtype=precision),
        torch.tensor(np.asarray(atoms.cell), dtype=precision).unsqueeze(0),
        torch.tensor(atoms.pbc).unsqueeze(0),
        torch.zeros(len(atoms), dtype=torch.int64),
        torch.tensor(atoms.numbers),
    )
    positions, cells, pbc, system, numbers = (one.to(device) for one in given)
    potential = gapfit.torch.torch_model(model).to(device=device, dtype=precision)
    found: list[Any] = []

    def list_pairs() -> None:
        found.extend(
            gapfit.torch.neighbour_list(positions, cells, pbc, system, model.cutoff)
        )

    def predict() -> None:
        potential(positions, cells, numbers, system, *found)

    return {
        "neighbour list": counted(list_pairs, len(atoms), args),
        "prediction": counted(predict, len(atoms), args),
    }


def rows_of_fit(
    model: gapfit.GAPModel, structures: list[Atoms], args: argparse.Namespace
) -> Row:
    """Return the row of the sums of a fit."""
    frames = labelled(structures)
    groups = groups_of(frames, model.config)
    rows = RowBuilder.of(model, device=f"torch:{stand_in().type}")
    n_atoms = sum(map(len, structures))
    return counted(lambda: rows.sum_up(frames, groups, 256), n_atoms, args)


def counted(call: Callable[[], object], n_atoms: int, args: argparse.Namespace) -> Row:
    traffic = Traffic(args)
    with watched(traffic.add):
        call()
    return traffic.row(n_atoms)


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__, repeats=None)
    options.add_argument(
        "--cells", type=int, nargs="+", default=[4, 16], help="of 8 atoms, on each side"
    )
    options.add_argument("--bandwidth", type=float, default=4.8, help="TB/s")
    options.add_argument("--tflops", type=float, default=34.0, help="double precision")
    options.add_argument("--launch", type=float, default=5.0, help="µs")
    return options


def run(args: argparse.Namespace) -> Report:
    report = Report("gpu_traffic", vars(args))
    report.header(
        f"{args.bandwidth} TB/s, {args.tflops} TFLOPS, {args.launch} µs for each operation"
    )
    rows: list[Row] = []
    for system, (name, build) in SYSTEMS.items():
        model = gapfit.fit(config=example(name), base=EXAMPLES / name)
        for cells in args.cells:
            for dtype in ("float64", "float32"):
                found = predictions(model, build(cells), dtype, args)
                rows += [
                    {"system": system, "what": what, "dtype": dtype, **row}
                    for what, row in found.items()
                ]
        structures = [build(2, seed=seed) for seed in range(N_FITTED)]
        row = rows_of_fit(model, structures, args)
        rows.append(
            {"system": system, "what": "rows of a fit", "dtype": "float64", **row}
        )
    report.table("Least times", COLUMNS, rows)
    return report


if __name__ == "__main__":
    script(arguments(), run)
