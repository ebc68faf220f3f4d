"""Successive halving with two objectives, and local moves around its front.

Many candidates are tried on a small part of the data, the better half of them on a larger
one, and so on (Jamieson and Talwalkar, AISTATS 2016); better in error and cost. Then come
candidates near the front, which have to hold against all before them. Where there are no
more, those that stopped on the way go on, the most promising first: small parts of the data
are poor judges. What is tried next depends on the outcomes alone, not on the time that they
took.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Sequence
from typing import NamedTuple, Protocol, TypeVar

from gapfit.search.front import layers, pareto_front, spread

__all__ = ["Outcome", "Task", "halving"]

#: Share of the candidates that go on to the next rung.
_SHARE = 0.5
#: Candidates that go on together after they had stopped.
_CHANCES = 4


class Outcome(Protocol):
    """What is known of a candidate after a trial."""

    @property
    def error(self) -> float:
        """Error to minimise."""

    @property
    def operations(self) -> float:
        """Cost to minimise; the same at all rungs and on all machines."""


class Task(NamedTuple):
    """A trial: number of the part of the data, from the smallest, and the candidate."""

    rung: int
    candidate: Hashable


_Outcome = TypeVar("_Outcome", bound=Outcome)
#: Candidates near some, without those tried already.
Neighbours = Callable[[Sequence[Hashable], set[Hashable]], Sequence[Hashable]]


def halving(
    start: Sequence[Hashable], n_rungs: int, neighbours: Neighbours
) -> Generator[Task, _Outcome | None, None]:
    """Yield what to try next; send its outcome, or None if it could not be tried.

    Parameters
    ----------
    start : sequence of Hashable
        The first candidates.
    n_rungs : int
        Parts of the data, of which the last is all of it.
    neighbours : callable
        Called with the front of all data, the most accurate first, and all candidates so
        far. Where it returns none, and no candidate is left on a smaller part of the data,
        the search ends.
    """
    rungs: list[dict[Hashable, _Outcome]] = [{} for _ in range(n_rungs)]
    tried: list[set[Hashable]] = [set() for _ in range(n_rungs)]
    entrants, lowest = list(dict.fromkeys(start)), 0
    first = True
    while entrants:
        for number in range(lowest, n_rungs):
            tried[number].update(entrants)
            for candidate in entrants:
                outcome = yield Task(number, candidate)
                if outcome is not None:
                    rungs[number][candidate] = outcome
            entrants = _promoted(entrants, rungs[number], among_all=not first)
        first = False
        entrants, lowest = list(neighbours(_front(rungs), tried[0])), 0
        if not entrants:
            lowest, entrants = _second_chances(rungs, tried)


def _second_chances(
    rungs: Sequence[dict[Hashable, _Outcome]], tried: Sequence[set[Hashable]]
) -> tuple[int, list[Hashable]]:
    """Return the best of the candidates that stopped, and the rung that they go to.

    Those on a better front of their rung come first, then those that got farther, then the
    more accurate ones.
    """
    ranked = []
    for number, outcomes in enumerate(rungs[:-1]):
        candidates = list(outcomes)
        points = [_point(outcomes[candidate]) for candidate in candidates]
        for candidate, layer in zip(candidates, layers(points).tolist(), strict=True):
            if candidate not in tried[number + 1]:
                rank = (layer, -number, outcomes[candidate].error)
                ranked.append((rank, number + 1, candidate))
    ranked.sort(key=lambda entry: entry[0])
    rung = ranked[0][1] if ranked else 0
    return rung, [c for _, number, c in ranked if number == rung][:_CHANCES]


def _promoted(
    entrants: Sequence[Hashable],
    outcomes: dict[Hashable, _Outcome],
    *,
    among_all: bool,
) -> list[Hashable]:
    """Return the better half of the candidates, the cheapest first.

    Whole fronts go on, of the last one some that are far apart. Where they have to hold
    against all earlier ones, only those on the common front do.
    """
    tried = [candidate for candidate in entrants if candidate in outcomes]
    judges = list(outcomes) if among_all else tried
    points = [_point(outcomes[candidate]) for candidate in judges]
    layer = dict(zip(judges, layers(points).tolist(), strict=True))
    if among_all:
        tried = [candidate for candidate in tried if layer[candidate] == 0]
    left = max(round(_SHARE * len(entrants)), 1)
    out: list[Hashable] = []
    for number in sorted({layer[candidate] for candidate in tried}):
        members = [candidate for candidate in tried if layer[candidate] == number]
        chosen = spread([_point(outcomes[c]) for c in members], left)
        out += [members[n] for n in chosen]
        left -= len(chosen)
        if left <= 0:
            break
    return sorted(out, key=lambda candidate: outcomes[candidate].operations)


def _front(rungs: Sequence[dict[Hashable, _Outcome]]) -> list[Hashable]:
    """Return the front of the largest part of the data that any candidate has reached."""
    outcomes = next((rung for rung in reversed(rungs) if rung), {})
    candidates = list(outcomes)
    front = pareto_front([_point(outcomes[candidate]) for candidate in candidates])
    return [candidates[n] for n in reversed(front)]


def _point(outcome: Outcome) -> tuple[float, float]:
    return outcome.error, outcome.operations
