"""An ASE calculator that is made and asked as quippy's Potential."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ase.calculators.calculator import (
    Calculator,
    PropertyNotImplementedError,
    all_changes,
)

from gapfit.data.frame import to_voigt
from gapfit.data.skin_pairs import MovingPairs
from gapfit.errors import GapfitError, shortened
from gapfit.quip.gap_fit_options import Options, entries
from gapfit.quip.read import load
from gapfit.quip.variance import local_variances

__all__ = ["Potential"]

#: Words of ``args_str`` that mean the GAP in the file, and keys of its label.
_GAP = frozenset({"potential", "ip", "gap"})
_LABELS = frozenset({"xml_label", "label"})
#: Words of ``calc_args`` for properties that every calculation has.
_ALWAYS = frozenset({"energy", "force", "virial", "local_energy", "local_virial"})
_VARIANCE = "local_gap_variance"
_REGULARISATION = "gap_variance_regularisation"
#: Added to the cutoff of the neighbour search, Å.
_SKIN = 0.5


class Potential(Calculator):
    """A GAP of QUIP in ASE: the same answers as quippy's ``Potential``.

    Parameters
    ----------
    args_str : str
        Empty, ``"IP GAP"`` or ``"Potential xml_label=LABEL"``; the label may be any, as
        there is one GAP in a file.
    param_filename : str or Path
        The XML file, in the folder of its files of sparse points.
    calc_args : str
        What every calculation computes besides, as for quippy: ``"local_gap_variance"``,
        with ``gap_variance_regularisation=0.001``, eV, if wanted.
    species : sequence of str, optional
        Chemical symbols, for models with only wildcards.
    atoms : ase.Atoms, optional
        Structure that becomes the owner of this calculator.

    Attributes
    ----------
    model : GAPModel
        The potential, from `gapfit.quip.load`.
    extra_results : dict
        ``extra_results["atoms"]["local_gap_variance"]``: (n_atoms,) float64, eV², of the
        last calculation that was asked for it; see `gapfit.quip.local_variances`.

    Raises
    ------
    ModelFileError
        The file cannot be read.
    GapfitError
        The potential is not a GAP that gapfit reads, or an argument has no counterpart.

    Notes
    -----
    As in quippy, ``stresses`` are virials of atoms over the volume per atom: their mean is
    the stress. Energies of triplets of ``distance_Nb`` belong to the central atom here,
    and to all three in QUIP, so ``energies`` and variances of such models differ, and
    ``stresses`` of all models with ``distance_Nb``; their sums do not.
    """

    #: Name in files and databases of ASE.
    name = "gapfit_quip"

    implemented_properties = [  # noqa: RUF012 (ASE declares an instance variable)
        "energy",
        "free_energy",
        "energies",
        "forces",
        "stress",
        "stresses",
    ]

    def __init__(
        self,
        args_str: str = "",
        *,
        param_filename: str | Path,
        calc_args: str = "",
        species: Sequence[str] | None = None,
        atoms: Any = None,
    ) -> None:
        _require_gap(args_str)
        self._calc_args = calc_args
        _regularisation(calc_args)
        self.model = load(param_filename, species=species)
        self.extra_results: dict[str, dict[str, Any]] = {"config": {}, "atoms": {}}
        self._pairs = MovingPairs(self.model.cutoff, _SKIN)
        super().__init__(atoms=atoms)

    def calculate(
        self,
        atoms: Any = None,
        properties: Any = ("energy",),
        system_changes: Any = all_changes,
        *,
        calc_args: str = "",
    ) -> None:
        """Fill ``results`` and `extra_results`.

        Parameters
        ----------
        atoms : ase.Atoms, optional
            The structure; by default that of the last evaluation.
        properties : sequence of str
            Names as in ``implemented_properties``. All are computed but ``stresses``,
            which needs to be named, and the stress of structures without a volume.
        system_changes : sequence of str
            What changed since, for ASE.
        calc_args : str
            See the parameter of the class; in addition to it.

        Raises
        ------
        GapfitError
            `calc_args` has a word without counterpart.
        StructureError
            See `GAPModel.predict`.
        """
        super().calculate(atoms, properties, system_changes)
        properties = properties or ()
        regularisation = _regularisation(f"{self._calc_args} {calc_args}")
        structure: Any = self.atoms
        prediction = self.model.predict(
            structure, atom_virials="stresses" in properties, moving=self._pairs
        )
        self.results = {
            "energy": prediction.energy,
            "free_energy": prediction.energy,
            "energies": prediction.energies,
            "forces": prediction.forces,
        }
        if prediction.stress is not None:
            self.results["stress"] = prediction.stress
            if prediction.atom_virials is not None:
                virials = to_voigt(prediction.atom_virials)
                volume_per_atom = structure.get_volume() / len(structure)
                self.results["stresses"] = -virials / volume_per_atom
        elif {"stress", "stresses"} & set(properties):
            raise PropertyNotImplementedError(
                "stress needs a cell with a volume; this structure has none"
            )
        self.extra_results = {"config": {}, "atoms": {}}
        if regularisation is not None:
            self.extra_results["atoms"][_VARIANCE] = local_variances(
                self.model, structure, regularisation=regularisation
            )


def _require_gap(args_str: str) -> None:
    """Refuse arguments of another potential than a GAP alone."""
    pairs = entries(args_str)
    words = {key.lower() for key, value in pairs if value is None}
    keys = {key.lower() for key, value in pairs if value is not None}
    if words - _GAP or keys - _LABELS:
        raise GapfitError(
            f"args_str = {shortened(args_str)!r}: only GAPs are supported, 'IP GAP' or "
            "'Potential xml_label=LABEL'; potentials underneath are read from the file"
        )


def _regularisation(calc_args: str) -> float | None:
    """Return ρ of the variances, eV; None if none are asked for."""
    options = Options.of(f"calc_args {calc_args}")
    asked = options.logical(_VARIANCE, default=False)
    value = options.real(_REGULARISATION, default=1e-3)
    for word in _ALWAYS:
        options.logical(word, default=True)
    if options.unknown:
        raise GapfitError(
            f"calc_args = {shortened(calc_args.strip())!r}: {options.unknown[0]!r} has no "
            f"counterpart; there are {_VARIANCE} and {_REGULARISATION}=NUMBER"
        )
    return value if asked else None
