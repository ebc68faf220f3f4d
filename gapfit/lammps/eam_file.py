"""Models of pairs and densities as tables ``eam/fs``, which many programs read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gapfit._support.archive import atomic_write
from gapfit._support.target_file import require_expressible, require_target
from gapfit.descriptors.distance_2b import Distance2b
from gapfit.descriptors.eam_density import EamDensity
from gapfit.descriptors.embedding_table import EmbeddingTable
from gapfit.descriptors.protocol import Descriptor
from gapfit.model.gap_model import GAPModel
from gapfit.model.terms import FittedTerm

__all__ = [
    "density_document",
    "obstacles",
    "pair_potential",
    "save_eam",
    "table_lines",
    "term_name",
]

_SUFFIX = ".fs"
#: Largest distance of the knots, Å, and of densities in lengths theta, for cubic splines
#: through them.
_SPACING, _KNOTS_PER_LENGTH = 1e-3, 5e-3
_PER_LINE = 5


def save_eam(model: GAPModel, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a model as a file of the form setfl for ``pair_style eam/fs`` of LAMMPS.

    E = Σ_i F(ρ_i) + Σ_pairs φ(r_ij), with F and φ by species and the densities of ρ by
    species of centre and neighbour (Finnis and Sinclair, Phil. Mag. A 50, 45 (1984)). The
    energies of isolated atoms are in F. Uncertainties are not written: the format has none.

    Parameters
    ----------
    model : GAPModel
        A model of terms ``distance_2b``, and of one ``eam_density`` or none, with pair
        potentials as its baseline.
    path : str or Path
        The file, ``.eam.fs``.
    overwrite : bool
        Whether `path` may exist already.

    Returns
    -------
    Path
        The file. The same model gives the same bytes.

    Raises
    ------
    GapfitError
        The format cannot hold the model (all reasons are listed); the file exists, has
        another suffix, or cannot be written.
    """
    path = Path(path)
    require_target(path, _SUFFIX, "pair_style eam/fs", overwrite=overwrite)
    instead = "pairs and a density: fit with distance_2b and eam_density alone"
    reasons = obstacles(model, (Distance2b,), instead)
    require_expressible("a file .eam.fs cannot hold this model:", reasons)
    with atomic_write(path) as temporary:
        text = "".join(f"{line}\n" for line in _document(model, whole=True))
        temporary.write_text(text, encoding="ascii")
    return path


def obstacles(
    model: GAPModel, kinds: tuple[type[Descriptor], ...], instead: str
) -> Iterator[str]:
    """Yield why tables cannot hold a model, and what to do.

    Parameters
    ----------
    model : GAPModel
        The model.
    kinds : tuple of type
        Descriptors of the terms that there are tables for.
    instead : str
        What the tables are for, and the terms to fit with.
    """
    densities = 0
    for number, term in enumerate(model.terms, 1):
        name = term_name(number, term)
        if isinstance(term.descriptor, EamDensity):
            densities += 1
            if densities > 1:
                yield f"{name}: an atom has one density: fit with one such term"
        elif not isinstance(term.descriptor, kinds):
            yield f"{name}: only {instead}, or use gapfit export-lammps"
    if model.baseline is not None and model.baseline.of_structures:
        parts = " + ".join(model.config.baseline.parts)
        yield f"[baseline] {parts}: only pair potentials: fit without the others"


def term_name(number: int, term: FittedTerm) -> str:
    """Return the name of a term in messages."""
    return f"[[terms]] {number} ({term.config.type})"


def density_document(model: GAPModel) -> Iterator[str]:
    """Yield the lines of a file with the density of a model and its energies alone."""
    return _document(model, whole=False)


def _document(model: GAPModel, *, whole: bool) -> Iterator[str]:
    """Yield the lines of a file; its energies are all, or those of the density."""
    from importlib.metadata import version

    from ase.data import atomic_masses, chemical_symbols

    species = model.species
    symbols = [chemical_symbols[z] for z in species]
    r = np.linspace(0.0, model.cutoff, int(np.ceil(model.cutoff / _SPACING)) + 1)
    density, energies = _embedding(model, whole=whole)
    yield f"Gaussian approximation potential of gapfit {version('gapfit')}; eV, Angstrom"
    yield f"data {model.record.data_digest or 'unknown'}"
    yield "energies of isolated atoms are included" if whole else "the density alone"
    yield f"{len(species)} {' '.join(symbols)}"
    yield (
        f"{len(density)} {density[1]:.16e} {len(r)} {r[1]:.16e} {float(model.cutoff):.16e}"
    )
    for n, z in enumerate(species):
        yield f"{z} {atomic_masses[z]} 0.0 none"
        yield from table_lines(energies[n])
        for centre in range(len(species)):
            yield from table_lines(_neighbour_density(model, centre, n, r))
    for a, first in enumerate(species):
        for second in species[: a + 1]:
            energy = pair_potential(model, first, second, r) if whole else 0.0
            yield from table_lines(r * energy)


def pair_potential(
    model: GAPModel, first: int, second: int, r: np.ndarray
) -> np.ndarray:
    """Return the energy of a pair by all terms and the baseline.

    Parameters
    ----------
    model : GAPModel
        With pair potentials as its baseline.
    first, second : int
        Atomic numbers.
    r : (n,) float64
        Distances, Å.

    Returns
    -------
    (n,) float64
        Energies, eV; constant where atoms overlap.
    """
    tables = list(model.baseline.tables) if model.baseline else []
    tables += [
        term.prepared for term in model.terms if isinstance(term.descriptor, Distance2b)
    ]
    energy = np.zeros(len(r))
    for table in tables:
        energy += table.between(first, second, r)
    return energy


def table_lines(values: np.ndarray) -> Iterator[str]:
    """Yield the lines of a table."""
    for start in range(0, len(values), _PER_LINE):
        yield " ".join(f"{x:.16e}" for x in values[start : start + _PER_LINE])


def _embedding(model: GAPModel, *, whole: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return densities (n,), and energies of atoms, (n_species, n), eV; e0 if `whole`."""
    e0 = np.array([model.e0[z] if whole else 0.0 for z in model.species])
    for term in model.terms:
        descriptor, table = term.descriptor, term.prepared
        if isinstance(descriptor, EamDensity):
            assert isinstance(table, EmbeddingTable)
            end = table.spacing * (table.values.shape[1] - 1)
            step = _KNOTS_PER_LENGTH * descriptor.squared_exponential.theta
            density = np.linspace(0.0, end, int(np.ceil(end / step)) + 1)
            energies = np.zeros((len(e0), len(density)))
            for n, curve in enumerate(table.curve):
                if curve >= 0:
                    knots = table.spacing * np.arange(table.values.shape[1])
                    energies[n] = _curve(knots, table.values[curve], density)
            return density, energies + e0[:, None]
    density = np.linspace(0.0, 1.0, 10)
    return density, np.repeat(e0[:, None], len(density), axis=1)


def _neighbour_density(
    model: GAPModel, centre: int, neighbour: int, r: np.ndarray
) -> np.ndarray:
    """Return the density of a neighbour, (n,); of the species by their places."""
    for term in model.terms:
        if isinstance(term.descriptor, EamDensity):
            values: np.ndarray = term.descriptor.density(r)[0]
            return term.descriptor.weights[centre, neighbour] * values
    return np.zeros(len(r))


def _curve(knots: np.ndarray, values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return a function from f, f' and f'' at knots, (n_knots, 3), zero beyond them."""
    from scipy.interpolate import BPoly

    curve = BPoly.from_derivatives(knots, values)(np.minimum(x, knots[-1]))
    return np.where(x < knots[-1], curve, 0.0)
