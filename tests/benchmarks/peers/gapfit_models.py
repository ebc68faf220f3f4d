"""gapfit: the presets of `gapfit init` and variants of them, tuned on the training data.

Sigmas and deltas are chosen with few sparse points, which costs less than the fit.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from _common import threads
from _tuning import preset_tables, tuned
from ase import Atoms
from peers import _in_lammps
from peers._potential import Data, Labels, Potential
from peers.pod import write_extxyz

import gapfit
from gapfit.config.toml import config_from_dict
from gapfit.data.dataset import read
from gapfit.fitting.presets import PRESETS
from gapfit.lammps.build import build_plugin
from gapfit.lammps.export import export_lammps

R_CUT, N_SPARSE, TUNE_SPARSE = 5.5, 1000, 300
_PAIR = {"type": "distance_2b", "r_cut": 5.0}
_WIDE = {"type": "soap", "r_cut": R_CUT, "n_max": 8, "l_max": 8, "n_sparse": N_SPARSE}
#: Terms beside those of the presets.
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "n6 l4, 500 points": [_PAIR, _WIDE | {"n_max": 6, "l_max": 4, "n_sparse": 500}],
    "n8 l8, zeta 2": [_PAIR, _WIDE | {"zeta": 2.0}],
    "n8 l8, 80 components": [_PAIR, _WIDE | {"components": 80}],
}


class Fit(Potential):
    """A model of gapfit."""

    uncertainty = True

    def __init__(self, label: str, terms: list[dict[str, Any]]) -> None:
        self.label, self.terms = f"gapfit {label}", terms
        # Compiled here: what is done in the process of a fit is lost with it.
        self.plugin = None if _in_lammps.missing() else plugin()
        self.engine = "LAMMPS" if self.plugin else "Python"

    def fit(self, data: Data, folder: Path) -> bool:
        write_extxyz(folder / "train.xyz", data.train)
        self.folder = folder
        start = {
            "data": {
                "train": [str(folder / "train.xyz")],
                "check_labels": False,
                "use_stress": False,
            },
            "e0": {"method": "least_squares"},
            "terms": self.terms,
            "run": {"threads": 1},
        }
        with threads(1):
            train = read(str(folder / "train.xyz"), config_from_dict(start).data)
            began = time.process_time()
            _, config = tuned(train, start, TUNE_SPARSE)
            self.tune_cpu = time.process_time() - began
            self.model = gapfit.fit(train, config)
        self.size = str(self.model.n_sparse)
        return True

    def predict(self, frames: list[Atoms]) -> list[Labels]:
        with threads(1):
            found = [self.model.predict(atoms) for atoms in frames]
        return [(prediction.energy, prediction.forces) for prediction in found]

    def turn(self, atoms: Atoms) -> Callable[[], float]:
        if self.plugin is None:
            return self._python_turn(atoms)
        export_lammps(self.model, self.folder / "p.gapfit")
        style = _in_lammps.PairStyle(
            self.folder,
            "pair_style gapfit\npair_coeff * * p.gapfit {types}",
            self.plugin,
        )
        return style.turn(atoms)

    def _python_turn(self, atoms: Atoms) -> Callable[[], float]:
        def measure() -> float:
            with threads(1):
                began = time.process_time()
                self.model.predict(atoms)
                return time.process_time() - began

        return measure


@cache
def plugin() -> Path:
    """Return the plugin for LAMMPS, compiled for this machine."""
    return build_plugin(mkdtemp())


def obstacle(data: Data) -> str:
    """Return nothing: gapfit can always run."""
    return ""


def potentials(data: Data) -> list[Potential]:
    """Return the potentials for a set."""
    n_species, n_labels = len(data.species), 3 * sum(map(len, data.train))
    presets = {
        preset: preset_tables(preset, R_CUT, N_SPARSE // n_species, n_species, n_labels)
        for preset in PRESETS
    }
    variants = {} if n_species > 1 else VARIANTS
    return [Fit(label, terms) for label, terms in (presets | variants).items()]
