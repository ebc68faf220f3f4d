"""Which standard deviation ranks errors best, and which sees what was never fitted.

Usage: python tests/benchmarks/ranking.py rank [NAME|FOLDER ...] [--n-sparse 600]
       python tests/benchmarks/ranking.py outside [FOLDER]
`rank`: Spearman correlation of errors of test sets (as in calibration.py) with the
standard deviations of the subset of regressors (SoR) and of the deterministic training
conditional (DTC): force by atom, energy per atom; and of the length of force errors with
the DTC of local energies and with the novelty of atoms.
`outside`: fits crystals of silicon only (data/silicon, and silicon_md_pbe, mlearn_Si and
silicon_gap18 in FOLDER where there is one); share of liquid atoms, and of surface atoms
with fewer than four neighbours, above the 99th percentile of crystal atoms not fitted.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase.neighborlist import neighbor_list
from calibration import fitted
from threadpoolctl import threadpool_limits

import gapfit
from gapfit.gp.reliability import rank_correlation

_DATA = Path(__file__).parents[2] / "data"
_BOND = 2.85

#: What is asked of an atom, by the title of its column.
ATOMS: dict[str, dict[str, Any]] = {
    "force SoR": {"std": "forces", "form": "sor"},
    "force DTC": {"std": "forces", "form": "dtc"},
    "local energy DTC": {"std": "energies"},
    "novelty": {"novelty": True},
}


def of_atoms(model: gapfit.GAPModel, atoms: Any, asked: dict[str, Any]) -> np.ndarray:
    """Return one number for each atom."""
    found = model.predict(atoms, calibrated=False, **asked)
    if found.forces_std is not None:
        return np.linalg.norm(found.forces_std, axis=1)
    return found.novelty if found.energies_std is None else found.energies_std


def rank(names: Sequence[str], n_sparse: int) -> None:
    """Print rank correlations."""
    columns = [*ATOMS, "energy SoR", "energy DTC"]
    print(f"{'test set':<20}" + "".join(f"{name:>18}" for name in columns))
    for name in names:
        with threadpool_limits(1):
            model, test = fitted(name, n_sparse, 1)
            frames = [f for f in test.frames if f.forces is not None]
            frames = [f for f in frames if np.isfinite(f.forces).all()]
            errors = [
                np.linalg.norm(p.forces - f.forces, axis=1)
                for f, p in zip(frames, model.predict(frames), strict=True)
            ]
            ranks = [
                rank_correlation(
                    np.concatenate(errors),
                    np.concatenate([of_atoms(model, f, asked) for f in frames]),
                )
                for asked in ATOMS.values()
            ]
            frames = [f for f in test.frames if f.energy is not None]
            error = np.array(
                [(model.predict(f).energy - f.energy) / f.n_atoms for f in frames]
            )
            for form in ("sor", "dtc"):
                std = [
                    model.predict(f, std="energy", form=form).energy_std / f.n_atoms
                    for f in frames
                ]
                ranks.append(rank_correlation(error, np.array(std)))
        shown = "".join(f"{'-' if r is None else f'{r:.2f}':>18}" for r in ranks)
        print(f"{Path(name).name:<20}{shown}", flush=True)


def crystals(
    files: Sequence[Path], is_crystal: Callable[[str], bool]
) -> tuple[list[Any], list[Any], list[Any]]:
    """Return crystals to fit, crystals held out, and all other structures."""
    everything = [a for file in files for a in ase.io.read(file, ":")]
    lone = [a for a in everything if len(a) == 1 and not a.pbc.any()]
    rest = [a for a in everything if len(a) > 1 or a.pbc.any()]
    known = [a for a in rest if is_crystal(a.info["config_type"])]
    held = known[::4]
    fit = [a for n, a in enumerate(known) if n % 4]
    other = [a for a in rest if not is_crystal(a.info["config_type"])]
    return [*lone, *fit], held, other


def outside(folder: Path | None) -> None:
    """Print how many atoms outside the training data are seen."""
    sets = {"silicon": (_DATA / "silicon", ("bulk_eos", "bulk_rattled"))}
    if folder is not None:
        sets |= {
            "silicon_md_pbe": (folder / "silicon_md_pbe", ("md_1500K", "volume")),
            "mlearn_Si": (folder / "mlearn_Si", ("Elastic",)),
            "silicon_gap18": (folder / "silicon_gap18", ("dia",)),
        }
    print(f"{'set':<18}{'atoms':<10}" + "".join(f"{name:>18}" for name in ATOMS))
    for name, (where, types) in sets.items():
        files = [where / "train.extxyz", where / "test.extxyz"]
        fit, held, other = crystals(files, lambda kind, types=types: kind in types)
        model = gapfit.fit(fit, _settings())
        groups = {
            "liquid": [a for a in other if a.info["config_type"] in _LIQUIDS],
            "surface": [a for a in other if a.info["config_type"].lower() == "surface"],
        }
        shown: dict[str, list[str]] = {"liquid": [], "surface": []}
        for asked in ATOMS.values():
            crystal = np.concatenate([of_atoms(model, a, asked) for a in held])
            limit = np.quantile(crystal, 0.99)
            for group, members in groups.items():
                found = [of_atoms(model, a, asked) for a in members[:40]]
                if group == "surface":
                    found = [
                        v[_few_neighbours(a)]
                        for v, a in zip(found, members, strict=False)
                    ]
                values = np.concatenate([np.zeros(0), *found])
                share = f"{100 * np.mean(values > limit):.1f} %" if len(values) else "-"
                shown[group].append(share)
        for group, cells in shown.items():
            print(
                f"{name:<18}{group:<10}" + "".join(f"{cell:>18}" for cell in cells),
                flush=True,
            )


_LIQUIDS = ("liquid", "melt", "AIMD-NVT", "liq")


def _few_neighbours(atoms: Any) -> np.ndarray:
    return np.bincount(neighbor_list("i", atoms, _BOND), minlength=len(atoms)) < 4


def _settings() -> dict[str, Any]:
    return {
        "data": {"check_stress": False},
        "e0": {"method": "least_squares"},
        "sigma": {"energy": 0.003, "forces": 0.1, "virial": 0.1},
        "calibration": {"method": "none"},
        "terms": [{"type": "distance_2b"}, {"r_cut": 5.5, "n_sparse": 400}],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    ranks = commands.add_parser("rank")
    ranks.add_argument("names", nargs="*", default=["silicon", "carbon", "tungsten"])
    ranks.add_argument("--n-sparse", type=int, default=600)
    out = commands.add_parser("outside")
    out.add_argument("folder", nargs="?", type=Path)
    args = parser.parse_args()
    if args.command == "rank":
        rank(args.names, args.n_sparse)
    else:
        outside(args.folder)


if __name__ == "__main__":
    main()
