"""Energy curves of two atoms, with dimers of the training data."""

from __future__ import annotations

from collections import Counter

from gapfit.data.frame_file import species_counts
from gapfit.data.pair_data import PairData
from gapfit.errors import GapfitError
from gapfit.model.gap_model import GAPModel
from gapfit.properties.dimer import dimer_curve
from gapfit.report.contents import DimerPanel, EvaluatedData
from gapfit.report.points import short_source

__all__ = ["dimer_panels"]

# Largest number of pairs of species that are drawn.
_MOST_PAIRS = 12


def dimer_panels(
    model: GAPModel, train: EvaluatedData | None, notes: list[str]
) -> list[DimerPanel]:
    """Return the curves of all pairs of species, or of the most common ones.

    Parameters
    ----------
    model : GAPModel
        The potential.
    train : EvaluatedData or None
        Training data, whose dimers and shortest distances are shown with the curves.
    notes : list of str
        Omitted curves are added to it, with the reason.
    """
    from ase.data import chemical_symbols

    counts: Counter[int] = Counter(dict.fromkeys(model.species, 1))
    points: dict[tuple[int, int], list[tuple[str, float, float]]] = {}
    read: dict[tuple[int, int], PairData] = {}
    if train is not None and train.frames is not None and train.collector is not None:
        read = {pair.species: pair for pair in train.collector.pairs.pairs}
        counts.update(species_counts(train.frames))
        for dimer in train.collector.dimers:
            source = short_source(train.frames[dimer.frame].source)
            points.setdefault(dimer.species, []).append(
                (source, dimer.distance, dimer.energy)
            )
    pairs = [(a, b) for a in model.species for b in model.species if a <= b]
    pairs.sort(key=lambda pair: -counts[pair[0]] * counts[pair[1]])
    if len(pairs) > _MOST_PAIRS:
        notes.append(
            f"dimers: {_MOST_PAIRS} of {len(pairs)} pairs of species are shown, those of "
            "the most common species"
        )
    baseline = model.without_terms() if model.baseline is not None else None
    panels = []
    try:
        for a, b in sorted(pairs[:_MOST_PAIRS]):
            curve = dimer_curve(model, a, b)
            panel = DimerPanel(
                f"{chemical_symbols[a]}-{chemical_symbols[b]}",
                curve,
                dimer_curve(baseline, a, b, reach=model.cutoff) if baseline else None,
                points.get((a, b), ()),
                read.get((a, b), curve.data),
            )
            panels.append(panel)
    except GapfitError as error:
        notes.append(f"dimers: {error}")
    return panels
