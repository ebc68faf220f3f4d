"""The potential of learning on the fly, which learns one structure at a time."""

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
from gapfit.data.digest import chained_digest, data_digest
from gapfit.data.frame import Frame
from gapfit.errors import GapfitError
from gapfit.fitting.append import append
from gapfit.fitting.fit import fit
from gapfit.model.gap_model import GAPModel
from gapfit.model.storage import load

__all__ = ["LearnedModel"]


class LearnedModel:
    """A potential and the number of labelled structures that it has learned.

    The model file is written before the state, so it may be ahead by one structure.

    Parameters
    ----------
    setup : Setup
        Data and configuration.
    folder : LearningFolder
        Folder of the model file.
    labels : LabelFile
        The labelled structures.
    n_merged : int
        Number of labelled structures to start with.
    fitted : int
        Number of labelled structures in the latest fit from scratch.
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
            self._require_frames()
        else:
            self._fit()

    @property
    def frames(self) -> Sequence[Frame]:
        """All structures that the potential has learned."""
        return self._frames

    def _as_configured(self, model: GAPModel) -> GAPModel:
        """Return the model with the baseline calculator of the present configuration."""
        if model.config.baseline != self._config.baseline:
            raise GapfitError(
                f"{self._folder.model}: was fitted with another [baseline]; remove this "
                "file and use --resume to fit it again"
            )
        points = model.baseline.points if model.baseline else {}
        baseline = build_baseline(model.config, model.species, points, trusted=True)
        return replace(model, baseline=baseline)

    def _require_frames(self) -> None:
        """Refuse a model of other frames than those here, or with other terms."""
        record, expected = self.current.record, len(self._frames)
        advice = "remove this file and use --resume to fit it again"
        if record.n_frames not in (expected, expected + 1):
            raise GapfitError(
                f"{self._folder.model}: was fitted to {record.n_frames} frames, {expected} "
                f"are expected; {advice}"
            )
        is_ahead = record.n_frames == expected + 1
        if is_ahead and len(self._labels) > self.n_merged:
            frames = [*self._frames, self._next_frame()]
        else:
            frames = self._frames
        if record.data_digest not in self._digests(frames):
            raise GapfitError(
                f"{self._folder.model}: was fitted to other data than those of "
                f"{self._labels.path.name} and data.train; restore what was changed, or "
                f"{advice}"
            )
        if self.current.config.terms != self._config.terms:
            raise GapfitError(
                f"{self._folder.model}: was fitted with other [[terms]]; {advice}"
            )

    def _digests(self, frames: Sequence[Frame]) -> set[str]:
        """Return the digests that models of the frames may have.

        All were fitted at once, or the last of them were appended one by one.
        """
        digest = data_digest(frames[: len(self._given) + self.fitted])
        for frame in frames[len(self._given) + self.fitted :]:
            digest = chained_digest(digest, data_digest([frame]))
        return {digest, data_digest(frames)}

    def _next_frame(self) -> Frame:
        """Return the first structure that is labelled but not learned."""
        return self._frame(self._labels.frames[self.n_merged])

    def _frame(self, atoms: Any) -> Frame:
        """Return a labelled structure as a frame of the fit."""
        data = self._config.data
        config = DataConfig(
            train=["labelled"],
            use_energies=data.use_energies,
            use_forces=data.use_forces,
            use_stress=data.use_stress,
        )
        return read([atoms], config).frames[0]

    def merge(self) -> None:
        """Learn the next labelled structure, and write the model.

        If the number of structures has grown enough, the model is fitted from scratch,
        with new sparse points; otherwise the structure is added to the sums. The latter
        shrinks standard deviations but keeps their calibration, so without refits too
        few structures would be labelled.
        """
        self._frames.append(self._next_frame())
        self.n_merged += 1
        n, learning = len(self._frames), self._setup.config.learning
        refit = n >= learning.refit * (len(self._given) + self.fitted)
        if refit:
            self.fitted = self.n_merged
        if self.current.record.n_frames == n:
            return  # written before the process was killed
        if refit:
            self._fit()
            return
        self.current = append(
            self.current,
            Dataset(self._frames[-1:]),
            data=self._config.data.model_copy(update={"check_labels": False}),
            new_sparse=learning.new_sparse,
        )
        self.current.save(self._folder.model)

    def finish(self) -> None:
        """Fit all structures from scratch, unless the latest fit had all of them."""
        if self.fitted != self.n_merged:
            self.fitted = self.n_merged
            self._fit()

    def _fit(self) -> None:
        """Fit all structures from scratch, and write the model."""
        config = self._config
        if self.n_merged:
            # The sign of the stress was checked on the given data; the reference is one.
            data = config.data.model_copy(update={"check_labels": False})
            config = config.model_copy(update={"data": data})
        self.current = fit(Dataset(self._frames), config, base=self._setup.base)
        self.current.save(self._folder.model)
