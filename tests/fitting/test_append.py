"""Data added to a fitted model: the same as a fit of all of them."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from builders import (
    label,
    labelled_frames,
    silicon,
    three_species,
    wire,
)
from helpers.appended import calm, fit_of_all, later
from helpers.refits import METHODS, SIGMA, assert_same, settings

import gapfit
from gapfit.config.sections import DataConfig
from gapfit.errors import DataError, GapfitError
from gapfit.testing import REFIT


@pytest.mark.parametrize("method", METHODS)
def test_it_is_the_fit_of_all_data(method):
    old, new = labelled_frames(three_species, 4), later(three_species)
    new[0].info["energy_sigma"] = 0.003
    given = settings(method, {**SIGMA, "config_types": {"odd": {"energy": 0.02}}})
    given["baseline"] = {"repulsion": "zbl"}
    given["terms"] = [
        {"type": "distance_2b", "r_cut": 4.0, "n_sparse": 8},
        {**given["terms"][0], "n_sparse": 12},
    ]
    given["sigma"]["forces_relative"] = 0.1
    model = gapfit.fit(old, given)
    found = gapfit.append(model, new)
    assert_same(found, fit_of_all(model, [*old, *new]), [*old, *new])
    changes = [
        np.abs(a.forces - b.forces).max()
        for a, b in zip(found.predict(new), model.predict(new), strict=True)
    ]
    assert max(changes) > 1e-3


@pytest.mark.parametrize("method", METHODS)
def test_it_is_what_gapfit_fit_gives(method, frames, tmp_path):
    new, listed = later(silicon), tmp_path / "points.txt"
    listed.write_text("".join(f"{n} {k}\n" for n in range(6) for k in range(0, 8, 2)))
    given = settings(method, sparse_method="file", sparse_file=str(listed))
    given["e0"] = {"Si": -1.0}
    found = gapfit.append(gapfit.fit(frames, given), new)
    whole = gapfit.fit([*frames, *new], given)
    assert found.n_sparse == 24
    assert_same(found, whole, [*frames, *new])
    for key in ("n_frames", "n_atoms", "n_rows", "n_sparse", "pairs"):
        assert getattr(found.record, key) == getattr(whole.record, key)


def test_the_model_itself_is_not_changed(frames, model):
    before = model.training_sums.solve().log_marginal_likelihood
    first = gapfit.append(model, later(silicon))
    gapfit.append(first, labelled_frames(wire), new_sparse=3)
    assert model.training_sums.solve().log_marginal_likelihood == before
    assert first.training_sums.solve().log_marginal_likelihood == (
        first.record.log_marginal_likelihood
    )
    assert model.record.n_frames == len(frames)


def test_additions_one_after_the_other(frames, model):
    new = later(silicon, 4)
    at_once = gapfit.append(model, new)
    one_by_one = gapfit.append(gapfit.append(model, new[:2]), new[2:])
    assert_same(one_by_one, at_once, frames)
    first, second = one_by_one.record.appended
    assert (first.n_frames, second.n_frames) == (2, 2)
    assert first.onto == model.record.data_digest
    digests = {m.record.data_digest for m in (model, at_once, one_by_one)}
    assert len(digests) == 3
    left_out = [gapfit.leave_one_out(m, [*frames, *new]) for m in (at_once, one_by_one)]
    for kind, own in left_out[0]["all"].items():
        REFIT.check(own["rmse"], left_out[1]["all"][kind]["rmse"])
    with pytest.raises(GapfitError, match="not those that the model was fitted to"):
        gapfit.leave_one_out(at_once, frames)


def test_nothing_is_left_out_where_sparse_points_were_appended(narrow):
    found = gapfit.append(narrow, labelled_frames(wire), new_sparse=4)
    with pytest.raises(GapfitError, match="sparse points were appended"):
        gapfit.leave_one_out(found, [*calm(), *labelled_frames(wire)])


def test_sums_go_through_the_file(frames, narrow, tmp_path):
    path, new = tmp_path / "model.npz", calm(6)[4:]
    narrow.save(path)
    gapfit.append(path, new).save(path)
    stored = gapfit.load(path, training_sums=True)
    assert_same(stored, gapfit.append(narrow, new), frames)
    found = gapfit.append(stored, labelled_frames(wire), new_sparse=4)
    found.save(path)
    again = gapfit.load(path, training_sums=True)
    assert again.n_sparse == found.n_sparse > stored.n_sparse
    assert_same(again, found, frames, atol=1e-12)


def test_new_sigmas_after_an_addition(frames, model):
    new = later(silicon)
    changed = gapfit.refit(model, sigma={"forces": 0.3}, frames=frames)
    one = gapfit.append(changed, new)
    other = gapfit.refit(
        gapfit.append(model, new), sigma={"forces": 0.3}, frames=frames
    )
    assert_same(one, other, frames)


def test_the_same_data_twice_are_refused(frames, model):
    new = later(silicon)
    found = gapfit.append(model, new)
    for twice in (frames, new):
        with pytest.raises(GapfitError, match=r"these \d frames already.*count twice"):
            gapfit.append(found, twice)
    gapfit.append(found, new[:2])


def test_species_that_the_model_does_not_know_are_refused_at_once(model):
    mixed = label(Atoms("SiGeC", np.eye(3) * 2.4, cell=[9, 9, 9], pbc=True))
    with pytest.raises(DataError, match=r"contain C, Ge, which.*\(frames? 0 and 1\)"):
        gapfit.append(model, [mixed, mixed])


def test_labels_are_looked_for_as_in_the_fit(frames):
    def renamed(atoms):
        out = atoms.copy()
        out.info["my_energy"] = atoms.get_potential_energy()
        out.arrays["my_forces"] = atoms.get_forces()
        out.info["energy"] = 0.0
        return out

    old, new = ([renamed(a) for a in some] for some in (frames, later(silicon)))
    given = settings()
    given["data"] |= {"energy_key": "my_energy", "forces_key": "my_forces"}
    model = gapfit.fit(old, given)
    found = gapfit.append(model, new)
    assert found.record.n_rows == {"energy": 9, "forces": 9 * 24, "virial": 0}
    assert_same_energies(found, fit_of_all(model, [*old, *new]), new)
    plain = DataConfig(train=["-"], check_labels=False)
    with pytest.raises(DataError, match="energy_key = 'my_energy'"):
        gapfit.append(model, later(silicon))
    assert (
        gapfit.append(model, later(silicon), data=plain).record.n_rows["virial"] == 18
    )


def assert_same_energies(found, expected, frames):
    for a, b in zip(found.predict(frames), expected.predict(frames), strict=True):
        np.testing.assert_allclose(a.energies, b.energies, rtol=0, atol=1e-6)


def test_what_is_approximate_is_said(frames):
    given = settings(sigmas={**SIGMA, "energy_relative": 0.1})
    given["e0"] = {"Si": 0.0}
    model = gapfit.fit(frames, given)
    lone = Atoms("Si", cell=[20, 20, 20], pbc=True)
    lone.info["energy"] = -0.5
    found = gapfit.append(model, [*later(silicon), lone])
    new = [t for t in found.record.warnings if t not in model.record.warnings]
    assert any("energy_relative = 0.1: heights" in text for text in new)
    (text,) = [text for text in new if "isolated atom" in text]
    assert "-0.500000 eV" in text
    assert "0.000000 eV" in text
    assert found.e0 == model.e0
