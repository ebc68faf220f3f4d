"""The report at the end of a fit, whatever becomes of it: the fit is done."""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping, Sequence
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
    """Looks on while a fit is judged, and writes its report.

    Parameters
    ----------
    path : Path
        Of the page.
    console : Console
        Where it is said what is done and what fails.
    wanted : bool
        Without it there is no report; that of an earlier fit is removed all the same.
    """

    def __init__(self, path: Path, console: Console, *, wanted: bool) -> None:
        self.path = path
        self.console = console
        self.wanted = wanted
        self._looking: dict[str, _Cautious] = {}

    def observer(self, part: str, model: GAPModel) -> _Cautious | None:
        """Return what is to look on while a part of the data is evaluated."""
        if not self.wanted:
            return None
        from gapfit.report import collector

        self._looking[part] = _Cautious(collector(model))
        return self._looking[part]

    def write(
        self,
        model: GAPModel,
        base: Path,
        data: Mapping[str, tuple[Sequence[str], Dataset]],
        metrics: Mapping[str, Any],
        warnings: Sequence[str],
    ) -> list[str]:
        """Write the page, and return what is to be said about it.

        Parameters
        ----------
        model : GAPModel
            The fit.
        base : Path
            Folder that relative paths of its configuration refer to.
        data : mapping
            Names of the files and what they hold, of ``"train"`` and ``"test"``.
        metrics : mapping
            What goes to ``metrics.json``.
        warnings : sequence of str
            Of the fit.
        """
        from gapfit.report import remove

        try:
            remove(self.path)
            if self.wanted:
                self._write(model, base, data, metrics, warnings)
        except Exception as error:  # whatever it is, the model is there
            self.console.log(traceback.format_exc())
            return [
                f"there is no report ({type(error).__name__}: {error}); the model is not "
                f"touched by that: try `gapfit report {self.path.parent}`"
            ]
        return []

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

    def _write(
        self,
        model: GAPModel,
        base: Path,
        data: Mapping[str, tuple[Sequence[str], Dataset]],
        metrics: Mapping[str, Any],
        warnings: Sequence[str],
    ) -> None:
        from gapfit.report import Part, of_fit, write

        with self.console.progress() as progress:
            progress("report", 0, 1)
            parts = {
                name: Part(
                    tuple(files),
                    metrics[name],
                    dataset.frames,
                    self._looking[name].collector,
                )
                for name, (files, dataset) in data.items()
            }
            title = self.path.absolute().parent.name
            write(of_fit(title, model, base, parts, metrics, warnings), self.path)
            progress("report", 1, 1)


class _Cautious:
    """Passes on what it sees until that fails, which must not end an evaluation."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._error: Exception | None = None

    @property
    def collector(self) -> Collector:
        """What saw everything; raises what went wrong meanwhile."""
        if self._error is not None:
            raise self._error
        return self._collector

    def predicted(self, number: int, frame: Frame, prediction: Prediction) -> None:
        """See `gapfit.evaluation.scores.Observer`."""
        self._pass_on("predicted", number, frame, prediction)

    def scored(
        self, number: int, frame: Frame, residuals: Residuals, std: np.ndarray
    ) -> None:
        """See `gapfit.evaluation.scores.Observer`."""
        self._pass_on("scored", number, frame, residuals, std)

    def _pass_on(self, name: str, *seen: Any) -> None:
        if self._error is None:
            try:
                getattr(self._collector, name)(*seen)
            except Exception as error:  # said where the report is written
                self._error = error
