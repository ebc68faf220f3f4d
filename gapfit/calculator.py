"""ASE calculator: a thin adapter around `GAPModel.predict`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ase.calculators.calculator import (
    Calculator,
    PropertyNotImplementedError,
    all_changes,
)

from gapfit.frame import to_voigt
from gapfit.model import GAPModel
from gapfit.moving_pairs import MovingPairs
from gapfit.prediction import STD_KINDS, std_kinds
from gapfit.storage import load

__all__ = ["GAPCalculator"]


class GAPCalculator(Calculator):
    """Run a fitted potential in ASE.

    Parameters
    ----------
    model : GAPModel, str or Path
        The potential or its file.
    uncertainty : bool, str or sequence of str, optional
        Standard deviations computed with every call, as `std` of `GAPModel.predict`:
        ``"energy"``, ``"energies"``, ``"forces"``, ``"stress"`` give
        ``results["energy_std"]`` and so on; ``"novelty"``, of each atom, is nearly free,
        too, unless ``"energies"`` are asked for beside it. By default that of each atom's
        energy, which is nearly free, whenever the model holds its posterior; others are
        computed when they are asked for: ``atoms.calc.get_property("forces_std")``.
    n_threads : int, optional
        Threads to use; by default ``GAPFIT_NUM_THREADS`` or all cores of the process.
    skin : float, optional
        Neighbours are searched within the cutoff and this, Å, and serve until an atom
        has moved by half of it; results are the same to the last bit. 0: search each
        time.
    **kwargs
        For `ase.calculators.calculator.Calculator`.

    Notes
    -----
    ``energy`` and ``free_energy`` are equal: the fit follows its reference data.
    ``stresses``, the share of each atom in the stress, is computed on demand; so is, for
    models read from QUIP, ``local_gap_variance`` (`gapfit.quip.local_variances`). An
    unknown species and atoms on top of each other raise `StructureError`.
    """

    implemented_properties = [  # noqa: RUF012 (ASE declares an instance variable)
        "energy",
        "free_energy",
        "energies",
        "forces",
        "stress",
        "stresses",
        *(f"{kind}_std" for kind in STD_KINDS),
        "novelty",
        "local_gap_variance",
    ]

    def __init__(
        self,
        model: GAPModel | str | Path,
        *,
        uncertainty: bool | str | Sequence[str] | None = None,
        n_threads: int | None = None,
        skin: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model if isinstance(model, GAPModel) else load(model)
        self.n_threads = n_threads
        self.pairs = MovingPairs(self.model.cutoff, skin)
        if uncertainty is None:
            uncertainty = ("energies",) if self.model.posterior is not None else ()
        names = [uncertainty] if isinstance(uncertainty, str) else uncertainty
        if isinstance(names, bool):
            self.novelty, self.uncertainty = names, std_kinds(names)
        else:
            self.novelty = "novelty" in names
            self.uncertainty = std_kinds([name for name in names if name != "novelty"])

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
        asked = (kind for kind in STD_KINDS if f"{kind}_std" in properties)
        prediction = self.model.predict(
            structure,
            std=tuple(dict.fromkeys((*self.uncertainty, *asked))),
            novelty=self.novelty or "novelty" in properties,
            atom_virials="stresses" in properties,
            n_threads=self.n_threads,
            moving=self.pairs,
        )
        self.results = {
            "energy": prediction.energy,
            "free_energy": prediction.energy,
            "energies": prediction.energies,
            "forces": prediction.forces,
        }
        for kind in STD_KINDS:
            std = getattr(prediction, f"{kind}_std")
            if std is not None:
                self.results[f"{kind}_std"] = std
        if "local_gap_variance" in properties:
            from gapfit.quip import local_variances

            self.results["local_gap_variance"] = local_variances(self.model, structure)
        if prediction.novelty is not None:
            self.results["novelty"] = prediction.novelty
        if prediction.stress is not None:
            self.results["stress"] = prediction.stress
            if prediction.atom_virials is not None:
                virials = to_voigt(prediction.atom_virials)
                self.results["stresses"] = -virials / structure.get_volume()
        elif {"stress", "stresses", "stress_std"} & set(properties):
            known = self.model.baseline
            if known is not None and known.calculator is not None:
                raise PropertyNotImplementedError(
                    f"no stress: {known.calculator.title} gives none here, or the "
                    "structure has no volume"
                )
            raise PropertyNotImplementedError(
                "stress needs a cell with a volume; this structure has none"
            )
