"""Scans of settings that need new fits."""

from __future__ import annotations

import pytest
from helpers.tuning import frames_of, settings

from gapfit.config.toml import config_from_dict
from gapfit.errors import ConfigError
from gapfit.fitting.trials import format_trials
from gapfit.fitting.tune import tune


def test_a_scan_finds_the_range_of_the_potential():
    scan = {"distance_2b.r_cut": [3.0, 5.0], "soap.zeta": [2, 4]}
    result = tune(frames_of(), settings(tune={"folds": 3, "scan": scan}))
    assert [trial.settings for trial in result.trials] == [
        {},
        {"distance_2b.r_cut": 3.0},
        {"distance_2b.r_cut": 5.0},
        {"distance_2b.r_cut": 5.0, "soap.zeta": 4},
    ]
    assert result.config.terms[0].r_cut == 5.0
    scores = [trial.score("both") for trial in result.trials]
    assert result.best.score("both") == min(scores)
    table = format_trials(result.summary()).splitlines()
    assert len(table) == 6
    assert sum(line.startswith("*") for line in table) == 1


def test_a_scan_never_ends_worse_than_what_was_tried(case):
    scan = {"soap.n_max": [3], "distance_2b.r_cut": [2.4]}
    result = tune(case.dataset, settings(tune={"folds": 3, "scan": scan}))
    assert len(result.trials) == 3
    assert "distance_2b.r_cut" not in result.best.settings
    assert result.best.score("both") == min(t.score("both") for t in result.trials)


def test_mistakes_in_a_scan_are_all_listed():
    scan = {"soap.rcut": [4.0], "soap.zeta": [0.1], "2.n_max": [], "9.r_cut": [4.0]}
    with pytest.raises(ConfigError) as caught:
        tune(frames_of(2), settings(tune={"scan": scan}))
    text = str(caught.value)
    assert 'no key "soap.rcut"; did you mean "soap.r_cut"?' in text
    assert "`zeta` = 0.1 must be a number >= 1" in text
    assert '"2.n_max" has no values to try' in text
    assert 'no key "9.r_cut"' in text


def test_candidates_that_cannot_be_made_do_not_end_a_scan(case):
    scan = {"soap.rbf": ["polynomial"], "soap.n_max": [3, 9]}
    result = tune(case.dataset, settings(tune={"folds": 3, "scan": scan}))
    polynomial = result.best.settings.get("soap.rbf") == "polynomial"
    skipped = [text for text in result.warnings if "could not be tried" in text]
    assert len(skipped) == int(polynomial)
    assert len(result.trials) == 4 - int(polynomial)


@pytest.mark.parametrize("values", [4.0, [float("nan")], {"r_cut": [4.0]}])
def test_scans_need_lists_of_values(values):
    with pytest.raises(ConfigError, match='"soap" needs a list of numbers'):
        config_from_dict(settings(tune={"scan": {"soap": values}}))
