"""Data added to a fitted model: the same as a fit of all of them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write
from conftest import (
    cluster,
    config,
    label,
    labelled_frames,
    silicon,
    three_species,
    wire,
)
from test_refit import METHODS, SIGMA, assert_same, settings

import gapfit
from gapfit._support.progress import silent
from gapfit.baseline.baseline import targets
from gapfit.cli import main
from gapfit.config.sections import DataConfig, FitConfig
from gapfit.data.dataset import read
from gapfit.data.neighbours import pairs_of
from gapfit.errors import DataError, GapfitError
from gapfit.execution.accumulate import Rows
from gapfit.fitting.extend_sparse import extended
from gapfit.fitting.solve import solved
from gapfit.gp.whitening import whiten
from gapfit.model.observation_groups import groups_of
from gapfit.sparse.novelty import LEAST, novel_points


def later(build, n=3):
    """Frames that are not among the first of `labelled_frames`."""
    return labelled_frames(build, 6 + n)[6:]


def calm(n=4) -> list[Atoms]:
    """Diamond that hardly moves: a few sparse points describe it."""
    frames = []
    for k in range(n):
        atoms = bulk("Si", cubic=True)
        atoms.rattle(0.03, seed=k)
        frames.append(label(atoms, config_type="calm"))
    return frames


def fit_of_all(model, frames):
    """Return the fit of all data with the sparse points and e0 of a model."""
    given = read(frames, model.config.data).frames
    whitening = whiten(
        [t.descriptor.kernel(p, p) for t in model.terms for p in t.sparse.values()],
        model.config.solver.jitter,
    )
    sigma, method = model.config.sigma, model.config.solver.method
    rows = Rows(model.terms, model.e0, sigma, whitening, method)
    prepared = targets(given, model.baseline, sigma, silent)
    groups = groups_of(given, model.config)
    sums = rows.sum_up(prepared, groups, 1000)
    return solved(replace(model, training_sums=sums), prepared, silent)


def forces_rmse(model, frames) -> float:
    return gapfit.evaluate(model, frames)["all"]["forces"]["rmse"]


@pytest.fixture(scope="module")
def frames():
    return labelled_frames(silicon)


@pytest.fixture(scope="module", params=METHODS)
def model(request, frames):
    return gapfit.fit(frames, settings(request.param))


@pytest.fixture(scope="module", params=METHODS)
def narrow(request):
    """A model that knows diamond and nothing else."""
    return gapfit.fit(
        calm(), settings(request.param, n_sparse=12, atom_sigma=0.4, zeta=4)
    )


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
    for key in ("n_frames", "n_atoms", "n_rows", "n_sparse"):
        assert found.info[key] == whole.info[key]


def test_the_model_itself_is_not_changed(frames, model):
    before = model.training_sums.solve().log_marginal_likelihood
    first = gapfit.append(model, later(silicon))
    gapfit.append(first, labelled_frames(wire), new_sparse=3)
    assert model.training_sums.solve().log_marginal_likelihood == before
    assert (
        first.training_sums.solve().log_marginal_likelihood
        == (first.info["log_marginal_likelihood"])
    )
    assert model.info["n_frames"] == len(frames)


def test_additions_one_after_the_other(frames, model):
    new = later(silicon, 4)
    at_once = gapfit.append(model, new)
    one_by_one = gapfit.append(gapfit.append(model, new[:2]), new[2:])
    assert_same(one_by_one, at_once, frames)
    first, second = one_by_one.info["appended"]
    assert (first["n_frames"], second["n_frames"]) == (2, 2)
    assert first["onto"] == model.info["data_digest"]
    digests = {m.info["data_digest"] for m in (model, at_once, one_by_one)}
    assert len(digests) == 3
    left_out = [gapfit.leave_one_out(m, [*frames, *new]) for m in (at_once, one_by_one)]
    for kind, own in left_out[0]["all"].items():
        assert own["rmse"] == pytest.approx(left_out[1]["all"][kind]["rmse"], rel=1e-6)
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
    assert found.info["n_rows"] == {"energy": 9, "forces": 9 * 24, "virial": 0}
    assert_same_energies(found, fit_of_all(model, [*old, *new]), new)
    plain = DataConfig(train=["-"], check_stress=False)
    with pytest.raises(DataError, match="energy_key = 'my_energy'"):
        gapfit.append(model, later(silicon))
    assert (
        gapfit.append(model, later(silicon), data=plain).info["n_rows"]["virial"] == 18
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
    new = [t for t in found.info["warnings"] if t not in model.info["warnings"]]
    assert any("energy_relative = 0.1: heights" in text for text in new)
    (text,) = [text for text in new if "isolated atom" in text]
    assert "-0.500000 eV" in text
    assert "0.000000 eV" in text
    assert found.e0 == model.e0


# New sparse points.


def test_points_are_taken_where_the_new_data_lie_outside(narrow):
    new = read(labelled_frames(cluster), narrow.config.data).frames
    points, (found,) = novel_points(narrow, new, 2, silent)
    assert found.n_points == len(points[0][14]) == 2
    assert (found.term, found.block) == (1, "Si")
    assert found.n_outside == 48
    assert found.largest > 0.01 > found.left > LEAST
    # They are environments of the new data.
    term = narrow.terms[0]
    environments = term.descriptor.environments(pairs_of(new, 4.5))[14].values
    distances = np.abs(environments[:, None] - points[0][14][None]).max(axis=2)
    assert distances.min(axis=0).max() == 0.0
    # With enough of them nothing is left, and no point is superfluous.
    points, (found,) = novel_points(narrow, new, 1000, silent)
    assert 2 < found.n_points < found.n_outside
    assert found.left <= LEAST
    larger = extended(narrow, points)
    assert novel_points(larger, new, 1000, silent) == ({0: {}}, [])


def test_what_is_left_is_the_share_of_the_prior_variance(narrow):
    new = read(labelled_frames(wire, 1), narrow.config.data).frames
    _, (found,) = novel_points(narrow, new, 1, silent)
    (term,) = narrow.terms
    x = term.descriptor.environments(pairs_of(new, 4.5))[14].values
    kernel, points = term.descriptor.kernel, term.sparse[14]
    K = kernel(points, points) + narrow.config.solver.jitter * kernel(x, x)[
        0, 0
    ] * np.eye(len(points))
    k = kernel(x, points)
    left = np.diag(kernel(x, x)) - np.einsum("nm,mn->n", k, np.linalg.solve(K, k.T))
    share = left / np.diag(kernel(x, x))
    assert found.largest == pytest.approx(share.max(), rel=1e-6)
    assert found.n_outside == (share > LEAST).sum()


def test_the_factor_of_more_points_is_that_of_all(narrow):
    new = read(labelled_frames(wire), narrow.config.data).frames
    larger = extended(narrow, novel_points(narrow, new, 6, silent)[0])
    (term,) = larger.terms
    assert len(term.sparse[14]) > 12
    K = term.descriptor.kernel(term.sparse[14], term.sparse[14])
    jitter = narrow.config.solver.jitter * np.mean(np.diag(K))
    (U,) = larger.training_sums.whitening.cholesky
    np.testing.assert_allclose(
        U.T @ U, K + jitter * np.eye(len(K)), rtol=0, atol=1e-12 * K.max()
    )


@pytest.mark.parametrize("method", METHODS)
def test_it_is_the_fit_of_all_where_the_old_points_describe_the_old_data(method):
    # Energies alone, and every environment of theirs is a sparse point: K_nm of the old
    # data and any new point follows from the old points.
    old, new = calm(), labelled_frames(wire)
    given = settings(method, n_sparse=32, atom_sigma=0.4, zeta=4)
    given["data"] |= {"use_forces": False, "use_stress": False}
    given["solver"]["jitter"] = 1e-11
    model = gapfit.fit(old, given)
    found = gapfit.append(model, new, new_sparse=6)
    assert found.n_sparse > model.n_sparse == 32
    expected = fit_of_all(found, [*old, *new])
    for a, b in zip(
        found.predict([*old, *new]), expected.predict([*old, *new]), strict=True
    ):
        np.testing.assert_allclose(a.energies, b.energies, rtol=0, atol=1e-6)
    assert found.info["log_marginal_likelihood"] == pytest.approx(
        expected.info["log_marginal_likelihood"], abs=1e-3
    )


def test_several_blocks_and_terms_keep_their_columns():
    old, new = labelled_frames(three_species, 4), later(three_species, 2)
    for method in METHODS:
        given = settings(method, n_sparse=2, atom_sigma=0.4)
        given["terms"] = [
            {**given["terms"][0], "r_cut": 3.5},
            {"type": "distance_2b", "r_cut": 4.0, "n_sparse": 8},
            {**given["terms"][0]},
        ]
        model = gapfit.fit(old, given)
        sums = extended(model, {0: {}, 2: {}}).training_sums.solve()
        assert sums.log_marginal_likelihood == pytest.approx(
            model.info["log_marginal_likelihood"], rel=1e-9
        )
        points, _ = novel_points(model, read(new, model.config.data).frames, 2, silent)
        larger = extended(model, points)
        added = [sum(map(len, points[n].values())) for n in (0, 2)]
        assert min(added) > 0
        assert larger.n_sparse == model.n_sparse + sum(added)
        # What the sums say is as before: new columns are combinations of old ones.
        before, after = model.training_sums.solve(), larger.training_sums.solve()
        assert after.log_marginal_likelihood == pytest.approx(
            before.log_marginal_likelihood, rel=1e-6
        )
        wide = solved(larger, None, silent)
        for a, b in zip(wide.predict(old), model.predict(old), strict=True):
            np.testing.assert_allclose(a.energies, b.energies, rtol=0, atol=1e-6)


def test_new_points_help_a_far_off_phase_and_do_not_hurt_the_old_data(narrow):
    old, new = calm(), labelled_frames(wire, 8)
    train, test = new[::2], new[1::2]
    plain = gapfit.append(narrow, train)
    larger = gapfit.append(narrow, train, new_sparse=24)
    exact = fit_of_all(larger, [*old, *train])
    assert forces_rmse(larger, test) < 0.65 * forces_rmse(plain, test)
    assert forces_rmse(larger, test) < 1.1 * forces_rmse(exact, test)
    assert forces_rmse(larger, old) < 1.05 * forces_rmse(plain, old)
    (entry,) = larger.info["appended"]
    (found,) = entry["sparse_points"]
    assert found["n_points"] == larger.n_sparse - narrow.n_sparse > 0
    assert any(
        f"{found['n_points']} sparse points for Si" in text
        for text in larger.info["warnings"]
    )
    assert plain.info["appended"][0]["sparse_points"] == []


def test_no_points_where_nothing_is_outside(frames):
    model = gapfit.fit(frames, settings(n_sparse=48))
    copies = [label(atoms.copy(), config_type="copy") for atoms in frames]
    found = gapfit.append(model, copies, new_sparse=10)
    assert found.n_sparse == model.n_sparse
    assert any("no environment of the new data" in t for t in found.info["warnings"])


def test_a_species_that_shall_have_no_points_gets_none():
    train = labelled_frames(three_species, 4)
    full = settings(n_sparse=4, species_n_sparse={"Te": 0})
    model = gapfit.fit(train, full)
    found = gapfit.append(model, later(three_species), new_sparse=3)
    sizes = {b: len(points) for b, points in found.terms[0].sparse.items()}
    assert sizes[52] == 0
    assert min(sizes[32], sizes[51]) > 4


def test_what_new_sparse_cannot_be(frames, model):
    with pytest.raises(GapfitError, match="new_sparse = -1"):
        gapfit.append(model, later(silicon), new_sparse=-1)
    pairs = settings()
    pairs["terms"] = [{"type": "distance_2b", "r_cut": 4.0, "n_sparse": 8}]
    with pytest.raises(GapfitError, match="no SOAP term"):
        gapfit.append(gapfit.fit(frames, pairs), later(silicon), new_sparse=3)


# Projections of the finished model.


def test_projections_keep_what_the_old_data_needed():
    many = {"n_max": 8, "l_max": 6, "n_sparse": 96, "atom_sigma": 1.0}
    old = labelled_frames(lambda: silicon() * (2, 1, 1), 6)
    model = gapfit.fit(old, config(**many))
    rank = model.terms[0].shortcuts[14].shape[1]
    # Hardly anything is needed for one perfect crystal.
    crystal = label(bulk("Si") * (2, 1, 1))
    found = gapfit.append(model, [crystal])
    assert found.terms[0].shortcuts[14].shape[1] >= rank
    assert found.info["shortcuts"][0]["n_atoms"] == len(crystal)
    changes = [
        np.abs(a.energies - b.energies).max()
        for a, b in zip(
            found.predict(old), found.without_shortcuts().predict(old), strict=True
        )
    ]
    assert max(changes) < 1e-5
    none = replace(model, terms=tuple(replace(t, shortcuts={}) for t in model.terms))
    assert not gapfit.append(none, [crystal]).terms[0].shortcuts


# The command.


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("new.extxyz", later(silicon), format="extxyz")
    write("far.extxyz", labelled_frames(wire, 4), format="extxyz")
    gapfit.fit(calm(6), settings(n_sparse=12, atom_sigma=0.4, zeta=4)).save("model.npz")
    return tmp_path


def test_the_command(here, capsys):
    before = gapfit.load("model.npz")
    argv = ["append", "model.npz", "new.extxyz", "far.extxyz", "--output", "out.npz"]
    assert main(argv) == 0
    text = capsys.readouterr().out
    model = gapfit.load("out.npz")
    assert model.info["n_frames"] == 13
    for number in (before, model):
        assert f"{number.info['log_marginal_likelihood']:.6g}" in text
    rows = "\n".join(" ".join(line.split()) for line in text.splitlines())
    assert "frames 6 13" in rows
    assert f"sparse points {before.n_sparse} {before.n_sparse}" in rows
    # Onto itself, with points, as JSON.
    argv = ["append", "model.npz", "far.extxyz", "--output", "model.npz"]
    assert main([*argv, "--new-sparse", "5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    n_points = found["appended"]["sparse_points"][0]["n_points"]
    assert found["n_sparse"]["after"] == found["n_sparse"]["before"] + n_points
    assert gapfit.load("model.npz").n_sparse == found["n_sparse"]["after"]
    assert 0 < n_points <= 5
    assert main(["info", "model.npz"]) == 0


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["model.npz", "none.extxyz"], "no such file: none.extxyz"),
        (["none.npz", "new.extxyz"], "none.npz: there is no such model file"),
        (["model.npz", "new.extxyz", "--energy-key", "E"], "--energy-key = 'E'"),
        (["model.npz", "new.extxyz", "--new-sparse", "-2"], "new_sparse = -2"),
        (["model.npz", "new.extxyz", "--output", "no/out.npz"], "no folder no"),
        (["model.npz", "new.extxyz", "--output", "."], "is a folder"),
        (["model.npz", "new.extxyz", "--output", "new.extxyz"], "is an input"),
    ],
)
def test_messages_of_the_command(here, capsys, argv, message):
    assert main(["append", "--output", "out.npz", *argv]) == 1
    text = capsys.readouterr().err
    assert text.startswith("gapfit: error: ")
    assert message in text
    assert not (here / "out.npz").exists()
    assert "Properties=" in (here / "new.extxyz").read_text()


def test_a_model_without_sums_is_refused_before_the_data_are_read(here, frames, capsys):
    lost = FitConfig.model_validate(settings() | {"run": {"store_sums": False}})
    gapfit.fit(frames, lost).save("lost.npz")
    argv = ["append", "lost.npz", "none.extxyz", "--output", "out.npz"]
    assert main(argv) == 1
    assert "lost.npz: the model holds no sums" in capsys.readouterr().err
