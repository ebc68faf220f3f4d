"""Every kind of term as a torch module: the numbers of the core."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import STRUCTURES, random_term, silicon, three_species, without_tables
from descriptor_contract import term_for
from helpers.torch_cases import SILICON, SPECIAL_SOAP, TERMS
from helpers.torch_runs import arguments, assert_equal, import_or_skip

import gapfit
from gapfit.errors import GapfitError
from gapfit.model.gap_model import GAPModel
from gapfit.model.terms import FittedTerm

import_or_skip("torch")


def with_term(model: GAPModel, term: FittedTerm) -> GAPModel:
    return replace(model, terms=(term,), posterior=None)


@pytest.mark.parametrize("settings", TERMS.values(), ids=TERMS)
def test_silicon_equals_the_core(settings, si_model):
    structures = [STRUCTURES[name]() for name in SILICON]
    model = with_term(si_model, term_for(settings, silicon()))
    found = gapfit.torch.torch_model(model)(*arguments(structures, model.cutoff))
    assert_equal(found, model, structures)


@pytest.mark.parametrize("settings", TERMS.values(), ids=TERMS)
def test_three_species_equal_the_core(settings, gst_model):
    atoms = three_species()
    lone = three_species()
    lone.set_cell(lone.cell * 6, scale_atoms=True)
    model = with_term(gst_model, term_for(settings, atoms))
    structures = [atoms, lone, atoms[[0, 3]]]
    found = gapfit.torch.torch_model(model)(*arguments(structures, model.cutoff))
    assert_equal(found, model, structures)


@pytest.mark.parametrize("settings", SPECIAL_SOAP.values(), ids=SPECIAL_SOAP)
def test_special_cases_of_soap(settings, gst_model):
    atoms = three_species()
    term = random_term(atoms, **settings)
    assert term.prepared[0].quadratic == (settings.get("zeta") == 2)
    model = with_term(gst_model, term)
    found = gapfit.torch.torch_model(model)(*arguments([atoms], model.cutoff))
    assert_equal(found, model, [atoms])


def test_chunks_change_nothing(gst_full):
    structures = [three_species() * (2, 1, 1), three_species()]
    given = arguments(structures, gst_full.cutoff)
    assert_equal(
        gapfit.torch.torch_model(gst_full, chunk_bytes=1)(*given), gst_full, structures
    )


def test_triplets_without_tables(gst_full):
    *others, triplets = gst_full.terms
    model = replace(gst_full, terms=(*others, without_tables(triplets)))
    given = arguments([three_species()], model.cutoff)
    assert_equal(gapfit.torch.torch_model(model)(*given), model, [three_species()])


def test_a_term_of_another_engine_is_refused(si_model):
    term = random_term(silicon(), engine="dscribe")
    with pytest.raises(GapfitError, match=r'term 1 has engine = "dscribe"'):
        gapfit.torch.torch_model(with_term(si_model, term))
