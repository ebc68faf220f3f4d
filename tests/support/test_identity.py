"""Differences of plain data."""

from __future__ import annotations

from gapfit._support.identity import differences


def test_differences_of_plain_data():
    old = {"a": 1, "b": {"c": [1, 2]}, "d": None}
    assert differences(old, old) == []
    new = {"a": 2, "b": {"c": [1, 3]}, "e": 0}
    assert differences(old, new) == [
        "a: 1 then, 2 now",
        "b.c[1]: 2 then, 3 now",
        "e: None then, 0 now",
    ]
