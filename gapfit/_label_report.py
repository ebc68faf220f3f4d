"""What to tell the user about the labels: used, ignored, contradicting, missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gapfit._labels import (
    CANDIDATES,
    BadLabelError,
    Choice,
    LabelPlan,
    kinds_of,
    label_value,
)
from gapfit._sources import RawFrame
from gapfit.frame import Frame

__all__ = ["KindReport", "label_report", "label_warnings"]

_OPTIONS = {"energy": "use_energies", "forces": "use_forces", "virial": "use_stress"}

#: Labels of one quantity that differ by more than this contradict each other.
_TOLERANCE = {"energy": 1e-4, "forces": 1e-3, "virial": 1e-3}
_UNITS = {"energy": "eV/atom", "forces": "eV/Å", "virial": "eV/atom of virial"}


@dataclass(frozen=True)
class KindReport:
    """What was found of one kind of label.

    Attributes
    ----------
    kind : {"energy", "forces", "stress", "virial", "config_type", "sigma"}
        The kind.
    key : str or None
        The label used; None when there is none.
    n_frames : int
        Number of frames that have it.
    n_values : int
        Numbers it gives to the fit; of config_type, the number of different ones.
    ignored : tuple of str
        Labels of the same kind that were found and not used.
    note : str
        What else there is to say.
    """

    kind: str
    key: str | None
    n_frames: int
    n_values: int
    ignored: tuple[str, ...] = ()
    note: str = ""


def label_report(
    plan: LabelPlan,
    raws: Sequence[RawFrame],
    frames: Sequence[Frame],
    counts: Counter[str],
) -> list[KindReport]:
    """Return one line for each kind of label."""
    lines = []
    for quantity, choices in plan.choices.items():
        if not choices:
            kinds = kinds_of(quantity)
            found = tuple(k for kind in kinds for k in CANDIDATES[kind] if counts[k])
            note = f"not used: {_OPTIONS[quantity]} = false"
            lines.append(KindReport(kinds[0], None, 0, 0, found, note))
        for choice in choices:
            lines.append(_choice_line(quantity, choice, choices, raws, frames))
    typed = sum(plan.config_type_key in raw.labels for raw in raws)
    lines.append(
        KindReport(
            "config_type",
            plan.config_type_key if typed else None,
            typed,
            len({frame.config_type for frame in frames}),
            note=f"{len(raws) - typed} frames are 'default'"
            if typed < len(raws)
            else "",
        )
    )
    for kind, key in plan.sigma_keys.items():
        values = [v for frame in frames if (v := getattr(frame, kind)) is not None]
        if values:
            size = sum(map(np.size, values))
            lines.append(
                KindReport("sigma", key, len(values), size, note=f"gives {kind}")
            )
    return lines


def _choice_line(
    quantity: str,
    choice: Choice,
    choices: Sequence[Choice],
    raws: Sequence[RawFrame],
    frames: Sequence[Frame],
) -> KindReport:
    if choice.key is None:
        return KindReport(choice.kind, None, 0, 0, note="none found")
    better = {c.key for c in choices[: choices.index(choice)]}
    values = [
        getattr(frame, quantity)
        for raw, frame in zip(raws, frames, strict=True)
        if choice.key in raw.labels and not better & raw.labels.keys()
    ]
    values = [value for value in values if value is not None]
    notes = [f"{len(frames) - len(values)} frames without"] * (
        len(values) < len(frames)
    )
    notes += [f"{other!r} {text}" for other, text in _clashes(quantity, choices, raws)]
    return KindReport(
        choice.kind,
        choice.key,
        len(values),
        sum(map(np.size, values)),
        choice.ignored,
        "; ".join(notes),
    )


def label_warnings(plan: LabelPlan, raws: Sequence[RawFrame]) -> list[str]:
    """Return warnings about labels that contradict each other or were not found."""
    warnings = []
    for quantity, choices in plan.choices.items():
        for other, text in _clashes(quantity, choices, raws):
            used = choices[0]
            warnings.append(
                f"{used.kind}: {used.key!r} is used, and {other!r} {text}; "
                f"choose with {used.kind}_key in [data]"
                + _about_free_energy(str(used.key), other)
            )
    found = {q: bool(c and c[0].key) for q, c in plan.choices.items()}
    for quantity, other in (("forces", "energies"), ("energy", "forces")):
        if plan.choices[quantity] and not found[quantity]:
            per_atom = quantity == "forces"
            seen = _per_atom_names(raws) if per_atom else _number_names(raws)
            warnings.append(
                f"no {quantity} found in {len(raws)} frames: only {other} will be "
                f"fitted; {'arrays' if per_atom else 'numbers'} that the frames have: "
                f"{', '.join(seen) or 'none'}; if one of them is the {quantity}, "
                f"set {quantity}_key in [data]"
            )
    return warnings


def _about_free_energy(used: str, other: str) -> str:
    if "free_energy" in other and "free_energy" not in used:
        return (
            f" (forces are derivatives of the free energy: {other!r} fits them better)"
        )
    return ""


def _clashes(
    quantity: str, choices: Sequence[Choice], raws: Sequence[RawFrame]
) -> Iterator[tuple[str, str]]:
    """Yield each ignored label that says something else than the one used, and what."""
    if not choices or choices[0].key is None:
        return
    used = choices[0]
    for other in used.ignored:
        kind = next(k for k in kinds_of(quantity) if other in CANDIDATES[k])
        keys = {choice.key for choice in choices}
        alone = sum(other in r.labels and not keys & r.labels.keys() for r in raws)
        if alone:
            yield (
                other,
                f"is the only one in {alone} frames, which it would be lost from",
            )
        worst, opposite, where = 0.0, 0.0, ""
        for raw in raws:
            ours = _per_atom_value(used.kind, str(used.key), raw)
            theirs = _per_atom_value(kind, other, raw)
            if ours is None or theirs is None or np.shape(ours) != np.shape(theirs):
                continue
            difference = float(np.max(np.abs(ours - theirs)))
            opposite = max(opposite, float(np.max(np.abs(ours + theirs))))
            if difference > worst:
                worst, where = difference, raw.frame.source
        if worst > _TOLERANCE[quantity]:
            sign = ", by the opposite sign" if opposite < _TOLERANCE[quantity] else ""
            yield (
                other,
                f"differs by up to {worst:.4g} {_UNITS[quantity]}{sign} ({where})",
            )


def _per_atom_value(kind: str, key: str, raw: RawFrame) -> np.ndarray | None:
    """Return a label for comparison; None where it is missing, bad or not finite."""
    if key not in raw.labels:
        return None
    try:
        value = np.asarray(label_value(kind, raw.labels[key], raw.frame))
    except BadLabelError:
        return None
    if not np.isfinite(value).all() or (kind == "stress" and not raw.frame.pbc.all()):
        return None
    return value if kind == "forces" else value / raw.frame.n_atoms


def _per_atom_names(raws: Sequence[RawFrame]) -> list[str]:
    """Return names of the labels with one row for each atom."""
    names = {
        key
        for raw in raws
        for key, value in raw.labels.items()
        if isinstance(value, np.ndarray) and value.shape[:1] == (raw.frame.n_atoms,)
    }
    return sorted(names)


def _number_names(raws: Sequence[RawFrame]) -> list[str]:
    """Return names of the labels that are a single number."""
    names = {
        key
        for raw in raws
        for key, value in raw.labels.items()
        if np.ndim(value) == 0 and np.asarray(value).dtype.kind in "iuf"
    }
    return sorted(names)
