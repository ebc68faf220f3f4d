"""Properties of crystals in a report: stored in its folder, or computed for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gapfit._support.foreign import json_file
from gapfit._support.progress import Progress
from gapfit.errors import GapfitError
from gapfit.model.gap_model import GAPModel

__all__ = ["Crystal", "crystals_of", "stored_properties"]

# Properties that are computed for a report: those that take seconds.
_PROPERTIES = ("structure", "eos", "elastic")


@dataclass(frozen=True)
class Crystal:
    """A prototype whose properties are computed for a report.

    Attributes
    ----------
    text : str
        The argument of the user: ``"rocksalt:NaCl"``.
    name, formula : str
        Arguments of `gapfit.properties.prototype`.
    """

    text: str
    name: str
    formula: str

    def properties(self, model: GAPModel, progress: Progress) -> dict[str, Any]:
        """Return the properties predicted by a model as plain data.

        Raises
        ------
        GapfitError
            They cannot be computed.
        """
        from gapfit.calculator import GAPCalculator
        from gapfit.properties import compute, prototype

        calculator = GAPCalculator(model, uncertainty=False)
        crystal = prototype(self.name, self.formula, calculator)
        return compute(model, crystal, only=_PROPERTIES, progress=progress).as_dict()


def crystals_of(texts: Iterable[str], model: GAPModel) -> list[Crystal]:
    """Return the crystals of texts such as ``"rocksalt:NaCl"``.

    Parameters
    ----------
    texts : iterable of str
        Prototypes, with a formula after a colon unless the model has a single species.
    model : GAPModel
        The potential.

    Raises
    ------
    GapfitError
        A prototype is unknown, or its formula does not fit.
    """
    return [_crystal(text, model) for text in texts]


def _crystal(text: str, model: GAPModel) -> Crystal:
    from ase.data import chemical_symbols

    from gapfit.properties import check_prototype

    name, _, formula = text.partition(":")
    if not formula and len(model.species) > 1:
        raise GapfitError(
            f"--properties {text}: the formula is missing; give {name}:FORMULA, such as "
            f"{name}:"
            f"{''.join(chemical_symbols[z] for z in model.species[:2])}"
        )
    formula = formula or chemical_symbols[model.species[0]]
    try:
        check_prototype(name, formula)
    except GapfitError as error:
        raise GapfitError(f"--properties {text}: {error}") from None
    return Crystal(text, name, formula)


def stored_properties(model: Path, notes: list[str]) -> dict[str, dict[str, Any]]:
    """Return the ``properties.json`` in the folder of a model file and its subfolders.

    Parameters
    ----------
    model : Path
        The model file.
    notes : list of str
        Files that cannot be read or are older than the model are added to it.
    """
    folder, properties = model.parent, {}
    for path in [folder / "properties.json", *sorted(folder.glob("*/properties.json"))]:
        if not path.exists():
            continue
        try:
            stored = json_file(path)
            name = f"{_formula(stored)} ({path.relative_to(folder)})"
        except (ValueError, KeyError, TypeError) as error:
            notes.append(f"{path} cannot be read: {error}")
            continue
        if path.stat().st_mtime < model.stat().st_mtime:
            notes.append(
                f"{path} is older than the model: compute it again with `gapfit "
                "properties`"
            )
        properties[name] = stored
    return properties


def _formula(properties: Mapping[str, Any]) -> str:
    from ase.formula import Formula

    return str(Formula.from_list(properties["crystal"]["symbols"]).reduce()[0])
