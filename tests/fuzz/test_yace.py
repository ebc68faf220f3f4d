"""Files .yace that are damaged in seeded ways: one short error, or finite predictions."""

from __future__ import annotations

import damaged_models
import pytest
from helpers.expansions import expansion_model

from gapfit.pacemaker import load, save

TOKENS = (
    *(b"elements: [Si]\n", b"  0:\n", b"    - {}\n", b"[0, 0]:", b"mus: [0]", b"ns:"),
    *(b"ls: [1]", b"ms_combs: [1]", b"rank: 4", b"radbasename: ChebExpCos", b"---\n"),
)


def fuzz(tmp_path, n: int, seed: int) -> None:
    table = {"r_cut": 4.0, "orders": [1, 2, 3], "n_max": [2, 2, 1], "l_max": [0, 1, 1]}
    path = tmp_path / "p.yace"
    sound = save(expansion_model(table, species=(8, 14)), path).read_bytes()
    damaged_models.fuzz(load, sound, path, n, seed, TOKENS)


def test_damaged_files_are_one_short_error_or_finite(tmp_path):
    fuzz(tmp_path, 250, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_many_damaged_files(tmp_path, seed):
    fuzz(tmp_path, 5_000, seed=100 + seed)
