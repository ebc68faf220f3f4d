"""QUIP's Glue potential: pair potentials that are the baseline of many GAPs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from xml.etree.ElementTree import Element

import numpy as np

from gapfit.descriptors.blocks import pair_key
from gapfit.errors import GapfitError

__all__ = ["embedded_species", "glue_pairs", "glue_species"]


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
            f"Glue_params are damaged ({reason}); get the file again"
        ) from error


@_damage_named()
def glue_species(glue: Element) -> dict[int, int]:
    """Return the atomic number of each type."""
    return {
        int(entry.attrib["type"]): int(entry.attrib["atomic_num"])
        for entry in glue.findall("per_type_data")
    }


@_damage_named()
def embedded_species(glue: Element) -> set[int]:
    """Return the atomic numbers whose energy depends on a density of their neighbours."""
    return {
        int(entry.attrib["atomic_num"])
        for entry in glue.findall("per_type_data")
        if any(float(point.get("E", 0.0)) for point in entry.iter("point"))
    }


@_damage_named()
def glue_pairs(glue: Element) -> dict[int, np.ndarray]:
    """Return the pair potentials as points with slopes.

    Each is a cubic spline through its points with given slopes at both ends (default
    zero); before the first point it continues with the slope there, beyond the last one
    it is zero.

    Returns
    -------
    dict of int to (n, 3) float64
        r (Å), φ (eV), φ' (eV/Å) of a pair, by `gapfit.descriptors.blocks.pair_key`.

    Raises
    ------
    GapfitError
        A potential has fewer than two points, or they do not ascend.
    """
    from scipy.interpolate import CubicSpline

    species = glue_species(glue)
    pairs = {}
    for entry in glue.findall("per_pair_data"):
        potential = entry.find("potential_pair")
        if potential is None:
            continue
        key = pair_key(
            species[int(entry.attrib["type1"])], species[int(entry.attrib["type2"])]
        )
        points = [
            (float(point.attrib["r"]), float(point.attrib["E"]))
            for point in potential.findall("point")
        ]
        r, energy = np.array(points).reshape(-1, 2).T
        if len(r) < 2 or np.any(np.diff(r) <= 0):
            raise GapfitError(
                f"a pair potential of Glue needs two or more points with ascending r, not "
                f"{r.tolist()}"
            )
        ends = [(1, float(potential.get(name, 0.0))) for name in ("y1", "yn")]
        spline = CubicSpline(r, energy, bc_type=tuple(ends))
        pairs[key] = np.column_stack([r, energy, spline(r, 1)])
    return pairs
