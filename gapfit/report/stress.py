"""Stress tests in a report: run for it, and their table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from gapfit._support.progress import Progress
from gapfit.data.dataset import Dataset
from gapfit.data.frame import Frame
from gapfit.errors import GapfitError
from gapfit.model.gap_model import GAPModel
from gapfit.report.tables import Cell, table
from gapfit.robustness.files import default_folder, write_results
from gapfit.robustness.results import (
    QUICK,
    TESTS,
    StressReport,
    StressSettings,
    outcome,
)
from gapfit.robustness.suite import stress_test

__all__ = ["stress_results", "stress_section"]

_HEAD = (
    "test",
    "",
    "verdict",
    "lowest, meV/atom",
    "closest",
    "std, meV/atom",
)


def stress_results(
    model: GAPModel,
    path: Path,
    frames: Sequence[Frame] | None,
    notes: list[str],
    progress: Progress,
) -> StressReport | None:
    """Stress-test a potential quickly and write the results beside it; None without data.

    Parameters
    ----------
    model : GAPModel
        The potential.
    path : Path
        Its file.
    frames : sequence of Frame or None
        Its training data; without them there is a note, and no test.
    notes : list of str
        The reason why there is no test is added to it.
    progress : callable
        Called as ``progress(stage, done, total)``.
    """
    if frames is None:
        notes.append(
            "there is no stress test without the training data; give them with --train"
        )
        return None
    try:
        settings = StressSettings(steps=QUICK)
        report = stress_test(
            model, data=Dataset(frames), settings=settings, progress=progress
        )
    except GapfitError as error:
        notes.append(f"stress test: {error}")
        return None
    folder = default_folder(path)
    folder.mkdir(exist_ok=True)
    write_results(report, folder)
    return report


def stress_section(results: Mapping[str, Any]) -> Iterator[str]:
    """Yield the verdicts of a ``stress_test.json``, and the first failures."""
    if not results:
        return
    tests = results["tests"]
    failed = {name: test for name, test in tests.items() if not test["passed"]}
    unfit = sum(not _is_applicable(test) for test in tests.values())
    verdict = (
        f"{len(failed)} of {len(tests)} tests failed." if failed else "All passed."
    )
    if unfit:
        verdict += f" {unfit} of these did not apply."
    crystals = ", ".join(results["crystals"])
    yield f"<p>Tested on {escape(crystals)}. {verdict}</p>"
    yield table(_HEAD, [_row(name, test) for name, test in tests.items()])
    if failed:
        items = "".join(
            f"<li><b>{escape(name)}</b>: {escape(str(test['failure']))}</li>"
            for name, test in failed.items()
        )
        yield f'<div class="warning"><h3>First failures</h3><ul>{items}</ul></div>'
    skipped = "".join(
        f"<li><b>{escape(name)}</b>: {escape(str(reason))}</li>"
        for name, test in tests.items()
        for reason in test.get("skipped", ())
    )
    if skipped:
        yield f"<h3>Skipped</h3><ul>{skipped}</ul>"
    bounds = results["bounds"]
    yield (
        '<p class="note">lowest: lowest energy above that of the crystal. closest: '
        "shortest distance over that in the data. std: largest standard deviation of the "
        f"energy. Melting is estimated at {bounds['melting']} K from the "
        f"{escape(bounds['melting_from'])}. Structures of failures are beside the "
        "model.</p>"
    )


def _row(name: str, test: Mapping[str, Any]) -> list[str | Cell]:
    return [
        name,
        TESTS.get(name, ""),
        outcome(test["passed"], _is_applicable(test)),
        _cell(test["lowest"], 1e3, 0),
        _cell(test["closest"], 1.0, 2),
        _cell(test["std"], 1e3, 0),
    ]


def _is_applicable(test: Mapping[str, Any]) -> bool:
    """Return whether any structure was tried; older results do not tell."""
    return bool(test.get("applicable", True))


def _cell(value: float | None, factor: float, digits: int) -> Cell:
    if value is None:
        return Cell("")
    return Cell(f"{round(factor * value, digits) + 0.0:.{digits}f}", value)
