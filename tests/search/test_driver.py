"""The search on data: sequence, budget, resuming, interruption, choice and memory."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
from builders import labelled_frames, silicon
from helpers.searches import QuickTrials, many_frames
from helpers.tuning import settings

from gapfit.errors import GapfitError
from gapfit.search import tune_within
from gapfit.search.driver import AS_GIVEN


def told(result) -> list:
    """Return what a search tried and found, without times."""
    return [
        (task, record.outcome and record.outcome.plain(), record.problem)
        for task, record in result.records.items()
    ]


def test_the_search_goes_from_parts_to_all_data_and_on_to_moves(quick):
    result = quick.search(14.9)
    assert result.part_sizes == [21, 63]
    assert [n for n, _ in quick.made[:5]] == [21] * 5
    assert {n for n, _ in quick.made} == {21, 63}
    front = result.front()
    errors = [point.trial.error for point in front]
    costs = [point.trial.microseconds for point in front]
    assert errors == sorted(errors, reverse=True)
    assert costs == sorted(costs)
    given = [
        r.outcome.error
        for task, r in result.records.items()
        if task.candidate == AS_GIVEN
    ]
    assert result.best().trial.error < min(given)
    # The starts are 12.
    assert len(result.configs) > 20


def test_the_same_input_gives_the_same_trials_whatever_their_time(quick, monkeypatch):
    first = quick.search(14.9)
    slow = QuickTrials(monkeypatch)
    second = slow.search(8.0)
    length = len(second.records)
    assert 0 < length < len(first.records)
    assert told(second) == told(first)[:length]


def test_a_resumed_search_is_an_undisturbed_one(quick, monkeypatch, tmp_path):
    whole = quick.search(14.9)
    again = QuickTrials(monkeypatch)
    state = tmp_path / "search.state"
    again.stop_at = 9
    with pytest.raises(KeyboardInterrupt):
        again.search(14.9, state=state)
    again.stop_at = None
    again.clock.now = 0.0
    reported = []
    resumed = again.search(14.9, state=state, resume=True, report=reported.append)
    assert told(resumed) == told(whole)
    assert again.made == quick.made
    assert resumed.best().name == whole.best().name
    assert len(reported) == len(whole.records) - 9


def test_other_data_are_not_resumed(quick, tmp_path):
    state = tmp_path / "search.state"
    quick.search(5.0, state=state)
    with pytest.raises(GapfitError, match="another search:\n  frames: 63 then, 62"):
        tune_within(9.0, many_frames()[1:], settings(), state=state, resume=True)


def test_what_is_best_so_far_is_reported_before_an_interruption(quick):
    reported = []
    quick.stop_at = 4
    with pytest.raises(KeyboardInterrupt):
        quick.search(report=reported.append)
    assert len(reported) == 4
    assert not reported[-1].on_all_data
    best = reported[-1].best()
    assert best.config.terms[0].n_sparse >= best.trial.config.terms[0].n_sparse


def test_a_cost_bounds_the_choice(quick):
    result = quick.search(14.9)
    front = result.front()
    assert len(front) > 2
    bound = front[1].trial.microseconds
    bounded = replace(result, most_microseconds=bound).best()
    assert bounded.trial.microseconds <= bound
    assert bounded.trial.error == front[1].trial.error


def test_where_nothing_is_as_cheap_the_choice_is_the_cheapest_and_named(quick):
    result = quick.search(12.0, most_microseconds=1e-6)
    assert result.best().name == result.front()[0].name
    assert any("no candidate takes at most" in text for text in result.warnings)


def test_moves_start_from_given_terms_that_are_the_best(quick, monkeypatch):
    given = settings(terms=[{"r_cut": 4.9, "n_max": 5, "l_max": 3, "n_sparse": 900}])
    monkeypatch.setattr(quick, "favourite", "n_max=5, l_max=3")
    result = tune_within(14.9, many_frames(), given, clock=quick.clock)
    assert result.best().name == AS_GIVEN
    tried = {str(task.candidate) for task in result.records}
    assert any("n4 l3 zeta 4, " in name for name in tried)


def test_without_a_trial_on_all_data_the_result_says_so(quick):
    result = quick.search(4.0)
    assert result.rung == 0
    assert any("too short for a trial with all 63" in text for text in result.warnings)
    assert {p.config.terms[0].n_sparse for p in result.front()} - {14, 21}


def test_candidates_that_take_too_much_memory_are_named(quick):
    little = settings(run={"memory": "8 MB"})
    result = tune_within(12.0, many_frames(), little, clock=quick.clock)
    left_out = [text for text in result.warnings if text.startswith("left out")]
    assert any("run.memory" in text and "n_sparse" in text for text in left_out)
    assert result.on_all_data


def test_candidates_that_cannot_be_tried_are_named_and_others_go_on(quick):
    quick.fail = "ace"
    result = quick.search(14.9)
    assert all("ace" not in point.name for point in result.front())
    assert any("no trials of ace" in text for text in result.warnings)


def test_if_nothing_can_be_tried_the_reason_is_the_error(quick):
    quick.fail = "soap"
    with pytest.raises(GapfitError, match="no candidate could be tried; as given: no"):
        quick.search()


def test_a_time_for_no_trial_is_an_error():
    with pytest.raises(GapfitError, match="too short for a single trial"):
        tune_within(1e-6, many_frames(), settings())


@pytest.mark.slow
def test_a_real_search_is_better_than_its_start():
    frames = labelled_frames(silicon, 6)
    poor = settings(terms=[{"r_cut": 3.0, "n_max": 2, "l_max": 1, "n_sparse": 10}])
    result = tune_within(20.0, frames, poor)
    assert result.on_all_data
    given = next(
        record.outcome
        for task, record in result.records.items()
        if task.candidate == AS_GIVEN
    )
    best = result.best().trial
    assert best.error < 0.7 * given.error
    assert asdict(best.held_out)["forces_rmse"] < given.held_out.forces_rmse
    assert all(point.trial.microseconds > 0 for point in result.front())
