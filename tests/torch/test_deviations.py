"""Standard deviations and novelty of the energies of atoms in torch: those of the core."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from builders import (
    SOAP,
    STRUCTURES,
    THREE_BODY,
    TWO_BODY,
    config,
    labelled_frames,
    silicon,
    three_species,
)
from helpers.torch_runs import arguments, import_or_skip

import gapfit
from gapfit.errors import GapfitError
from gapfit.testing import Tolerance

torch = import_or_skip("torch")
# TorchScript is what metatomic needs.
SCRIPT = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
DENSITY = {"type": "eam_density", "r_cut": 4.2, "n_sparse": 8, "form": "cosine"}
ACE = {"type": "ace", "r_cut": 4.2, "orders": [2, 3], "n_max": [4, 2], "l_max": [3, 2]}
SHORT = {**SOAP, "r_cut": 3.6, "n_max": 3, "n_sparse": 12, "zeta": 2}
TERMS = {
    "pairs before": [{**TWO_BODY, "species_n_sparse": {"Ge-Te": 3}}, SOAP],
    "projected, pairs behind": [
        {**SOAP, "components": 20},
        {**TWO_BODY, "switch": "cosine"},
    ],
    "two centres": [
        {**SOAP, "zeta": 2, "centres": ["Te", "Ge"], "n_max": 2, "l_max": 2}
    ],
    "channels": [{**SOAP, "zeta": 2.5, "channels": 4}, TWO_BODY, TWO_BODY],
    "density": [DENSITY, SOAP, TWO_BODY],
    "two SOAP terms": [SHORT, SOAP, {**SHORT, "centres": ["Sb"], "components": 9}],
    "ace": [ACE],
    "ace of two radial bases": [{**ACE, "radial": "contracted"}, ACE, TWO_BODY],
    "ace and SOAP": [ACE, SHORT],
    "pairs alone": [TWO_BODY],
    "density alone": [DENSITY],
    "triplets": [THREE_BODY, SHORT],
    "triplets without SOAP": [
        {**THREE_BODY, "species_n_sparse": {"Te-Ge-Sb": 4}},
        TWO_BODY,
        {**THREE_BODY, "switch": "cosine", "r_cut": 3.9},
    ],
}
#: Energies of isolated atoms, and what three species and one have in common.
E0 = {"Ge": -1, "Sb": -2, "Te": -3, "Si": -4}
STD = Tolerance(
    "a difference of prior and explained variance, both 1e8 times as large, has lost half "
    "of the digits; eV",
    rtol=1e-6,
    atol=1e-9,
)
SHARE = Tolerance(
    "a share of the prior variance is a difference from 1, whose rounding the condition of "
    "K_mm magnifies; the novelty is its root",
    atol=1e-11,
)
LOSSLESS = Tolerance(
    "energies of the fit are within lossless projections, those of samples are not; eV",
    atol=1e-6,
)


def fitted(build, terms: list[dict]) -> gapfit.GAPModel:
    frames = labelled_frames(build)
    symbols = {symbol for atoms in frames for symbol in atoms.symbols}
    e0 = {symbol: E0[symbol] for symbol in symbols}
    return gapfit.fit(frames, {**config(), "terms": terms, "e0": e0})


def lone(atoms: Atoms) -> Atoms:
    """Return the same atoms too far from each other to have neighbours."""
    atoms.set_cell(atoms.cell * 6, scale_atoms=True)
    return atoms


def evaluated(potential, model, structures: list[Atoms], **asked: bool) -> dict:
    return potential(*arguments(structures, model.cutoff), **asked)


def assert_same_deviations(model: gapfit.GAPModel, structures: list[Atoms]) -> None:
    potential = gapfit.torch.torch_model(model, std=True)
    found = evaluated(potential, model, structures, std=True)
    assert "novelty" not in found
    wanted = [one.energies_std for one in model.predict(structures, std="energies")]
    STD.check(found["energies_std"].numpy(), np.concatenate(wanted))


def assert_same_novelty(model: gapfit.GAPModel, structures: list[Atoms]) -> None:
    potential = gapfit.torch.torch_model(model, novelty=True)
    found = evaluated(potential, model, structures, novelty=True)
    assert "energies_std" not in found
    wanted = [one.novelty for one in model.predict(structures, novelty=True)]
    SHARE.check(found["novelty"].numpy() ** 2, np.concatenate(wanted) ** 2)


def assert_same_samples(model: gapfit.GAPModel, structures: list[Atoms]) -> None:
    positions, cells, numbers, system, pairs, shifts = arguments(
        structures, model.cutoff
    )
    potential = gapfit.torch.torch_model(model, samples=3, seed=5)
    R = potential.vectors(positions, cells, system, pairs, shifts)
    found = potential.sampled_energies(R, pairs, numbers).numpy()
    for n, sample in enumerate(model.sample(3, 5)):
        wanted = [one.energies for one in sample.predict(structures)]
        LOSSLESS.check(found[:, n], np.concatenate(wanted))


def assert_same(model: gapfit.GAPModel, structures: list[Atoms]) -> None:
    assert_same_deviations(model, structures)
    assert_same_novelty(model, structures)
    assert_same_samples(model, structures)


def silicon_structures() -> list[Atoms]:
    names = ("silicon", "sheared", "slab", "wire", "cluster", "one_atom")
    return [*(STRUCTURES[name]() for name in names), lone(silicon())]


@pytest.mark.parametrize("name", ["si_model", "si_full"])
def test_silicon_equals_the_core(name, request):
    assert_same(request.getfixturevalue(name), silicon_structures())


@pytest.mark.parametrize(
    "terms",
    [terms for name, terms in TERMS.items() if "centre" not in str(terms)],
    ids=[name for name, terms in TERMS.items() if "centre" not in str(terms)],
)
def test_clusters_and_slabs_equal_the_core(terms):
    terms = [
        {name: value for name, value in term.items() if name != "species_n_sparse"}
        for term in terms
    ]
    assert_same(fitted(silicon, terms), silicon_structures())


@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS)
def test_three_species_equal_the_core(terms):
    atoms = three_species()
    structures = [atoms * (2, 1, 1), lone(three_species()), atoms[[0, 3]], atoms]
    assert_same(fitted(three_species, terms), structures)


def test_every_kind_of_term_equals_the_core(gst_full):
    assert_same(gst_full, [three_species() * (2, 1, 1), lone(three_species())])


def test_both_at_once_use_all_features():
    model = fitted(three_species, TERMS["projected, pairs behind"])
    assert model.terms[0].lossless
    structures = [three_species() * (2, 1, 1)]
    potential = gapfit.torch.torch_model(model, std=True, novelty=True)
    found = evaluated(potential, model, structures, std=True, novelty=True)
    exact = model.without_projections()
    (wanted,) = exact.predict(structures, std="energies", novelty=True)
    STD.check(found["energies_std"].numpy(), wanted.energies_std)
    SHARE.check(found["novelty"].numpy() ** 2, wanted.novelty**2)


def test_grades_equal_the_core(gst_full):
    structures = [three_species() * (2, 1, 1), lone(three_species())]
    potential = gapfit.torch.torch_model(gst_full, std=True)
    found = evaluated(potential, gst_full, structures, std=True)["extrapolation"]
    wanted = [one.extrapolation for one in gst_full.predict(structures, std="energies")]
    STD.check(found.numpy(), np.concatenate(wanted))


def test_species_without_a_scale_have_no_grade(gst_full):
    usual = {32: 2.0, 52: 3.0}
    model = gst_full.with_record(usual_deviations=usual)
    atoms = three_species()
    potential = gapfit.torch.torch_model(model, std=True)
    found = evaluated(potential, model, [atoms], std=True)
    grades, std = found["extrapolation"], found["energies_std"]
    for grade, own, z in zip(grades, std, atoms.numbers, strict=True):
        assert grade == own / usual[z] if z in usual else grade.isnan()
    model = gst_full.with_record(usual_deviations={})
    potential = gapfit.torch.torch_model(model, std=True)
    assert "extrapolation" not in evaluated(potential, model, [atoms], std=True)


def test_chunks_and_the_order_of_pairs_change_nothing(gst_full):
    structures = [three_species() * (2, 2, 1), lone(three_species())]
    *atoms, pairs, shifts = arguments(structures, gst_full.cutoff)
    order = torch.randperm(len(shifts), generator=torch.Generator().manual_seed(1))
    asked = {"std": True, "novelty": True}
    whole = gapfit.torch.torch_model(gst_full, **asked)
    parts = gapfit.torch.torch_model(gst_full, chunk_bytes=1, **asked)
    assert parts.uncertainty.at_once(False) < len(atoms[0]) / 2
    wanted = whole(*atoms, pairs, shifts, **asked)
    found = parts(*atoms, pairs[:, order], shifts[order], **asked)
    STD.check(found["energies_std"].numpy(), wanted["energies_std"].numpy())
    SHARE.check(found["novelty"].numpy() ** 2, wanted["novelty"].numpy() ** 2)


def test_they_stay_in_double_precision(gst_full):
    asked = {"std": True, "novelty": True}
    given = arguments([three_species()], gst_full.cutoff)
    potential = gapfit.torch.torch_model(gst_full, **asked)
    wanted = potential(*given, **asked)
    single = [x.float() if x.is_floating_point() else x for x in given]
    found = potential.float()(*single, **asked)
    assert {found[name].dtype for name in ("energies_std", "novelty")} == {
        torch.float64
    }
    # Environments are single: 1e-7 of the prior variance.
    prior = sum(term.config.delta**2 for term in gst_full.terms)
    for name, scale in (("energies_std", prior), ("novelty", 1.0)):
        np.testing.assert_allclose(
            found[name] ** 2, wanted[name] ** 2, rtol=1e-5, atol=1e-6 * scale
        )


@SCRIPT
def test_torchscript_gives_the_same_bits(tmp_path):
    asked = {"std": True, "novelty": True}
    model = fitted(three_species, [TWO_BODY, SHORT, THREE_BODY, ACE, DENSITY])
    potential = gapfit.torch.torch_model(model, **asked, samples=2)
    torch.jit.save(torch.jit.script(potential), str(tmp_path / "potential.pt"))
    compiled = torch.jit.load(str(tmp_path / "potential.pt"))
    for structures in ([three_species()], [three_species() * (2, 1, 1)] * 2):
        given = arguments(structures, model.cutoff)
        wanted, found = potential(*given, **asked), compiled(*given, **asked)
        assert found.keys() > {"energies_std", "extrapolation", "novelty"}
        assert all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_gives_the_same(gst_full):
    asked = {"std": True, "novelty": True}
    given = arguments([three_species() * (2, 1, 1)], gst_full.cutoff)
    potential = gapfit.torch.torch_model(gst_full, **asked)
    wanted = potential(*given, **asked)
    found = potential.cuda()(*[x.cuda() for x in given], **asked)
    STD.check(found["energies_std"].cpu().numpy(), wanted["energies_std"].numpy())
    SHARE.check(found["novelty"].cpu().numpy() ** 2, wanted["novelty"].numpy() ** 2)


def test_they_are_left_out_unless_asked_for(si_model):
    given = arguments([silicon()], si_model.cutoff)
    potential = gapfit.torch.torch_model(si_model)
    assert potential(*given).keys().isdisjoint({"energies_std", "novelty"})
    with pytest.raises(ValueError, match="made without standard deviations"):
        potential(*given, std=True)
    with pytest.raises(ValueError, match="made without the novelty"):
        gapfit.torch.torch_model(si_model, std=True)(*given, novelty=True)
    R = torch.zeros(0, 3, dtype=torch.float64)
    with pytest.raises(ValueError, match="made without samples"):
        potential.sampled_energies(R, given[4][:, :0], given[2])


@pytest.mark.parametrize("asked", [{"std": True}, {"novelty": True}, {"samples": 2}])
def test_models_without_a_posterior_are_refused(asked, si_model):
    with pytest.raises(GapfitError, match="saved without its posterior"):
        gapfit.torch.torch_model(replace(si_model, posterior=None), **asked)


def test_a_spoilt_posterior_is_told():
    model = fitted(silicon, [TWO_BODY])
    R = np.zeros_like(model.posterior.R)
    spoilt = replace(model, posterior=replace(model.posterior, R=R))
    reason = gapfit.torch.why_without_deviations(spoilt)
    assert reason.startswith("the posterior of this model is singular")
    assert gapfit.torch.why_without_deviations(model) is None
