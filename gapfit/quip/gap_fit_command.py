"""Commands of gap_fit as configurations of gapfit."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gapfit.config.sections import FitConfig
from gapfit.config.template import template_toml
from gapfit.config.toml import config_from_dict
from gapfit.data.observations import Quantity
from gapfit.errors import GapfitError, shortened
from gapfit.quip.gap_fit_blocks import symbols
from gapfit.quip.gap_fit_descriptors import named_numbers
from gapfit.quip.gap_fit_labels import Labels
from gapfit.quip.gap_fit_options import Options
from gapfit.quip.gap_fit_terms import Ranges, translate_terms
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
    "sparse_separate_file": "sparse points are always in separate files",
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
#: Options of a potential underneath.
_CORE = (
    "baseline_ip_args",
    "baseline_param_filename",
    "core_ip_args",
    "core_param_file",
)
#: Options of other fits that have no effect without labels in the data: the option with
#: their name, and its default.
_NEED_LABELS = {
    "default_kernel_regularisation_local_property": "local_property",
    "default_local_property_sigma": "local_property",
    "hessian_delta": "hessian",
    "hessian_displacement": "hessian",
    "hessian_parameter_name": "hessian",
    "local_property0": "local_property",
    "local_property_mask_parameter_name": "local_property",
    "local_property_parameter_name": "local_property",
}
#: Options of another fit, or none at all, if they are true.
_OTHER_RUNS = ("dryrun", "sparsify_only_no_fit")


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
    text: str | Sequence[str],
    *,
    species: Sequence[str] = (),
    labels: Iterable[str] | None = None,
    average_energy: Callable[[str], float | None] | None = None,
    core_table: str | None = None,
    ranges: Ranges | None = None,
    place: Callable[[str], str] = str,
) -> Translation:
    """Return the configuration of a fit that a command of gap_fit describes.

    Parameters
    ----------
    text : str or sequence of str
        See `gapfit.quip.gap_fit_tokens.command_options`.
    species : sequence of str
        Symbols of the elements in the data: needed if ``e0`` is one number for all, and
        for descriptors of single pairs or triplets.
    labels : iterable of str, optional
        Labels in the training data; names of others are omitted.
    average_energy : callable, optional
        Function from the label of energies to the average of energy / n_atoms over the
        training data, eV, or None if there is none: ``e0_method=average``.
    core_table : str, optional
        File for ``[baseline] table`` with the potential of ``core_ip_args``.
    ranges : callable, optional
        See `gapfit.quip.gap_fit_terms.translate_terms`.
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
    length = len(text) if isinstance(text, str) else sum(map(len, text))
    if length > _LONGEST:
        raise GapfitError(
            f"gap_fit: {length} characters, more than {_LONGEST}: this is not a command "
            "of gap_fit"
        )
    options = command_options(text, remarks)
    if (file := options.text("config_file")) is not None:
        raise GapfitError(
            f"gap_fit: config_file = {shortened(file)} is given: translate that file "
            "instead"
        )
    translator = _Translator(options, None if labels is None else set(labels), remarks)
    translator.average_energy, translator.core_table = average_energy, core_table
    gap = options.text("gap")
    if gap is None:
        raise GapfitError("gap_fit: gap={...}, the descriptors, is missing")
    sigma = translator.sigma()
    tables = {
        "data": translator.names.table(place, translator.unused),
        "sigma": sigma,
        "e0": translator.e0(species, gap),
        "terms": translate_terms(
            gap, [atomic_numbers[symbol] for symbol in species], remarks, ranges
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
        self.names = Labels(options, labels, self.note)
        self.average_energy: Callable[[str], float | None] | None = None
        self.core_table: str | None = None
        self.unused: set[Quantity] = set()

    def note(self, key: str, text: str, *, changes: bool = False) -> None:
        """Add a remark about an option."""
        self.note_value(key, self.options.values.get(key, ""), text, changes=changes)

    def note_value(
        self, key: str, value: str, text: str, *, changes: bool = False
    ) -> None:
        """Add a remark about one value among those of an option."""
        self.remarks.append(Remark(key, value, text, changes))

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
                changes=True,
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
        if given is None and method.lower() == "average":
            return self._average(species, offset)
        if given is None:
            if offset:
                text = "left out: add it to the values under [e0]"
                self.note("e0_offset", text, changes=True)
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

    def _average(self, species: Sequence[str], offset: float) -> dict[str, Any]:
        """Return the average energy per atom of the data, the same for all species."""
        average = self.average_energy and self.average_energy(self.names.energy)
        if average is not None:
            return dict.fromkeys(species, average + offset)
        text = 'taken as "least_squares": each species has a separate energy'
        self.note("e0_method", text, changes=True)
        return {"method": "least_squares"}

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
        if self.core_table is not None:
            tables["baseline"] = {"table": self.core_table}
        for key, text in (_IGNORED | _MISSING).items():
            replaced = self.core_table is not None and key in _CORE
            if options.text(key) is not None and not replaced:
                self.note(key, text, changes=self._changes(key))
        names = sorted(options.asked)
        for key in options.unknown:
            text = f"left out: {unknown_option(key, names)}"
            self.note(key, text, changes=True)

    def _changes(self, key: str) -> bool:
        """Return whether the fit is another one without an option."""
        if key in _OTHER_RUNS:
            return self.options.logical(key, default=False)
        if key in _CORE:
            # gap_fit reads the file for the potential that these words name.
            return bool(self.options.text("core_ip_args", "baseline_ip_args"))
        if (kind := _NEED_LABELS.get(key)) is not None:
            return self.names.has_numbered(kind)
        return False
