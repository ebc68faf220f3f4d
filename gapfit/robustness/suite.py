"""All stress tests of a potential, in one report."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gapfit._support.progress import Progress, silent
from gapfit.config.paths import IN_MEMORY
from gapfit.config.sections import DataConfig
from gapfit.data.dataset import Dataset, read
from gapfit.data.frame import Frame, as_frame
from gapfit.errors import GapfitError
from gapfit.model.gap_model import GAPModel
from gapfit.model.provenance import model_digest, why_no_deviations
from gapfit.robustness.bounds import find_bounds, find_crystal
from gapfit.robustness.cells import atoms_of
from gapfit.robustness.dynamics import cluster, hot, pressure, surfaces
from gapfit.robustness.labels import labels
from gapfit.robustness.pairs import dimers, trimers
from gapfit.robustness.results import TESTS, StressReport, StressSettings, Verdict
from gapfit.robustness.specimen import Specimen
from gapfit.robustness.statics import contacts, defects, volume
from gapfit.robustness.watch import FailureError, Watch, saved

__all__ = ["stress_test"]

_Test = Callable[[Specimen, Watch], None]
# Tests of the crystal; those of two and three atoms need none.
_METHODS: Mapping[str, _Test] = {
    "dimers": dimers,
    "trimers": trimers,
    "volume": volume,
    "defects": defects,
    "contacts": contacts,
    "hot": hot,
    "pressure": pressure,
    "surfaces": surfaces,
    "cluster": cluster,
}
_ALONE = ("dimers", "trimers")
# Tests of the crystal that the data should know well enough.
_ALARMED = ("hot", "pressure")


def stress_test(
    model: GAPModel,
    structures: Sequence[Any] = (),
    *,
    data: Any = (),
    only: Sequence[str] = tuple(TESTS),
    settings: StressSettings | None = None,
    progress: Progress = silent,
) -> StressReport:
    """Test a potential where simulations may take it.

    Parameters
    ----------
    model : GAPModel
        The potential.
    structures : sequence of ase.Atoms
        Crystals to test; by default the one of `data` that is lowest in energy, among
        those with most species.
    data : Dataset, path, list of paths or of ase.Atoms
        Labelled structures, usually the training data: they say how close atoms come and
        how low energies are.
    only : sequence of str
        Names from `gapfit.robustness.TESTS`.
    settings : StressSettings, optional
        How hard and how long the potential is tested.
    progress : callable, optional
        Called as ``progress(test, done, total)``.

    Returns
    -------
    StressReport
        A verdict for each test, with the structure of the first failure.

    Raises
    ------
    GapfitError
        There is no crystal, or no such test.
    StructureError
        The model does not know a species of the structures.

    Examples
    --------
    >>> import gapfit
    >>> model = gapfit.load("model.npz")  # doctest: +SKIP
    >>> gapfit.stress_test(model, data="train.extxyz").passed  # doctest: +SKIP
    True
    """
    unknown = [name for name in only if name not in TESTS]
    if unknown:
        raise GapfitError(f"unknown test {unknown[0]!r}; known are {', '.join(TESTS)}")
    labelled = _labelled(data)
    given = [as_frame(atoms, f"structure {n}") for n, atoms in enumerate(structures, 1)]
    specimens = _specimens(model, labelled, given, settings or StressSettings())
    verdicts = []
    for name in (test for test in TESTS if test in only):
        progress(name, 0, 1)
        verdicts.append(_verdict(name, specimens, labelled))
        progress(name, 1, 1)
    notes = []
    if (reason := why_no_deviations(model)) is not None:
        notes.append(f"standard deviations are not tested: {reason}")
    return StressReport(
        model_digest(model),
        tuple(specimen.crystal.get_chemical_formula() for specimen in specimens),
        specimens[0].bounds.plain(),
        tuple(verdicts),
        tuple(notes),
    )


def _specimens(
    model: GAPModel,
    labelled: Sequence[Frame],
    given: Sequence[Frame],
    settings: StressSettings,
) -> list[Specimen]:
    """Return the crystals to test, those given or else the one of the data."""
    frames = [*labelled, *given]
    if not frames:
        raise GapfitError(
            "no structures: give a crystal to test, or the data of the fit"
        )
    crystals = [find_crystal(model, [frame]) for frame in given]
    crystals = crystals or [find_crystal(model, labelled)]
    bounds = find_bounds(model, frames, crystals[0])
    return [
        Specimen(
            model,
            atoms_of(crystal),
            bounds,
            settings,
            zlib.crc32(f"{settings.seed} {n}".encode()),
        )
        for n, crystal in enumerate(crystals)
    ]


def _labelled(data: Any) -> list[Frame]:
    """Return the frames of labelled data."""
    if isinstance(data, Dataset):
        return list(data.frames)
    if not isinstance(data, str | Path) and not len(data):
        return []
    named = DataConfig.model_validate({"train": [IN_MEMORY], "check_labels": False})
    return list(read(data, named).frames)


def _verdict(
    name: str, specimens: Sequence[Specimen], labelled: Sequence[Frame]
) -> Verdict:
    """Run one test on all crystals, up to the first failure."""
    started = time.perf_counter()
    watches: list[Watch] = []
    failure, frame = None, None
    for specimen in specimens[:1] if name in (*_ALONE, "data") else specimens:
        watch = specimen.watch(alarmed=name in _ALARMED)
        watches.append(watch)
        try:
            if name == "data":
                labels(specimen, labelled)
            else:
                _METHODS[name](specimen, watch)
        except FailureError as error:
            formula = specimen.crystal.get_chemical_formula()
            failure = (
                f"{formula}: {error.reason}" if len(specimens) > 1 else error.reason
            )
            frame = saved(specimen.model, error)
            break
    return Verdict(
        name,
        failure,
        frame,
        min((w.lowest for w in watches if w.lowest is not None), default=None),
        min((w.closest for w in watches if w.closest is not None), default=None),
        max((w.std for w in watches if w.std is not None), default=None),
        time.perf_counter() - started,
        tuple(reason for w in watches for reason in w.skipped),
    )
