"""Order in which the parts of a sum are added: a tree that depends on the data alone.

Tasks 0 .. n - 1 are the leaves; `FAN` neighbours make a node of the next level, added from
the left. The same numbers are added in the same order, whichever process computes the
parts and however often the work is interrupted.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["FAN", "Node", "Span", "outermost", "root", "sums_held"]

#: Parts added by one node: with few levels, few sums are in memory.
FAN = 32


class Span(NamedTuple):
    """Tasks first .. stop - 1."""

    first: int
    stop: int


@dataclass(frozen=True)
class Node:
    """Sum over ``FAN**level`` tasks, the last of a level over the remaining ones."""

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
        """Its parts, from the left; a leaf has none."""
        if self.level == 0:
            return []
        first = self.index * FAN
        width = FAN ** (self.level - 1)
        stop = -(-self.span.stop // width)
        return [Node(self.level - 1, n, self.n_tasks) for n in range(first, stop)]

    def prefix(self, spans: Collection[Span]) -> Span | None:
        """Return the longest sum over the first children, or over all; None without any."""
        ends = {child.span.stop for child in self.children} | {self.span.stop}
        first = self.span.first
        fitting = [s for s in spans if s.first == first and s.stop in ends]
        return max(fitting, default=None)

    def parts(self, spans: Collection[Span]) -> list[Span] | None:
        """Return the sums that make up the node, in order; None where one is missing."""
        start = self.prefix(spans)
        out, done = ([start], start.stop) if start else ([], self.span.first)
        later = [c.span for c in self.children if c.span.first >= done]
        if (not out and not later) or any(span not in spans for span in later):
            return None
        return [*out, *later]


def outermost(spans: Collection[Span]) -> set[Span]:
    """Return the sums that are not part of another one."""
    out: set[Span] = set()
    stop = 0
    for span in sorted(spans, key=lambda s: (s.first, -s.stop)):
        if span.stop > stop:
            out.add(span)
            stop = span.stop
    return out


def root(n_tasks: int) -> Node:
    """Return the node that adds all tasks."""
    level = 0
    while FAN**level < n_tasks:
        level += 1
    return Node(level, 0, n_tasks)


def sums_held(node: Node) -> int:
    """Return how many sums exist at once while one process adds a node from the left.

    From its second part on, the node has a sum, too.
    """
    if node.level == 0:
        return 1
    return max((n > 0) + sums_held(child) for n, child in enumerate(node.children[:2]))
