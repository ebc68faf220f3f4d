"""Files of stress tests: where the data of a fit are, and where results go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gapfit._support.archive import atomic_write
from gapfit._support.foreign import json_file
from gapfit.data.dataset import Dataset, read
from gapfit.fitting.training_data import find_training_data
from gapfit.model.gap_model import GAPModel
from gapfit.model.provenance import model_digest
from gapfit.robustness.results import TESTS, StressReport

__all__ = [
    "RESULTS",
    "default_folder",
    "stored_results",
    "training_data",
    "write_results",
]

#: File of the results.
RESULTS = "stress_test.json"


def default_folder(model: Path) -> Path:
    """Return the folder of the results, beside the file of a model.

    Examples
    --------
    >>> default_folder(Path("fit-model/model.npz")).as_posix()
    'fit-model/stress-test'
    """
    name = "stress-test" if model.name == "model.npz" else f"{model.stem}-stress-test"
    return model.with_name(name)


def training_data(model: GAPModel, path: Path) -> Dataset | None:
    """Return the data that a model was fitted to; None if their files are missing.

    Parameters
    ----------
    model : GAPModel
        The potential.
    path : Path
        Its file, from which relative paths of the data are found.
    """
    data, base = find_training_data(model, path, [])
    files = [base / Path(name).expanduser() for name in data.train]
    if not files or not all(file.exists() for file in files):
        return None
    return read(data.train, data, base=base)


def write_results(report: StressReport, folder: Path) -> list[Path]:
    """Write results and frames of failures; return the paths.

    Frames of earlier results in the folder are removed.

    Parameters
    ----------
    report : StressReport
        The verdicts.
    folder : Path
        Where ``stress_test.json`` and a file ``TEST.extxyz`` for each failure go; it must
        exist.
    """
    from ase.io import write

    for name in TESTS:
        (folder / f"{name}.extxyz").unlink(missing_ok=True)
    paths = [folder / RESULTS]
    with atomic_write(paths[0]) as temporary:
        text = json.dumps(report.as_dict(), indent=2, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    for verdict in report.verdicts:
        if verdict.frame is not None:
            paths.append(folder / f"{verdict.name}.extxyz")
            with atomic_write(paths[-1]) as temporary:
                write(temporary, verdict.frame, format="extxyz")
    return paths


def stored_results(model: GAPModel, path: Path, notes: list[str]) -> dict[str, Any]:
    """Return the results beside the file of a model; empty without any.

    Parameters
    ----------
    model : GAPModel
        The potential.
    path : Path
        Its file.
    notes : list of str
        The reason why results are not used is added to it.
    """
    file = default_folder(path) / RESULTS
    if not file.exists():
        return {}
    try:
        stored = dict(json_file(file))
        if stored["digest"] != model_digest(model):
            notes.append(
                f"{file} belongs to another model than {path.name}: run `gapfit "
                "stress-test` again"
            )
            return {}
        _ = [test["passed"] for test in stored["tests"].values()]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        notes.append(f"{file} cannot be read ({type(error).__name__}: {error})")
        return {}
    return stored
