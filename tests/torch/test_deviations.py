"""Standard deviations of the energies of atoms in torch: those of the core."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from builders import (
    SOAP,
    STRUCTURES,
    TWO_BODY,
    config,
    labelled_frames,
    silicon,
    three_species,
)
from helpers.torch_runs import arguments, import_or_skip

import gapfit
from gapfit.errors import GapfitError

torch = import_or_skip("torch")
DENSITY = {"type": "eam_density", "r_cut": 4.2, "n_sparse": 8, "form": "cosine"}


def assert_same(model: gapfit.GAPModel, structures: list[Atoms]) -> None:
    potential = gapfit.torch.torch_model(model, std=True)
    found = potential(*arguments(structures, model.cutoff), std=True)["energies_std"]
    wanted = [one.energies_std for one in model.predict(structures, std="energies")]
    np.testing.assert_allclose(found, np.concatenate(wanted), rtol=1e-6, atol=1e-9)


def assert_same_samples(model: gapfit.GAPModel, structures: list[Atoms]) -> None:
    positions, cells, numbers, system, pairs, shifts = arguments(
        structures, model.cutoff
    )
    potential = gapfit.torch.torch_model(model, samples=3, seed=5)
    R = potential.vectors(positions, cells, system, pairs, shifts)
    found = potential.sampled_energies(R, pairs, numbers).numpy()
    for n, sample in enumerate(model.sample(3, 5)):
        wanted = [one.energies for one in sample.predict(structures)]
        np.testing.assert_allclose(found[:, n], np.concatenate(wanted), atol=1e-7)


@pytest.mark.parametrize("name", ["si_model", "si_full"])
def test_silicon_equals_the_core(name, request):
    names = ("silicon", "sheared", "slab", "wire", "cluster", "one_atom")
    structures = [STRUCTURES[structure]() for structure in names]
    assert_same(request.getfixturevalue(name), structures)
    assert_same_samples(request.getfixturevalue(name), structures)


@pytest.mark.parametrize(
    "terms",
    [
        [{**TWO_BODY, "species_n_sparse": {"Ge-Te": 3}}, SOAP],
        [{**SOAP, "components": 20}, {**TWO_BODY, "switch": "cosine"}],
        [{**SOAP, "zeta": 2, "centres": ["Te", "Ge"], "n_max": 2, "l_max": 2}],
        [{**SOAP, "zeta": 2.5, "channels": 4}, TWO_BODY, TWO_BODY],
        [DENSITY, SOAP, TWO_BODY],
    ],
    ids=[
        "pairs before",
        "projected, pairs behind",
        "two centres",
        "channels",
        "density",
    ],
)
def test_three_species_equal_the_core(terms):
    settings = {**config(), "terms": terms, "e0": {"Ge": -1, "Sb": -2, "Te": -3}}
    model = gapfit.fit(labelled_frames(three_species), settings)
    structures = [three_species() * (2, 1, 1), three_species()]
    assert_same(model, structures)
    assert_same_samples(model, structures)


def test_they_are_left_out_unless_asked_for(si_model):
    given = arguments([silicon()], si_model.cutoff)
    potential = gapfit.torch.torch_model(si_model)
    assert "energies_std" not in potential(*given)
    with pytest.raises(ValueError, match="made without standard deviations"):
        potential(*given, std=True)
    R = torch.zeros(0, 3, dtype=torch.float64)
    with pytest.raises(ValueError, match="made without samples"):
        potential.sampled_energies(R, given[4][:, :0], given[2])


def test_models_without_them_are_refused(gst_full, si_model):
    with pytest.raises(GapfitError, match=r'a term with type = "angle_3b"'):
        gapfit.torch.torch_model(gst_full, std=True)
    with pytest.raises(GapfitError, match="they need one SOAP term"):
        gapfit.torch.torch_model(si_model.without_terms(), std=True)
