"""ASE calculator: a thin adapter around `GAPModel.predict`."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ase.calculators.calculator import (
    Calculator,
    PropertyNotImplementedError,
    all_changes,
)

from gapfit.data.frame import to_voigt
from gapfit.data.skin_pairs import MovingPairs
from gapfit.errors import GapfitError
from gapfit.model.gap_model import GAPModel
from gapfit.model.prediction import StdKind, std_kinds
from gapfit.model.provenance import model_digest, why_no_deviations
from gapfit.model.storage import load

__all__ = ["GAPCalculator"]

_logger = logging.getLogger("gapfit")

#: Keyword arguments of the calculator, those of ASE last.
_KEYWORDS = (
    "model",
    "uncertainty",
    "n_threads",
    "skin",
    "atoms",
    "directory",
    "label",
    "restart",
)
#: Properties that ASE has no names for.
_EXTRA = (
    *(f"{kind}_std" for kind in StdKind),
    "extrapolation",
    "novelty",
    "local_gap_variance",
)


class GAPCalculator(Calculator):
    """Run a fitted potential in ASE.

    Parameters
    ----------
    model : GAPModel, str or Path
        The potential or its file.
    uncertainty : bool, str or sequence of str, optional
        Standard deviations computed with every call, as `std` of `GAPModel.predict`:
        ``"energy"``, ``"energies"``, ``"forces"``, ``"stress"`` give
        ``extra_results["energy_std"]`` and so on; ``"extrapolation"``, the grade of each
        atom (`Prediction`), comes with ``"energies"``; ``"novelty"``, of each atom, is
        nearly free, unless ``"energies"`` are asked for, too. By default that of each
        atom's energy, which is nearly free, whenever the model has its posterior and
        rounding has not spoilt that (a warning is logged then); others are computed when
        they are asked for: ``atoms.calc.get_property("forces_std")``.
    n_threads : int, optional
        Threads to use; by default those of `gapfit.threads.available`.
    skin : float, optional
        Added to the cutoff of the neighbour search, Å: the list serves until an atom has
        moved by half of it; results are the same to the last bit. 0: search each time.
    **kwargs
        ``atoms``, ``directory``, ``label`` and ``restart`` of
        `ase.calculators.calculator.Calculator`.

    Raises
    ------
    GapfitError
        There is no such keyword.

    Notes
    -----
    Pickles contain the model; deep copies share it. A copy keeps settings and results and
    searches neighbours separately.
    ``energy`` and ``free_energy`` are equal: the fit follows its reference data.
    ``stresses``, the share of each atom in the stress, is computed on demand; so is, for
    models read from QUIP, ``local_gap_variance`` (`gapfit.quip.local_variances`). An
    unknown species and atoms on top of each other raise `StructureError`.
    ``results`` hold only what ASE has names for, so that files and databases take them;
    standard deviations and the novelty are in `extra_results`. ``parameters``, which ASE
    writes into trajectories and databases, name the file of the model and its digest
    (`gapfit info`).
    """

    #: Name in files and databases of ASE.
    name = "gapfit"

    implemented_properties = [  # noqa: RUF012 (ASE declares an instance variable)
        "energy",
        "free_energy",
        "energies",
        "forces",
        "stress",
        "stresses",
        *_EXTRA,
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
        self._extra: dict[str, Any] = {}
        super().__init__(**kwargs)
        self.model = model if isinstance(model, GAPModel) else load(model)
        file = {} if isinstance(model, GAPModel) else {"model": str(model)}
        self.parameters = file | {"digest": model_digest(self.model)}
        self.n_threads = n_threads
        self.pairs = MovingPairs(self.model.cutoff, skin)
        if uncertainty is None:
            uncertainty = self._nearly_free()
        names = [uncertainty] if isinstance(uncertainty, str) else uncertainty
        if isinstance(names, bool):
            self.novelty, self.uncertainty = names, std_kinds(names)
        else:
            self.novelty = "novelty" in names
            self.uncertainty = std_kinds([name for name in names if name != "novelty"])

    def _nearly_free(self) -> tuple[StdKind, ...]:
        """Return the standard deviations of energies of atoms, if the model has them."""
        if self.model.posterior is None:
            return ()
        reason = why_no_deviations(self.model)
        if reason is None:
            return (StdKind.ENERGIES,)
        _logger.warning("no standard deviations of energies of atoms: %s", reason)
        return ()

    def __deepcopy__(self, memo: dict[int, Any]) -> GAPCalculator:
        """Return a calculator that shares the model, which is never changed."""
        memo[id(self.model)] = self.model
        out = type(self).__new__(type(self))
        memo[id(self)] = out
        vars(out).update(copy.deepcopy(vars(self), memo))
        return out

    def set(self, **kwargs: Any) -> dict[str, Any]:
        """Refuse parameters of ASE's calculators: this one has none.

        Raises
        ------
        GapfitError
            Names the keyword given and the nearest one of `GAPCalculator`.
        """
        for name in kwargs:
            near = get_close_matches(name, _KEYWORDS, n=1, cutoff=0.0)[0]
            raise GapfitError(
                f"GAPCalculator has no keyword {name!r}; the nearest is {near!r} among "
                f"{', '.join(_KEYWORDS)}"
            )
        return {}

    @property
    def extra_results(self) -> dict[str, Any]:
        """Standard deviations and novelty that came along with ``results``, by name."""
        return self._extra if self.results else {}

    def get_property(
        self, name: str, atoms: Any = None, allow_calculation: bool = True
    ) -> Any:
        """Return a property, from the last evaluation if it is there.

        Parameters
        ----------
        name : str
            One of ``implemented_properties``.
        atoms : ase.Atoms, optional
            The structure; by default that of the last evaluation.
        allow_calculation : bool
            Whether to compute what is not there; otherwise None is returned.
        """
        if name not in _EXTRA:
            return super().get_property(name, atoms, allow_calculation)
        if atoms is not None and self.check_state(atoms):
            self.reset()
        if name not in self.extra_results:
            if not allow_calculation:
                return None
            self.calculate(self.atoms if atoms is None else atoms, [name])
        if name not in self.extra_results:
            raise PropertyNotImplementedError(f"{name} is not present in this result")
        return copy.copy(self.extra_results[name])

    def calculation_required(self, atoms: Any, properties: Sequence[str]) -> bool:
        """Return whether any of the properties has to be computed."""
        there = {*self.results, *self.extra_results}
        return bool(self.check_state(atoms)) or not there.issuperset(properties)

    def calculate(
        self,
        atoms: Any = None,
        properties: Any = ("energy",),
        system_changes: Any = all_changes,
    ) -> None:
        """Fill ``results`` and `extra_results` by one evaluation."""
        super().calculate(atoms, properties, system_changes)
        structure: Any = self.atoms
        baseline = self.model.baseline
        if "stresses" in properties and baseline and baseline.of_structures:
            raise PropertyNotImplementedError(
                f"{baseline.of_structures[0].title} gives no stress of single atoms"
            )
        asked = [kind for kind in StdKind if f"{kind}_std" in properties]
        if "extrapolation" in properties:
            asked.append(StdKind.ENERGIES)
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
        self._extra = {
            name: value
            for name in _EXTRA
            if (value := getattr(prediction, name, None)) is not None
        }
        if "local_gap_variance" in properties:
            from gapfit.quip import local_variances

            self._extra["local_gap_variance"] = local_variances(self.model, structure)
        if prediction.stress is not None:
            self.results["stress"] = prediction.stress
            if prediction.atom_virials is not None:
                virials = to_voigt(prediction.atom_virials)
                self.results["stresses"] = -virials / structure.get_volume()
        elif {"stress", "stresses", "stress_std"} & set(properties):
            if baseline is not None and baseline.calculator is not None:
                raise PropertyNotImplementedError(
                    f"no stress: {baseline.calculator.title} gives none here, or the "
                    "structure has no volume"
                )
            raise PropertyNotImplementedError(
                "stress needs a cell with a volume; this structure has none"
            )
