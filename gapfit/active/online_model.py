"""The potential that learning on the fly makes larger, one labelled structure at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gapfit.active.folder import LearningFolder
from gapfit.active.label_file import LabelFile
from gapfit.active.setup import Setup
from gapfit.baseline.baseline import build_baseline
from gapfit.config.sections import DataConfig
from gapfit.data.dataset import Dataset, read
from gapfit.data.frame import Frame
from gapfit.errors import GapfitError
from gapfit.fitting.append import append
from gapfit.fitting.fit import fit
from gapfit.model.gap_model import GAPModel
from gapfit.model.storage import load

__all__ = ["LearnedModel"]


class LearnedModel:
    """A potential and how many labelled structures it has learned.

    The file is written before the state that counts the structure: it may be ahead by one.

    Parameters
    ----------
    setup : Setup
        Data and configuration.
    folder : LearningFolder
        Where it is kept.
    labels : LabelFile
        The labelled structures.
    n_merged : int
        How many of them it is to know at first.
    fitted : int
        How many of them the latest fit from the beginning had.
    """

    def __init__(
        self,
        setup: Setup,
        folder: LearningFolder,
        labels: LabelFile,
        n_merged: int,
        fitted: int,
    ) -> None:
        self._setup = setup
        self._config = setup.config.fit
        self._folder = folder
        self._labels = labels
        self._given: list[Frame] = list(setup.given.frames) if setup.given else []
        self.n_merged, self.fitted = n_merged, fitted
        self._frames = [*self._given, *map(self._frame, labels.frames[:n_merged])]
        if folder.model.exists():
            self.current = self._as_configured(load(folder.model, training_sums=True))
            self._require_known()
        else:
            self._fit()

    @property
    def frames(self) -> Sequence[Frame]:
        """All structures that it has learned."""
        return self._frames

    def _as_configured(self, model: GAPModel) -> GAPModel:
        """Return the model of the folder with the calculator that the user names now."""
        if model.config.baseline != self._config.baseline:
            raise GapfitError(
                f"{self._folder.model}: was fitted with another [baseline]; remove this "
                "file, and --resume fits it again"
            )
        points = model.baseline.points if model.baseline else {}
        baseline = build_baseline(model.config, model.species, points, trusted=True)
        return replace(model, baseline=baseline)

    def _require_known(self) -> None:
        n, known = self.current.info["n_frames"], len(self._frames)
        if n not in (known, known + 1):
            raise GapfitError(
                f"{self._folder.model}: was fitted to {n} frames, where {known} are "
                "expected; remove this file, and --resume fits it again"
            )

    def _frame(self, atoms: Any) -> Frame:
        """Return a labelled structure as the fit takes it."""
        own = self._config.data
        config = DataConfig(
            train=["labelled"],
            use_energies=own.use_energies,
            use_forces=own.use_forces,
            use_stress=own.use_stress,
        )
        return read([atoms], config).frames[0]

    def merge(self) -> None:
        """Learn the next labelled structure, and write the model.

        Fitted from the beginning, with sparse points of its own choice, where the number
        of structures has grown enough; otherwise the structure is added to the sums. Then
        standard deviations shrink with every one of them and keep their old calibration,
        so that too few structures would be asked for if it never were fitted again.
        """
        self._frames.append(self._frame(self._labels.frames[self.n_merged]))
        self.n_merged += 1
        n, learning = len(self._frames), self._setup.config.learning
        anew = n >= learning.refit * (len(self._given) + self.fitted)
        if anew:
            self.fitted = self.n_merged
        if self.current.info["n_frames"] == n:
            return  # written before the process was killed
        if anew:
            self._fit()
            return
        self.current = append(
            self.current,
            Dataset(self._frames[-1:]),
            data=self._config.data.model_copy(update={"check_stress": False}),
            new_sparse=learning.new_sparse,
        )
        self.current.save(self._folder.model)

    def finish(self) -> None:
        """Fit all structures from the beginning, if the latest were only added."""
        if self.fitted != self.n_merged:
            self.fitted = self.n_merged
            self._fit()

    def _fit(self) -> None:
        """Fit all structures from the beginning, and write the model."""
        config = self._config
        if self.n_merged:
            # One reference with one sign of the stress: the data given were checked.
            data = config.data.model_copy(update={"check_stress": False})
            config = config.model_copy(update={"data": data})
        self.current = fit(Dataset(self._frames), config, base=self._setup.base)
        self.current.save(self._folder.model)
