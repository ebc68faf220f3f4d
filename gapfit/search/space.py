"""Which terms and sizes are searched: ladders of values, where to start, and moves."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from gapfit.config.sections import Distance2bConfig, SoapConfig, TermConfig
from gapfit.fitting.presets import MANY_SPECIES, cluster_expansion

__all__ = ["Recipe", "Space", "same_terms"]

#: n_max and l_max of SOAP.
_BASIS = ((4, 3), (6, 4), (8, 6), (8, 8), (10, 8))
_ZETA = (2.0, 3.0, 4.0, 6.0)
_N_SPARSE = (50, 100, 200, 300, 500, 700, 1000, 1500, 2000, 3000)
_ATOM_SIGMA = (0.3, 0.4, 0.5, 0.6, 0.7)
#: Cutoffs in units of the usual one, and their range, Å.
_REACH, _R_CUT = (0.8, 0.9, 1.0, 1.1, 1.2, 1.35), (3.0, 8.0)
_CHANNELS = (6, 8, 12, 16)
#: Functions of ace: orders, n_max, l_max; none first.
_ACE: tuple[tuple[tuple[int, ...], ...], ...] = (
    (),
    ((3,), (3,), (3,)),
    ((3,), (4,), (3,)),
    ((3, 4), (4, 2), (3, 2)),
    ((3, 4), (4, 2), (4, 2)),
    ((3, 4), (5, 2), (4, 2)),
    ((3, 4), (6, 3), (4, 2)),
)
_MIDDLE = {"r_cut": 2, "atom_sigma": 2}
#: From fast to accurate: values of the keys that differ from the usual ones.
_START: tuple[Mapping[str, Any], ...] = (
    {"basis": (4, 3), "zeta": 2.0, "n_sparse": 100, "ace": 1},
    {"basis": (4, 3), "zeta": 2.0, "n_sparse": 200, "ace": 3},
    {"basis": (6, 4), "zeta": 2.0, "n_sparse": 300, "ace": 0},
    {"basis": (6, 4), "zeta": 2.0, "n_sparse": 300, "ace": 3},
    {"basis": (6, 4), "zeta": 2.0, "n_sparse": 300, "ace": 3, "r_cut": 1},
    {"basis": (6, 4), "zeta": 2.0, "n_sparse": 700, "ace": 3},
    {"basis": (6, 4), "zeta": 2.0, "n_sparse": 700, "ace": 4},
    {"basis": (8, 6), "zeta": 4.0, "n_sparse": 500, "ace": 3},
    {"basis": (8, 6), "zeta": 4.0, "n_sparse": 1000, "ace": 0},
    {"basis": (8, 6), "zeta": 4.0, "n_sparse": 1000, "ace": 3},
    {"basis": (8, 6), "zeta": 4.0, "n_sparse": 1000, "ace": 4, "r_cut": 4},
    {"basis": (8, 8), "zeta": 4.0, "n_sparse": 1000, "ace": 4, "r_cut": 3},
)


class Recipe(NamedTuple):
    """Positions on the ladders of a `Space`."""

    basis: int
    zeta: int
    n_sparse: int
    ace: int
    r_cut: int
    atom_sigma: int
    channels: int


@dataclass(frozen=True)
class Space:
    """The ladders of values for some data.

    Attributes
    ----------
    ladders : dict of str to tuple
        Values of each field of a `Recipe`.
    n_species : int
        Species in the data.
    """

    ladders: Mapping[str, Sequence[Any]]
    n_species: int

    @classmethod
    def of(cls, r_cut: float, n_environments: int, n_species: int) -> Space:
        """Return the space for some data.

        Parameters
        ----------
        r_cut : float
            The usual cutoff, Å; see `gapfit.fitting.proposal.usual_cutoff`.
        n_environments : int
            Atoms of the most frequent species: there are no more sparse points.
        n_species : int
            Species in the data.
        """
        cutoffs = [round(float(np.clip(x * r_cut, *_R_CUT)), 1) for x in _REACH]
        points = [n for n in _N_SPARSE if n < n_environments]
        if len(points) < len(_N_SPARSE):
            points.append(n_environments)
        ladders = {
            "basis": _BASIS,
            "zeta": _ZETA,
            "n_sparse": tuple(points),
            "ace": _ACE,
            "r_cut": tuple(cutoffs),
            "atom_sigma": _ATOM_SIGMA,
            "channels": _CHANNELS if n_species >= MANY_SPECIES else (None,),
        }
        return cls(ladders, n_species)

    def start(self) -> list[Recipe]:
        """Return the first recipes, from fast to accurate."""
        recipes = []
        for n, given in enumerate(_START):
            places = dict.fromkeys(Recipe._fields, 0) | _MIDDLE
            channels = round(n / (len(_START) - 1) * (len(_CHANNELS) - 1))
            places["channels"] = min(channels, len(self.ladders["channels"]) - 1)
            for key in ("basis", "zeta"):
                places[key] = self.ladders[key].index(given[key])
            points = self.ladders["n_sparse"]
            places["n_sparse"] = min(
                bisect_left(points, given["n_sparse"]), len(points) - 1
            )
            places["ace"] = given["ace"]
            places["r_cut"] = given.get("r_cut", _MIDDLE["r_cut"])
            recipes.append(Recipe(**places))
        return list(dict.fromkeys(recipes))

    def moves(self, recipe: Recipe) -> list[Recipe]:
        """Return the recipes that are one step away on one ladder."""
        return [
            recipe._replace(**{field: place + step})
            for field, place in recipe._asdict().items()
            for step in (1, -1)
            if 0 <= place + step < len(self.ladders[field])
        ]

    def nearest(self, terms: Sequence[TermConfig]) -> Recipe | None:
        """Return the recipe that is most like some terms; None without SOAP."""
        tables = [term.model_dump() for term in terms]
        density = next((table for table in tables if "zeta" in table), None)
        if density is None:
            return None
        functions: dict[str, Any] = next((t for t in tables if "orders" in t), {})
        sizes = [functions.get(key) for key in ("orders", "n_max", "l_max")]
        wanted: dict[str, Any] = {
            "basis": (density["n_max"], density["l_max"]),
            "ace": sizes if functions else (),
            "channels": density["channels"],
            **{
                key: density[key] for key in ("zeta", "n_sparse", "r_cut", "atom_sigma")
            },
        }
        return Recipe(
            **{key: _nearest(self.ladders[key], value) for key, value in wanted.items()}
        )

    def terms(self, recipe: Recipe) -> list[TermConfig]:
        """Return the terms of a recipe: SOAP, pairs, and the cluster expansion if any."""
        value = self._values(recipe)
        n_max, l_max = value["basis"]
        soap = {
            "r_cut": value["r_cut"],
            "n_max": n_max,
            "l_max": l_max,
            "atom_sigma": value["atom_sigma"],
            "zeta": value["zeta"],
            "n_sparse": value["n_sparse"],
        }
        if value["channels"]:
            soap["channels"] = min(value["channels"], n_max * self.n_species)
        terms: list[TermConfig] = [
            SoapConfig.model_validate(soap),
            Distance2bConfig(r_cut=value["r_cut"]),
        ]
        if value["ace"]:
            sizes = dict(zip(("orders", "n_max", "l_max"), value["ace"], strict=True))
            terms.append(cluster_expansion(value["r_cut"], sizes))
        return terms

    def _values(self, recipe: Recipe) -> dict[str, Any]:
        return {
            field: self.ladders[field][place]
            for field, place in recipe._asdict().items()
        }

    def words(self, recipe: Recipe) -> str:
        """Return a recipe in short words: cutoff, SOAP, and the cluster expansion."""
        value = self._values(recipe)
        n_max, l_max = value["basis"]
        parts = [f"soap n{n_max} l{l_max} zeta {value['zeta']:g}"]
        parts.append(f"{value['n_sparse']} points")
        parts.append(f"r_cut {value['r_cut']:g}, atom_sigma {value['atom_sigma']:g}")
        if value["channels"]:
            parts.append(f"{value['channels']} channels")
        if value["ace"]:
            sizes = ("+".join(map(str, numbers)) for numbers in value["ace"])
            parts.append("ace {} n {} l {}".format(*sizes))
        return ", ".join(parts)


def same_terms(one: Sequence[TermConfig], other: Sequence[TermConfig]) -> bool:
    """Return whether terms are the same in any order, but for what tuning chooses."""
    chosen = {"delta", "smoothness"}
    ones, others = (
        sorted(term.model_dump_json(exclude=chosen) for term in terms)
        for terms in (one, other)
    )
    return ones == others


def _nearest(ladder: Sequence[Any], value: Any) -> int:
    """Return the place of the value on a ladder that is nearest to one."""
    wanted = _numbers(value)

    def distance(place: int) -> tuple[int, float]:
        numbers = _numbers(ladder[place])
        if len(numbers) != len(wanted):
            return abs(len(numbers) - len(wanted)), 0.0
        return 0, float(np.abs(numbers - wanted).sum())

    return min(range(len(ladder)), key=distance)


def _numbers(value: Any) -> np.ndarray:
    """Return the numbers of a value on a ladder, (n,) float64."""
    # Of all channels there are more than on any ladder.
    return np.ravel(np.array(1e6 if value == "all" else value or (), dtype=np.float64))
