"""Which points are kept of many."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.reports import marks_of, read_page

from gapfit.data.frame import Frame
from gapfit.model.prediction import Prediction
from gapfit.report import collector, write
from gapfit.report.points import BIN_EDGES, Collector


def made_up(n_frames, n_atoms, seed=3):
    """Yield structures with random forces and predictions of them."""
    rng = np.random.default_rng(seed)
    for n in range(n_frames):
        frame = Frame(
            numbers=np.full(n_atoms, 14),
            positions=5.0 * np.arange(3.0 * n_atoms).reshape(-1, 3),
            cell=np.zeros((3, 3)),
            pbc=np.zeros(3, dtype=bool),
            config_type=f"kind {n % 30}",
            source=f"big.xyz, frame {n}",
            energy=float(rng.normal()),
            forces=rng.normal(size=(n_atoms, 3)),
        )
        predicted = Prediction(
            energy=frame.energy + 0.01 * rng.normal(),
            energies=np.zeros(n_atoms),
            forces=frame.forces + 0.1 * rng.standard_t(3, size=(n_atoms, 3)),
        )
        yield n, frame, predicted


def test_a_bounded_number_of_errors_is_kept_with_the_largest():
    kept = Collector({14: 0.0}, 3.0, most=100, seed=0)
    every = []
    for n, frame, prediction in made_up(300, 20):
        kept.predicted(n, frame, prediction)
        held = sum(len(part) for part in kept._points["forces"])
        assert held <= 800 + 60
        every.append(np.abs(prediction.forces - frame.forces).ravel())
    sizes = np.concatenate(every)
    points = kept.points["forces"]
    assert len(points) <= 100
    assert points.n_total == len(sizes) == 18_000
    found = np.sort(np.abs(points.predicted - points.reference))
    assert found[-10:] == pytest.approx(np.sort(sizes)[-10:])
    # Others are like all: a sample of the largest alone would have a larger median.
    assert np.median(found[:-10]) == pytest.approx(np.median(sizes), rel=0.4)
    counts, _ = np.histogram(np.log10(sizes), BIN_EDGES)
    assert (kept.histograms["forces"] == counts).all()
    assert np.unique(points.frame).size > 50


def test_what_is_kept_does_not_hang_on_when_it_was_thinned_out():
    both = [Collector({14: 0.0}, 3.0, most=40, seed=1) for _ in range(2)]
    for n, frame, prediction in made_up(60, 10):
        for k, own in enumerate(both):
            own.predicted(n, frame, prediction)
            if k:
                own._thin_out("forces")
    first, second = (own.points["forces"] for own in both)
    order = [np.lexsort((own.index, own.frame)) for own in (first, second)]
    for name in ("frame", "index", "predicted"):
        one, other = getattr(first, name)[order[0]], getattr(second, name)[order[1]]
        assert (one == other).all()


def test_masked_forces_and_dimers_are_told_apart():
    kept = Collector({14: -1.0, 32: -2.0}, 5.0, most=100, seed=0)
    frame = Frame(
        numbers=np.array([32, 14]),
        positions=np.array([[0.0, 0, 0], [0, 0, 2.5]]),
        cell=np.zeros((3, 3)),
        pbc=np.zeros(3, dtype=bool),
        energy=-5.0,
        forces=np.array([[np.nan] * 3, [0.0, 0, 1]]),
    )
    known = Prediction(energy=-4.0, energies=np.zeros(2), forces=np.ones((2, 3)))
    kept.predicted(7, frame, known)
    assert kept.points["forces"].index.tolist() == [3, 4, 5]
    (dimer,) = kept.dimers
    assert (dimer.species, dimer.frame) == ((14, 32), 7)
    assert (dimer.distance, dimer.energy) == (2.5, -2.0)
    silicon, mixed, germanium = kept.pairs.pairs
    assert (mixed.species, mixed.closest, mixed.n_dimers) == ((14, 32), 2.5, 1)
    assert silicon.closest is germanium.closest is None
    assert kept.points["energy"].reference[0] == pytest.approx(-1.0)
    assert kept.points["energy"].predicted[0] == pytest.approx(-0.5)


def test_many_points_make_a_page_of_a_few_megabytes(si_model, tmp_path):
    from gapfit.report import EvaluatedData, of_fit
    from gapfit.report.collect import MOST_POINTS

    frames, kept = [], collector(si_model)
    for n, frame, prediction in made_up(2000, 40):
        kept.predicted(n, frame, prediction)
        frames.append(frame)
    errors = {"n": 240_000, "mae": 0.1, "rmse": 0.1, "max": 1.0}
    metrics = {
        "all": {
            "energy": errors | {"unit": "meV/atom"},
            "forces": errors | {"unit": "eV/Å"},
        }
    }
    parts = {
        name: EvaluatedData(("big.xyz",), metrics, frames, kept)
        for name in ("test", "train")
    }
    times = {"timings": {"rows": 1.0}, "memory": {}}
    contents = of_fit("big", si_model, tmp_path, parts, times, [])
    page, *_ = write(contents, tmp_path / "big.html")
    assert page.stat().st_size < 4e6
    for own in marks_of(page)["parity"]:
        assert len(own["x"]) <= MOST_POINTS
    text = read_page(page).text
    assert "240000, 1500 shown" in text
    # 30 kinds do not have an entry of the legend each.
    assert "7 other config_types" in text
