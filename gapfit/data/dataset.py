"""Reading reference data: structures, their labels, and a report on them.

Conventions: energy eV, forces eV/Å, stress eV/Å³ in ASE's sign (tension positive),
virial = -stress × volume in eV, six components in the order xx yy zz yz xz xy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gapfit._support.html import html_table
from gapfit.config.sections import DataConfig, FitConfig
from gapfit.data.checks import SetTally, frame_problems, refuse
from gapfit.data.files import RawFrame, load
from gapfit.data.frame import Frame
from gapfit.data.frame_file import species_counts, temporary_frames
from gapfit.data.label_names import (
    LabelCounts,
    LabelPlan,
    config_type,
    kind_of,
    kinds_of,
    listed,
    make_plan,
)
from gapfit.data.label_report import KindReport, LabelTally
from gapfit.data.labels import BadLabelError, label_value, mask_value, sigma_value
from gapfit.data.observations import Quantity
from gapfit.data.readers.options import ReadOptions
from gapfit.data.sigma_labels import sigma_label_warnings
from gapfit.data.spool import MOST_ATOMS, RawSpool
from gapfit.errors import DataError

__all__ = [
    "Dataset",
    "KindReport",
    "as_dataset",
    "read",
]


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Structures with labels, in the order in which they were read.

    Attributes
    ----------
    frames : sequence of Frame
        The structures; those from `read` are a `gapfit.data.frame_file.FrameFile`.
    report : tuple of KindReport
        Labels used and ignored, by kind.
    warnings : tuple of str
        Warnings for the user; none prevents a fit.
    """

    frames: Sequence[Frame]
    report: tuple[KindReport, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def species(self) -> tuple[int, ...]:
        """Atomic numbers present, sorted."""
        return tuple(species_counts(self.frames))

    def __repr__(self) -> str:
        labels = ", ".join(part.kind for part in self.report if part.n_frames)
        return f"<Dataset {self._size}: {labels or 'no labels'}>"

    def _repr_html_(self) -> str:
        """Return a table of its labels, for notebooks."""
        rows = [(p.kind, p.key or "-", p.n_frames, p.n_values) for p in self.report]
        head = ("label", "name in the data", "frames", "values")
        return html_table(f"Dataset {self._size}", rows, head)

    @property
    def _size(self) -> str:
        counts = species_counts(self.frames)
        from ase.data import chemical_symbols

        symbols = " ".join(chemical_symbols[z] for z in counts)
        return f"{symbols}, {len(self.frames)} frames, {sum(counts.values())} atoms"


def read(
    sources: Any,
    config: DataConfig,
    *,
    base: Path | str | None = None,
    most_atoms: int = MOST_ATOMS,
) -> Dataset:
    """Read structures and their labels, and check them.

    Parameters
    ----------
    sources : path, ase.Atoms, or a sequence of either
        Files (extended XYZ, also compressed; ASE databases; those of
        `gapfit.data.readers`; whatever ase.io reads), or structures with labels in
        ``calc.results``, ``info`` or ``arrays``.
    config : DataConfig
        Names of the labels, and which to use; ``train`` and ``test`` are ignored.
    base : path, optional
        Folder that relative paths refer to; the current one when absent.
    most_atoms : int
        Atoms held in memory, the others in a temporary file, while the labels to use are
        not known.

    Returns
    -------
    Dataset
        Frames, report and warnings.

    Raises
    ------
    DataError
        Data that cannot be fitted; all refused frames are listed in one error.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from gapfit.config.sections import DataConfig
    >>> atoms = bulk("Si")
    >>> atoms.info["dft_energy"] = -10.8
    >>> read(atoms, DataConfig(train=["-"])).report[0].key
    'dft_energy'
    """
    counts = LabelCounts()
    with RawSpool(most_atoms) as raws:
        options = ReadOptions(tuple(config.species), config.units)
        for raw in load(sources, Path(base) if base is not None else Path(), options):
            counts.add(raw.labels)
            raws.add(raw)
        plan = make_plan(config, counts)
        _require_targets(plan, counts)
        labels, tally = LabelTally(plan, counts.by_name), SetTally()
        frames = temporary_frames(_checked(raws, plan, labels, tally))
    warnings = [
        *labels.warnings(frames),
        *sigma_label_warnings(frames, plan, counts.by_name),
        *tally.warnings(frames),
    ]
    return Dataset(frames, tuple(labels.report()), tuple(warnings))


def _checked(
    raws: Iterable[RawFrame], plan: LabelPlan, labels: LabelTally, tally: SetTally
) -> Iterator[Frame]:
    """Yield the frames with their labels; refuse them all if any cannot be fitted."""
    problems: list[str] = []
    for raw in raws:
        frame, wrong = _build(raw, plan)
        mask, wrong_mask = _mask(frame, raw, plan)
        # Forces that are left out may have any value.
        problems += wrong + frame_problems(_with_forces(frame, mask, 0.0)) + wrong_mask
        frame = _with_forces(frame, mask, np.nan)
        # The tallies expect good labels, and are of no use once there are bad ones.
        if not problems:
            labels.add(raw, frame)
            tally.add(frame)
            yield frame
    refuse(problems)


def _require_targets(plan: LabelPlan, counts: LabelCounts) -> None:
    """Refuse data with neither energies nor forces to fit."""
    targets = (Quantity.ENERGY, Quantity.FORCES)
    if any(c.key for q in targets for c in plan.choices[q]):
        return
    off = [q for q in targets if not plan.choices[q]]
    reason = f" ({' and '.join(off)} switched off)" if off else ""
    raise DataError(
        f"there are neither energies nor forces in {counts.n_frames} frames{reason}; "
        f"labels found: {listed(counts.by_name) or 'none at all'}; "
        "name them with energy_key and forces_key in [data]"
    )


def _build(raw: RawFrame, plan: LabelPlan) -> tuple[Frame, list[str]]:
    """Return a frame with its labels, and the problems with them."""
    source = raw.frame.source
    fields: dict[str, Any] = {}
    problems: list[str] = []
    for quantity, choices in plan.choices.items():
        present = [(c.kind, c.key) for c in choices if c.key and c.key in raw.labels]
        if not present:
            continue
        if quantity is Quantity.VIRIAL and not raw.frame.pbc.all():
            continue
        kind, key = present[0]
        try:
            fields[quantity] = label_value(kind, raw.labels[key], raw.frame)
        except BadLabelError as error:
            name = kind if kind == key else f"{kind} ({key!r})"
            problems.append(f"{source}: {name} {error}; correct it or remove the frame")
    if not fields and not problems and not _has_unused_label(raw, plan):
        reasons = [plan.unused[key] for key in raw.labels if key in plan.unused]
        problems.append(
            f"{source}: there is no energy, forces or stress to fit (labels: "
            f"{listed(raw.labels) or 'none'}); "
            f"{'; '.join(reasons) or 'add them or remove the frame'}"
        )
    for kind in plan.sigma_keys:
        if label := plan.sigma_key(kind, raw.labels):
            try:
                fields[kind] = sigma_value(kind, raw.labels[label], raw.frame.n_atoms)
            except BadLabelError as error:
                problems.append(f"{source}: {label} {error}; correct it or remove it")
                continue
            if plan.frame_sigmas == "total" and kind != "force_sigma":
                fields[kind] /= np.sqrt(raw.frame.n_atoms)
    if (kind_of_frame := config_type(raw.labels, plan.config_type_key)) is not None:
        fields["config_type"] = kind_of_frame
    return replace(raw.frame, **fields), problems


def _mask(
    frame: Frame, raw: RawFrame, plan: LabelPlan
) -> tuple[np.ndarray | None, list[str]]:
    """Return the atoms whose forces are left out, (n_atoms,) bool, and its problems."""
    key = plan.force_mask_key
    if frame.forces is None or key not in raw.labels:
        return None, []
    try:
        return mask_value(raw.labels[key], frame.n_atoms), []
    except BadLabelError as error:
        return None, [f"{frame.source}: {key} {error}; correct it or remove it"]


def _with_forces(frame: Frame, mask: np.ndarray | None, value: float) -> Frame:
    """Return a frame in which the forces of masked atoms have another value."""
    if mask is None or frame.forces is None:
        return frame
    return replace(frame, forces=np.where(mask[:, None], value, frame.forces))


def _has_unused_label(raw: RawFrame, plan: LabelPlan) -> bool:
    """Return whether the frame has a label of a quantity that is switched off."""
    off = {
        kind
        for quantity, choices in plan.choices.items()
        if not choices
        for kind in kinds_of(quantity)
    }
    return any(kind_of(key) in off for key in raw.labels)


def as_dataset(frames: Any, config: FitConfig, base: Path | None = None) -> Dataset:
    """Return the checked data set that the arguments of `fit` describe."""
    if isinstance(frames, Dataset):
        return frames
    return read(config.data.train if frames is None else frames, config.data, base=base)
