"""Labels of structures: their usual names, the choice among them, and their shapes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np

from gapfit.config.base import LEAST_SIGMA
from gapfit.config.sections import DataConfig
from gapfit.data.frame import Frame, to_voigt
from gapfit.data.observations import Quantity
from gapfit.errors import DataError

__all__ = [
    "CANDIDATES",
    "SIGMAS",
    "BadLabelError",
    "LabelChoice",
    "LabelPlan",
    "choose",
    "kinds_of",
    "label_value",
    "make_plan",
    "mask_value",
    "sigma_value",
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

#: Largest asymmetry of a stress tensor, relative to its largest component.
MAX_ASYMMETRY = 1e-3

#: Labels that carry standard deviations.
SIGMAS = ("energy_sigma", "force_sigma", "virial_sigma")


class BadLabelError(ValueError):
    """A label whose value does not fit its name."""


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
    """

    kind: str
    key: str | None
    ignored: tuple[str, ...] = ()


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
    """

    choices: dict[Quantity, list[LabelChoice]]
    config_type_key: str
    sigma_keys: dict[str, str]
    force_mask_key: str
    frame_sigmas: str | None

    def sigma_key(self, kind: str, labels: Container[str]) -> str | None:
        """Return the label that gives a kind of sigma of a frame; None without any.

        As for gap_fit, ``force_atom_sigma`` of atoms comes before that of the frame.
        """
        key = self.sigma_keys[kind]
        of_atoms = [key.replace("force_", "force_atom_", 1)] * (kind == "force_sigma")
        return next((name for name in (*of_atoms, key) if name in labels), None)


def choose(
    kinds: Iterable[str], counts: Mapping[str, int], explicit: Mapping[str, str | None]
) -> list[LabelChoice]:
    """Return the labels to use for one quantity, best first.

    Parameters
    ----------
    kinds : iterable of str
        The kinds that can express the quantity: ``["stress", "virial"]``, say.
    counts : mapping
        Number of frames that have each label.
    explicit : mapping
        Label by kind as the user gave it, or None.

    Returns
    -------
    list of Choice
        One choice: the label given, or the usual name that most frames have (ties by
        order of preference). Several when several kinds were given labels.
    """
    kinds = list(kinds)
    given = [(kind, key) for kind in kinds if (key := explicit.get(kind)) is not None]
    present = [
        (kind, key) for kind in kinds for key in CANDIDATES[kind] if counts.get(key)
    ]
    # max() keeps the first of equals.
    most = [max(present, key=lambda item: counts[item[1]])] if present else []
    best = given or most
    used = {key for _, key in best}
    ignored = tuple(key for _, key in present if key not in used)
    if not best:
        return [LabelChoice(kinds[0], None)]
    return [
        LabelChoice(kind, key, ignored if index == 0 else ())
        for index, (kind, key) in enumerate(best)
    ]


def kinds_of(quantity: Quantity) -> tuple[str, ...]:
    """Return the kinds of label that give a quantity: stress or virial for a virial."""
    return tuple(dict.fromkeys((quantity.reported, str(quantity))))


def make_plan(config: DataConfig, counts: Counter[str], n_frames: int) -> LabelPlan:
    """Return the labels to use.

    Parameters
    ----------
    config : DataConfig
        Names given by the user, and the quantities to use.
    counts : Counter
        Number of frames that have each label.
    n_frames : int
        Number of frames.

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
        if key is not None and not counts[key]:
            raise _missing_label(option, key, counts, n_frames)
    choices = {
        quantity: choose(kinds_of(quantity), counts, explicit) if on else []
        for quantity, on in used.items()
    }
    return LabelPlan(
        choices,
        config.config_type_key,
        sigma_keys,
        config.force_mask_key,
        config.frame_sigmas,
    )


def _missing_label(
    option: str, key: str, counts: Counter[str], n_frames: int
) -> DataError:
    by_lower = {name.lower(): name for name in counts}
    near = get_close_matches(key.lower(), by_lower, n=1, cutoff=0.5)
    hint = f"the nearest label is {by_lower[near[0]]!r}; " if near else ""
    names = ", ".join(sorted(counts)) or "none at all"
    return DataError(
        f"{option} = {key!r}: none of the {n_frames} frames has this label; {hint}"
        f"labels found: {names}; correct {option}, or leave it out"
    )


def label_value(kind: str, value: Any, frame: Frame) -> Any:
    """Return a label in the form that `Frame` has.

    Parameters
    ----------
    kind : str
        A key of `CANDIDATES`.
    value : array_like
        Energy: one number, eV. Forces: (n_atoms, 3), eV/Å. Stress: six numbers in Voigt
        order, nine, or (3, 3), eV/Å³, tension positive. Virial: the same shapes,
        -stress × volume, eV.
    frame : Frame
        The structure.

    Returns
    -------
    float or ndarray
        Energy; forces, (n_atoms, 3) float64; or, for both stress and virial, the virial
        in Voigt order, (6,) float64, eV.

    Raises
    ------
    BadLabelError
        The value is not numeric, has another shape, or is not symmetric.
    """
    array = _numbers(value)
    if kind == "energy":
        return _one_number(array)
    if kind == "forces":
        if array.shape != (frame.n_atoms, 3):
            raise BadLabelError(
                f"has shape {array.shape} where ({frame.n_atoms}, 3) is expected, "
                "three components for each atom"
            )
        return array
    voigt = _voigt(kind, array, frame.n_atoms)
    return -voigt * frame.volume if kind == "stress" else voigt


def sigma_value(kind: str, value: Any, n_atoms: int) -> Any:
    """Return a standard deviation: one number, or for forces one for each atom."""
    array = _numbers(value)
    bad = np.flatnonzero(~(np.isfinite(array) & (array >= LEAST_SIGMA)))
    if bad.size:
        where = f" for atom {bad[0]}" if array.size > 1 else ""
        raise BadLabelError(
            f"is {array.flat[bad[0]]:g}{where}; a sigma must be finite and at least "
            f"{LEAST_SIGMA:g}"
        )
    if kind != "force_sigma":
        return _one_number(array)
    if array.size == 1:
        return np.full(n_atoms, float(array.flat[0]))
    if array.shape != (n_atoms,):
        raise BadLabelError(
            f"has shape {array.shape} where one number is expected, or one for each of "
            f"the {n_atoms} atoms"
        )
    return array


def mask_value(value: Any, n_atoms: int) -> np.ndarray:
    """Return a mask of atoms, (n_atoms,) bool, from true and false or 1 and 0."""
    array = np.asarray(value)
    if array.dtype.kind not in "biu" or not np.isin(array, (0, 1)).all():
        raise BadLabelError(f"is {str(value)[:60]!r}, which is not true and false")
    if array.shape != (n_atoms,):
        raise BadLabelError(
            f"has shape {array.shape} where one value for each of the {n_atoms} atoms is "
            "expected"
        )
    return array.astype(bool)


def _numbers(value: Any) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different length
        array = np.array(str(value))
    if array.dtype.kind not in "iuf":
        raise BadLabelError(
            f"is {str(value)[:60]!r}, which is not a number or an array"
        )
    return array.astype(float)


def _one_number(array: np.ndarray) -> float:
    if array.size != 1:
        raise BadLabelError(f"has shape {array.shape} where one number is expected")
    return float(array.flat[0])


def _voigt(kind: str, array: np.ndarray, n_atoms: int) -> np.ndarray:
    """Return the six components of a stress (eV/Å³) or virial (eV)."""
    if array.shape in ((9,), (3, 3)):
        matrix = array.reshape(3, 3)
        asymmetry = np.abs(matrix - matrix.T).max()
        floor = 1e-5 if kind == "stress" else 1e-4 * n_atoms
        if asymmetry > max(MAX_ASYMMETRY * np.abs(matrix).max(), floor):
            raise BadLabelError(
                f"is not symmetric: opposite components differ by {asymmetry:.4g} "
                f"where the largest is {np.abs(matrix).max():.4g}"
            )
        return to_voigt(matrix)
    if array.shape != (6,):
        raise BadLabelError(
            f"has shape {array.shape} where 6, 9 or (3, 3) numbers are expected"
        )
    return array
