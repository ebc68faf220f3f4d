"""Several potentials side by side: settings that differ, errors and cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

from gapfit._support.progress import Progress, silent
from gapfit.config.sections import DataConfig
from gapfit.data.dataset import Dataset, read
from gapfit.data.observations import Quantity
from gapfit.data.places import TOTAL, abbreviation
from gapfit.errors import GapfitError
from gapfit.evaluation.evaluate import Metrics, evaluate
from gapfit.evaluation.speed import measured_microseconds, timed_cell
from gapfit.model.gap_model import GAPModel
from gapfit.model.provenance import fit_config
from gapfit.model.storage import load

__all__ = ["Comparison", "compare", "loaded"]

# Tables of a configuration that change no potential.
_UNRELATED = ("run", "tune", "calibration")
_WIDTH, _NAME = 12, 36


@dataclass(frozen=True)
class Comparison:
    """What `compare` found, by name of the potential.

    Attributes
    ----------
    n_structures : int
        Structures that were predicted.
    facts : dict of str to dict of str to (int or float or None)
        Frames of the fit, sparse points, functions of linear terms, and CPU time of a
        prediction with forces on one thread, µs per atom.
    settings : dict of str to dict of str to value
        Keys of the configurations that differ; None where a potential has no such key.
    errors : dict of str to Metrics
        See `gapfit.evaluate`.
    """

    n_structures: int
    facts: dict[str, dict[str, Any]]
    settings: dict[str, dict[str, Any]]
    errors: dict[str, Metrics]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    def table(self) -> str:
        """Return the comparison as plain text; the least error of a line has a star."""
        names = list(self.facts)
        width = max(_WIDTH, *map(len, names))
        lines = [_row("", names, width), *_rows(self.facts, names, width)]
        if any(self.settings.values()):
            lines += ["", "Settings that differ"]
            lines += _rows(self.settings, names, width)
        for quantity in Quantity:
            of = [self._errors(name, quantity) for name in names]
            groups = [TOTAL, *sorted({g for part in of for g in part} - {TOTAL})]
            rows = [[part.get(group) for part in of] for group in groups]
            if any(value is not None for value in rows[0]):
                lines += ["", f"{quantity.reported}, MAE in {quantity.error_unit}"]
                lines += [
                    _row(group, _starred(row), width)
                    for group, row in zip(groups, rows, strict=True)
                    if any(value is not None for value in row)
                ]
        return "\n".join(line.rstrip() for line in lines)

    def _repr_html_(self) -> str:
        """Return the comparison in HTML, for notebooks."""
        return f"<pre>{escape(self.table())}</pre>"

    def _errors(self, name: str, quantity: Quantity) -> dict[str, float]:
        """Return the MAE by config_type."""
        return {
            group: float(rows[quantity.reported]["mae"])
            for group, rows in self.errors[name].items()
            if quantity.reported in rows
        }


def compare(
    models: Mapping[str, GAPModel] | Sequence[str | Path],
    frames: Any,
    data: DataConfig | None = None,
    *,
    base: Path | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Compare potentials on the same labelled structures.

    Parameters
    ----------
    models : mapping of str to GAPModel, or sequence of path
        At least two potentials by name; or their files, which are called by the names of
        their folders.
    frames : Dataset, path, list of paths or of ase.Atoms
        Labelled structures, usually test data.
    data : DataConfig, optional
        Names of labels; by default those that the first potential was fitted with.
    base : Path, optional
        Folder that relative paths refer to.
    progress : callable, optional
        Called as ``progress(name, done, total)`` in atoms.

    Raises
    ------
    GapfitError
        There are fewer than two potentials, or two of one name.
    """
    named = dict(models) if isinstance(models, Mapping) else loaded(models)
    if len(named) < 2:
        raise GapfitError("a comparison needs at least two potentials")
    if not isinstance(frames, Dataset):
        first = next(iter(named.values()))
        frames = read(frames, data or first.config.data, base=base)
    report = progress or silent
    cell = timed_cell(frames.frames)
    facts, errors = {}, {}
    for name, model in named.items():
        errors[name] = evaluate(
            model, frames, uncertainty=False, progress=_under(name, report)
        )
        facts[name] = {
            "frames fitted": model.record.n_frames,
            "sparse points": _n_columns(model, "sparse points"),
            "functions": _n_columns(model, "functions"),
            "cost, µs/atom": round(measured_microseconds(model, cell), 2),
        }
    return Comparison(len(frames.frames), facts, _differences(named), errors)


def _n_columns(model: GAPModel, members: str) -> int:
    """Return the number of functions of linear terms, or of sparse points of others."""
    return sum(term.n_sparse for term in model.terms if term.members == members)


def _under(name: str, report: Progress) -> Progress:
    """Return what reports progress under another name."""

    def renamed(_: str, done: int, total: int) -> None:
        report(name, done, total)

    return renamed


def loaded(paths: Sequence[str | Path]) -> dict[str, GAPModel]:
    """Return potentials by the shortest names that tell their files apart.

    Parameters
    ----------
    paths : sequence of path
        Files, or folders of fits.

    Raises
    ------
    GapfitError
        One is given twice, or cannot be read.
    """
    files = [Path(path) for path in paths]
    files = [path / "model.npz" if path.is_dir() else path for path in files]
    whole = [path.resolve().with_suffix("") for path in files]
    whole = [path.parent if path.name == "model" else path for path in whole]
    if len(set(whole)) < len(whole):
        raise GapfitError(f"{max(whole, key=whole.count)} is given twice")
    n_parts = 1
    while len({path.parts[-n_parts:] for path in whole}) < len(whole):
        n_parts += 1
    names = ["/".join(path.parts[-n_parts:]) for path in whole]
    return {name: load(path) for name, path in zip(names, files, strict=True)}


def _differences(models: Mapping[str, GAPModel]) -> dict[str, dict[str, Any]]:
    """Return by potential the keys in which their configurations differ."""
    flat = {name: dict(_keys(fit_config(model))) for name, model in models.items()}
    every = dict.fromkeys(key for keys in flat.values() for key in keys)
    return {
        name: {
            key: keys.get(key)
            for key in every
            if len({str(other.get(key)) for other in flat.values()}) > 1
        }
        for name, keys in flat.items()
    }


def _keys(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield keys with dots, and their values."""
    for key, value in table.items():
        if not before and key in _UNRELATED:
            continue
        if isinstance(value, Mapping):
            yield from _keys(value, f"{before}{key}.")
        elif key == "terms":
            for n, term in enumerate(value, start=1):
                yield from _keys(term, f"terms {n}.")
        elif value is not None:
            yield before + key, value


def _rows(
    columns: Mapping[str, Mapping[str, Any]], names: Sequence[str], width: int
) -> Iterator[str]:
    """Yield a line for each key, with a column for each name."""
    for key in columns[names[0]]:
        yield _row(key, [columns[name][key] for name in names], width)


def _row(title: str, cells: Sequence[Any], width: int) -> str:
    shown = ["-" if cell is None else str(cell) for cell in cells]
    return f"{abbreviation(title, _NAME):<{_NAME}}" + "".join(
        f"  {abbreviation(cell, width):>{width}}" for cell in shown
    )


def _starred(row: Sequence[float | None]) -> list[str | None]:
    """Return errors as text, the least with a star."""
    least = min(value for value in row if value is not None)
    return [
        None if value is None else f"{'*' if value == least else ''}{value:.3g}"
        for value in row
    ]
