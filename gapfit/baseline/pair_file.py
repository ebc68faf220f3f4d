"""Pair potentials in a text file: read, checked, and made smooth."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from scipy.interpolate import BSpline, CubicHermiteSpline, make_interp_spline

from gapfit._support.foreign import MB, ForeignError, foreign_text
from gapfit.descriptors.blocks import pair_key, pair_label, species_pairs
from gapfit.descriptors.pair_table import SPACING, PairTable, tabulate
from gapfit.descriptors.switch import Switch
from gapfit.errors import ConfigError, shortened

__all__ = [
    "MIN_POINTS",
    "points_problem",
    "read_pairs",
    "table_of_points",
]

#: Points of one pair of species: a spline of fifth degree has six coefficients.
MIN_POINTS = 6
#: Largest distance of a table, Å, and largest size of a potential, eV, or its slope, eV/Å.
_FARTHEST, _HIGHEST = 100.0, 1e15
#: What a line has, by the number of its columns.
_COLUMNS = {
    2: "two finite numbers, r (Å) and phi (eV)",
    3: "three finite numbers, r (Å), phi (eV) and its slope (eV/Å)",
}
#: Largest file, bytes: the points of 100 pairs of species, 10 000 each.
_LARGEST = 50 * MB
#: Distance of the knots of tables of cubic splines, whose third derivative jumps, Å.
_SLOPES_SPACING = 0.001

Potential = Callable[[np.ndarray], np.ndarray]


def read_pairs(path: Path, width: float) -> dict[int, np.ndarray]:
    """Return the points of each pair of species in a file.

    The file has one block for each pair: a line ``Si-Si``, then lines ``r phi`` (Å,
    eV) with r ascending, or ``r phi slope`` (eV/Å). ``#`` begins a comment.

    Parameters
    ----------
    path : Path
        The file.
    width : float
        Width of the switch that is to end each potential, Å.

    Returns
    -------
    dict of int to (n, 2) or (n, 3) float64
        r (Å), φ (eV) and perhaps φ' (eV/Å), by `gapfit.descriptors.blocks.pair_key`.

    Raises
    ------
    ConfigError
        The first error, with file and line.
    """
    try:
        lines = foreign_text(path, _LARGEST).split("\n")
    except ForeignError as error:
        raise ConfigError(
            f"[baseline] table: {path} cannot be read as text: {error}"
        ) from None
    points: dict[int, list[list[float]]] = {}
    lines_begun: dict[int, int] = {}
    key = 0
    for number, line in enumerate(lines, 1):
        where = f"{path}, line {number}"
        words = line.partition("#")[0].split()
        if len(words) == 1 and not _is_number(words[0]):
            _require_complete(path, key, points, lines_begun, width)
            key = _key(words[0], where)
            if key in points:
                raise ConfigError(
                    f"{where}: {words[0]} occurs twice, first in line {lines_begun[key]}; "
                    "keep one of them"
                )
            points[key], lines_begun[key] = [], number
        elif words and not key:
            raise ConfigError(
                f"{where}: expected a pair of species such as Si-Si before the first "
                f"numbers, found {_found(words)}"
            )
        elif words:
            points[key].append(_point(words, points[key], where))
    _require_complete(path, key, points, lines_begun, width)
    if not points:
        raise ConfigError(
            f"{path}: contains no pair potential; write a line such as Si-Si, then r phi"
        )
    return {key: np.array(rows) for key, rows in points.items()}


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _key(word: str, where: str) -> int:
    from ase.data import atomic_numbers

    symbols = word.split("-")
    unknown = [s for s in symbols if atomic_numbers.get(s, 0) == 0]
    if len(symbols) != 2 or unknown:
        what = (
            f"{_found(unknown)} is not a chemical symbol" if unknown else "not a pair"
        )
        raise ConfigError(
            f"{where}: {_found([word])}: {what}; expected a pair of species such as Si-Si"
        )
    return pair_key(*(int(atomic_numbers[s]) for s in symbols))


def _found(words: list[str]) -> str:
    """Return the beginning of a line for messages."""
    return repr(shortened(" ".join(words[:20]), 60))


def _point(words: list[str], before: list[list[float]], where: str) -> list[float]:
    try:
        point = [float(word) for word in words]
    except ValueError:
        point = []
    n_columns = len(before[0]) if before else (3 if len(point) == 3 else 2)
    if len(point) != n_columns or not all(map(math.isfinite, point)):
        raise ConfigError(
            f"{where}: expected {_COLUMNS[n_columns]}, found {_found(words)}"
        )
    if point[0] <= (before[-1][0] if before else 0.0):
        least = f"the r before it, {before[-1][0]:g} Å" if before else "0"
        raise ConfigError(
            f"{where}: r = {point[0]:g} Å must be greater than {least}; sort the lines "
            "by r, each r once"
        )
    return point


def _require_complete(
    path: Path,
    key: int,
    points: Mapping[int, list[list[float]]],
    begun: Mapping[int, int],
    width: float,
) -> None:
    """Refuse a block that ends here with too few points."""
    rows = np.array(points[key] or np.zeros((0, 2))) if key else None
    if rows is not None and (problem := points_problem(rows, width)):
        raise ConfigError(f"{path}, line {begun[key]}: {pair_label(key)}: {problem}")


def points_problem(points: np.ndarray, width: float) -> str:
    """Return the reason why points do not define a potential; empty if they do.

    Parameters
    ----------
    points : (n, 2) or (n, 3) float64
        See `table_of_points`.
    width : float
        Width of the switch, Å; potentials with slopes have none.
    """
    if points.shape[1] not in (2, 3):
        return f"{points.shape[1]} columns instead of r, φ and perhaps φ'"
    with_slopes = points.shape[1] == 3
    least = 2 if with_slopes else MIN_POINTS
    if len(points) < least:
        return f"{len(points)} points, at least {least} are needed; add some"
    r = points[:, 0]
    if not np.isfinite(points).all() or r[0] <= 0 or np.any(np.diff(r) <= 0):
        return "r must be positive and ascending, and all numbers finite"
    if r[-1] > _FARTHEST or np.abs(points[:, 1:]).max() > _HIGHEST:
        return (
            f"r must be at most {_FARTHEST:g} Å, and other numbers {_HIGHEST:g} in size; "
            "check their units"
        )
    if r[-1] - r[0] <= width and not with_slopes:
        return (
            f"extends from {r[0]:g} to {r[-1]:g} Å, which is no longer than the switch at "
            f"its end; make [baseline] width = {width:g} Å smaller, or add points"
        )
    return ""


def table_of_points(
    points: Mapping[int, np.ndarray], species: tuple[int, ...], width: float
) -> PairTable | None:
    """Return the potentials of all pairs of species; None if all of them are absent.

    Between its points a potential is a spline of fifth degree. Over the last `width`
    before the last point it is multiplied with a switch (`gapfit.descriptors.switch`),
    and so ends there with two continuous derivatives; a potential that is already zero
    should have zeros over that range. Below the first point it continues as a parabola
    with the slope there and, if it is positive, the curvature: forces are continuous,
    and grow where the potential is repulsive and convex.

    Parameters
    ----------
    points : mapping of int to (n, 2) or (n, 3) float64
        r (Å), φ (eV) from `read_pairs`; absent pairs have no potential. With a third
        column of slopes (eV/Å) it is the cubic spline with these slopes, not switched and
        straight below its first point: potentials of QUIP.
    species : tuple of int
        Atomic numbers, ascending.
    width : float
        Width of the switch, Å.
    """
    keys = species_pairs(species)
    ends = [points[key][-1, 0] for key in keys if key in points]
    if not ends:
        return None
    with_slopes = any(columns.shape[1] == 3 for columns in points.values())
    potentials = {
        key: _spline(points[key], width) if key in points else _zero for key in keys
    }
    spacing = _SLOPES_SPACING if with_slopes else SPACING
    return tabulate(species, potentials, float(max(ends)), width, spacing=spacing)


def _spline(points: np.ndarray, width: float) -> Potential:
    """Return the potential through points, with their slopes if these are given."""
    ends = (points[0, 0], points[-1, 0])
    if points.shape[1] == 3:
        return partial(_cubic, CubicHermiteSpline(*points.T), ends)
    spline = make_interp_spline(points[:, 0], points[:, 1], k=5)
    return partial(_potential, spline, ends, width)


def _cubic(
    spline: CubicHermiteSpline, ends: tuple[float, float], r: np.ndarray
) -> np.ndarray:
    """Return φ, φ' and φ'', (3, n): straight before the points, zero after them."""
    begin, below = np.maximum(r, ends[0]), np.minimum(r - ends[0], 0.0)
    v, v1, v2 = (spline(begin, nu) for nu in range(3))
    values = np.stack([v + v1 * below, v1, np.where(below < 0, 0.0, v2)])
    return np.where(r <= ends[1], values, 0.0)


def _zero(r: np.ndarray) -> np.ndarray:
    return np.zeros((3, len(r)))


def _potential(
    spline: BSpline, ends: tuple[float, float], width: float, r: np.ndarray
) -> np.ndarray:
    """Return φ, φ' and φ'' of one pair of species, (3, n)."""
    inside, below = np.clip(r, *ends), np.minimum(r - ends[0], 0.0)
    v, v1, v2 = (spline(inside, nu) for nu in range(3))
    curvature = np.where(below < 0, np.maximum(v2, 0.0), 0.0)
    values = np.stack(
        [
            v + v1 * below + 0.5 * curvature * below**2,
            v1 + curvature * below,
            np.where(below < 0, curvature, v2),
        ]
    )
    return Switch(ends[1], width).times(values, r)
