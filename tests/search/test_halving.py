"""Successive halving: who goes on, which moves follow, and that time has no say."""

from __future__ import annotations

from helpers.searches import Found

from gapfit.search.halving import Task, halving


def run(start, n_rungs, outcome, neighbours=lambda front, seen: []):
    """Return the tasks of a search whose outcomes a function gives."""
    return list(searched(start, n_rungs, outcome, neighbours))


def first_pass(start, n_rungs, outcome):
    """Return the tasks before moves are asked for."""
    tasks, asked = [], []
    for task in searched(start, n_rungs, outcome, lambda *_: asked.append(1) or []):
        if asked:
            break
        tasks.append(task)
    return tasks


def searched(start, n_rungs, outcome, neighbours):
    """Yield the tasks."""
    sequence = halving(start, n_rungs, neighbours)
    task = next(sequence, None)
    while task is not None:
        yield task
        try:
            task = sequence.send(outcome(task))
        except StopIteration:
            task = None


def tried(tasks, rung: int) -> set:
    return {task.candidate for task in tasks if task.rung == rung}


def test_the_better_half_goes_on_from_rung_to_rung():
    # One cost for all: only the error counts.
    tasks = first_pass(range(8), 3, lambda t: Found(float(t.candidate), 1.0))
    assert [len(tried(tasks, rung)) for rung in range(3)] == [8, 4, 2]
    assert tried(tasks, 2) == {0, 1}


def test_the_best_of_all_survives_noise_that_falls_with_the_data():
    errors = {0: 1.0, 1: 1.4, 2: 2.0, 3: 2.5, 4: 3.0, 5: 3.5}
    noise = {0: 0.8, 1: -0.3, 2: 0.1, 3: 0.0, 4: 0.2, 5: -0.1}
    tasks = first_pass(
        range(6),
        3,
        lambda t: Found(errors[t.candidate] + noise[t.candidate] / 2**t.rung, 1.0),
    )
    assert 0 in tried(tasks, 2)


def test_cheap_candidates_on_the_front_go_on_though_others_are_more_accurate():
    cost = {"a": 100.0, "b": 90.0, "c": 1.0, "d": 95.0}
    error = {"a": 1.0, "b": 1.1, "c": 5.0, "d": 1.2}
    tasks = run(list(cost), 2, lambda t: Found(error[t.candidate], cost[t.candidate]))
    # Cheap ones come first, so that a short time gives a front.
    assert [t.candidate for t in tasks if t.rung == 1][:2] == ["c", "a"]


def test_candidates_that_fail_do_not_go_on():
    tasks = run(
        range(4), 2, lambda t: None if t.candidate == 0 else Found(t.candidate, 1.0)
    )
    assert tried(tasks, 1) == {1, 2, 3}


def test_those_that_stopped_go_on_when_no_move_is_left():
    """The first part misleads: the best on all data was the worst there."""
    errors = [{0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0}, {0: 4.0, 1: 3.0, 2: 2.0, 3: 1.0}]
    search = range(4), 2, lambda t: Found(errors[t.rung][t.candidate], 1.0)
    assert tried(first_pass(*search), 1) == {0, 1}
    tasks = run(*search)
    assert [t.candidate for t in tasks if t.rung == 1] == [0, 1, 2, 3]
    assert len(tasks) == len(set(tasks)) == 8


def test_moves_from_a_front_that_second_chances_changed():
    """Each candidate is tried once on each part, whatever the order."""
    errors = [{0: 1.0, 1: 2.0, 2: 3.0, 9: 9.0}, {0: 4.0, 1: 3.0, 2: 2.0, 9: 1.0}]
    fronts = []

    def neighbours(front, seen):
        fronts.append(list(front))
        return [9] if front == [2] and 9 not in seen else []

    tasks = run(
        range(3), 2, lambda t: Found(errors[t.rung][t.candidate], 1.0), neighbours
    )
    assert fronts == [[1], [2], [2], [9]]
    assert tried(tasks, 1) == {0, 1, 2, 9}
    assert len(tasks) == len(set(tasks))


def test_moves_start_from_the_front_and_must_hold_against_all_before():
    calls = []

    def neighbours(front, seen):
        calls.append((list(front), set(seen)))
        return ["better", "worse"] if len(calls) == 1 else []

    error = {"start": 2.0, "other": 3.0, "better": 1.0, "worse": 4.0}
    cost = {"start": 5.0, "other": 9.0, "better": 5.0, "worse": 9.0}
    tasks = run(
        ["start", "other"],
        2,
        lambda t: Found(error[t.candidate], cost[t.candidate]),
        neighbours,
    )
    assert tried(tasks[:-2], 1) == {"start", "better"}
    assert calls[0] == (["start"], {"start", "other"})
    assert calls[1][0] == ["better"]
    assert tasks[-3:] == [Task(1, "better"), Task(1, "other"), Task(1, "worse")]
