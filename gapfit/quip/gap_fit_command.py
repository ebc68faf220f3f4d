"""Commands of gap_fit as configurations of gapfit."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gapfit.config.sections import DataConfig, FitConfig
from gapfit.config.template import template_toml
from gapfit.config.toml import config_from_dict
from gapfit.data.observations import Quantity
from gapfit.errors import GapfitError, shortened
from gapfit.quip.gap_fit_blocks import symbols
from gapfit.quip.gap_fit_descriptors import named_numbers
from gapfit.quip.gap_fit_options import Options
from gapfit.quip.gap_fit_terms import translate_terms
from gapfit.quip.gap_fit_tokens import command_options
from gapfit.quip.gap_fit_values import number, type_values
from gapfit.quip.remarks import Remark, unknown_option

__all__ = ["Translation", "translate"]

#: Longer commands are refused, characters.
_LONGEST = 200_000
#: Options that do not change the fit, and their counterparts.
_IGNORED = {
    "condition_number_norm": "diagnostics of gap_fit",
    "do_copy_atoms_file": "gapfit keeps a digest of the data",
    "do_copy_at_file": "gapfit keeps a digest of the data",
    "do_ip_timing": "gapfit shows its times",
    "dryrun": "gapfit fit --plan",
    "export_covariance": "models contain their posterior, run.store_posterior",
    "gap_file": "gapfit fit writes FILE-model/model.npz; gapfit convert makes it XML",
    "gp_file": "gapfit fit writes FILE-model/model.npz; gapfit convert makes it XML",
    "linear_system_dump_file": "diagnostics of gap_fit",
    "mpi_blocksize_cols": "see run.executor and run.workers",
    "mpi_blocksize_rows": "see run.executor and run.workers",
    "mpi_print_all": "see run.executor and run.workers",
    "openmp_chunk_size": "see run.threads",
    "sparse_separate_file": "gapfit convert always writes separate files",
    "sparsify_only_no_fit": "has no counterpart",
    "template_file": "not needed",
    "verbosity": "see the log in the folder of the model",
}
#: Options that change the fit and that gapfit does not have.
_MISSING = {
    "baseline_ip_args": "fitted without: give the potential under [baseline]",
    "baseline_param_filename": "fitted without: give the potential under [baseline]",
    "core_ip_args": "fitted without: give the potential under [baseline]",
    "core_param_file": "fitted without: give the potential under [baseline]",
    "default_kernel_regularisation_local_property": "gapfit fits energies alone",
    "default_local_property_sigma": "gapfit fits energies alone",
    "hessian_delta": "gapfit fits no Hessians",
    "hessian_displacement": "gapfit fits no Hessians",
    "hessian_parameter_name": "gapfit fits no Hessians",
    "local_property0": "gapfit fits energies alone",
    "local_property_mask_parameter_name": "gapfit fits energies alone",
    "local_property_parameter_name": "gapfit fits energies alone",
    "sparse_use_actual_gpcov": "gapfit has other methods for sparse points",
}
_KINDS = ("energy", "force", "virial")
#: Names of labels that mean that there is none.
_NO_LABEL = frozenset({"dummy", "none", "null", "no", "off"})


@dataclass(frozen=True)
class Translation:
    """A configuration, and its differences from the command.

    Attributes
    ----------
    config : FitConfig
        Settings of the command that gapfit has.
    remarks : tuple of Remark
        Options that are lost or different.
    """

    config: FitConfig
    remarks: tuple[Remark, ...]

    def toml(self, source: str) -> str:
        """Return the text of ``fit.toml``; `source` is the name of the command's file."""
        top = [f"Translated from a command of gap_fit, {source}."]
        if self.remarks:
            top += ["", "Options without counterpart, or with a different one:"]
        for remark in self.remarks:
            top += textwrap.wrap(
                f"- {remark}", 86, subsequent_indent="  ", break_on_hyphens=False
            )
        comments = {
            "": top,
            "solver": [
                "gap_fit adds sparse_jitter (eV²) to coefficients that include the cutoff",
                "functions of sparse points: those near the cutoff have less weight there.",
            ],
        }
        return template_toml(self.config, comments)


def translate(
    text: str,
    *,
    species: Sequence[str] = (),
    labels: Iterable[str] | None = None,
    place: Callable[[str], str] = str,
) -> Translation:
    """Return the configuration of a fit that a command of gap_fit describes.

    Parameters
    ----------
    text : str
        See `gapfit.quip.gap_fit_tokens.command_options`.
    species : sequence of str
        Symbols of the elements in the data: needed if ``e0`` is one number for all, and
        for descriptors of single pairs or triplets.
    labels : iterable of str, optional
        Labels in the training data; names of others are omitted.
    place : callable
        Function from the path of the training data to that in the configuration.

    Raises
    ------
    GapfitError
        The command cannot be read, lacks an option, or has values that gapfit refuses.

    Examples
    --------
    >>> translation = translate(
    ...     "gap_fit at_file=train.xyz default_sigma={0.002 0.1 0.1 0} "
    ...     "gap={distance_2b cutoff=4.0 delta=0.5 theta_uniform=1.0 n_sparse=15}"
    ... )
    >>> translation.config.terms[0].delta
    1.0
    """
    from ase.data import atomic_numbers

    remarks: list[Remark] = []
    if len(text) > _LONGEST:
        raise GapfitError(
            f"gap_fit: {len(text)} characters, more than {_LONGEST}: this is not a command "
            "of gap_fit"
        )
    options = command_options(text, remarks)
    if (file := options.text("config_file")) is not None:
        raise GapfitError(
            f"gap_fit: config_file = {shortened(file)} is given: translate that file "
            "instead"
        )
    translator = _Translator(options, None if labels is None else set(labels), remarks)
    gap = options.text("gap")
    if gap is None:
        raise GapfitError("gap_fit: gap={...}, the descriptors, is missing")
    tables = {
        "data": translator.data(place),
        "sigma": translator.sigma(),
        "e0": translator.e0(species, gap),
        "terms": translate_terms(
            gap, [atomic_numbers[symbol] for symbol in species], remarks
        ),
    }
    translator.add_others(tables)
    return Translation(
        config_from_dict(tables, "the command as a configuration"), tuple(remarks)
    )


class _Translator:
    """Translates options to tables, and adds remarks about them."""

    def __init__(
        self, options: Options, labels: set[str] | None, remarks: list[Remark]
    ) -> None:
        self.options = options
        self.labels = labels
        self.remarks = remarks
        self.unused: set[Quantity] = set()

    def note(self, key: str, text: str) -> None:
        """Add a remark about an option."""
        self.remarks.append(Remark(key, self.options.values.get(key, ""), text))

    def note_value(self, key: str, value: str, text: str) -> None:
        """Add a remark about one value among those of an option."""
        self.remarks.append(Remark(key, value, text))

    def data(self, place: Callable[[str], str]) -> dict[str, Any]:
        """Return the table of the data."""
        options = self.options
        file = options.text("atoms_filename", "at_file")
        if file is None:
            raise GapfitError("gap_fit: at_file, the training data, is missing")
        table: dict[str, Any] = {"train": [place(file)]}
        prefix = options.text("parameter_name_prefix", default="") or ""
        for kind in (*_KINDS, "stress"):
            option = f"{kind}_parameter_name"
            if (name := options.text(option)) is None:
                name = kind if prefix else None
            if name is not None:
                table |= self._label(kind, option, prefix + name)
            elif kind in ("energy", "force") and self.labels is not None:
                self._warn_of_default(kind, option, self.labels)
        simple = {
            "config_type_parameter_name": "config_type_key",
            "force_mask_parameter_name": "force_mask_key",
        }
        for option, key in simple.items():
            if (name := options.text(option)) is not None:
                table |= self._if_present(option, key, prefix + name)
        return table | self._sigma_labels()

    def _sigma_labels(self) -> dict[str, Any]:
        """Return the labels of standard deviations of frames and atoms."""
        names = ("kernel_regularisation_parameter_name", "sigma_parameter_name")
        option = next((key for key in names if key in self.options.values), names[1])
        name = self.options.text(*names, default="sigma")
        table: dict[str, Any] = {}
        for kind in _KINDS:
            table |= self._if_present(option, f"{kind}_sigma_key", f"{kind}_{name}")
        labels = self.labels or set()
        # With both, the sigmas of atoms count for gapfit, too.
        if f"force_atom_{name}" in labels and f"force_{name}" not in labels:
            table["force_sigma_key"] = f"force_atom_{name}"
        if self.labels is None or labels & {f"energy_{name}", f"virial_{name}"}:
            table["frame_sigmas"] = "total"
        for kind in ("force_component", "virial_component"):
            if f"{kind}_{name}" in labels:
                self.note(option, f"{kind}_{name} in the data has no counterpart")
        return table

    def _label(self, kind: str, option: str, name: str) -> dict[str, Any]:
        key = "forces_key" if kind == "force" else f"{kind}_key"
        if name.lower() in _NO_LABEL:
            use = {"energy": "use_energies", "force": "use_forces"}
            self.note(option, "means none: they are not fitted")
            return {use[kind]: False} if kind in use else {}
        if self.labels is not None and name not in self.labels:
            self.note(
                option, "the training data have no such label: found by gapfit, if any"
            )
            return {}
        return {key: name}

    def _warn_of_default(self, kind: str, option: str, labels: set[str]) -> None:
        if kind not in labels:
            self.note(
                option,
                f"gap_fit reads {kind}, which the training data do not have, so it fits "
                "none; gapfit searches other usual names",
            )

    def _if_present(self, option: str, key: str, name: str) -> dict[str, Any]:
        """Return the name of an optional label unless it is the default of gapfit."""
        if name == DataConfig.model_fields[key].default:
            return {}
        if self.labels is not None and name not in self.labels:
            if option in self.options.values:
                self.note(option, f"the training data have no label {name}: left out")
            return {}
        return {key: name}

    def sigma(self) -> dict[str, Any]:
        """Return the standard deviations."""
        options = self.options
        keys = ("default_kernel_regularisation", "default_sigma")
        given = options.text(*keys)
        if given is None:
            raise GapfitError(
                "gap_fit: default_sigma={energy force virial hessian} is missing"
            )
        values = given.replace(",", " ").split()
        if len(values) != 4:
            raise GapfitError(
                f"default_sigma = {shortened(given)}: four numbers, of energy, force, "
                f"virial and hessian, not {len(values)}"
            )
        table: dict[str, Any] = dict(self._sigmas("default_sigma", values))
        keys = ("config_type_kernel_regularisation", "config_type_sigma")
        types = type_values(
            options.text(*keys) or "", 4, "config_type_sigma", self.note_value
        )
        by_type = {
            name: self._sigmas(f"config_type_sigma {name}", numbers)
            for name, numbers in types.items()
        }
        # Frames without a config_type, or with one without sigmas.
        table |= by_type.pop("default", {})
        # gap_fit treats isolated atoms as all others.
        if "energy" in table:
            table["isolated"] = table["energy"]
        self.unused = set(Quantity).difference(table, *by_type.values())
        if by_type:
            table["config_types"] = by_type
        keys = ("kernel_regularisation_is_per_atom", "sigma_per_atom")
        if not options.logical(*keys, default=True):
            self.note(
                next(key for key in keys if key in options.values),
                "gapfit multiplies sigmas of energies and virials with sqrt(n_atoms)",
            )
        return table

    def _sigmas(self, where: str, values: Sequence[str]) -> dict[str, float]:
        numbers = [number(where, value) for value in values]
        named = zip(Quantity, numbers, strict=False)
        return {str(quantity): value for quantity, value in named if value}

    def e0(self, species: Sequence[str], gap: str) -> dict[str, Any]:
        """Return the energies of isolated atoms."""
        options = self.options
        given, method = options.text("e0"), options.text("e0_method") or "isolated"
        offset = options.real("e0_offset", default=0.0)
        if given is None:
            if offset:
                self.note("e0_offset", "left out: add it to the values under [e0]")
            if method.lower() == "average":
                self.note(
                    "e0_method",
                    'taken as "least_squares": each species has a separate energy',
                )
                return {"method": "least_squares"}
            return {"method": "isolated"}
        if ":" in given:
            pairs = type_values(given, 1, "e0", self.note_value)
            return {s: self._energy(v[0], offset) for s, v in pairs.items()}
        every = list(species) or symbols(sorted(named_numbers(gap)))
        if not every:
            raise GapfitError(
                f"e0 = {shortened(given)} for all species, and no species is named: give "
                "them with species = [...] or --species"
            )
        return dict.fromkeys(every, self._energy(given, offset))

    def _energy(self, text: str, offset: float) -> float:
        return number("e0", text) + offset

    def add_others(self, tables: dict[str, Any]) -> None:
        """Add other options to the tables, and remarks about those without counterpart."""
        options = self.options
        uses = {
            Quantity.ENERGY: "use_energies",
            Quantity.FORCES: "use_forces",
            Quantity.VIRIAL: "use_stress",
        }
        for quantity in sorted(self.unused):
            tables["data"][uses[quantity]] = False
        if "sparse_jitter" in options.values:
            # Relative to kernels here, whose delta is that of QUIP for soap.
            scales = (
                term["delta"] if term["type"] == "soap" else term["delta"] / 2
                for term in tables["terms"]
            )
            largest = max(scales)
            jitter = options.real("sparse_jitter", default=0.0) / largest / largest
            tables["solver"] = {"jitter": min(jitter, 1e-2)}
        if (seed := options.integer("rnd_seed", default=-1)) >= 0:
            tables["run"] = {"seed": seed}
        for key, text in (_IGNORED | _MISSING).items():
            if options.text(key) is not None:
                self.note(key, text)
        names = sorted(options.asked)
        for key in options.unknown:
            self.note(key, f"left out: {unknown_option(key, names)}")
