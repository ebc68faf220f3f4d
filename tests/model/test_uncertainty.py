"""Standard deviations of predictions: what is returned, refused, and added as noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from builders import slab
from helpers.error_bars import SIGMA, molecule, salt

from gapfit.data.frame import structure_arrays
from gapfit.data.neighbours import pairs_of
from gapfit.errors import GapfitError
from gapfit.model.prediction import PredictionRequest, std_kinds
from gapfit.model.row_variances import atom_variances, row_variances
from gapfit.model.uncertainty import StandardDeviations
from gapfit.testing import ROUNDING, SAME_POSTERIOR


def test_forms_of_several_structures_are_those_of_each(one_model):
    """Batches of structures of different size keep their order."""
    some = [salt(5), molecule(4), slab_of_two(), salt(6)]
    together = one_model.predict(some, std=True, novelty=True, form="dtc")
    for atoms, found in zip(some, together, strict=True):
        alone = one_model.predict(atoms, std=True, novelty=True, form="dtc")
        for name in ("energy_std", "energies_std", "forces_std", "novelty"):
            SAME_POSTERIOR.check(getattr(found, name), getattr(alone, name))
        if atoms.cell.rank == 3:
            SAME_POSTERIOR.check(found.stress_std, alone.stress_std)
        else:
            assert found.stress_std is None


def test_more_atoms_than_are_predicted_together(one_model):
    """Three batches: the first and the last of one structure, the second of two."""
    large = [salt(5) * (5, 5, 4), salt(6) * (4, 4, 4), molecule(4), salt(7) * (4, 4, 4)]
    together = one_model.predict(large, std=True, novelty=True)
    for atoms, found in zip(large, together, strict=True):
        alone = one_model.predict(atoms, std=True, novelty=True)
        ROUNDING.check(found.energy, alone.energy)
        for name in ("forces", "energy_std", "energies_std", "forces_std", "novelty"):
            SAME_POSTERIOR.check(getattr(found, name), getattr(alone, name))


@pytest.mark.parametrize("form", ["sor", "dtc"])
def test_rows_of_one_structure_at_a_time_change_nothing(one_model, form):
    frames = [structure_arrays(atoms) for atoms in (salt(5), molecule(4), salt(6))]
    pairs, none = pairs_of(frames, one_model.cutoff), np.zeros(0)
    request = PredictionRequest(
        forces=False,
        stress=False,
        atom_virials=False,
        std=std_kinds(("energy", "forces", "stress")),
        novelty=False,
        observation=False,
        calibrated=False,
        form=form,
    )
    parts = (one_model.terms, one_model.posterior, one_model.config.sigma, None)
    whole = StandardDeviations(*parts).of(frames, pairs, request, none, none)
    pieces = StandardDeviations(*parts, row_bytes=1.0)
    for a, b in zip(whole, pieces.of(frames, pairs, request, none, none), strict=True):
        assert a.keys() == b.keys()
        for name, value in a.items():
            SAME_POSTERIOR.check(b[name], value)


@pytest.mark.parametrize("form", ["sor", "dtc"])
def test_seven_rows_at_a_time_change_nothing(one_model, form):
    frames = [structure_arrays(atoms) for atoms in (salt(5), molecule(4))]
    whole, pieces = (
        row_variances(
            one_model.terms,
            one_model.posterior,
            pairs_of(frames, one_model.cutoff),
            gradients=True,
            form=form,
            **chunk,
        )
        for chunk in ({}, {"chunk_rows": 7})
    )
    for name, value in vars(whole).items():
        SAME_POSTERIOR.check(getattr(pieces, name), value)


def test_pairs_of_one_atom_at_a_time_change_nothing(one_model):
    pairs = pairs_of([structure_arrays(salt(5))], one_model.cutoff)
    whole, pieces = (
        atom_variances(one_model.terms, one_model.posterior, pairs, **chunk)
        for chunk in ({}, {"chunk_pairs": 1})
    )
    for name, value in vars(whole).items():
        SAME_POSTERIOR.check(getattr(pieces, name), value)


def slab_of_two() -> Atoms:
    atoms = slab()
    atoms.numbers[::2] = 32
    return atoms


@pytest.mark.parametrize("config_type", ["even", "odd"])
def test_observations_have_the_noise_of_the_fit(one_model, config_type):
    atoms = salt(31)
    own = SIGMA | SIGMA["config_types"].get(config_type, {})
    frame = replace(structure_arrays(atoms), config_type=config_type)
    bare = one_model.predict(frame, std=True, observation=False)
    noisy = one_model.predict(frame, std=True)
    root, volume = np.sqrt(len(atoms)), atoms.get_volume()
    for name, sigma in (
        ("energy_std", own["energy"] * root),
        ("forces_std", own["forces"]),
        ("stress_std", own["virial"] * root / volume),
    ):
        expected = np.sqrt(np.square(getattr(bare, name)) + sigma**2)
        ROUNDING.check(getattr(noisy, name), expected)
    # No reference calculation gives energies of atoms.
    np.testing.assert_array_equal(noisy.energies_std, bare.energies_std)


def test_sigmas_of_a_frame_are_those_of_its_observations(one_model):
    atoms = salt(31)
    frame = replace(
        structure_arrays(atoms),
        energy_sigma=0.5,
        force_sigma=np.linspace(0.1, 0.8, 8),
        virial_sigma=2.0,
    )
    bare = one_model.predict(atoms, std=True, observation=False)
    noisy = one_model.predict(frame, std=True)
    added = np.sqrt(noisy.forces_std**2 - bare.forces_std**2)
    SAME_POSTERIOR.check(added, np.tile(frame.force_sigma, (3, 1)).T)
    of_energy = np.sqrt(noisy.energy_std**2 - bare.energy_std**2)
    SAME_POSTERIOR.check(of_energy, 0.5 * np.sqrt(8))


def test_only_what_is_asked_is_returned(one_model):
    atoms = salt(1)
    every = one_model.predict(atoms, std=True)
    names = {f"{kind}_std": kind for kind in ("energy", "energies", "forces", "stress")}
    for name, kind in names.items():
        for asked in (kind, (kind,)):
            found = one_model.predict(atoms, std=asked, forces=False, stress=False)
            ROUNDING.check(getattr(found, name), getattr(every, name))
            assert all(getattr(found, other) is None for other in {*names} - {name})
            assert found.forces is None
            assert found.stress is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"std": "force"}, "std = 'force': there is no such standard deviation"),
        ({"std": ("energy", "novelty")}, "std = 'novelty'"),
        ({"std": True, "form": "DTC"}, "form = 'DTC'.*sor, dtc"),
    ],
)
def test_unknown_standard_deviations_are_refused(one_model, given, message):
    with pytest.raises(GapfitError, match=message):
        one_model.predict(salt(1), **given)


@pytest.mark.parametrize("asked", [{"std": "forces"}, {"novelty": True}])
def test_a_model_without_posterior_says_so(one_model, asked):
    bare = replace(one_model, posterior=None)
    with pytest.raises(GapfitError, match="store_posterior = true"):
        bare.predict(salt(1), **asked)
    with pytest.raises(GapfitError, match="store_posterior = true"):
        bare.sample(2)
