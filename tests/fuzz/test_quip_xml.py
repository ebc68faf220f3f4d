"""Files of QUIP that are damaged in seeded ways: one short error, or finite predictions."""

from __future__ import annotations

import hashlib
import time

import damaged_models
import numpy as np
import pytest
from ase import Atoms
from builders import ROOT
from mutations import Refused, mutants, read_or_refused

from gapfit.errors import StructureError
from gapfit.quip import load, local_variances
from gapfit.quip.numbers import real

TOKENS = (
    *(b"<!-- -->", b"<![CDATA[x]]>", b"<GAP_params>", b"</GAP_params>", b"<Foo/>"),
    *(b"Glue", b"IP LJ", b"label=", b"<LJ_params/>", b"<e0/>", b"<sparseX/>"),
    *(
        b" compact_clusters=F",
        b" average=T",
        b" species_Z={15 8}",
        b" Z=0",
        b" n_max=9",
    ),
    *(b'<Potential init_args="IP GAP"/>', b"<permutation>1</permutation>", b"&#9;"),
)
#: Most time of one number, s.
PATIENCE = 1
FOLDER = ROOT / "tests" / "fuzz"
SMALL = (FOLDER / "gap.xml").read_bytes()
SIDE = (FOLDER / "gap.xml.sparseX.1").read_bytes()


def fuzz(tmp_path, sound: bytes, n: int, seed: int) -> None:
    (tmp_path / "gap.xml.sparseX.1").write_bytes(SIDE)
    path = tmp_path / "gap.xml"
    damaged_models.fuzz(load, sound, path, n, seed, TOKENS)


def test_damaged_models_are_one_short_error_or_finite(tmp_path):
    fuzz(tmp_path, SMALL, 250, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_many_damaged_models(tmp_path, seed):
    fuzz(tmp_path, SMALL, 10_000, seed=100 + seed)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["P", "P_soap", "GST"])
def test_damaged_fits_of_gap_fit(tmp_path, name):
    folder = ROOT / "tests" / "quip_models" / name
    for side in folder.glob("gap.xml.sparseX*"):
        (tmp_path / side.name).write_bytes(side.read_bytes())
    fuzz(tmp_path, (folder / "gap.xml").read_bytes(), 1_000, seed=7)


def test_damaged_files_of_sparse_points_are_one_short_error(tmp_path):
    path, side = tmp_path / "gap.xml", tmp_path / "gap.xml.sparseX.1"
    checksum = f' sparseX_md5sum="{hashlib.md5(SIDE).hexdigest()}"'.encode()
    path.write_bytes(SMALL.replace(checksum, b""))
    for content in mutants([SIDE], 100, seed=3):
        side.write_bytes(content)
        model = read_or_refused(lambda: load(path))
        if not isinstance(model, Refused):
            assert all(np.isfinite(p).all() for p in model.terms[0].sparse.values())


@pytest.mark.parametrize("word", ["9" * 10**5, "9" * 10**5 + "x", "." + "9" * 10**5])
def test_long_numbers_end_soon(tmp_path, word):
    path = tmp_path / "gap.xml"
    path.write_bytes(SMALL.replace(b"cutoff=", f"cutoff={word} cutoff=".encode()))
    before = time.process_time()
    read_or_refused(lambda: load(path))
    with pytest.raises(ValueError, match="not a finite number"):
        real(f"{word}-x")
    assert time.process_time() - before < PATIENCE


def test_variances_of_a_damaged_model_are_numbers_or_refused(tmp_path):
    (tmp_path / "gap.xml.sparseX.1").write_bytes(SIDE)
    path = tmp_path / "gap.xml"
    atoms = Atoms("P2", [[0.0, 0, 0], [2.1, 0, 0]], cell=[9.0] * 3, pbc=True)
    for content in mutants([SMALL], 40, seed=5, tokens=TOKENS):
        path.write_bytes(content)
        model = read_or_refused(lambda: load(path))
        if isinstance(model, Refused):
            continue
        try:
            assert np.isfinite(local_variances(model, atoms)).all()
        except StructureError:  # another species
            continue
