"""Successive halving: who goes on, which moves follow, and that time has no say."""

from __future__ import annotations

from helpers.searches import Found

from gapfit.search.halving import Task, halving


def run(start, n_rungs, outcome, neighbours=lambda front, seen: []):
    """Return the tasks of a search whose outcomes a function gives."""
    sequence, tasks = halving(start, n_rungs, neighbours), []
    task = next(sequence, None)
    while task is not None:
        tasks.append(task)
        try:
            task = sequence.send(outcome(task))
        except StopIteration:
            task = None
    return tasks


def tried(tasks, rung: int) -> set:
    return {task.candidate for task in tasks if task.rung == rung}


def test_the_better_half_goes_on_from_rung_to_rung():
    # One cost for all: only the error counts.
    tasks = run(range(8), 3, lambda task: Found(float(task.candidate), 1.0))
    assert [len(tried(tasks, rung)) for rung in range(3)] == [8, 4, 2]
    assert tried(tasks, 2) == {0, 1}


def test_the_best_of_all_survives_noise_that_falls_with_the_data():
    errors = {0: 1.0, 1: 1.4, 2: 2.0, 3: 2.5, 4: 3.0, 5: 3.5}
    noise = {0: 0.8, 1: -0.3, 2: 0.1, 3: 0.0, 4: 0.2, 5: -0.1}
    tasks = run(
        range(6),
        3,
        lambda t: Found(errors[t.candidate] + noise[t.candidate] / 2**t.rung, 1.0),
    )
    assert 0 in tried(tasks, 2)


def test_cheap_candidates_on_the_front_go_on_though_others_are_more_accurate():
    cost = {"a": 100.0, "b": 90.0, "c": 1.0, "d": 95.0}
    error = {"a": 1.0, "b": 1.1, "c": 5.0, "d": 1.2}
    tasks = run(list(cost), 2, lambda t: Found(error[t.candidate], cost[t.candidate]))
    assert tried(tasks, 1) == {"a", "c"}
    # Cheap ones come first, so that a short time gives a front.
    assert [t.candidate for t in tasks if t.rung == 1] == ["c", "a"]


def test_candidates_that_fail_do_not_go_on():
    tasks = run(
        range(4), 2, lambda t: None if t.candidate == 0 else Found(t.candidate, 1.0)
    )
    assert tried(tasks, 1) == {1, 2}


def test_moves_start_from_the_front_and_must_hold_against_all_before():
    calls = []

    def neighbours(front, seen):
        calls.append((list(front), set(seen)))
        return {1: ["better", "worse"], 2: []}[len(calls)]

    error = {"start": 2.0, "other": 3.0, "better": 1.0, "worse": 4.0}
    cost = {"start": 5.0, "other": 9.0, "better": 5.0, "worse": 9.0}
    tasks = run(
        ["start", "other"],
        2,
        lambda t: Found(error[t.candidate], cost[t.candidate]),
        neighbours,
    )
    assert tried(tasks, 1) == {"start", "better"}
    assert calls[0] == (["start"], {"start", "other"})
    assert calls[1][0] == ["better"]
    assert tasks[-1] == Task(1, "better")
