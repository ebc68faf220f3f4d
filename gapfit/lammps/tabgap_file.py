"""Models of pairs, triplets and a density as tables for ``pair_style tabgap``.

The form is that of tabGAP (Byggmästar, Nordlund & Djurabekova, Phys. Rev. Mater. 6, 083801
(2022); https://gitlab.com/jezper/tabgap). After two lines of comment come::

    n_species El e0 El e0 ...
    n_pairs n_triplets
    El El r_min r_max N                      then N + 2 numbers, for each pair
    El El El r r c  r r c  N N N             then (N + 2) (N + 2) (N + 2) numbers

The first element of a triplet is the centre. Its table is a function of the distances of
two neighbours and of the cosine of the angle between them; six numbers are the lower, then
the upper ends of the three axes. Knots are equidistant, the first and the last at the ends.
The numbers are coefficients of cubic B-splines, the first and last of an axis one spacing
beyond its ends; the third axis runs fastest. Units are eV and Å.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np

from gapfit._support.archive import atomic_write
from gapfit._support.target_file import require_expressible, require_target
from gapfit.data.neighbours import MIN_DISTANCE
from gapfit.descriptors.angle_3b import Angle3b
from gapfit.descriptors.blocks import triplet_key
from gapfit.descriptors.distance_2b import Distance2b
from gapfit.descriptors.eam_density import EamDensity
from gapfit.errors import GapfitError
from gapfit.lammps.eam_file import (
    density_document,
    obstacles,
    pair_potential,
    table_lines,
    term_name,
)
from gapfit.model.gap_model import GAPModel
from gapfit.model.terms import FittedTerm

__all__ = ["save_tabgap"]

_SUFFIX = ".tabgap"
#: Knots of the distances and of the cosine of triplets.
_KNOTS = (80, 80)
#: Fewest knots of an axis: the ends need five coefficients.
_FEWEST = 5
#: Largest distance of the knots of pairs, Å.
_SPACING = 1e-3
# Triplets whose kernels are in memory at a time.
_AT_ONCE = 20_000


def save_tabgap(
    model: GAPModel,
    path: str | Path,
    *,
    knots: tuple[int, int] = _KNOTS,
    overwrite: bool = False,
) -> tuple[Path, ...]:
    """Write a model as a file for ``pair_style tabgap``, and its density beside it.

    Energies of isolated atoms, pairs (with those of the baseline) and triplets are in the
    file. A density is in ``NAME.eam.fs`` beside ``NAME.tabgap``, for ``pair_style
    hybrid/overlay tabgap eam/fs``. Uncertainties are not written: the format has none.

    Parameters
    ----------
    model : GAPModel
        A model of terms ``distance_2b`` and ``angle_3b``, and of one ``eam_density`` or
        none, with pair potentials as its baseline.
    path : str or Path
        The file, ``.tabgap``.
    knots : (int, int)
        Knots of the distances and of the cosine of triplets; more make errors smaller.
    overwrite : bool
        Whether the files may exist already.

    Returns
    -------
    tuple of Path
        The files. The same model gives the same bytes.

    Raises
    ------
    GapfitError
        The format cannot hold the model (all reasons are listed); a file exists, has
        another suffix, or cannot be written; too few knots.
    """
    path = Path(path)
    if min(knots) < _FEWEST:
        raise GapfitError(f"knots = {knots}: give {_FEWEST} or more for each axis")
    require_target(path, _SUFFIX, "pair_style tabgap", overwrite=overwrite)
    require_expressible("a file .tabgap cannot hold this model:", _obstacles(model))
    documents = {path: _document(model, knots)}
    if any(isinstance(term.descriptor, EamDensity) for term in model.terms):
        beside = path.with_suffix(".eam.fs")
        require_target(beside, ".fs", "pair_style eam/fs", overwrite=overwrite)
        documents[beside] = density_document(model)
    for file, lines in documents.items():
        with (
            atomic_write(file) as temporary,
            temporary.open("w", encoding="ascii") as to,
        ):
            to.writelines(f"{line}\n" for line in lines)
    return tuple(documents)


def _obstacles(model: GAPModel) -> Iterator[str]:
    """Yield why the format cannot hold a model, and what to do."""
    instead = (
        "pairs, triplets and a density: fit with distance_2b, angle_3b and eam_density"
    )
    yield from obstacles(model, (Distance2b, Angle3b), instead)
    for number, term in enumerate(model.terms, 1):
        if isinstance(term.descriptor, Angle3b) and term.descriptor.permuted:
            name = term_name(number, term)
            yield f'{name}: three distances: fit with coordinates = "angle"'


def _document(model: GAPModel, knots: tuple[int, int]) -> Iterator[str]:
    """Yield the lines of a file."""
    from importlib.metadata import version

    from ase.data import chemical_symbols

    species = model.species
    pairs = list(combinations_with_replacement(species, 2))
    terms = [term for term in model.terms if isinstance(term.descriptor, Angle3b)]
    triplets = [(z, *pair) for z in species for pair in pairs] if terms else []
    yield f"# UNITS: metal, by gapfit {version('gapfit')}"
    yield f"# pair_style tabgap, data {model.record.data_digest or 'unknown'}"
    e0 = " ".join(f"{chemical_symbols[z]} {float(model.e0[z])!r}" for z in species)
    yield f"{len(species)} {e0}"
    yield f"{len(pairs)} {len(triplets)}"
    start, end = 0.9 * MIN_DISTANCE, _pair_range(model)
    r = np.linspace(start, end, int(np.ceil((end - start) / _SPACING)) + 1)
    for pair in pairs:
        names = " ".join(chemical_symbols[z] for z in pair)
        yield f"{names} {start!r} {end!r} {len(r)}"
        yield from table_lines(spline_coefficients(pair_potential(model, *pair, r)))
    end = max((term.descriptor.cutoff for term in terms), default=0.0)
    for triplet in triplets:
        names = " ".join(chemical_symbols[z] for z in triplet)
        present = [term for term in terms if len(_block(term, triplet)[1])]
        # LAMMPS needs a table for every triplet of species; one without energy is small.
        n, n_cosines = knots if present else (_FEWEST, _FEWEST)
        yield f"{names} {start!r} {start!r} -1 {end!r} {end!r} 1 {n} {n} {n_cosines}"
        values = _energies(
            present, triplet, np.linspace(start, end, n), np.linspace(-1, 1, n_cosines)
        )
        for axis in range(3):
            values = spline_coefficients(values, axis)
        yield from table_lines(values.ravel())


def _pair_range(model: GAPModel) -> float:
    """Return the distance from which there are no energies of pairs, Å."""
    ends = [t.cutoff for t in model.baseline.tables] if model.baseline else []
    ends += [
        term.descriptor.cutoff
        for term in model.terms
        if isinstance(term.descriptor, Distance2b)
    ]
    return float(max(ends, default=1.0))


def _block(term: FittedTerm, triplet: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return sparse points and coefficients of a triplet of species."""
    block = triplet_key(*triplet)
    return term.sparse[block], term.coefficients[block]


def _energies(
    terms: list[FittedTerm],
    triplet: tuple[int, ...],
    r: np.ndarray,
    cosine: np.ndarray,
) -> np.ndarray:
    """Return the energies of triplets, (n, n, n_cosines), eV."""
    out = np.zeros((len(r), len(r), len(cosine)))
    first, second = np.triu_indices(len(r))
    a, b = r[first][:, None], r[second][:, None]
    opposite = np.sqrt(np.maximum(a**2 + b**2 - 2 * a * b * cosine, 0.0))
    q = np.empty((*opposite.shape, 3))
    q[..., 0], q[..., 1], q[..., 2] = a + b, (a - b) ** 2, opposite
    q = q.reshape(-1, 3)
    for term in terms:
        assert isinstance(term.descriptor, Angle3b)
        points, c = _block(term, triplet)
        kernel, s = term.descriptor.kernel_of_g, term.descriptor.switch(r)[0]
        g = np.concatenate(
            [
                kernel.matrix(q[n : n + _AT_ONCE], points) @ c
                for n in range(0, len(q), _AT_ONCE)
            ]
        )
        values = (s[first] * s[second])[:, None] * g.reshape(-1, len(cosine))
        out[first, second] += values
        out[second, first] = out[first, second]
    return out


def spline_coefficients(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """Return the coefficients of the cubic splines through values at equidistant knots.

    Parameters
    ----------
    values : array of float64
        Values, at n knots along the axis.
    axis : int
        The axis.

    Returns
    -------
    array of float64
        n + 2 coefficients along the axis, from one spacing before the first knot. The third
        derivative is continuous at the second knot from each end, too ("not a knot").
    """
    from scipy.linalg import solve_banded

    n = values.shape[axis]
    bands = np.zeros((9, n + 2))  # four below the diagonal, four above
    for offset, weight in ((-1, 1 / 6), (0, 4 / 6), (1, 1 / 6)):
        rows = np.arange(1, n + 1)
        bands[4 - offset, rows + offset] = weight
    ends = (1.0, -4.0, 6.0, -4.0, 1.0)
    for k, weight in enumerate(ends):
        bands[4 - k, k] = weight
        bands[4 + k, n + 1 - k] = weight
    right = np.zeros((n + 2, values.size // n))
    moved = np.moveaxis(values, axis, 0)
    right[1:-1] = moved.reshape(n, -1)
    solved = solve_banded((4, 4), bands, right)
    return np.moveaxis(solved.reshape(n + 2, *moved.shape[1:]), 0, axis)
