"""In which order the parts of a sum are added: a tree that the data alone decide.

Tasks 0 .. n - 1 are the leaves; `FAN` neighbours make a node of the next level, added from
the left. Whoever computes the parts, and however often the work is interrupted, the same
numbers are added in the same order.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["FAN", "Node", "Span", "outermost", "root", "sums_held"]

#: Parts added by one node: few levels keep few sums in memory.
FAN = 32


class Span(NamedTuple):
    """Tasks first .. stop - 1."""

    first: int
    stop: int


@dataclass(frozen=True)
class Node:
    """Sum over ``FAN**level`` tasks, the last of a level over those that are left."""

    level: int
    index: int
    n_tasks: int

    @property
    def span(self) -> Span:
        """The tasks that it adds."""
        width = FAN**self.level
        first = self.index * width
        return Span(first, min(first + width, self.n_tasks))

    @property
    def children(self) -> list[Node]:
        """Its parts, from the left; none of a leaf."""
        if self.level == 0:
            return []
        first = self.index * FAN
        width = FAN ** (self.level - 1)
        stop = -(-self.span.stop // width)
        return [Node(self.level - 1, n, self.n_tasks) for n in range(first, stop)]

    def prefix(self, known: Collection[Span]) -> Span | None:
        """Return the longest of some sums that holds the first children, or all of it."""
        ends = {child.span.stop for child in self.children} | {self.span.stop}
        first = self.span.first
        fitting = [s for s in known if s.first == first and s.stop in ends]
        return max(fitting, default=None)

    def parts(self, known: Collection[Span]) -> list[Span] | None:
        """Return the known sums that make it, in order; None where some are missing."""
        start = self.prefix(known)
        out, done = ([start], start.stop) if start else ([], self.span.first)
        rest = [c.span for c in self.children if c.span.first >= done]
        if (not out and not rest) or any(span not in known for span in rest):
            return None
        return [*out, *rest]


def outermost(known: Collection[Span]) -> set[Span]:
    """Return the sums that are no part of another one."""
    found: set[Span] = set()
    stop = 0
    for span in sorted(known, key=lambda s: (s.first, -s.stop)):
        if span.stop > stop:
            found.add(span)
            stop = span.stop
    return found


def root(n_tasks: int) -> Node:
    """Return the node that adds all tasks."""
    level = 0
    while FAN**level < n_tasks:
        level += 1
    return Node(level, 0, n_tasks)


def sums_held(node: Node) -> int:
    """Return how many sums exist at once while one process adds a node from the left.

    From its second part on the node holds what has been added.
    """
    if node.level == 0:
        return 1
    return max((n > 0) + sums_held(child) for n, child in enumerate(node.children[:2]))
