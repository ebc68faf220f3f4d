"""Models of gapfit as files ``.yace``: for pacemaker, python-ace and LAMMPS."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gapfit._support.archive import atomic_write
from gapfit._support.target_file import require_expressible, require_target
from gapfit.config.terms import AceConfig
from gapfit.descriptors.ace import Ace
from gapfit.descriptors.ace_functions import Place
from gapfit.model.gap_model import GAPModel
from gapfit.model.terms import FittedTerm
from gapfit.pacemaker.complex_products import ComplexPlace, complex_products, ordered

__all__ = ["save"]

_SUFFIX = ".yace"
#: Largest distance of the knots of pacemaker's splines, Å and in waves over 2 pi: errors of
#: forces by its splines stay below those of other programs.
_SPACING, _SPACING_IN_WAVES = 1e-3, 3e-3
#: Radial functions of pacemaker's Bessel kind end at the cutoff whatever this is, Å.
_DCUT = 0.01
#: Factors of products that are smaller than this, relative to others, are rounding.
_ROUNDING = 1e-14

_Products = dict[tuple[ComplexPlace, ...], float]


def save(model: GAPModel, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a model as a file ``.yace``: the C-tilde basis of pacemaker.

    Uncertainties are not written: the format has none.

    Parameters
    ----------
    model : GAPModel
        A model whose terms are all cluster expansions (``type = "ace"``) of the same
        cutoff, and without baseline.
    path : str or Path
        The file, ``.yace``.
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
    require_target(path, _SUFFIX, "pacemaker", overwrite=overwrite)
    require_expressible("a file .yace cannot hold this model:", _obstacles(model))
    with atomic_write(path) as temporary:
        lines = list(_document(model))
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
    return path


def _obstacles(model: GAPModel) -> Iterator[str]:
    """Yield why the format cannot hold a model, and what to do."""
    for number, term in enumerate(model.terms, 1):
        if not isinstance(term.config, AceConfig):
            yield (
                f"[[terms]] {number} ({term.config.type}): only cluster expansions: fit "
                'with terms of type = "ace" alone'
            )
        elif term.config.radial == "contracted" and len(model.species) > 1:
            yield (
                f"[[terms]] {number}: its radial functions mix species: fit with radial = "
                '"bessel"'
            )
    cutoffs = sorted({term.descriptor.cutoff for term in model.terms})
    if len(cutoffs) > 1:
        yield (
            f"r_cut of the terms is {', '.join(f'{r:g}' for r in cutoffs)} Å: fit with "
            "the same in all terms"
        )
    if parts := " + ".join(model.config.baseline.parts):
        yield f"[baseline] {parts}: fit without it"
    if not model.n_sparse:
        yield "no term has coefficients; fit one"


def _expansion(term: FittedTerm) -> Ace:
    assert isinstance(term.descriptor, Ace)
    return term.descriptor


@dataclass(frozen=True, eq=False)
class _Radial:
    """Radial functions of products of two and more densities.

    Attributes
    ----------
    functions : (n_max, l_max + 1, n_bessel) float64
        Factors of the Bessel functions in each.
    places : list of list of int
        By term, where its radial functions are among these.
    """

    functions: np.ndarray
    places: list[list[int]]


def _radial(expansions: list[Ace]) -> _Radial:
    """Return the different radial functions of all terms."""
    shared = [ace.combinations[0] for ace in expansions]
    l_max = max(table.shape[0] for table in shared) - 1
    n_bessel = max(table.shape[2] for table in shared)
    rows: dict[bytes, tuple[int, np.ndarray]] = {}
    places = []
    for ace, combinations in zip(expansions, shared, strict=True):
        n_degrees, n_max, n = combinations.shape
        table = np.zeros((n_max, l_max + 1, n_bessel))
        table[:, :n_degrees, :n] = combinations.swapaxes(0, 1)
        # Not used: such that Bessel functions are equal to those of other terms.
        table[:, n_degrees:] = table[:, :1]
        # Products of one density have the Bessel functions themselves.
        sizes = zip(ace.config.orders, ace.config.n_max, strict=True)
        n_used = max((n for order, n in sizes if order > 1), default=0)
        keys = [function.tobytes() for function in table[:n_used]]
        for key, function in zip(keys, table[:n_used], strict=True):
            rows.setdefault(key, (len(rows), function))
        places.append([rows[key][0] for key in keys])
    functions = [function for _, function in rows.values()]
    shape = (len(functions), l_max + 1, n_bessel)
    return _Radial(np.array(functions).reshape(shape), places)


def _document(model: GAPModel) -> Iterator[str]:
    """Yield the lines of the file."""
    from ase.data import chemical_symbols

    expansions = [_expansion(term) for term in model.terms]
    radial = _radial(expansions)
    n_bessel = radial.functions.shape[2]
    wave = expansions[0].cutoff / ((n_bessel + 1) * np.pi)
    symbols = [chemical_symbols[z] for z in model.species]
    yield f"elements: [{', '.join(symbols)}]"
    yield f"E0: {_listed(float(model.e0[z]) for z in model.species)}"
    yield f"deltaSplineBins: {float(min(_SPACING, _SPACING_IN_WAVES * wave))!r}"
    yield "embeddings:"
    for n in range(len(symbols)):
        yield (
            f"  {n}: {{ndensity: 1, FS_parameters: [1, 1], "
            "npoti: FinnisSinclairShiftedScaled, rho_core_cutoff: 100000, "
            "drho_core_cutoff: 250}"
        )
    yield "bonds:"
    bond = _bond(expansions[0].cutoff, radial.functions)
    for a in range(len(symbols)):
        for b in range(len(symbols)):
            yield f"  [{a}, {b}]: {bond}"
    yield "functions:"
    for n, z in enumerate(model.species):
        yield f"  {n}:"
        for factors, products in sorted(_functions(model.terms, radial, z).items()):
            yield f"    - {_function(n, factors, products)}"


def _bond(r_cut: float, functions: np.ndarray) -> str:
    n_max, n_degrees, n_bessel = functions.shape
    return (
        f"{{nradmax: {n_max}, lmax: {n_degrees - 1}, nradbasemax: {n_bessel}, "
        f"radbasename: SBessel, radparameters: [{r_cut!r}], "
        f"radcoefficients: {_listed(functions.tolist())}, prehc: 0, lambdahc: 0, "
        f"rcut: {r_cut!r}, dcut: {_DCUT!r}, rcut_in: 0, dcut_in: 0, "
        "inner_cutoff_type: distance}"
    )


_Factors = tuple[int, tuple[tuple[int, int, int], ...]]


def _functions(
    terms: tuple[FittedTerm, ...], radial: _Radial, centre: int
) -> dict[_Factors, _Products]:
    """Return products and their coefficients by number and kinds of their factors."""
    total: _Products = defaultdict(float)
    for term, places in zip(terms, radial.places, strict=True):
        for product, value in _products(term, places, centre).items():
            total[product] += value
    groups: dict[_Factors, _Products] = defaultdict(dict)
    for product, value in sorted(total.items()):
        kinds = tuple(place[:3] for place in product)
        groups[len(product), kinds][product] = value
    out = {}
    for key, products in groups.items():
        least = _ROUNDING * max(map(abs, products.values()))
        if kept := {p: value for p, value in products.items() if abs(value) > least}:
            out[key] = kept
    # pacemaker wants a function for each species.
    nothing = ComplexPlace(0, 0, 0, 0)
    return out or {(1, (nothing[:3],)): {(nothing,): 0.0}}


def _products(term: FittedTerm, places: list[int], centre: int) -> _Products:
    """Return the energy of an atom as a sum over products, eV."""
    ace = _expansion(term)
    weights = ace.prepare(term.sparse, term.coefficients)[ace.species.index(centre)]
    if weights is None:
        return {}
    real: dict[tuple[Place, ...], float] = defaultdict(float)
    for function, weight in zip(ace.expansion.functions, weights, strict=True):
        for densities, factor in function.products.items():
            real[densities] += factor * float(weight)
    out: _Products = defaultdict(float)
    for product, value in complex_products(real).items():
        if len(product) == 1:
            # pacemaker takes products of one density with the Bessel functions.
            (place,) = product
            for n, factor in enumerate(ace.combinations[0, 0, place.n].tolist()):
                out[(place._replace(n=n),)] += factor * value
        else:
            moved = (place._replace(n=places[place.n]) for place in product)
            out[ordered(moved)] += value
    return out


def _function(centre: int, factors: _Factors, products: _Products) -> str:
    rank, kinds = factors
    ms = [place.m for product in products for place in product]
    return (
        f"{{mu0: {centre}, rank: {rank}, ndensity: 1, num_ms_combs: {len(products)}, "
        f"mus: {_listed(channel for channel, _, _ in kinds)}, "
        f"ns: {_listed(n + 1 for _, n, _ in kinds)}, "
        f"ls: {_listed(degree for _, _, degree in kinds)}, "
        f"ms_combs: {_listed(ms)}, ctildes: {_listed(products.values())}}}"
    )


def _listed(values: Iterable[object]) -> str:
    """Return a list as YAML and JSON have it."""
    return json.dumps(list(values))
