"""Report and warnings about labels: used, ignored, contradicting, missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gapfit.data.files import RawFrame
from gapfit.data.frame import Frame
from gapfit.data.label_names import (
    LabelChoice,
    LabelPlan,
    config_type,
    kind_of,
    kinds_of,
    listed,
    names_of,
)
from gapfit.data.labels import BadLabelError, label_value
from gapfit.data.observations import Quantity
from gapfit.data.places import list_places

__all__ = ["KindReport", "LabelTally"]

_OPTIONS = {
    Quantity.ENERGY: "use_energies",
    Quantity.FORCES: "use_forces",
    Quantity.VIRIAL: "use_stress",
}

#: Labels of one quantity that differ by more than this contradict each other.
_TOLERANCE = {Quantity.ENERGY: 1e-4, Quantity.FORCES: 1e-3, Quantity.VIRIAL: 1e-3}
_UNITS = {
    Quantity.ENERGY: "eV/atom",
    Quantity.FORCES: "eV/Å",
    Quantity.VIRIAL: "eV/atom of virial",
}


@dataclass(frozen=True)
class KindReport:
    """Use of one kind of label in a data set.

    Attributes
    ----------
    kind : {"energy", "forces", "stress", "virial", "config_type", "sigma"}
        The kind.
    key : str or None
        The label used; None when there is none.
    n_frames : int
        Number of frames that have it.
    n_values : int
        Number of values that it gives to the fit; for config_type, of different values.
    ignored : tuple of str
        Labels of the same kind that exist and are not used.
    note : str
        Remark for the reader; may be empty.
    """

    kind: str
    key: str | None
    n_frames: int
    n_values: int
    ignored: tuple[str, ...] = ()
    note: str = ""


class LabelTally:
    """Counts and comparisons of the labels of all frames, added one frame at a time.

    Parameters
    ----------
    plan : LabelPlan
        Labels to use.
    counts : Counter
        Number of frames that have each label.
    """

    def __init__(self, plan: LabelPlan, counts: Counter[str]) -> None:
        self._plan, self._counts = plan, counts
        self._n_frames = self._n_typed = 0
        self._config_types: set[str] = set()
        self._without_volume: list[int] = []
        self._virials = {choice.key for choice in plan.choices[Quantity.VIRIAL]}
        # Frames and numbers, by quantity and label and by kind of sigma.
        self._used: dict[tuple[Quantity, str | None], list[int]] = {}
        self._sigmas = {kind: [0, 0] for kind in plan.sigma_keys}
        self._clashes = {q: _comparisons(q, c) for q, c in plan.choices.items()}
        has_label = {q: bool(c and c[0].key) for q, c in plan.choices.items()}
        self._missing = [
            q
            for q in (Quantity.FORCES, Quantity.ENERGY)
            if plan.choices[q] and not has_label[q]
        ]
        self._names: dict[Quantity, set[str]] = {q: set() for q in self._missing}

    def add(self, raw: RawFrame, frame: Frame) -> None:
        """Add the next frame: as it was read, and with the labels chosen."""
        if not frame.pbc.all() and self._virials & raw.labels.keys():
            self._without_volume.append(self._n_frames)
        self._n_frames += 1
        self._config_types.add(frame.config_type)
        self._n_typed += config_type(raw.labels, self._plan.config_type_key) is not None
        for quantity, choices in self._plan.choices.items():
            value = getattr(frame, quantity)
            first = next((c.key for c in choices if c.key in raw.labels), None)
            if value is not None:
                _count(self._used.setdefault((quantity, first), [0, 0]), value)
        for kind, tally in self._sigmas.items():
            if (value := getattr(frame, kind)) is not None:
                _count(tally, value)
        for comparisons in self._clashes.values():
            for comparison in comparisons:
                comparison.add(raw)
        for quantity, names in self._names.items():
            per_atom = quantity is Quantity.FORCES
            names |= _per_atom_names(raw) if per_atom else _numbers(raw)

    def report(self) -> list[KindReport]:
        """Return one line for each kind of label."""
        plan, counts, n_frames = self._plan, self._counts, self._n_frames
        lines = []
        for quantity, choices in plan.choices.items():
            if not choices:
                kinds = kinds_of(quantity)
                unused = tuple(k for kind in kinds for k in names_of(kind, counts))
                note = f"not used: {_OPTIONS[quantity]} = false"
                lines.append(KindReport(kinds[0], None, 0, 0, unused, note))
            lines += [self._choice_line(quantity, choice) for choice in choices]
        typed = self._n_typed
        lines.append(
            KindReport(
                "config_type",
                plan.config_type_key if typed else None,
                typed,
                len(self._config_types),
                note=f"{n_frames - typed} frames are 'default'"
                if typed < n_frames
                else "",
            )
        )
        for kind, key in plan.sigma_keys.items():
            n_having, size = self._sigmas[kind]
            if n_having:
                note = f"gives {kind}"
                name = plan.sigma_key(kind, counts) or key
                lines.append(KindReport("sigma", name, n_having, size, note=note))
        return lines

    def _choice_line(self, quantity: Quantity, choice: LabelChoice) -> KindReport:
        if choice.key is None:
            return KindReport(choice.kind, None, 0, 0, note="none found")
        n_having, size = self._used.get((quantity, choice.key), (0, 0))
        n_without = self._n_frames - n_having
        notes = [f"{n_without} frames without"] * bool(n_without)
        notes += [
            f"{comparison.unused!r} {text}"
            for comparison in self._clashes[quantity]
            for text in comparison.texts()
        ]
        return KindReport(
            choice.kind, choice.key, n_having, size, choice.ignored, "; ".join(notes)
        )

    def warnings(self, frames: Sequence[Frame]) -> list[str]:
        """Return warnings about labels: contradicting, not found, or of no use.

        Parameters
        ----------
        frames : sequence of Frame
            All frames that were added.
        """
        warnings = [
            f"{comparison.used.kind}: {comparison.used.key!r} is used, and "
            f"{comparison.unused!r} {text}; choose with {comparison.used.kind}_key in "
            "[data]" + _about_free_energy(str(comparison.used.key), comparison.unused)
            for comparisons in self._clashes.values()
            for comparison in comparisons
            for text in comparison.texts()
        ]
        warnings += self._mixtures()
        for quantity in self._missing:
            per_atom = quantity is Quantity.FORCES
            warnings.append(
                f"no {quantity} found in {self._n_frames} frames: only "
                f"{'energies' if per_atom else 'forces'} will be "
                f"fitted; {'arrays' if per_atom else 'numbers'} that the frames have: "
                f"{listed(self._names[quantity]) or 'none'}; if one of them "
                f"is the {quantity}, set {quantity}_key in [data]"
            )
        if self._without_volume:
            warnings.append(
                f"stress ignored in {list_places(frames, self._without_volume)}: not "
                "periodic in three directions; set pbc and cell if they should be"
            )
        return warnings

    def _mixtures(self) -> Iterator[str]:
        """Yield the labels that are used together, each in frames of its own."""
        for choices in self._plan.choices.values():
            names = [c.key for c in choices if c.kind == choices[0].kind and c.key]
            if len(names) > 1 and choices[1].is_complement:
                used = ", ".join(
                    f"{n!r} in {_in_frames(self._counts[n])}" for n in names
                )
                yield (
                    f"{choices[0].kind}: under several names, {used}; all are used, as no "
                    "frame has two of them; if they were not computed in the same way, "
                    f"choose with {choices[0].kind}_key in [data]"
                )


def _in_frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


def _count(tally: list[int], value: float | np.ndarray) -> None:
    tally[0] += 1
    tally[1] += int(np.size(value))


def _about_free_energy(used: str, unused: str) -> str:
    if "free_energy" in unused and "free_energy" not in used:
        return (
            f" (forces are derivatives of the free energy: {unused!r} fits them better)"
        )
    return ""


class _LabelComparison:
    """Comparison of an unused label with the one used, over all frames."""

    def __init__(
        self, quantity: Quantity, choices: Sequence[LabelChoice], unused: str
    ) -> None:
        self.used, self.unused = choices[0], unused
        self._quantity, self._choices = quantity, choices
        self._kind = str(kind_of(unused))
        self._n_frames = self._n_alone = 0
        self._worst, self._opposite, self._where = 0.0, 0.0, ""

    def add(self, raw: RawFrame) -> None:
        """Add the labels of the next frame."""
        self._n_frames += 1
        if self.unused not in raw.labels:
            return
        choice = next((c for c in self._choices if c.key in raw.labels), None)
        if choice is None:
            self._n_alone += 1
            return
        ours = _per_atom_value(choice.kind, str(choice.key), raw)
        theirs = _per_atom_value(self._kind, self.unused, raw)
        if ours is None or theirs is None or np.shape(ours) != np.shape(theirs):
            return
        difference = float(np.max(np.abs(ours - theirs)))
        self._opposite = max(self._opposite, float(np.max(np.abs(ours + theirs))))
        if difference > self._worst:
            self._worst, self._where = difference, raw.frame.source

    def texts(self) -> Iterator[str]:
        """Yield the differences of the unused label from the one used, in words."""
        if self._n_alone:
            yield (
                f"is the only one in {self._n_alone} of {self._n_frames} frames, where it "
                "is ignored"
            )
        limit = _TOLERANCE[self._quantity]
        if self._worst > limit:
            sign = ", by the opposite sign" if self._opposite < limit else ""
            yield (
                f"differs by up to {self._worst:.4g} {_UNITS[self._quantity]}{sign} "
                f"({self._where})"
            )


def _comparisons(
    quantity: Quantity, choices: Sequence[LabelChoice]
) -> list[_LabelComparison]:
    if not choices or choices[0].key is None:
        return []
    return [_LabelComparison(quantity, choices, key) for key in choices[0].ignored]


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


def _per_atom_names(raw: RawFrame) -> set[str]:
    """Return names of the labels with one row for each atom."""
    return {
        key
        for key, value in raw.labels.items()
        if isinstance(value, np.ndarray) and value.shape[:1] == (raw.frame.n_atoms,)
    }


def _numbers(raw: RawFrame) -> set[str]:
    """Return names of the labels that are a single number."""
    return {
        key
        for key, value in raw.labels.items()
        if np.ndim(value) == 0 and np.asarray(value).dtype.kind in "iuf"
    }
