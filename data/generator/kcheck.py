"""Measure the k-point error of finished frames: ``python -m generator.kcheck``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import units

from .dft import compute
from .plans import PLANS
from .settings import SYSTEMS
from .store import read_frames


def main(argv: Sequence[str] | None = None) -> int:
    """Recompute frames on a denser grid and print the differences as JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m generator.kcheck", description=main.__doc__
    )
    parser.add_argument("source", type=Path, help="extended XYZ file of a set")
    parser.add_argument("frame_id", nargs="+")
    parser.add_argument("--factor", type=float, default=0.6, help="spacing factor")
    args = parser.parse_args(argv)
    stored = {atoms.info["frame_id"]: atoms for atoms in read_frames(args.source)}
    system = args.frame_id[0].split(":")[0]
    settings = SYSTEMS[system]
    dense = dataclasses.replace(
        settings,
        k_fine=settings.k_fine * args.factor,
        k_plain=settings.k_plain * args.factor,
    )
    plan = {frame.frame_id: frame for frame in PLANS[system]().frames}
    for name in args.frame_id:
        old = stored[name]
        geometry = old.copy()
        new, record = compute(plan[name], geometry, dense)
        energy = new.get_potential_energy() - old.get_potential_energy()
        force = 1000 * (new.get_forces() - old.get_forces())
        stress = (new.get_stress() - old.get_stress()) / units.GPa
        result = {
            "frame_id": name,
            "natoms": len(old),
            "kpts": record["kpts"],
            "energy_mev_per_atom": round(1000 * energy / len(old), 3),
            "force_rms_mev_per_a": round(float(np.sqrt(np.mean(force**2))), 2),
            "force_max_mev_per_a": round(float(abs(force).max()), 2),
            "stress_max_gpa": round(float(abs(stress).max()), 3),
        }
        print(json.dumps(result), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
