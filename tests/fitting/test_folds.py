"""Folds of held-out structures."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.tuning import frames_of, settings

from gapfit.config.sections import TuneConfig
from gapfit.config.toml import config_from_dict
from gapfit.data.dataset import as_dataset
from gapfit.errors import GapfitError
from gapfit.fitting.folds import assign_folds, separate_types
from gapfit.fitting.tune import tune


def test_folds_spread_every_config_type():
    wanted = config_from_dict(settings())
    frames = as_dataset(frames_of(8), wanted).frames
    folds = assign_folds(frames, TuneConfig(folds=4), 0)
    kinds = np.array([frame.config_type for frame in frames])
    for kind in ("even", "odd"):
        assert np.bincount(folds[kinds == kind], minlength=4).tolist() == [2] * 4
    runs = assign_folds(frames, TuneConfig(folds=4, consecutive=True), 0)
    assert np.all(np.diff(runs[kinds == "even"]) >= 0)
    few = separate_types(frames[:3], TuneConfig(by_config_type=True))
    assert few == set()  # two frames of one kind, one of the other


def test_folds_are_fewer_where_memory_is_short(case):
    wanted = settings(tune={"folds": 9}, run={"memory": "1.5 MB"})
    result = tune(case.dataset, wanted)
    assert any("folds instead of 9" in text for text in result.warnings)
    with pytest.raises(GapfitError, match=r"even with 2 folds, run\.memory"):
        tune(case.dataset, wanted | {"run": {"memory": "1.2 MB"}})
