"""Figures of a potential for notebooks and papers: those of the report, in matplotlib.

Each function returns a ``matplotlib.figure.Figure``. Notebooks show it; its ``axes`` can be
changed, and ``savefig("parity.pdf")`` writes it in any format of matplotlib.
"""

from __future__ import annotations

import io
from functools import partial
from typing import TYPE_CHECKING, Any

from gapfit.data.dataset import Dataset, as_dataset
from gapfit.errors import GapfitError
from gapfit.evaluation.evaluate import evaluate
from gapfit.model.gap_model import GAPModel
from gapfit.model.provenance import why_no_posterior
from gapfit.report.collect import collector
from gapfit.report.contents import TITLES, Contents, EvaluatedData
from gapfit.report.curves import dimer_figure, learning_figure
from gapfit.report.dimers import dimer_panels
from gapfit.report.drawing import Drawing, style
from gapfit.report.learning import learning_curve as errors_of_subsets
from gapfit.report.parity import calibration_figure, histogram_figure, parity_figure
from gapfit.report.writer import palette_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["dimers", "errors", "learning_curve", "parity", "uncertainty"]

#: Dots per inch in a notebook.
_DPI = 96


def parity(model: GAPModel, *, test: Any = None, train: Any = None) -> Figure:
    """Draw predicted against reference values: energies, forces and stresses.

    Parameters
    ----------
    model : GAPModel
        The potential.
    test, train : list of ase.Atoms, Dataset, path or list of paths, optional
        Labelled structures, a row of the figure for each; at least one of them.

    Raises
    ------
    GapfitError
        There are no data, or none with labels.
    DataError
        See `gapfit.evaluate`.
    """
    contents = _contents(model, test, train, scores=False)
    with style():
        return _figure(parity_figure(contents, palette_of(contents)))


def errors(model: GAPModel, *, test: Any = None, train: Any = None) -> Figure:
    """Draw histograms of errors; arguments and exceptions as for `parity`."""
    contents = _contents(model, test, train, scores=False)
    with style():
        return _figure(histogram_figure(contents))


def uncertainty(model: GAPModel, test: Any) -> Figure:
    """Draw how often errors are inside intervals, and errors against error bars.

    Parameters
    ----------
    model : GAPModel
        With its posterior.
    test : list of ase.Atoms, Dataset, path or list of paths
        Labelled structures that were not fitted.

    Raises
    ------
    GapfitError
        The model has no posterior, or the data no labels.
    DataError
        See `gapfit.evaluate`.
    """
    if model.posterior is None:
        raise GapfitError(f"uncertainty: {why_no_posterior(model)}")
    contents = _contents(model, test, None, scores=True)
    with style():
        return _figure(calibration_figure(contents, palette_of(contents)))


def learning_curve(model: GAPModel, train: Any, test: Any = None) -> Figure:
    """Draw errors against the number of training structures.

    Parameters
    ----------
    model : GAPModel
        The fit to all training data.
    train : list of ase.Atoms, Dataset, path or list of paths
        Its training data, exactly.
    test : list of ase.Atoms, Dataset, path or list of paths, optional
        Structures for the errors; by default training structures that are left out.

    Raises
    ------
    GapfitError
        The data are not those of the fit, or too few for two points.
    DataError
        See `gapfit.evaluate`.
    """
    fitted = as_dataset(train, model.config).frames
    if not model.record.was_fitted_to(fitted):
        raise GapfitError(
            "learning_curve: these are not the training data of the model; give all of "
            "them, in the order of the fit"
        )
    judged = None if test is None else as_dataset(test, model.config).frames
    curve = errors_of_subsets(model, fitted, judged)
    if curve is None:
        raise GapfitError(
            f"learning_curve: {len(fitted)} structures are too few for two points"
        )
    with style():
        return _figure(learning_figure(curve))


def dimers(model: GAPModel, train: Any = None) -> Figure:
    """Draw the energy of two atoms against their distance, for each pair of species.

    Parameters
    ----------
    model : GAPModel
        The potential.
    train : list of ase.Atoms, Dataset, path or list of paths, optional
        Training data: their dimers are drawn, too.

    Raises
    ------
    GapfitError
        A curve cannot be computed.
    DataError
        See `gapfit.evaluate`.
    """
    parts = {} if train is None else _contents(model, None, train, scores=False).parts
    notes: list[str] = []
    panels = dimer_panels(model, parts.get("train"), notes)
    if not panels:
        raise GapfitError("; ".join(notes))
    with style():
        return _figure(dimer_figure(panels))


def _contents(model: GAPModel, test: Any, train: Any, *, scores: bool) -> Contents:
    """Return contents of a report with the errors on the data that are given."""
    given = {"test": test, "train": train}
    parts = {
        name: _evaluated(model, as_dataset(data, model.config), scores=scores)
        for name in TITLES
        if (data := given[name]) is not None
    }
    if not parts:
        raise GapfitError("no data to draw: give test, train or both")
    return Contents(title="", model=model, config_toml="", parts=parts)


def _evaluated(model: GAPModel, data: Dataset, *, scores: bool) -> EvaluatedData:
    observer = collector(model)
    metrics = evaluate(model, data, uncertainty=scores, observer=observer)
    return EvaluatedData((), metrics, data.frames, observer)


def _figure(drawing: Drawing | None) -> Figure:
    if drawing is None:
        raise GapfitError(
            "nothing to draw: the structures have no energies, forces or stresses to "
            "compare with"
        )
    figure: Figure = drawing.figure
    # By this method notebooks show it; of other figures they know those of pyplot alone.
    vars(figure)["_repr_png_"] = partial(_png, figure)
    return figure


def _png(figure: Figure) -> bytes:
    """Return a figure as PNG."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DPI, facecolor="white")
    return file.getvalue()
