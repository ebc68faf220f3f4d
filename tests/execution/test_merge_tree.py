"""The tree in which sums over tasks are merged."""

from __future__ import annotations

import pytest

from gapfit.execution import merge_tree as tree
from gapfit.execution.merge_tree import Node, Span, outermost, root


@pytest.mark.parametrize("n_tasks", [1, 2, 31, 32, 33, 1024, 1025, 5000])
def test_children_share_out_the_tasks_of_their_node(n_tasks):
    waiting, leaves = [root(n_tasks)], []
    assert waiting[0].span == Span(0, n_tasks)
    while waiting:
        node = waiting.pop()
        if node.level == 0:
            leaves.append(node.index)
            continue
        ends = [node.span.first, *(child.span.stop for child in node.children)]
        assert [child.span.first for child in node.children] == ends[:-1]
        assert ends[-1] == node.span.stop
        assert len(node.children) <= tree.FAN
        waiting += node.children
    assert sorted(leaves) == list(range(n_tasks))


def test_sums_of_first_children_stand_for_them_and_others_must_be_there():
    node = Node(1, 1, 100)
    leaves = {Span(n, n + 1) for n in range(32, 64)}
    assert node.parts(leaves) == sorted(leaves)
    assert node.parts(leaves - {Span(50, 51)}) is None
    start = Span(32, 60)
    assert node.parts({start, *leaves}) == [start, *sorted(leaves)[28:]]
    assert node.parts({Span(32, 64)}) == [Span(32, 64)]
    # A sum that ends between two children cannot be used.
    assert Node(2, 0, 100).prefix({Span(0, 33)}) is None


def test_sums_within_others_do_not_count():
    known = {Span(0, 32), Span(3, 4), Span(32, 33), Span(40, 50), Span(49, 50)}
    assert outermost(known) == {Span(0, 32), Span(32, 33), Span(40, 50)}
