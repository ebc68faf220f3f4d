"""Lengths of kernels as a factor times the ranges in the data: those of gap_fit."""

from __future__ import annotations

import json

import numpy as np
import pytest
from builders import ROOT

from gapfit.data.files import load as frames_of
from gapfit.quip import load, translate
from gapfit.quip.gap_fit_ranges import block_ranges

FOLDER = ROOT / "tests" / "quip_models" / "FeCrNi"
SPECIES = ("Cr", "Fe", "Ni")


def ranges(settings):
    raw = frames_of(FOLDER / "train.xyz", FOLDER)
    return block_ranges((item.frame for item in raw), settings, (24, 26, 28))


def test_factors_give_the_lengths_of_gap_fit_for_each_triplet():
    command = json.loads((FOLDER / "cmd.json").read_text())[1:]
    translation = translate(command, species=SPECIES, ranges=ranges)
    assert not any(remark.changes for remark in translation.remarks)
    ours = {}
    for term in translation.config.terms:
        if term.type == "angle_3b":
            empty = [name for name, n in term.species_n_sparse.items() if n == 0]
            assert len(empty) == 17
            assert term.n_sparse == 15
            ours[frozenset(empty)] = term.theta
    theirs = [
        term.config.theta
        for term in load(FOLDER / "gap.xml.gz").terms
        if term.config.type == "angle_3b"
    ]
    assert len(ours) == len(theirs) == 18
    np.testing.assert_allclose(sorted(ours.values()), sorted(theirs), rtol=1e-12)


def test_pairs_that_the_data_lack_are_left_out():
    pairs = "distance_2b cutoff=4 delta=1 theta_fac=0.5 n_sparse=7"
    text = f"gap_fit at_file=a.xyz default_sigma={{1 1 1 0}} gap={{{pairs}}}"
    spans = {"Si-Si": (3.0,), "O-O": (2.0,)}
    config = translate(text, species=["O", "Si"], ranges=lambda _: spans).config
    thetas = {term.theta: term.species_n_sparse for term in config.terms}
    assert thetas == {
        1.0: {"O-Si": 0, "Si-Si": 0},
        1.5: {"O-Si": 0, "O-O": 0},
    }


def test_without_data_the_lengths_are_those_of_gapfit_and_another_fit():
    pairs = "distance_2b cutoff=4 delta=1 theta_fac=0.5 n_sparse=7"
    text = f"gap_fit at_file=a.xyz default_sigma={{1 1 1 0}} gap={{{pairs}}}"
    (remark,) = translate(text, species=["Si"]).remarks
    assert remark.changes
    assert remark.value == "0.5"
    assert "depends on the data" in remark.text


@pytest.mark.parametrize("kind", ["distance_2b", "angle_3b"])
def test_longer_cutoffs_have_longer_ranges(kind):
    short, long = (ranges({"type": kind, "r_cut": r_cut}) for r_cut in (3.0, 4.0))
    assert set(short) <= set(long)
    for name, spans in short.items():
        assert np.all(np.array(long[name]) >= spans)
        assert long[name] > spans
