"""ASE calculator: a thin adapter around `GAPModel.predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ase.calculators.calculator import (
    Calculator,
    PropertyNotImplementedError,
    all_changes,
)

from gapfit.frame import to_voigt
from gapfit.model import GAPModel
from gapfit.storage import load

__all__ = ["GAPCalculator"]


class GAPCalculator(Calculator):
    """Run a fitted potential in ASE.

    Parameters
    ----------
    model : GAPModel, str or Path
        The potential or its file.
    uncertainty : bool, optional
        Whether ``results["energies_std"]`` (eV per atom) is computed with every call;
        by default whenever the model holds its posterior.
    n_threads : int, optional
        Threads to use; by default ``GAPFIT_NUM_THREADS`` or all cores of the process.
    **kwargs
        For `ase.calculators.calculator.Calculator`.

    Notes
    -----
    ``energy`` and ``free_energy`` are equal: the fit follows its reference data.
    ``stresses``, the share of each atom in the stress, is computed on demand. An unknown
    species and atoms on top of each other raise `StructureError`.
    """

    implemented_properties = [  # noqa: RUF012 (ASE declares an instance variable)
        "energy",
        "free_energy",
        "energies",
        "forces",
        "stress",
        "stresses",
        "energies_std",
    ]

    def __init__(
        self,
        model: GAPModel | str | Path,
        *,
        uncertainty: bool | None = None,
        n_threads: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model if isinstance(model, GAPModel) else load(model)
        self.n_threads = n_threads
        stored = self.model.posterior is not None
        self.uncertainty = stored if uncertainty is None else uncertainty

    def calculate(
        self,
        atoms: Any = None,
        properties: Any = ("energy",),
        system_changes: Any = all_changes,
    ) -> None:
        """Fill ``results``; all properties come from one evaluation."""
        super().calculate(atoms, properties, system_changes)
        structure: Any = self.atoms
        known = self.model.baseline
        if "stresses" in properties and known is not None and known.calculator:
            raise PropertyNotImplementedError(
                f"{known.calculator.title} gives no stress of single atoms"
            )
        prediction = self.model.predict(
            structure,
            std=self.uncertainty or "energies_std" in properties,
            atom_virials="stresses" in properties,
            n_threads=self.n_threads,
        )
        self.results = {
            "energy": prediction.energy,
            "free_energy": prediction.energy,
            "energies": prediction.energies,
            "forces": prediction.forces,
        }
        if prediction.energies_std is not None:
            self.results["energies_std"] = prediction.energies_std
        if prediction.stress is not None:
            self.results["stress"] = prediction.stress
            if prediction.atom_virials is not None:
                virials = to_voigt(prediction.atom_virials)
                self.results["stresses"] = -virials / structure.get_volume()
        elif "stress" in properties or "stresses" in properties:
            known = self.model.baseline
            if known is not None and known.calculator is not None:
                raise PropertyNotImplementedError(
                    f"no stress: {known.calculator.title} gives none here, or the "
                    "structure has no volume"
                )
            raise PropertyNotImplementedError(
                "stress needs a cell with a volume; this structure has none"
            )
