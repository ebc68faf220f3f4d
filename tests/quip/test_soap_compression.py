"""Compressed SOAPs of QUIP: quippy's descriptors, the way back, and fits of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase import Atoms
from ase.data import chemical_symbols
from builders import ROOT, labelled_frames, three_species
from helpers.compression_cases import random_case
from helpers.turbo_cases import quip_descriptor

import gapfit
from gapfit.config.quip import QuipCompressionConfig, QuipConfig
from gapfit.config.terms import SoapConfig
from gapfit.data.frame import structure_arrays
from gapfit.data.neighbours import pair_list
from gapfit.descriptors.quip_weights import mixing_weights
from gapfit.descriptors.soap_build import soap_basis, soap_term
from gapfit.errors import GapfitError
from gapfit.quip import load, save, translate
from gapfit.quip.gap_fit_options import Options
from gapfit.quip.soap_compression import (
    compression_options,
    compression_settings,
    soap_order,
)
from gapfit.testing import REORDERED_SUMS

FOLDER = ROOT / "tests" / "quip_models" / "SiCO"
COMMAND = (
    "gap_fit at_file=x.xyz default_sigma={{0.01 0.1 0.1 0}} gap={{soap cutoff=4.0 n_max=4 "
    "l_max=2 atom_sigma=0.5 zeta=2 delta=0.5 n_sparse=8 sparse_method=cur_points {}}}"
)


def soap_of(options: str, others: set[int]):
    """Return the descriptor of a string of options, and QUIP's order of its features."""
    parsed = Options.of(options)
    channels = parsed.integers("species_Z")
    named = sorted(set(channels) - {0})
    everywhere = parsed.logical("central_reference_all_species", default=False)
    n_max, l_max = (
        parsed.integer("n_max", default=0),
        parsed.integer("l_max", default=0),
    )
    quip = QuipConfig(
        central_weight=parsed.real("central_weight", default=1.0),
        central_in_all=everywhere and bool(named),
        neighbours=[chemical_symbols[z] for z in named],
        compression=compression_settings(parsed),
    )
    config = SoapConfig(
        rbf="equispaced_gaussians",
        r_cut=parsed.real("cutoff", default=0.0),
        n_max=n_max,
        l_max=l_max,
        compression="off" if named else "mu2",
        quip=quip,
    )
    species = tuple(sorted(set(named) | others))
    term = soap_term(config, species, soap_basis(config))
    features = term.engine.features
    order = soap_order(features, channels)
    assert len(order) == len(features) == len(features.labels)
    return term, order, parsed.integer("Z", default=0)


def descriptors(options: str, atoms: Atoms) -> np.ndarray:
    """Return gapfit's descriptors of the central atoms in QUIP's order."""
    term, order, centre = soap_of(options, set(atoms.numbers.tolist()))
    pairs = pair_list(structure_arrays(atoms), term.cutoff)
    values = term.environments(pairs)[centre].values
    out = np.zeros((len(values), len(order) + 1))
    out[:, order] = values
    return out


RECORDED = json.loads((FOLDER / "descriptors.json").read_text())


@pytest.mark.parametrize("number", range(len(RECORDED)))
def test_descriptors_are_those_recorded_with_quippy(number):
    case = RECORDED[number]
    atoms = Atoms(
        case["symbols"], case["positions"], cell=case["cell"], pbc=case["pbc"]
    )
    found = descriptors(case["options"], atoms)[0]
    np.testing.assert_allclose(found, case["first"], rtol=0, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 150))
def test_descriptors_are_those_of_quippy(seed, tmp_path):
    pytest.importorskip("quippy")
    options, atoms = random_case(seed)
    expected = quip_descriptor(options, atoms, tmp_path)
    found = descriptors(options, atoms)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


def test_random_weights_are_normal_and_belong_to_the_element():
    values = mixing_weights(6, (2000,), second=False)
    assert abs(values.mean()) < 0.07
    assert values.std() == pytest.approx(1.0, abs=0.05)
    np.testing.assert_array_equal(
        mixing_weights(6, (4, 3), second=False), values[:12].reshape(4, 3)
    )
    others = (
        mixing_weights(7, (3,), second=False),
        mixing_weights(6, (3,), second=True),
    )
    for other in others:
        assert np.abs(other - values[:3]).min() > 1e-3


def environments(together: str, **quip: object) -> list[np.ndarray]:
    config = SoapConfig(
        rbf="equispaced_gaussians",
        r_cut=4.0,
        n_max=3,
        l_max=2,
        compression=together,
        quip={"central_weight": 0.0, **quip},
    )
    atoms = three_species()
    species = tuple(sorted(set(atoms.numbers.tolist())))
    term = soap_term(config, species, soap_basis(config))
    pairs = pair_list(structure_arrays(atoms), term.cutoff)
    return [part.values for part in term.environments(pairs).values()]


def test_sums_over_both_species_are_one_density_of_all_neighbours():
    summed = environments("off", compression={"nu_s": 0})
    for one, two in zip(summed, environments("mu2"), strict=True):
        REORDERED_SUMS.check(one, two)


def test_a_model_is_the_same_on_the_way_back(tmp_path):
    model = load(FOLDER / "gap.xml")
    again = load(save(model, tmp_path / "gap.xml")[0])
    record = json.loads((FOLDER / "reference.json").read_text())[0]
    atoms = Atoms(record["symbols"], record["positions"], cell=record["cell"], pbc=True)
    one, two = model.predict(atoms), again.predict(atoms)
    assert [term.config for term in again.terms] == [
        term.config for term in model.terms
    ]
    REORDERED_SUMS.check(one.energies, two.energies)
    REORDERED_SUMS.check(one.forces, two.forces)


@pytest.mark.parametrize(
    ("options", "compression"),
    [
        ("nu_R=1 nu_S=1", {"nu_r": 1, "nu_s": 1}),
        (
            "Z_mix=T R_mix=F K=6 sym_mix=T coupling=F",
            {"mixed": "species", "n_mixed": 6, "symmetric": True, "coupled": False},
        ),
        ("nu_R=2 K=6 sym_mix=T", {}),
    ],
)
def test_options_of_a_command_become_keys_and_options_again(options, compression):
    result = translate(COMMAND.format(options), species=["Si", "C"])
    (term,) = result.config.terms
    assert term.quip.compression == QuipCompressionConfig(**compression)
    words = compression_options(term.quip.compression)
    assert compression_settings(Options.of(f"soap{words}")) == compression


def test_more_numbers_than_memory_holds_are_refused_at_once():
    most = {"mixed": "radial", "n_mixed": 1000}
    config = SoapConfig(
        rbf="equispaced_gaussians", n_max=14, l_max=9, quip={"compression": most}
    )
    with pytest.raises(GapfitError, match=r"would take 100000000000 numbers.* n_mixed"):
        soap_term(config, tuple(range(1, 101)), soap_basis(config))


def test_a_compressed_fit_is_a_potential_of_quip(tmp_path):
    frames = labelled_frames(three_species)
    term = {
        "rbf": "equispaced_gaussians",
        "r_cut": 4.0,
        "n_max": 4,
        "l_max": 2,
        "n_sparse": 8,
        "quip": {"compression": {"nu_r": 1, "nu_s": 1}},
    }
    model = gapfit.fit(frames, {"terms": [term], "calibration": {"method": "none"}})
    assert model.terms[0].descriptor.n_features == 3 * 3 * 4
    model = model.without_projections()
    again = load(save(model, tmp_path / "gap.xml")[0])
    atoms = three_species()
    REORDERED_SUMS.check(model.predict(atoms).forces, again.predict(atoms).forces)
