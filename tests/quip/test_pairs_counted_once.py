"""Pairs that QUIP counts once: distance_Nb of order 2 with compact_clusters = F.

The numbers of `tests/quip_models/CuAl` are compared with those of quippy in `test_read`.
"""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from builders import ROOT

import gapfit
from gapfit.errors import GapfitError
from gapfit.model.record import FitRecord
from gapfit.quip import load, local_variances, save

FOLDER = ROOT / "tests" / "quip_models" / "CuAl"
#: Seconds since 1970 of the last version in which F was the default.
BEFORE = 1_596_837_813


@pytest.fixture
def variant(tmp_path):
    """Return a function that writes the model with other words of its descriptors."""

    def write(old: str, new: str, version: int | None = None):
        text = (FOLDER / "gap.xml").read_text()
        assert old in text
        text = text.replace(old, new)
        if version is not None:
            text = re.sub(r'gap_version="\d+"', f'gap_version="{version}"', text)
        path = tmp_path / "gap.xml"
        path.write_text(text)
        return path

    return write


def dimer() -> Atoms:
    return Atoms("CuAl", [[0, 0, 0], [2.4, 0, 0]], cell=[15] * 3, pbc=True)


def cohesion(path) -> float:
    model = load(path)
    return model.predict(dimer()).energy - sum(model.e0.values())


@pytest.mark.parametrize(
    ("words", "version", "once"),
    [
        ("compact_clusters=F", None, True),
        ("COMPACT_CLUSTERS=f", None, True),
        ("compact_clusters = F", None, True),
        ("compact_clusters={F}", None, True),
        ("compact_clusters='False'", None, True),
        ("compact_clusters=T compact_clusters=F", None, True),
        ("", BEFORE, True),
        ("xml_version=1700000000", BEFORE, True),
        ("compact_clusters=T", BEFORE, False),
        ("compact_clusters", BEFORE, False),
        ("compact_clusters=F compact_clusters=T", None, False),
        # QUIP takes the empty value, and F as a further option.
        ("compact_clusters= F", None, False),
        ("", BEFORE + 1, False),
        ("xml_version=1500000000", None, False),
    ],
)
def test_the_last_word_or_the_version_says_how_often(variant, words, version, once):
    energies = {c: cohesion(variant("clusters=F", f"clusters={c}")) for c in "TF"}
    path = variant("compact_clusters=F", words, version)
    assert load(path).record.quip.counted_once == (once, False)
    assert cohesion(path) == pytest.approx(energies["F" if once else "T"], abs=1e-9)
    assert abs(energies["T"] - energies["F"]) > 0.1


@pytest.mark.parametrize("word", [".false.", "no", "0", "maybe"])
def test_what_quip_takes_for_no_truth_value_is_refused(variant, word):
    with pytest.raises(GapfitError, match=r"compact_clusters = .*: neither T nor F"):
        load(variant("compact_clusters=F", f"compact_clusters={word}"))


def test_triplets_without_a_centre_are_refused_by_name(tmp_path):
    text = (ROOT / "tests" / "quip_models" / "P" / "gap.xml").read_text()
    path = tmp_path / "gap.xml"
    path.write_text(text.replace("compact_clusters=T", "compact_clusters=F"))
    with pytest.raises(GapfitError, match="order = 3 with compact_clusters = F"):
        load(path)


def test_terms_that_differ_only_in_the_count_stay_apart(variant):
    """Twice a delta of 0.25 is once a delta of 0.5, but not for variances."""
    text = "compact_clusters=T cutoff=4.0 cutoff_transition_width=0.8"
    path = variant(text, "compact_clusters=T cutoff=5.0 ")
    changed = path.read_text().replace(">0.9", ">1.2")
    path.write_text(re.sub(r"0\.90000\S*E\+000", "0.11999999999999999E+001", changed))
    model = load(path)
    assert model.record.quip.counted_once == (True, False)
    assert model.terms[0].config.delta == model.terms[1].config.delta == 0.5


def test_a_written_model_counts_as_the_one_that_was_read(tmp_path):
    model = load(FOLDER / "gap.xml")
    model.save(tmp_path / "model.npz")
    again = gapfit.load(tmp_path / "model.npz")
    save(again, tmp_path / "again.xml")
    text = (tmp_path / "again.xml").read_text()
    assert text.count("<descriptor>distance_Nb order=2 compact_clusters=F") == 3
    assert text.count("<descriptor>distance_2b") == 3
    back = load(tmp_path / "again.xml")
    for record in json.loads((FOLDER / "reference.json").read_text()):
        atoms = Atoms(
            record["symbols"], record["positions"], cell=record["cell"], pbc=True
        )
        assert back.predict(atoms).energy == pytest.approx(record["energy"], abs=1e-9)
        np.testing.assert_allclose(
            local_variances(back, atoms), record["local_gap_variance"], atol=1e-12
        )


def test_models_of_the_first_version_are_read():
    """It did not store how often pairs count."""
    values = {
        "file": "gap.xml",
        "label": "G",
        "gap_version": 1,
        "ignored": [],
        "sparse_cutoffs": [{}, {}],
    }
    record = FitRecord.from_plain({"quip": values})
    assert record.quip.counted_once == (False, False)


@pytest.mark.parametrize("version", [None, BEFORE])
@pytest.mark.parametrize("words", ["compact_clusters=F", "", "compact_clusters = f"])
def test_energies_are_those_of_quippy(variant, words, version):
    potential = pytest.importorskip("quippy.potential")
    path = variant("compact_clusters=F", words, version)
    model, quip = load(path), potential.Potential("", param_filename=str(path))
    crystal = bulk("Cu", cubic=True)
    crystal.numbers[1:3] = 13
    crystal.rattle(0.1, seed=1)
    for atoms in (dimer(), bulk("Cu"), crystal):
        found = model.predict(atoms)
        atoms.calc = quip
        assert found.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-8)
        np.testing.assert_allclose(found.forces, atoms.get_forces(), atol=1e-8)
