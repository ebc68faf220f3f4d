"""Names of labels: the usual ones, and the choice among those that frames have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from gapfit.config.sections import DataConfig
from gapfit.data.observations import Quantity
from gapfit.errors import DataError

__all__ = [
    "CANDIDATES",
    "SIGMAS",
    "LabelChoice",
    "LabelCounts",
    "LabelPlan",
    "choose",
    "config_type",
    "kind_of",
    "kinds_of",
    "listed",
    "make_plan",
    "names_of",
]

_PREFIXES = ("", "REF_", "ref_", "dft_", "DFT_")
_NAMES = {
    "energy": (("energy", "free_energy"), ("Energy", "total_energy")),
    "forces": (("forces", "force"), ("Forces", "Force")),
    "stress": (("stress",), ("Stress",)),
    "virial": (("virial", "virials"), ("Virial",)),
}

#: Usual names by kind, in order of preference.
CANDIDATES: dict[str, tuple[str, ...]] = {
    kind: tuple(prefix + name for prefix in _PREFIXES for name in names) + bare_names
    for kind, (names, bare_names) in _NAMES.items()
}

#: Names that a message lists.
_MOST_LISTED = 30
_KINDS = {name.lower(): kind for kind, names in CANDIDATES.items() for name in names}

#: Labels that carry standard deviations.
SIGMAS = ("energy_sigma", "force_sigma", "virial_sigma")


@dataclass(frozen=True)
class LabelChoice:
    """The label used for one kind, and the unused ones of the same kind.

    Attributes
    ----------
    kind : str
        A key of `CANDIDATES`.
    key : str or None
        The label to use; None when there is none.
    ignored : tuple of str
        Other labels of this kind that exist.
    is_complement : bool
        Whether it is used because the frames that have it lack all better ones.
    """

    kind: str
    key: str | None
    ignored: tuple[str, ...] = ()
    is_complement: bool = False


class LabelCounts:
    """Numbers of frames that have each label, alone or together with others.

    Attributes
    ----------
    n_frames : int
        Number of frames.
    by_name : Counter
        Number of frames that have each label.
    """

    def __init__(self) -> None:
        self.n_frames = 0
        self.by_name: Counter[str] = Counter()
        self._together: set[frozenset[str]] = set()

    def add(self, labels: Iterable[str]) -> None:
        """Add the labels of the next frame."""
        names = list(labels)
        self.n_frames += 1
        self.by_name.update(names)
        self._together.add(frozenset(name for name in names if kind_of(name)))

    def apart(self, one: str, other: str) -> bool:
        """Return whether no frame has both of two usual names."""
        return not any({one, other} <= names for names in self._together)


@dataclass(frozen=True)
class LabelPlan:
    """The labels to use for each quantity.

    Attributes
    ----------
    choices : dict
        Labels for each quantity, best first; none for one that is switched off.
    config_type_key : str
        Label of the kind of frame.
    sigma_keys : dict
        Label of each of `SIGMAS`.
    force_mask_key : str
        Label of the atoms whose forces are left out.
    frame_sigmas : {"per_atom", "total"} or None
        Meaning of sigmas of energies and virials; None where the user did not say.
    unused : dict
        Why a label of a quantity that is used is not, by its name.
    """

    choices: dict[Quantity, list[LabelChoice]]
    config_type_key: str
    sigma_keys: dict[str, str]
    force_mask_key: str
    frame_sigmas: str | None = None
    unused: dict[str, str] = field(default_factory=dict)

    def sigma_key(self, kind: str, labels: Container[str]) -> str | None:
        """Return the label that gives a kind of sigma of a frame; None without any.

        As for gap_fit, ``force_atom_sigma`` of atoms comes before that of the frame.
        """
        key = self.sigma_keys[kind]
        of_atoms = [key.replace("force_", "force_atom_", 1)] * (kind == "force_sigma")
        return next((name for name in (*of_atoms, key) if name in labels), None)


def kind_of(name: str) -> str | None:
    """Return the kind that a name stands for, in any case of letters; None if none."""
    return _KINDS.get(name.lower())


def names_of(kind: str, names: Iterable[str]) -> list[str]:
    """Return the names of one kind among others, in order of preference."""
    order = {name: place for place, name in enumerate(CANDIDATES[kind])}
    chosen = [name for name in names if kind_of(name) == kind]
    return sorted(chosen, key=lambda name: (order.get(name, len(order)), name))


def config_type(labels: Mapping[str, Any], key: str) -> str | None:
    """Return the kind of a frame from its labels; None if it has none or an empty one."""
    text = str(labels[key]).strip() if key in labels else ""
    return text or None


def choose(
    kinds: Iterable[str], counts: LabelCounts, explicit: Mapping[str, str | None]
) -> list[LabelChoice]:
    """Return the labels to use for one quantity, best first.

    Parameters
    ----------
    kinds : iterable of str
        The kinds that can express the quantity: ``["stress", "virial"]``, say.
    counts : LabelCounts
        Labels of all frames.
    explicit : mapping
        Label by kind as the user gave it, or None.

    Returns
    -------
    list of LabelChoice
        The labels given. Otherwise the usual name that most frames have (ties by order of
        preference), then those of frames that never have it: no frame has a choice.
    """
    kinds, by_name = list(kinds), counts.by_name
    given = [(kind, key) for kind in kinds if (key := explicit.get(kind)) is not None]
    present = [(kind, key) for kind in kinds for key in names_of(kind, by_name)]
    # sorted() keeps the order of equals.
    present.sort(key=lambda item: -by_name[item[1]])
    best = given or _complementary(present, counts)
    if not best:
        return [LabelChoice(kinds[0], None)]
    used = {key for _, key in best}
    ignored = tuple(key for _, key in present if key not in used)
    return [
        LabelChoice(kind, key, () if index else ignored, bool(index and not given))
        for index, (kind, key) in enumerate(best)
    ]


def _complementary(
    present: Sequence[tuple[str, str]], counts: LabelCounts
) -> list[tuple[str, str]]:
    """Return the first label, and those that no frame has together with one before."""
    chosen: list[tuple[str, str]] = []
    for kind, key in present:
        # An energy and a free energy are not the same quantity.
        if all(
            counts.apart(key, other) and _is_free(key) == _is_free(other)
            for _, other in chosen
        ):
            chosen.append((kind, key))
    return chosen


def _is_free(key: str) -> bool:
    return "free" in key.lower()


def kinds_of(quantity: Quantity) -> tuple[str, ...]:
    """Return the kinds of label that give a quantity: energy, forces or virial."""
    return tuple(dict.fromkeys((quantity.reported, str(quantity))))


def make_plan(config: DataConfig, counts: LabelCounts) -> LabelPlan:
    """Return the labels to use.

    Parameters
    ----------
    config : DataConfig
        Names given by the user, and the quantities to use.
    counts : LabelCounts
        Labels of all frames.

    Raises
    ------
    DataError
        No frame has a label that the user named.
    """
    explicit = {kind: getattr(config, f"{kind}_key") for kind in CANDIDATES}
    used = {
        Quantity.ENERGY: config.use_energies,
        Quantity.FORCES: config.use_forces,
        Quantity.VIRIAL: config.use_stress,
    }
    asked = {
        f"{kind}_key": explicit[kind]
        for q, on in used.items()
        if on
        for kind in kinds_of(q)
    }
    sigma_keys = {kind: getattr(config, f"{kind}_key") for kind in SIGMAS}
    named = ("config_type", "force_mask", *SIGMAS)
    for option in (f"{kind}_key" for kind in named):
        # The user named only those that differ from the default.
        value = getattr(config, option)
        if value != DataConfig.model_fields[option].default:
            asked[option] = value
    for option, key in asked.items():
        if key is not None and not counts.by_name[key]:
            raise _missing_label(option, key, counts)
    choices = {
        quantity: choose(kinds_of(quantity), counts, explicit) if on else []
        for quantity, on in used.items()
    }
    return LabelPlan(
        choices,
        _as_written(config.config_type_key, counts),
        {kind: _as_written(key, counts) for kind, key in sigma_keys.items()},
        _as_written(config.force_mask_key, counts),
        config.frame_sigmas,
        dict(_reasons(choices, counts.by_name)),
    )


def _as_written(key: str, counts: LabelCounts) -> str:
    """Return a name as the frames write it, if they do so in another case alone."""
    same = [name for name in counts.by_name if name.lower() == key.lower()]
    return same[0] if len(same) == 1 else key


def _reasons(
    choices: Mapping[Quantity, Sequence[LabelChoice]], counts: Counter[str]
) -> Iterator[tuple[str, str]]:
    """Yield each label that is not used, and why."""
    for best in (options[0] for options in choices.values() if options):
        for key in best.ignored:
            yield (
                key,
                f"{key!r} (number of frames: {counts[key]}) is not used, {best.key!r} "
                f"({counts[str(best.key)]}) is; choose with {best.kind}_key in [data]",
            )


def listed(names: Iterable[str]) -> str:
    """Return names for a message, in order; long ones and long lists are cut."""
    texts = [n if len(n) <= 60 else f"{n[:57]}..." for n in sorted(names)]
    more = [f"{len(texts) - _MOST_LISTED} more"] if len(texts) > _MOST_LISTED else []
    return ", ".join(texts[:_MOST_LISTED] + more)


def _missing_label(option: str, key: str, counts: LabelCounts) -> DataError:
    by_lower = {name.lower(): name for name in counts.by_name}
    near = get_close_matches(key.lower(), by_lower, n=1, cutoff=0.5)
    hint = f"the nearest label is {by_lower[near[0]]!r}; " if near else ""
    names = listed(counts.by_name) or "none at all"
    return DataError(
        f"{option} = {key!r}: none of the {counts.n_frames} frames has this label; {hint}"
        f"labels found: {names}; correct {option}, or leave it out"
    )
