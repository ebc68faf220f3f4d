"""Printing and checks of data sets, shared by several commands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gapfit.cli._console import Console

if TYPE_CHECKING:
    from gapfit.data.dataset import Dataset
    from gapfit.data.summary import Range

__all__ = [
    "check_test_data",
    "first_structure",
    "print_contents",
    "print_groups",
    "print_labels",
]


def first_structure(path: Path) -> Any:
    """Return the first structure of a file as ase.Atoms."""
    from gapfit.data.files import structures

    return next(structures(path, str(path)))[1]


def print_contents(console: Console, name: str, dataset: Dataset) -> None:
    """Print the numbers of frames, atoms and atoms of each species of a data set."""
    from gapfit.data.summary import element_counts

    elements = element_counts(dataset.frames)
    console.title(name)
    console.rows(
        [
            ("frames", str(len(dataset.frames))),
            ("atoms", str(sum(elements.values()))),
            ("species", ", ".join(f"{symbol} ({n})" for symbol, n in elements.items())),
        ]
    )


def print_labels(console: Console, dataset: Dataset) -> None:
    """Print the labels that were used for each kind, and those that were ignored."""
    console.title("Labels")
    body = []
    for item in dataset.report:
        ignored = f"ignored: {', '.join(item.ignored)}" if item.ignored else ""
        remarks = "; ".join(text for text in (ignored, item.note) if text)
        body.append(
            (
                item.kind,
                item.key or "-",
                str(item.n_frames),
                str(item.n_values),
                remarks,
            )
        )
    widths = [max(len(line[n]) for line in body) for n in range(2)] if body else [0, 0]
    console.say(f"  {'kind':<{widths[0]}}  {'label':<{widths[1]}}   frames    values")
    for kind, key, frames, values, remarks in body:
        columns = f"  {kind:<{widths[0]}}  {key:<{widths[1]}}  {frames:>7}  {values:>8}"
        console.say(f"{columns}  {remarks}".rstrip())


def print_groups(console: Console, dataset: Dataset) -> None:
    """Print ranges of energy, force, volume and distance of every config_type."""
    from gapfit.data.summary import summarise

    console.title("Frames by config_type")
    head = ("", "frames", "atoms", "energy", "max force", "volume", "min distance")
    units = ("", "", "", "eV/atom", "eV/Å", "Å³/atom", "Å")
    body = [
        (
            item.name,
            str(item.n_frames),
            str(item.n_atoms),
            _range(item.energy, 3),
            "-" if item.max_force is None else f"{item.max_force:.2f}",
            _range(item.volume, 1),
            "> 4" if item.min_distance is None else f"{item.min_distance:.2f}",
        )
        for item in summarise(dataset.frames)
    ]
    console.table(head, [units, *body])


def check_test_data(train: Dataset, test: Dataset) -> list[str]:
    """Refuse test data with new species, and warn of test frames that are fitted."""
    from gapfit.data.checks import refuse_species
    from gapfit.data.duplicates import shared_frames
    from gapfit.data.places import count_frames, list_places

    refuse_species(
        test.frames,
        train.species,
        "the test data contain {species}, which the training data do not ({places}): no "
        "prediction is possible; add such frames to data.train or remove them",
    )
    shared = shared_frames(train.frames, test.frames)
    if not shared:
        return []
    return [
        f"test data: {count_frames(shared)} of {len(test.frames)} "
        f"({list_places(test.frames, shared)}) are identical to training frames: their "
        "errors are those of a fit, not of predictions; remove them from data.test or "
        "data.train"
    ]


def _range(values: Range | None, digits: int) -> str:
    if values is None:
        return "-"
    low, high = f"{values.low:.{digits}f}", f"{values.high:.{digits}f}"
    return low if low == high else f"{low} .. {high}"
