"""QUIP's Glue potential: pair potentials that are the baseline of many GAPs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
from scipy.interpolate import CubicSpline

from gapfit.descriptors.blocks import pair_key, pair_label
from gapfit.errors import GapfitError, shortened
from gapfit.quip.numbers import real, whole
from gapfit.quip.xml_tree import parsed

__all__ = [
    "embedded_species",
    "glue_pairs",
    "glue_species",
    "pair_table_text",
    "read_glue",
    "require_few_knots",
    "spline_points",
]

#: Limits of r (Å) and φ (eV), which keep splines finite and tables small.
_LONGEST, _LARGEST, _CLOSEST = 30.0, 1e12, 1e-4
#: Where a potential begins that is given at r = 0; no atoms are that close, Å.
_BEGIN = 0.01
#: A slope above this one means none: the spline has no curvature at that end, eV/Å.
_NATURAL = 0.99e30
#: Knots of all pairs, each of 24 bytes and 0.001 Å apart.
_MOST_KNOTS = 2e7


def read_glue(path: Path) -> dict[int, np.ndarray]:
    """Return the pair potentials of a file with ``Glue_params``; see `glue_pairs`.

    Raises
    ------
    ModelFileError
        The file is not a sound document.
    GapfitError
        It has no Glue or several, or one with energies of densities.
    """
    root = parsed(path)
    glues = list(root.iter("Glue_params"))
    if len(glues) != 1:
        raise GapfitError(f"{path}: contains {len(glues)} Glue_params instead of one")
    try:
        embedded, pairs = embedded_species(glues[0]), glue_pairs(glues[0])
    except GapfitError as error:
        raise GapfitError(f"{path}: {error}") from error
    if embedded:
        raise GapfitError(
            f"{path}: densities of Glue (embedded atoms) are not supported, only pairs"
        )
    return pairs


def pair_table_text(pairs: Mapping[int, np.ndarray]) -> str:
    """Return pair potentials with slopes as a file for ``[baseline] table``.

    Parameters
    ----------
    pairs : mapping of int to (n, 3) float64
        See `glue_pairs`.
    """
    lines = ["# r (Å), phi (eV), slope (eV/Å)"]
    for key, points in pairs.items():
        lines.append(pair_label(key))
        lines += [" ".join(map(repr, row)) for row in points.tolist()]
    return "\n".join([*lines, ""])


@contextmanager
def _damage_named() -> Iterator[None]:
    """Turn errors of damaged parts of a file into errors for the user."""
    try:
        yield
    except GapfitError:
        raise
    except (KeyError, ValueError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise GapfitError(
            f"Glue_params are damaged ({shortened(reason, 300)}); get the file again"
        ) from error


@_damage_named()
def glue_species(glue: Element) -> dict[int, int]:
    """Return the atomic number of each type."""
    species = {
        whole(entry.attrib["type"]): whole(entry.attrib["atomic_num"])
        for entry in glue.findall("per_type_data")
    }
    if impossible := [z for z in species.values() if not 0 < z < 119]:
        raise ValueError(f"{impossible[0]} is not an atomic number")
    return species


@_damage_named()
def embedded_species(glue: Element) -> set[int]:
    """Return the atomic numbers whose energy depends on a density of their neighbours."""
    return {
        whole(entry.attrib["atomic_num"])
        for entry in glue.findall("per_type_data")
        if any(real(point.get("E", "0")) for point in entry.iter("point"))
    }


@_damage_named()
def glue_pairs(glue: Element) -> dict[int, np.ndarray]:
    """Return the pair potentials as points with slopes.

    Each is a cubic spline through its points with given slopes at both ends (default
    zero), or without curvature there (slopes above 0.99e30, as the ``y1="1.e50"`` of
    published files); before the first point it continues with the slope there, beyond the
    last one it is zero.

    Returns
    -------
    dict of int to (n, 3) float64
        r (Å), φ (eV), φ' (eV/Å) of a pair, by `gapfit.descriptors.blocks.pair_key`.

    Raises
    ------
    GapfitError
        A potential has fewer than two points, they do not ascend or are absurd, or a pair
        has two potentials.
    """
    species = glue_species(glue)
    pairs: dict[int, np.ndarray] = {}
    for entry in glue.findall("per_pair_data"):
        potential = entry.find("potential_pair")
        if potential is None:
            continue
        key = pair_key(
            species[whole(entry.attrib["type1"])], species[whole(entry.attrib["type2"])]
        )
        if key in pairs:
            raise ValueError(f"{pair_label(key)} has two potentials")
        pairs[key] = _points(potential, pair_label(key))
    require_few_knots(len(species), pairs)
    return pairs


def require_few_knots(n_species: int, pairs: Mapping[int, np.ndarray]) -> None:
    """Raise a ValueError if the tables of pair potentials would fill the memory.

    Parameters
    ----------
    n_species : int
        Species of the model.
    pairs : mapping of int to (n, 3) float64
        See `spline_points`.
    """
    longest = max((points[-1, 0] for points in pairs.values()), default=0.0)
    if n_species**2 * longest / 2e-3 > _MOST_KNOTS:
        raise ValueError(f"{n_species} species are too many for tables of pairs")


def _points(potential: Element, pair: str) -> np.ndarray:
    """Return the points of a potential with their slopes, (n, 3)."""
    points = [
        (real(point.attrib["r"]), real(point.attrib["E"]))
        for point in potential.findall("point")
    ]
    if whole(potential.get("num_points", str(len(points)))) != len(points):
        raise ValueError(f"{pair}: num_points, {len(points)} of them there")
    r, energy = np.array(points).reshape(-1, 2).T
    ends = (real(potential.get("y1", "0")), real(potential.get("yn", "0")))
    return spline_points(r, energy, ends, pair)


def spline_points(
    r: np.ndarray, energy: np.ndarray, ends: tuple[float, float], pair: str
) -> np.ndarray:
    """Return a pair potential's points with their slopes.

    Parameters
    ----------
    r, energy : (n,) float64
        Distances, Å, and energies, eV.
    ends : (float, float)
        Slopes at the first and the last point, eV/Å. Above 0.99e30 there is no curvature
        instead.
    pair : str
        Its species, for messages.

    Returns
    -------
    (n, 3) float64
        r (Å), φ (eV), φ' (eV/Å) of the cubic spline.

    Raises
    ------
    ValueError
        There are fewer than two points, they do not ascend or are absurd.
    """
    if len(r) < 2 or np.any(np.diff(r) <= 0):
        raise ValueError(
            f"{pair}: a potential needs two or more points with ascending r, not "
            f"{shortened(str(r[:9].tolist()))}"
        )
    if r[0] < 0 or r[-1] > _LONGEST or np.diff(r).min() < _CLOSEST:
        raise ValueError(
            f"{pair}: r from {r[0]:g} to {r[-1]:g} Å; it must be within 0 and "
            f"{_LONGEST:g} Å, in steps of at least {_CLOSEST:g} Å"
        )
    slopes = [slope for slope in ends if slope <= _NATURAL]
    if max(np.abs(energy).max(), *map(abs, slopes), 0.0) > _LARGEST:
        raise ValueError(f"{pair}: an energy or slope above {_LARGEST:g} eV or eV/Å")
    first, last = ((1, end) if end <= _NATURAL else (2, 0.0) for end in ends)
    spline = CubicSpline(r, energy, bc_type=(first, last))
    if r[0] < _BEGIN:
        r = np.concatenate([[_BEGIN], r[r > _BEGIN + _CLOSEST]])
    return np.column_stack([r, spline(r), spline(r, 1)])
