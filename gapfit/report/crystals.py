"""Properties of crystals in a report: those found in its folder, and those asked for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gapfit._support.progress import Progress
from gapfit.errors import GapfitError
from gapfit.model.gap_model import GAPModel

__all__ = ["Crystal", "crystals_of", "stored_properties"]

# What is computed of a crystal that a report is asked for: what takes seconds.
_PROPERTIES = ("structure", "eos", "elastic")


@dataclass(frozen=True)
class Crystal:
    """A prototype that a report is asked for.

    Attributes
    ----------
    text : str
        As it was asked for: ``"rocksalt:NaCl"``.
    name, formula : str
        What `gapfit.properties.prototype` takes.
    """

    text: str
    name: str
    formula: str

    def properties(self, model: GAPModel, progress: Progress) -> dict[str, Any]:
        """Return the properties by a model as plain data.

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
    """Return the crystals that texts such as ``"rocksalt:NaCl"`` mean.

    Parameters
    ----------
    texts : iterable of str
        A prototype, with a formula after a colon unless the model has one species only.
    model : GAPModel
        The potential.

    Raises
    ------
    GapfitError
        There is no such prototype, or the formula does not suit it.
    """
    return [_crystal(text, model) for text in texts]


def _crystal(text: str, model: GAPModel) -> Crystal:
    from ase.data import chemical_symbols

    from gapfit.properties import check_prototype

    name, _, formula = text.partition(":")
    if not formula and len(model.species) > 1:
        raise GapfitError(
            f"--properties {text}: of what? Give {name}:FORMULA, such as {name}:"
            f"{''.join(chemical_symbols[z] for z in model.species[:2])}"
        )
    formula = formula or chemical_symbols[model.species[0]]
    try:
        check_prototype(name, formula)
    except GapfitError as error:
        raise GapfitError(f"--properties {text}: {error}") from None
    return Crystal(text, name, formula)


def stored_properties(model: Path, notes: list[str]) -> dict[str, dict[str, Any]]:
    """Return what ``properties.json`` beside a model file, and in folders there, holds.

    Parameters
    ----------
    model : Path
        The model file.
    notes : list of str
        What cannot be read, or is older than the model, is added to it.
    """
    folder, found = model.parent, {}
    for path in [folder / "properties.json", *sorted(folder.glob("*/properties.json"))]:
        if not path.exists():
            continue
        try:
            own = json.loads(path.read_text(encoding="utf-8"))
            name = f"{_formula(own)} ({path.relative_to(folder)})"
        except (ValueError, KeyError, TypeError) as error:
            notes.append(f"{path} cannot be read: {error}")
            continue
        if path.stat().st_mtime < model.stat().st_mtime:
            notes.append(
                f"{path} is older than the model: compute it again with `gapfit "
                "properties`"
            )
        found[name] = own
    return found


def _formula(found: Mapping[str, Any]) -> str:
    from ase.formula import Formula

    return str(Formula.from_list(found["crystal"]["symbols"]).reduce()[0])
