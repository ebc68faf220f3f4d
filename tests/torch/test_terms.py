"""Every kind of term as a torch module: the numbers of the core."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import STRUCTURES, random_term, silicon, three_species, without_tables
from descriptor_contract import term_for
from helpers.torch_runs import arguments, assert_equal, import_or_skip

import gapfit
from gapfit.config import AceConfig, Angle3bConfig, Distance2bConfig, SoapConfig
from gapfit.errors import GapfitError
from gapfit.model.gap_model import GAPModel
from gapfit.model.terms import FittedTerm

import_or_skip("torch")

R_CUT = 4.02
SOAP = {"r_cut": R_CUT, "n_max": 4, "l_max": 3}
TRIPLET = {"r_cut": R_CUT, "width": 0.9, "theta": [1.1, 1.4, 0.9]}
QUIP = {"central_in_all": True, "neighbours": ["Te"]}
TURBO = {
    "r_soft": 3.9,
    "sigma_r_scaling": 0.1,
    "species": {"Te": {"n_max": 4, "sigma_t": 0.4, "atom_sigma": 0.35}},
}
TERMS = {
    "gto": SoapConfig(**SOAP),
    "polynomial": SoapConfig(**SOAP, rbf="polynomial"),
    "equispaced": SoapConfig(**SOAP, rbf="equispaced_gaussians"),
    "large": SoapConfig(r_cut=R_CUT, n_max=9, l_max=5),
    "degree 0": SoapConfig(r_cut=R_CUT, n_max=4, l_max=0),
    "zeta 1": SoapConfig(**SOAP, zeta=1),
    "zeta 2": SoapConfig(**SOAP, zeta=2),
    "zeta 2.5": SoapConfig(**SOAP, zeta=2.5),
    "mu2": SoapConfig(**SOAP, compression="mu2", species_weights={"Ge": 0.6}),
    "mu1nu1": SoapConfig(**SOAP, compression="mu1nu1", species_weights={"Ge": 0.6}),
    "crossover": SoapConfig(**SOAP, compression="crossover"),
    "full kernel": SoapConfig(**SOAP, full_kernel=True),
    "projected": SoapConfig(**SOAP, components=12),
    "channels": SoapConfig(**SOAP, channels=3),
    "weight pow": SoapConfig(**SOAP, weighting={"function": "pow", "m": 3.0}),
    "weight exp": SoapConfig(**SOAP, weighting={"function": "exp", "d": 0.5}),
    "weight poly": SoapConfig(**SOAP, weighting={"function": "poly", "m": 2.5}),
    "weight of the centre": SoapConfig(
        **SOAP, weighting={"function": "poly", "w0": 2.0}
    ),
    "pairs": Distance2bConfig(r_cut=R_CUT, width=0.8, theta=0.6),
    "pairs, cosine": Distance2bConfig(
        r_cut=R_CUT, width=0.8, theta=0.6, switch="cosine"
    ),
    "triplets": Angle3bConfig(**TRIPLET),
    "triplets, cosine": Angle3bConfig(**TRIPLET, switch="cosine"),
    "triplets of distances": Angle3bConfig(
        r_cut=R_CUT, width=0.9, theta=[1.1, 1.1, 1.1], coordinates="distances"
    ),
    "ace": AceConfig(r_cut=R_CUT, orders=[3, 4], n_max=[2, 1], l_max=[2, 2]),
    "ace, all orders": AceConfig(
        r_cut=R_CUT, orders=[1, 2, 3, 4], n_max=[9, 3, 1, 1], l_max=[0, 3, 2, 1]
    ),
    "ace, combined": AceConfig(
        r_cut=R_CUT, orders=[2], n_max=[3], l_max=[2], radial="combined"
    ),
    "ace, contracted": AceConfig(
        r_cut=R_CUT, orders=[2, 3], n_max=[3, 2], l_max=[2, 1], radial="contracted"
    ),
}
#: Structures without many atoms, with and without periods and neighbours.
SILICON = ("sheared", "slab", "wire", "cluster", "one_atom")


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


@pytest.mark.parametrize(
    "settings",
    [
        {"zeta": 2.0, "repeat": 12, "n_max": 2, "l_max": 1},
        {"channels": 5, "centres": ["Te"]},
        {"rbf": "equispaced_gaussians", "quip": QUIP},
        {"rbf": "poly3", "turbo": TURBO},
        {"rbf": "poly3gauss", "turbo": TURBO | {"radial_enhancement": 2}},
        {"rbf": "poly3", "turbo": TURBO | {"compression": "trivial"}},
    ],
    ids=[
        "quadratic form",
        "one centre",
        "named neighbours",
        "poly3",
        "poly3gauss",
        "trivial",
    ],
)
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
