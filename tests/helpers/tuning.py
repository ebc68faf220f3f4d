"""Prepared fits whose settings are tuned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms
from builders import config, labelled_frames, sheared, silicon

from gapfit._support.progress import silent
from gapfit.config.sections import TuneConfig
from gapfit.config.toml import config_from_dict
from gapfit.data.dataset import as_dataset
from gapfit.fitting.folds import assign_folds, fill
from gapfit.fitting.prepare import prepare, sparse_terms, whitened
from gapfit.gp.training_sums import TrainingSums
from gapfit.model.rows import row_block

PAIR = {"type": "distance_2b", "r_cut": 4.5, "n_sparse": 15, "delta": 2.0}
SOAP = {"r_cut": 4.0, "n_max": 4, "l_max": 3, "n_sparse": 30, "zeta": 2.0}
FOLDS = TuneConfig(folds=3)


def frames_of(n: int = 9) -> list[Atoms]:
    return labelled_frames(silicon, n) + labelled_frames(sheared, n)


def settings(**more: object) -> dict:
    return config() | {"terms": [PAIR, SOAP], **more}


class Case:
    """Prepared data, terms and Gram matrices of one configuration."""

    def __init__(self, frames: list[Atoms], wanted: dict, options=FOLDS) -> None:
        self.config = config_from_dict(wanted)
        self.dataset = as_dataset(frames, self.config)
        self.prepared = prepare(self.dataset, self.config, Path(), silent)
        self.frames = self.prepared.frames
        self.terms = sparse_terms(self.prepared, self.config, [], silent)
        self.whitening = whitened(self.terms, self.config, [])
        self.grams = fill(
            self.prepared, self.terms, self.whitening, self.config, options, silent
        )
        self.folds = assign_folds(self.frames, options, self.config.run.seed)

    def rows(self, frames: list) -> object:
        return row_block(frames, self.terms, self.prepared.e0, self.config.sigma)

    def refit(self, frames: list) -> np.ndarray:
        """Return the coefficients of a fit to some of the frames."""
        sums, block = TrainingSums(self.whitening, "cholesky"), self.rows(frames)
        sums.add(("all", ""), block.K, block.y, block.sigma)
        return sums.solve().coefficients
