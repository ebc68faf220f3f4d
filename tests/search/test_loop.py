"""The loop of trials: budget, pace and known trials, with a clock of the test."""

from __future__ import annotations

import pytest
from helpers.searches import Clock, Found

from gapfit.errors import GapfitError
from gapfit.search.budget import Budget, Pace, parse_cost, parse_time
from gapfit.search.halving import Task, halving
from gapfit.search.loop import Record, follow


class Trials:
    """Trials whose time is proportional to their work, up to a factor."""

    def __init__(self, clock: Clock, budget: Budget, late: float = 1.0) -> None:
        self.clock, self.budget, self.late = clock, budget, late
        self.made: list[Task] = []
        self.records: dict[Task, Record[Found]] = {}

    def work(self, task: Task) -> float:
        return float(1 + task.rung)

    def attempt(self, task: Task) -> Record[Found]:
        factor = self.late if len(self.made) == 3 else 1.0
        for _ in range(100):
            self.clock.now += factor * self.work(task) / 10
            self.budget.check()
        self.made.append(task)
        return Record(Found(float(task.candidate), 1.0))

    def done(self, task: Task, record: Record[Found]) -> None:
        self.records[task] = record

    def follow(self, known=None) -> bool:
        sequence = halving(range(8), 2, lambda front, seen: [])
        return follow(
            sequence, self.attempt, known or {}, self.budget, self.work, self.done
        )


def trials(seconds: float, **options: float) -> Trials:
    clock = Clock()
    return Trials(clock, Budget(seconds, clock), **options)


def test_a_budget_that_is_enough_ends_the_search():
    case = trials(1000.0)
    assert case.follow()
    assert case.clock.now == pytest.approx(8 * 10 + 8 * 20)
    assert case.records[Task(1, 0)].seconds == pytest.approx(20)


def test_a_trial_that_would_not_end_in_time_is_not_started():
    case = trials(95.0)
    assert not case.follow()
    # Eight of 10 s fit; one with twice the work would end at 100 s.
    assert len(case.made) == 8
    assert case.clock.now == pytest.approx(80)


@pytest.mark.parametrize("seconds", [5.0, 33.0, 41.0, 90.0, 110.0])
def test_the_budget_is_exceeded_by_a_tenth_at_most(seconds):
    case = trials(seconds, late=50.0)
    case.follow()
    assert case.clock.now <= 1.1 * seconds + 0.1 * 50


def test_a_trial_that_runs_out_of_time_leaves_no_record():
    case = trials(36.0, late=50.0)
    assert not case.follow()
    assert len(case.records) == 3


def test_known_trials_are_not_repeated_and_the_sequence_goes_on():
    first = trials(45.0)
    assert not first.follow()
    second = trials(1000.0)
    assert second.follow(first.records)
    undisturbed = trials(1000.0)
    undisturbed.follow()
    assert first.made + second.made == undisturbed.made
    assert list(second.records) == list(undisturbed.records)


def test_the_pace_is_the_best_so_far():
    pace = Pace()
    assert pace.expected(1.0) is None
    pace.add(2.0, 10.0)
    assert pace.expected(3.0) == 15.0
    pace.add(1.0, 7.0)
    assert pace.expected(3.0) == 15.0
    pace.add(100.0, 100.0)
    assert pace.expected(3.0) == 3.0


@pytest.mark.parametrize("text", ["20", "m", "-5m", "0m", "1d", "5 m 3 s", "nan s", ""])
def test_times_without_a_unit_are_one_clear_error(text):
    with pytest.raises(GapfitError, match=r"--budget .*: give a time with its unit"):
        parse_time(text)


@pytest.mark.parametrize("text", ["25", "us", "25 s", "0us"])
def test_costs_without_a_unit_are_one_clear_error(text):
    with pytest.raises(GapfitError, match=r"--cost .*: give a time per atom"):
        parse_cost(text)
