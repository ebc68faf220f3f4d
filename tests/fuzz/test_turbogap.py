"""Files .gap and tables, damaged in seeded ways: one short error, or finite predictions."""

from __future__ import annotations

import damaged_models
import pytest
from helpers.turbogap_files import E0, TEXT, write

from gapfit.turbogap import load

TOKENS = (
    *(
        b"gap_beg distance_2b\n",
        b"gap_end\n",
        b"rcut = 5.0\n",
        b" = ",
        b"species1 = H\n",
    ),
    *(b"! e0 = 1 2\n", b"n_species = 3\n", b".true.", b"1.e50", b"core_pot", b"'pol'"),
)
FILES = (
    *("CH.gap", "core_pot_1.dat", "alphas_distance_2b_1.dat", "alphas_angle_3b_1.dat"),
    *("alphas_soap_turbo_1.dat", "CH.xml.sparseX.GAP_2"),
)


def fuzz(tmp_path, name: str, n: int, seed: int) -> None:
    document = write(tmp_path, E0 + TEXT)
    sound = (tmp_path / name).read_bytes()
    damaged_models.fuzz(
        lambda _: load(document), sound, tmp_path / name, n, seed, TOKENS
    )


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_are_one_short_error_or_finite(tmp_path, name):
    fuzz(tmp_path, name, 100, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("seed", range(2))
def test_many_damaged_files(tmp_path, name, seed):
    fuzz(tmp_path, name, 1_000, seed=100 + seed)
