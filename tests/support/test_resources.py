"""Memory of this process."""

from __future__ import annotations

import numpy as np

from gapfit._support.resources import in_words, peak_bytes, resident_bytes


def test_memory_of_this_process():
    before = resident_bytes()
    held = np.ones(8_000_000)
    assert 60e6 < resident_bytes() - before < 70e6
    assert peak_bytes() >= resident_bytes() - 1e6
    del held
    assert in_words(999_600) == "1 MB"
