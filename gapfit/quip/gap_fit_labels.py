"""The labels that a command of gap_fit names, as keys of the table ``[data]``."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Protocol

from gapfit.config.sections import DataConfig
from gapfit.data.label_names import names_of
from gapfit.data.observations import Quantity
from gapfit.errors import GapfitError
from gapfit.quip.gap_fit_options import Options

__all__ = ["Labels"]

_KINDS = ("energy", "force", "virial")
#: Kinds of labels by which gapfit finds the quantity of one, as it names them.
_SAME_QUANTITY = {
    "energy": ("energy",),
    "force": ("forces",),
    "virial": ("virial", "stress"),
    "stress": ("virial", "stress"),
}
#: Names of labels that mean that there is none.
_NO_LABEL = frozenset({"dummy", "none", "null", "no", "off"})


class _NoteOption(Protocol):
    def __call__(self, key: str, text: str, *, changes: bool = False) -> None: ...


class Labels:
    """Names of labels in a command.

    Parameters
    ----------
    options : Options
        Options of the command.
    present : set of str or None
        Labels of the training data; None if they are not known.
    note : callable
        Called with an option and a remark about it; ``changes`` as in `Remark`.
    """

    def __init__(
        self, options: Options, present: set[str] | None, note: _NoteOption
    ) -> None:
        self.options = options
        self.present = present
        self.note = note
        self._unused: set[str] = set()
        self._prefix = options.text("parameter_name_prefix", default="") or ""

    @property
    def energy(self) -> str:
        """Label of energies."""
        return self._name("energy")

    def _name(self, kind: str) -> str:
        """Return the name that gap_fit reads labels of a kind by."""
        kind = "force" if kind == "forces" else kind
        given = self.options.text(f"{kind}_parameter_name", default=kind)
        return f"{self._prefix}{given}"

    def has_numbered(self, kind: str) -> bool:
        """Return whether data have labels of a kind that gapfit does not fit.

        Hessians are several columns, ``hessian1`` and so on.
        """
        name = self._name(kind)
        return any(label.rstrip("0123456789") == name for label in self.present or ())

    def table(
        self, place: Callable[[str], str], unused: Collection[Quantity]
    ) -> dict[str, Any]:
        """Return the table of the data.

        Parameters
        ----------
        place : callable
            Function from the path of the training data to that in the configuration.
        unused : collection of Quantity
            Quantities that are not fitted, whatever their labels.

        Raises
        ------
        GapfitError
            The training data are not named.
        """
        options = self.options
        self._unused = {str(quantity) for quantity in unused}
        file = options.text("atoms_filename", "at_file")
        if file is None:
            raise GapfitError("gap_fit: at_file, the training data, is missing")
        table: dict[str, Any] = {"train": [place(file)]}
        for kind in (*_KINDS, "stress"):
            option = f"{kind}_parameter_name"
            if options.text(option) is not None or self._prefix:
                table |= self._label(kind, option, self._name(kind))
            elif kind != "stress" and self.present is not None:
                table |= self._default(kind, option)
        simple = {
            "config_type_parameter_name": "config_type_key",
            "force_mask_parameter_name": "force_mask_key",
        }
        for option, key in simple.items():
            if (name := options.text(option)) is not None:
                table |= self._if_present(option, key, self._prefix + name)
        return table | self._sigma_labels()

    def _sigma_labels(self) -> dict[str, Any]:
        """Return the labels of standard deviations of frames and atoms."""
        names = ("kernel_regularisation_parameter_name", "sigma_parameter_name")
        option = next((key for key in names if key in self.options.values), names[1])
        name = self.options.text(*names, default="sigma")
        table: dict[str, Any] = {}
        for kind in _KINDS:
            table |= self._if_present(option, f"{kind}_sigma_key", f"{kind}_{name}")
        labels = self.present or set()
        # With both, the sigmas of atoms count for gapfit, too.
        if f"force_atom_{name}" in labels and f"force_{name}" not in labels:
            table["force_sigma_key"] = f"force_atom_{name}"
        if self.present is None or labels & {f"energy_{name}", f"virial_{name}"}:
            table["frame_sigmas"] = "total"
        for kind in ("force_component", "virial_component"):
            if (label := f"{kind}_{name}") in labels:
                text = f"{label} in the data has no counterpart"
                self.note(option, text, changes=True)
        return table

    def _label(self, kind: str, option: str, name: str) -> dict[str, Any]:
        key = "forces_key" if kind == "force" else f"{kind}_key"
        if name.lower() in _NO_LABEL:
            use = {"energy": "use_energies", "force": "use_forces"}
            self.note(option, "means none: they are not fitted")
            if kind in use:
                return {use[kind]: False}
            instead = self._stress_instead(kind)
            return instead or ({"use_stress": False} if kind == "virial" else {})
        if self.present is not None and name not in self.present:
            others = self._others(kind)
            text = "the training data have no such label: found by gapfit, if any"
            if others:
                text = f"the training data have no such label, but {', '.join(others)}"
            self.note(option, text, changes=bool(others))
            return self._stress_instead(kind)
        return {key: name}

    def _stress_instead(self, kind: str) -> dict[str, Any]:
        """Return the label of stresses, which gap_fit reads where there is no virial."""
        name = self._name("stress")
        return {"stress_key": name} if kind == "virial" and self._has(name) else {}

    def _has(self, name: str) -> bool:
        return name in (self.present or ())

    def _others(self, kind: str) -> list[str]:
        """Return the labels that gapfit takes where those of gap_fit are missing."""
        kinds = _SAME_QUANTITY[kind]
        if self._unused & set(kinds) or any(map(self._has, map(self._name, kinds))):
            return []
        return [name for kind in kinds for name in names_of(kind, self.present or ())]

    def _default(self, kind: str, option: str) -> dict[str, Any]:
        """Return the keys of a label that the command does not name."""
        others = self._others(kind)
        if self._has(kind) or not (others or kind != "virial"):
            return {}
        text = f"gap_fit reads {kind}, which the training data do not have, so "
        if kind == "virial":  # a usual choice, unlike fits without energies or forces
            self.note(option, f"{text}{', '.join(others)} is not fitted, either")
            return {"use_stress": False}
        taken = f", and takes {', '.join(others)}" if others else ""
        text += f"it fits none; gapfit searches other usual names{taken}"
        self.note(option, text, changes=bool(others))
        return {}

    def _if_present(self, option: str, key: str, name: str) -> dict[str, Any]:
        """Return the name of an optional label unless it is the default of gapfit."""
        if name == DataConfig.model_fields[key].default:
            return {}
        if self.present is not None and name not in self.present:
            if option in self.options.values:
                self.note(option, f"the training data have no label {name}: left out")
            return {}
        return {key: name}
