"""Memory of this process."""

from __future__ import annotations

import mmap

from gapfit._support.resources import in_words, peak_bytes, resident_bytes


def test_memory_of_this_process():
    before = resident_bytes()
    # Straight from the system, and without a second block beside it: an array, or
    # bytes to write, may lie in memory that was used before, and may stay there.
    held = mmap.mmap(-1, 64_000_000)
    for page in range(0, 64_000_000, mmap.PAGESIZE):
        held[page] = 1
    assert 60e6 < resident_bytes() - before < 70e6
    assert peak_bytes() >= resident_bytes() - 1e6
    held.close()
    assert in_words(999_600) == "1 MB"
