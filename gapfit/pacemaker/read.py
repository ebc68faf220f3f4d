"""Files ``.yace`` of linear potentials as models of gapfit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from gapfit.config.sections import DataConfig, FitConfig
from gapfit.config.terms import AceConfig
from gapfit.descriptors.ace_functions import Order, expansion, number_of_sets
from gapfit.descriptors.ace_radial import ace_basis_shapes
from gapfit.errors import GapfitError
from gapfit.model.gap_model import GAPModel
from gapfit.model.record import FitRecord, PaceOrigin
from gapfit.model.terms import FittedTerm, build_term
from gapfit.pacemaker.complex_products import ComplexPlace
from gapfit.pacemaker.invariants import function_coefficients
from gapfit.pacemaker.yace_file import YaceFile, read_yace

__all__ = ["load"]

#: Most radial functions of a term.
_MOST_RADIAL = 16
#: Sets of factors that a term may have for each that the file has, and for free.
_MOST_SETS, _FREE_SETS = 100, 100

#: Energy of an atom: coefficients of products, eV.
_Energy = dict[tuple[ComplexPlace, ...], float]


def load(path: str | Path) -> GAPModel:
    """Read a linear potential of pacemaker: the same energies, forces and virials.

    Parameters
    ----------
    path : str or Path
        The file, ``.yace``, with one density, a linear embedding
        (``FinnisSinclairShiftedScaled`` with power 1) and radial functions that are
        combinations of ``SBessel``, the same for all pairs of elements.

    Returns
    -------
    GAPModel
        With terms ``ace``; without uncertainty, which the format does not hold.

    Raises
    ------
    ModelFileError
        The file cannot be read; see `gapfit.pacemaker.yace_file.read_yace`.
    GapfitError
        The potential has a part that gapfit does not have; the message names it.
    """
    file = read_yace(path)
    try:
        return _model(file)
    except GapfitError as error:
        raise GapfitError(f"{file.path}: {error}") from error


def _model(file: YaceFile) -> GAPModel:
    from ase.data import atomic_numbers

    numbers = [atomic_numbers[symbol] for symbol in file.elements]
    species = tuple(sorted(numbers))
    channels = [species.index(z) for z in numbers]
    energies = {z: _energy(file, k, channels) for k, z in enumerate(numbers)}
    orders = _orders(energies, len(species))
    r_cut, radial = _radial(file)
    terms = [
        _term(part, r_cut, table, species, energies)
        for part, table in _terms(orders, radial)
    ]
    return GAPModel(
        FitConfig(
            data=DataConfig(train=[file.path.name]),
            terms=[term.config for term in terms],
        ),
        species,
        dict(sorted(zip(numbers, file.e0, strict=True))),
        tuple(terms),
        record=FitRecord(
            versions={"gapfit": version("gapfit")},
            pacemaker=PaceOrigin(file.path.name),
        ),
    )


def _energy(file: YaceFile, centre: int, channels: Sequence[int]) -> _Energy:
    """Return the energy of an atom of one element."""
    energy: _Energy = {}
    factor = file.factors[centre]
    for entry in file.products[centre]:
        for n, value in enumerate(entry.ctildes):
            ms = entry.ms_combs[n * entry.rank : (n + 1) * entry.rank]
            places = zip(entry.mus, entry.ns, entry.ls, ms, strict=True)
            product = tuple(
                sorted(
                    ComplexPlace(channels[mu], n - 1, degree, m)
                    for mu, n, degree, m in places
                )
            )
            energy[product] = energy.get(product, 0.0) + factor * value
    return energy


def _radial(file: YaceFile) -> tuple[float, np.ndarray]:
    """Return the cutoff, Å, and the radial functions (l_max + 1, n_max, n_bessel).

    Pairs of elements may have more or fewer of them, but not different ones.
    """
    cutoffs = sorted({bond.rcut for bond in file.bonds.values()})
    if len(cutoffs) != 1:
        listed = ", ".join(f"{r:g}" for r in cutoffs[:4])
        raise GapfitError(f"rcut of bonds is {listed} Å: only one cutoff is supported")
    tables = [
        np.array(bond.radcoefficients, dtype=float).reshape(
            bond.nradmax, bond.lmax + 1, bond.nradbasemax
        )
        for bond in file.bonds.values()
    ]
    shape = np.max([table.shape for table in tables], axis=0)
    radial = np.full(shape, np.nan)
    for pair, table in zip(file.bonds, tables, strict=True):
        n, n_degrees, n_bessel = table.shape
        wide = np.zeros((n, n_degrees, shape[2]))
        wide[:, :, :n_bessel] = table
        place = radial[:n, :n_degrees]
        if np.any((place != wide) & ~np.isnan(place)):
            raise GapfitError(
                f"radcoefficients of the bond {list(pair)} are not those of other bonds: "
                "radial functions that differ by pair of elements are not supported"
            )
        place[...] = wide
    return cutoffs[0], np.nan_to_num(radial).swapaxes(0, 1)


def _orders(energies: dict[int, _Energy], n_species: int) -> list[Order]:
    """Return the smallest orders that have all products."""
    products = [product for energy in energies.values() for product in energy]
    orders = []
    for rank in sorted(set(map(len, products))):
        places = [p for product in products if len(product) == rank for p in product]
        order = Order(
            rank,
            1 + max(place.n for place in places),
            max(place.degree for place in places),
        )
        sets = {
            tuple(place[:3] for place in product)
            for product in products
            if len(product) == rank
        }
        if order.n_max > _MOST_RADIAL:
            raise GapfitError(
                f"rank {rank} has {order.n_max} radial functions; up to {_MOST_RADIAL} "
                "are supported"
            )
        if number_of_sets(order, n_species) > _FREE_SETS + _MOST_SETS * len(sets):
            raise GapfitError(
                f"rank {rank} has few functions up to n = {order.n_max} and l = "
                f"{order.l_max}, of which gapfit would take all: not supported"
            )
        orders.append(order)
    if not orders:
        raise GapfitError("no element has functions")
    return orders


def _terms(
    orders: list[Order], radial: np.ndarray
) -> Iterator[tuple[list[Order], np.ndarray | None]]:
    """Yield orders that may be in one term, with their table unless it is Bessel's.

    Products of one density have the Bessel functions in any case.
    """
    several = [order for order in orders if order.n_factors > 1]
    if not several or _are_bessel(several, radial):
        yield orders, None
        return
    if single := [order for order in orders if order.n_factors == 1]:
        yield single, None
    yield several, radial


def _are_bessel(orders: list[Order], radial: np.ndarray) -> bool:
    l_max, n_max = (max(order[k] for order in orders) for k in (2, 1))
    table = radial[: l_max + 1, :n_max]
    n_bessel = table.shape[2]
    bessel = np.eye(n_max, n_bessel)
    return n_max <= n_bessel and bool(np.all(table == bessel))


def _term(
    orders: list[Order],
    r_cut: float,
    radial: np.ndarray | None,
    species: tuple[int, ...],
    energies: dict[int, _Energy],
) -> FittedTerm:
    """Return a term with the products of some orders."""
    ranks, n_max, l_max = (list(sizes) for sizes in zip(*orders, strict=True))
    config = AceConfig(
        r_cut=r_cut,
        orders=ranks,
        n_max=n_max,
        l_max=l_max,
        radial="bessel" if radial is None else "combined",
        delta=1.0,
    )
    basis = {}
    if radial is not None:
        table = np.ascontiguousarray(radial[: max(l_max) + 1, : max(n_max)])
        basis = dict.fromkeys(ace_basis_shapes(config), table)
    functions = expansion(tuple(orders), len(species)).functions
    identity = dict.fromkeys(species, np.eye(len(functions)))
    coefficients = {}
    for z in species:
        energy = {p: value for p, value in energies[z].items() if len(p) in ranks}
        coefficients[z] = function_coefficients(functions, energy)
    term = build_term(config, species, basis, identity)
    return replace(term, sparse=identity, coefficients=coefficients)
