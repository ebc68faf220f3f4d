"""Figures in matplotlib show the numbers of evaluations, and are those of the report."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from builders import config, labelled_frames, silicon

import gapfit
from gapfit import plot
from gapfit.errors import GapfitError


@pytest.fixture(scope="module")
def frames():
    return labelled_frames(silicon, 40)


def test_parity_has_each_value_once(si_model, frames):
    test = frames[:6]
    figure = plot.parity(si_model, test=test)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert [title.split(": ")[1] for title in titles] == ["energy", "forces", "stress"]
    # The first line is the diagonal.
    drawn = np.concatenate([line.get_xydata() for line in figure.axes[1].lines[1:]])
    reference = np.concatenate([atoms.get_forces().ravel() for atoms in test])
    predicted = np.concatenate([si_model.predict(a).forces.ravel() for a in test])
    expected = np.column_stack([reference, predicted])
    assert drawn.shape == expected.shape
    np.testing.assert_allclose(
        drawn[np.lexsort(drawn.T)], expected[np.lexsort(expected.T)], atol=1e-6
    )


def test_a_row_for_each_data_set(si_model, frames):
    figure = plot.parity(si_model, test=frames[:3], train=frames)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert sum(title.startswith("Test data") for title in titles) == 3
    assert sum(title.startswith("Training data") for title in titles) == 3


def test_the_learning_curve_ends_at_the_errors_of_the_model(frames):
    test = frames[:5]
    model = gapfit.fit(frames, config())
    figure = plot.learning_curve(model, frames, test)
    errors = gapfit.evaluate(model, test, uncertainty=False)["all"]
    for axes, quantity in zip(figure.axes, ("energy", "forces", "stress"), strict=True):
        x, y = axes.lines[0].get_data()
        assert x[-1] == len(frames)
        assert y[-1] == pytest.approx(errors[quantity]["rmse"])
    with pytest.raises(GapfitError, match="not the training data"):
        plot.learning_curve(model, frames[:-1])


def test_the_diagram_shows_the_shares_of_the_evaluation(si_model, frames):
    test = frames[:6]
    figure = plot.uncertainty(si_model, test)
    scores = gapfit.evaluate(si_model, test)["all"]
    for axes, quantity in zip(
        figure.axes, ("energy", "forces", "stress"), strict=False
    ):
        shares = axes.lines[1].get_ydata()
        np.testing.assert_allclose(shares, scores[quantity]["uncertainty"]["diagram"])
    with pytest.raises(GapfitError, match="without its posterior"):
        plot.uncertainty(replace(si_model, posterior=None), test)


def test_histograms_have_a_panel_for_each_quantity(si_model, frames):
    titles = [
        axes.get_title(loc="left")
        for axes in plot.errors(si_model, test=frames[:6]).axes
    ]
    assert len(titles) == 3


def test_dimers_are_those_of_predictions(si_model, frames):
    figure = plot.dimers(si_model, frames)
    curve = max(figure.axes[0].lines, key=lambda line: len(line.get_xdata()))
    x, y = (np.asarray(values, dtype=float) for values in curve.get_data())
    atoms = silicon()[:2]
    atoms.set_pbc(False)
    for k in (len(x) // 3, 2 * len(x) // 3):
        atoms.positions[:] = [[0, 0, 0], [x[k], 0, 0]]
        energy = si_model.predict(atoms).energy - 2 * si_model.predict(atoms[:1]).energy
        assert y[k] == pytest.approx(energy, abs=1e-9)


def test_figures_can_be_written(si_model, frames, tmp_path):
    figure = plot.parity(si_model, test=frames[:2])
    for suffix in ("pdf", "svg", "png"):
        figure.savefig(tmp_path / f"parity.{suffix}")
        assert (tmp_path / f"parity.{suffix}").stat().st_size > 1000


def test_nothing_to_draw_is_said(si_model, frames):
    with pytest.raises(GapfitError, match="no data to draw"):
        plot.parity(si_model)
    unlabelled = [atoms.copy() for atoms in frames[:2]]
    with pytest.raises(GapfitError):
        plot.parity(si_model, test=unlabelled)


def test_notebooks_show_a_figure_and_it_can_be_pickled(si_model, frames):
    figure = plot.parity(si_model, test=frames[:3])
    assert figure._repr_png_().startswith(b"\x89PNG")
    again = pickle.loads(pickle.dumps(figure))
    assert [a.get_title(loc="left") for a in again.axes] == [
        a.get_title(loc="left") for a in figure.axes
    ]
