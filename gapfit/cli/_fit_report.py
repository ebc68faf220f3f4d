"""The report at the end of a fit; its errors do not make the fit fail."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gapfit._support.resources import in_words
from gapfit.cli._console import Console

if TYPE_CHECKING:
    import numpy as np

    from gapfit.data.dataset import Dataset
    from gapfit.data.frame import Frame
    from gapfit.evaluation.residuals import Residuals
    from gapfit.model.gap_model import GAPModel
    from gapfit.model.prediction import Prediction
    from gapfit.report.points import Collector

__all__ = ["FitReport"]


class FitReport:
    """Observes the evaluation of a fit and writes its report.

    Parameters
    ----------
    path : Path
        File of the page.
    console : Console
        Output for progress and errors.
    wanted : bool
        Whether to write a report; that of an earlier fit is removed in any case.
    stress_test : bool
        Whether to stress-test the potential and show the verdicts.
    """

    def __init__(
        self, path: Path, console: Console, *, wanted: bool, stress_test: bool
    ) -> None:
        self.path = path
        self.console = console
        self.wanted = wanted
        self.stress_test = stress_test
        self._observers: dict[str, _Cautious] = {}

    def observer(self, name: str, model: GAPModel) -> _Cautious | None:
        """Return the observer of the evaluation of the ``"train"`` or ``"test"`` data."""
        if not self.wanted:
            return None
        from gapfit.report import collector

        self._observers[name] = _Cautious(collector(model))
        return self._observers[name]

    def write(
        self,
        model: GAPModel,
        base: Path,
        data: Mapping[str, tuple[Sequence[str], Dataset]],
        metrics: Mapping[str, Any],
        warnings: Sequence[str],
    ) -> list[str]:
        """Write the page, and return warnings about it.

        Parameters
        ----------
        model : GAPModel
            The fitted model.
        base : Path
            Folder that relative paths of its configuration refer to.
        data : mapping
            File names and contents of ``"train"`` and ``"test"``.
        metrics : mapping
            Contents of ``metrics.json``.
        warnings : sequence of str
            Warnings of the fit.
        """
        from gapfit.report import remove

        notes: list[str] = []
        try:
            remove(self.path)
            results: dict[str, Any] = {}
            if self.stress_test:
                results = self._tested(model, data["train"][1], notes)
            if self.wanted:
                shown = [*warnings, *notes]
                self._write(model, base, data, metrics, shown, results)
        except Exception as error:  # the model is saved, whatever fails here
            self.console.log(traceback.format_exc())
            return [
                f"there is no report ({type(error).__name__}: {error}); the model is "
                f"complete: try `gapfit report {self.path.parent}`"
            ]
        return notes

    def written(self) -> list[str]:
        """Return the page and the folder of its figures, with their sizes."""
        from gapfit.report import figures_folder

        if not self.path.exists():
            return []
        folder = figures_folder(self.path)
        sizes = [file.stat().st_size for file in folder.iterdir()]
        return [
            f"{self.path}  {in_words(self.path.stat().st_size)}",
            f"{folder}{os.sep}  {len(sizes)} figures, {in_words(sum(sizes))}",
        ]

    def _tested(
        self, model: GAPModel, train: Dataset, notes: list[str]
    ) -> dict[str, Any]:
        """Run the stress test, print its verdicts and return them."""
        from gapfit.cli.stress_test import print_results
        from gapfit.report.stress import stress_results

        path = self.path.parent / "model.npz"
        with self.console.progress() as progress:
            report = stress_results(model, path, train.frames, notes, progress)
        if report is None:
            return {}
        print_results(self.console, report)
        failed = [v.name for v in report.verdicts if not v.passed]
        if failed:
            notes.append(
                f"the stress test failed: {', '.join(failed)}; see `gapfit stress-test`"
            )
        return report.as_dict()

    def _write(
        self,
        model: GAPModel,
        base: Path,
        data: Mapping[str, tuple[Sequence[str], Dataset]],
        metrics: Mapping[str, Any],
        warnings: Sequence[str],
        stress_test: Mapping[str, Any],
    ) -> None:
        from gapfit.report import EvaluatedData, of_fit, write

        with self.console.progress() as progress:
            progress("report", 0, 1)
            parts = {
                name: EvaluatedData(
                    tuple(files),
                    metrics[name],
                    dataset.frames,
                    self._observers[name].collector,
                )
                for name, (files, dataset) in data.items()
            }
            title = self.path.absolute().parent.name
            contents = of_fit(title, model, base, parts, metrics, warnings, stress_test)
            write(contents, self.path)
            progress("report", 1, 1)


class _Cautious:
    """Observer that keeps the first error of a collector, so that evaluation continues."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._error: Exception | None = None

    @property
    def collector(self) -> Collector:
        """The collector; raises its error if there was one."""
        if self._error is not None:
            raise self._error
        return self._collector

    def predicted(self, number: int, frame: Frame, prediction: Prediction) -> None:
        """See `gapfit.evaluation.scores.Observer`."""
        self._call(self._collector.predicted, number, frame, prediction)

    def scored(
        self, number: int, frame: Frame, residuals: Residuals, std: np.ndarray
    ) -> None:
        """See `gapfit.evaluation.scores.Observer`."""
        self._call(self._collector.scored, number, frame, residuals, std)

    def _call(self, method: Callable[..., None], *arguments: Any) -> None:
        if self._error is None:
            try:
                method(*arguments)
            except Exception as error:  # reported when the page is written
                self._error = error
