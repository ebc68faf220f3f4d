"""Presets of terms: sizes that fit any number of species."""

from __future__ import annotations

import pytest
from builders import labelled_frames, silicon, three_species

import gapfit
from gapfit.cli import main
from gapfit.config import AceConfig, SoapConfig, load_config
from gapfit.fitting.presets import PRESETS, preset_terms
from gapfit.model.terms import build_term, new_basis


@pytest.mark.parametrize("n_species", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("preset", PRESETS)
def test_terms_have_some_hundred_features(preset, n_species):
    species = (14, 26, 32, 51, 52)[:n_species]
    for settings in preset_terms(preset, 5.0, 1000, n_species):
        term = build_term(settings, species, new_basis(settings))
        assert 1 <= term.descriptor.n_features <= 1000


def test_fast_is_the_smallest():
    fast, accurate = (preset_terms(name, 5.0, 800, 1) for name in ("fast", "accurate"))
    assert [type(term) for term in fast] == [type(term) for term in accurate]
    assert isinstance(fast[-1], AceConfig)
    sizes = [(t.n_sparse, t.n_max) for t in (fast[0], accurate[0])]
    assert sizes == [(300, 6), (800, 8)]
    assert not any(isinstance(t, AceConfig) for t in preset_terms("default", 5.0, 9, 1))


def test_many_species_share_channels():
    for n_species, channels in ((2, "all"), (3, 12)):
        soap = preset_terms("default", 5.0, 100, n_species)[0]
        assert isinstance(soap, SoapConfig)
        assert soap.channels == channels


@pytest.mark.parametrize("n_species", [1, 2, 3, 4])
def test_many_labels_bear_more_functions(n_species):
    """At least 32 labels for each of the functions, which every species has."""
    few, many = (
        preset_terms("accurate", 5.0, 1000, n_species, 100_000 * n_species + extra)
        for extra in (-1, 0)
    )
    assert few == preset_terms("accurate", 5.0, 1000, n_species)
    assert few[:-1] == many[:-1]
    species = (14, 26, 32, 51)[:n_species]
    term = build_term(many[-1], species, new_basis(many[-1]))
    assert 700 < term.descriptor.n_features < 100_000 / 32


@pytest.mark.parametrize("build", [silicon, three_species])
def test_a_proposal_can_be_fitted(build):
    frames = labelled_frames(build, 3)
    proposal = gapfit.propose(frames, preset="fast")
    model = gapfit.fit(frames, proposal.config)
    assert [term.config.type for term in model.terms] == ["soap", "distance_2b", "ace"]


def test_init_writes_the_preset(tmp_path, monkeypatch):
    from ase.io import write

    monkeypatch.chdir(tmp_path)
    write("train.extxyz", labelled_frames(silicon, 3))
    assert main(["init", "train.extxyz", "--preset", "accurate"]) == 0
    text = (tmp_path / "fit.toml").read_text()
    assert "# Preset accurate" in text
    assert isinstance(load_config(tmp_path / "fit.toml").terms[-1], AceConfig)
