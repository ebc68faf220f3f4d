"""Learning curves, against fits of subsets."""

from __future__ import annotations

import numpy as np
import pytest
from builders import config, labelled_frames, silicon

import gapfit
from gapfit.data.dataset import Dataset, read
from gapfit.evaluation.evaluate import evaluate
from gapfit.report import learning_curve
from gapfit.report.learning import subset_models
from gapfit.testing import REFIT


@pytest.mark.parametrize("method", ["cholesky", "qr"])
@pytest.mark.parametrize("stored", [True, False])
def test_a_subset_is_solved_as_a_fit_of_it(method, stored, tmp_path):
    frames = labelled_frames(silicon, 10)
    listed, pairs = tmp_path / "points.txt", tmp_path / "pairs.txt"
    listed.write_text("".join(f"{n} {k}\n" for n in range(3) for k in range(0, 8, 2)))
    pairs.write_text("".join(f"Si-Si {d}\n" for d in (2.1, 2.4, 2.9, 3.5)))
    given = config(sparse_method="file", sparse_file=str(listed))
    del given["terms"][0]["n_sparse"]
    two = {"type": "distance_2b", "r_cut": 4.0, "sparse_method": "file"}
    given["terms"].append({**two, "sparse_file": str(pairs)})
    given |= {"e0": {"Si": -1.0}, "solver": {"method": method}}
    given["run"] = {"store_posterior": stored, "store_sums": stored}
    given["sigma"] = {"config_types": {"odd": {"forces": 0.2}}, "forces_relative": 0.1}
    whole = gapfit.fit(frames, given)
    train = read(frames, whole.config.data).frames
    parts = [np.arange(3), np.array([4, 3]), np.arange(5, 8)]
    models = subset_models(whole, train, parts)
    for n, found in zip((3, 5, 8), models, strict=True):
        direct = gapfit.fit(frames[:n], given)
        for own, other in zip(
            found.predict(frames), direct.predict(frames), strict=True
        ):
            assert own.energy == pytest.approx(other.energy, rel=1e-8)
            assert np.abs(own.forces - other.forces).max() < 1e-8
    # Not one and the same potential three times.
    assert (
        abs(models[0].predict(frames[9]).energy - models[2].predict(frames[9]).energy)
        > 1e-4
    )


def test_the_curve_ends_at_the_model_itself(si_model):
    train = read(labelled_frames(silicon, 40), si_model.config.data).frames
    test = read(labelled_frames(silicon, 3), si_model.config.data).frames
    curve = learning_curve(si_model, train, test)
    assert curve.n_frames == (5, 10, 20, 40)
    assert (curve.judged, curve.n_judged) == ("test", 3)
    errors = evaluate(si_model, Dataset(test), uncertainty=False)["all"]
    assert curve.rmse[-1] == {kind: own["rmse"] for kind, own in errors.items()}
    assert curve.mae[-1] == {kind: own["mae"] for kind, own in errors.items()}
    assert learning_curve(si_model, train, test) == curve


def test_without_test_data_what_is_left_out_is_predicted():
    frames = labelled_frames(silicon, 16)
    for n, atoms in enumerate(frames):
        atoms.info["config_type"] = f"{n}"
    model = gapfit.fit(frames, config())
    train = read(frames, model.config.data).frames
    curve = learning_curve(model, train)
    assert curve.n_frames == (4, 8, 16)
    assert (curve.judged, curve.n_judged) == ("left out", 8)
    # Each of all structures left out: the judged ones are eight of these.
    each = gapfit.leave_one_out(model, frames)
    squares = {n: each[f"{n}"]["energy"]["rmse"] ** 2 for n in range(16)}
    order = np.random.default_rng([model.config.run.seed, 8]).permutation(16)
    expected = np.sqrt(np.mean([squares[int(n)] for n in order[8:]]))
    REFIT.check(curve.rmse[-1]["energy"], expected)
    assert learning_curve(model, train[:5]) is None
