"""Curves of two atoms, and what the training data say of them."""

from __future__ import annotations

from collections import Counter

from gapfit.data.frame_file import species_counts
from gapfit.errors import GapfitError
from gapfit.model.gap_model import GAPModel
from gapfit.properties.dimer import dimer_curve
from gapfit.report.contents import DimerPanel, Part
from gapfit.report.points import short_source

__all__ = ["dimer_panels"]

# Pairs of species whose dimers are drawn.
_MOST_PAIRS = 12


def dimer_panels(
    model: GAPModel, train: Part | None, notes: list[str]
) -> list[DimerPanel]:
    """Return the curves of all pairs of species, or of the most common ones.

    Parameters
    ----------
    model : GAPModel
        The potential.
    train : Part or None
        Training data, whose dimers and shortest distances stand beside the curves.
    notes : list of str
        What is left out, and why, is added to it.
    """
    from ase.data import chemical_symbols

    counts: Counter[int] = Counter(dict.fromkeys(model.species, 1))
    points: dict[tuple[int, int], list[tuple[str, float, float]]] = {}
    closest: dict[tuple[int, int], float] = {}
    if train is not None and train.frames is not None and train.found is not None:
        closest = train.found.closest
        counts.update(species_counts(train.frames))
        for own in train.found.dimers:
            source = short_source(train.frames[own.frame].source)
            points.setdefault(own.species, []).append(
                (source, own.distance, own.energy)
            )
    pairs = [(a, b) for a in model.species for b in model.species if a <= b]
    pairs.sort(key=lambda pair: -counts[pair[0]] * counts[pair[1]])
    if len(pairs) > _MOST_PAIRS:
        notes.append(
            f"dimers: {_MOST_PAIRS} of {len(pairs)} pairs of species are shown, those of "
            "the most common species"
        )
    known = model.without_terms() if model.baseline is not None else None
    panels = []
    try:
        for a, b in sorted(pairs[:_MOST_PAIRS]):
            panel = DimerPanel(
                f"{chemical_symbols[a]}-{chemical_symbols[b]}",
                dimer_curve(model, a, b),
                dimer_curve(known, a, b, reach=model.cutoff) if known else None,
                points.get((a, b), ()),
                closest.get((a, b)),
            )
            panels.append(panel)
    except GapfitError as error:
        notes.append(f"dimers: {error}")
    return panels
