"""Kernel rows in torch: those of the core."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from builders import ROOT, STRUCTURES, random_term, silicon, three_species
from descriptor_contract import term_for
from helpers.torch_cases import R_CUT, SILICON, SPECIAL_SOAP, TERMS
from helpers.torch_runs import import_or_skip

from gapfit.config import EamDensityConfig, SoapConfig
from gapfit.data.frame import as_frame
from gapfit.data.neighbours import pairs_of
from gapfit.model.terms import FittedTerm
from gapfit.quip import load as load_quip
from gapfit.testing import Tolerance

torch = import_or_skip("torch")
from gapfit.torch.fit_rows import FitRows  # noqa: E402

ROWS = Tolerance("the same sums in another order, of the largest row", atol=3e-13)
TABLE = Tolerance("a table in place of the density, of the largest row", atol=3e-12)
#: Those that fits have: others are of models of QUIP.
FITTED = {
    name: settings
    for name, settings in TERMS.items()
    if getattr(settings, "coordinates", "angle") == "angle"
}


def assert_rows_equal(
    terms: list[FittedTerm], structures: list, *, chunk_bytes: int = 0
) -> None:
    """Compare the rows of energies, forces and virials with those of the core."""
    made = FitRows(terms, torch.device("cpu"), chunk_bytes)
    longest = max(term.descriptor.cutoff for term in terms)
    frames = [as_frame(atoms, "a structure") for atoms in structures]
    pairs = pairs_of(frames, longest)
    for gradients in (True, False):
        found, begin = made.table(pairs, gradients=gradients), 0
        for term in terms:
            wanted = term.descriptor.kernel_rows(
                pairs.within(term.descriptor.cutoff), term.sparse, gradients=gradients
            )
            columns = found.columns(begin, begin + term.n_sparse)
            begin += term.n_sparse
            names = ("energies", "forces", "virials")
            for name in names[: 3 if gradients else 1]:
                rows, expected = getattr(columns, name), getattr(wanted, name)
                size = np.abs(expected).max()
                within = TABLE if term.config.type == "eam_density" else ROWS
                within.check(rows.numpy() / size, expected.reshape(rows.shape) / size)


@pytest.mark.parametrize("settings", FITTED.values(), ids=FITTED)
def test_rows_of_silicon_equal_those_of_the_core(settings):
    term = term_for(settings, silicon())
    assert_rows_equal([term], [STRUCTURES[name]() for name in SILICON])


@pytest.mark.parametrize("settings", FITTED.values(), ids=FITTED)
def test_rows_of_three_species_equal_those_of_the_core(settings):
    atoms = three_species()
    lone = three_species()
    lone.set_cell(lone.cell * 6, scale_atoms=True)
    assert_rows_equal([term_for(settings, atoms)], [atoms, lone, atoms[[0, 3]]])


@pytest.mark.parametrize("settings", SPECIAL_SOAP.values(), ids=SPECIAL_SOAP)
def test_rows_of_special_cases_of_soap(settings):
    assert_rows_equal([random_term(three_species(), **settings)], [three_species()])


def test_rows_of_a_species_without_functions():
    term = term_for(TERMS["ace"], three_species())
    blocks = {z: points[:0] if z == 51 else points for z, points in term.sparse.items()}
    assert_rows_equal([replace(term, sparse=blocks)], [three_species()])


def test_chunks_and_terms_of_the_cpu_change_nothing(gst_full):
    structures = [three_species() * (2, 1, 1), three_species()]
    settings = (
        TERMS["ace"],
        SoapConfig(r_cut=R_CUT, n_max=2, l_max=2, engine="dscribe"),
        EamDensityConfig(r_cut=R_CUT),
    )
    terms = [*gst_full.terms, *(term_for(own, three_species()) for own in settings)]
    made = FitRows(terms, torch.device("cpu"))
    on_cpu = [maker is None for maker in made.makers]
    assert on_cpu == [False] * len(gst_full.terms) + [False, True, False]
    assert_rows_equal(terms, structures, chunk_bytes=1)


def test_rows_of_mixed_channels_equal_those_of_the_core():
    folder = ROOT / "tests" / "quip_models" / "SiCO"
    record = json.loads((folder / "reference.json").read_text())[0]
    atoms = Atoms(record["symbols"], record["positions"], cell=record["cell"], pbc=True)
    for term in load_quip(folder / "gap.xml").terms:
        assert_rows_equal([term], [atoms])
