"""A GAP of QUIP at the settings of the silicon model of 2018, here and in quippy.

Usage: python tests/benchmarks/quip_models.py [--json FILE] [--repeats N] [--cells N]
           [--max-sparse M] [--turbo off|trivial]
One thread, energy, forces and stress of silicon in turns; the model (n_max = 10, l_max =
12, cutoff 5 Å, zeta 4) has environments of rattled silicon as sparse points and random
coefficients: times do not depend on them. It is written with `gapfit.quip.save`, read by
quippy and by `gapfit.quip.load`; differences of energies and forces are printed. With
--turbo it is one of soap_turbo, with that compression (n_max = 8, l_max = 8).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import _quip
import numpy as np
from _common import (
    MICRO,
    Column,
    Label,
    Report,
    Row,
    Time,
    medians,
    parser,
    script,
    threads,
)
from _models import Predict, random_model, silicon, silicon_frames
from ase import Atoms

from gapfit.quip import load, save

#: Numbers of sparse points; that of the published model last.
N_SPARSE = (1000, 9000)
SETTINGS = {
    "rbf": "equispaced_gaussians",
    "n_max": 10,
    "l_max": 12,
    "atom_sigma": 0.5,
    "r_cut": 5.0,
    "delta": 1.0,
    "zeta": 4,
}
TURBO = {"rbf": "poly3gauss", "n_max": 8, "l_max": 8}
COLUMNS = (
    Label("n_sparse", "M"),
    Time("gapfit", "gapfit"),
    Column("quippy", "QUIP", ".0f"),
    Column("ratio", "QUIP/gapfit", ".1f"),
    Column("energy", "ΔE, eV/atom", ".1e"),
    Column("forces", "ΔF, eV/Å", ".1e"),
)


def measure(
    atoms: Atoms, n_sparse: int, settings: dict[str, object], folder: Path, repeats: int
) -> Row:
    """Return times and differences for one model."""
    from quippy.potential import Potential

    path = folder / f"m{n_sparse}.xml"
    save(random_model(silicon_frames(n_sparse), n_sparse, **settings), path)
    model = load(path)
    calls = {"gapfit": Predict(model, atoms), "quippy": _quip.prediction(path, atoms)}
    seconds = medians(calls, repeats)
    per_atom = {name: MICRO * s / len(atoms) for name, s in seconds.items()}
    expected = atoms.copy()
    expected.calc = Potential("IP GAP", param_filename=str(path))
    found = model.predict(atoms)
    energy = found.energy - expected.get_potential_energy()
    return {
        "n_sparse": n_sparse,
        **per_atom,
        "ratio": per_atom["quippy"] / per_atom["gapfit"],
        "energy": abs(energy) / len(atoms),
        "forces": float(np.abs(found.forces - expected.get_forces()).max()),
    }


def arguments() -> argparse.ArgumentParser:
    options = parser(__doc__, repeats=5)
    options.add_argument("--cells", type=int, default=2, help="cells along an edge")
    options.add_argument("--max-sparse", type=int, default=max(N_SPARSE))
    options.add_argument("--turbo", choices=("off", "trivial"), help="compression")
    return options


def run(args: argparse.Namespace) -> Report:
    report = Report("quip_models", vars(args))
    atoms = silicon(args.cells)
    settings: dict[str, object] = dict(SETTINGS)
    if args.turbo:
        settings |= {**TURBO, "turbo": {"compression": args.turbo}}
    report.header(
        f"µs/atom on one thread, Si {len(atoms)} atoms; medians of {args.repeats} "
        "repeats, taken in turns"
    )
    with threads(1), tempfile.TemporaryDirectory() as folder:
        rows = [
            measure(atoms, n_sparse, settings, Path(folder), args.repeats)
            for n_sparse in N_SPARSE
            if n_sparse <= args.max_sparse
        ]
    report.table("Prediction, µs/atom", COLUMNS, rows)
    return report


if __name__ == "__main__":
    script(arguments(), run)
