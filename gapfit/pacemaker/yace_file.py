"""Files ``.yace`` of linear potentials: what they may contain, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from gapfit._support.foreign import ForeignError, UnopenedError
from gapfit.descriptors.ace_radial import MOST_BESSEL
from gapfit.errors import GapfitError, ModelFileError, shortened
from gapfit.pacemaker.yace_text import Section, sections

__all__ = ["Bond", "Product", "YaceFile", "read_yace"]

#: Largest coefficient, and energy of an isolated atom, eV; radial functions of order 1.
_LARGEST, _LARGEST_E0 = 1e12, 1e10
_MOST_ELEMENTS = 118
#: Largest counts that gapfit's expansions have.
_MOST = {"nradmax": 16, "lmax": 10, "nradbasemax": MOST_BESSEL}
_MOST_FACTORS = 4
_LINEAR = ("FinnisSinclairShiftedScaled", "FinnisSinclair")

_Number = Annotated[float, Field(ge=-_LARGEST, le=_LARGEST, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0, le=10**6)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Embedding(_Table):
    ndensity: _Count
    FS_parameters: list[_Number]
    npoti: str
    rho_core_cutoff: _Number = 1e5
    drho_core_cutoff: _Number = 250.0

    def require_supported(self) -> None:
        """Refuse energies that are not linear in one density."""
        if self.npoti not in _LINEAR:
            raise _unsupported(f"npoti: {self.npoti}", _LINEAR[0])
        if self.ndensity != 1:
            raise _unsupported(f"ndensity: {self.ndensity}", "1")
        if len(self.FS_parameters) != 2 or self.FS_parameters[1] != 1:
            raise _unsupported(
                f"FS_parameters: {self.FS_parameters}, which is not linear in the density,",
                "[1, 1]",
            )
        if not self.rho_core_cutoff > self.drho_core_cutoff:
            raise _unsupported(
                f"rho_core_cutoff: {self.rho_core_cutoff:g}",
                f"more than drho_core_cutoff = {self.drho_core_cutoff:g}",
            )


class Bond(_Table):
    """Radial functions of a pair of elements."""

    nradmax: _Count
    lmax: _Count
    nradbasemax: _Count
    radbasename: str
    radparameters: list[_Number]
    radcoefficients: list[list[list[_Number]]]
    prehc: _Number = 0.0
    lambdahc: _Number = 0.0
    rcut: _Number
    dcut: _Number = 0.0
    rcut_in: _Number = 0.0
    dcut_in: _Number = 0.0
    inner_cutoff_type: str = "distance"
    NameOfCutoffFunction: str = "cos"

    @model_validator(mode="after")
    def _sizes(self) -> Bond:
        shape = (self.nradmax, self.lmax + 1, self.nradbasemax)
        tables = self.radcoefficients
        wrong_tables = any(len(table) != shape[1] for table in tables)
        wrong_rows = any(len(row) != shape[2] for table in tables for row in table)
        if len(tables) != shape[0] or wrong_tables or wrong_rows:
            raise ValueError(
                f"must be nradmax lists of lmax + 1 lists of nradbasemax numbers: {shape}"
            )
        return self

    def require_supported(self) -> None:
        """Refuse radial functions other than combinations of Bessel functions."""
        if self.prehc != 0:
            raise _unsupported(f"a repulsive core, prehc: {self.prehc:g}", "0")
        if self.rcut_in > 0:
            raise _unsupported(f"an inner cutoff, rcut_in: {self.rcut_in:g}", "0")
        if not 1.0 < self.rcut <= 20.0:
            raise _unsupported(f"rcut: {self.rcut:g} Å", "1 to 20")
        for name, most in _MOST.items():
            if (count := getattr(self, name)) > most:
                raise _unsupported(f"{name}: {count}", f"up to {most}")


def _unsupported(part: str, supported: str) -> GapfitError:
    return GapfitError(f"{shortened(part)} is not supported (only {supported})")


class Product(_Table):
    """Products of densities that differ in m alone, and their coefficients."""

    mu0: _Count
    rank: Annotated[int, Field(ge=1)]
    ndensity: _Count
    num_ms_combs: _Count
    mus: list[_Count]
    ns: list[Annotated[int, Field(ge=1, le=10**6)]]
    ls: list[_Count]
    ms_combs: list[Annotated[int, Field(ge=-(10**6), le=10**6)]]
    ctildes: list[_Number]

    @model_validator(mode="after")
    def _sizes(self) -> Product:
        rank, n = self.rank, self.num_ms_combs
        if not len(self.mus) == len(self.ns) == len(self.ls) == rank:
            raise ValueError(f"mus, ns and ls must have rank = {rank} numbers")
        if len(self.ms_combs) != rank * n or len(self.ctildes) != n * self.ndensity:
            raise ValueError(
                f"ms_combs must have rank times num_ms_combs = {rank * n} numbers, "
                f"ctildes num_ms_combs times ndensity = {n * self.ndensity}"
            )
        ms = zip(self.ls * n, self.ms_combs, strict=True)
        if any(abs(m) > degree for degree, m in ms):
            raise ValueError("an m in ms_combs is larger than its l")
        return self


@dataclass(frozen=True)
class YaceFile:
    """Contents of a file of a linear potential.

    Attributes
    ----------
    path : Path
        The file.
    elements : tuple of str
        Chemical symbols; numbers of elements are places in it.
    e0 : tuple of float
        Energies of isolated atoms, eV.
    factors : tuple of float
        By element, factor of all its coefficients.
    bonds : dict of (int, int) to Bond
        Radial functions by central and neighbouring element.
    products : tuple of list of Product
        By element.
    """

    path: Path
    elements: tuple[str, ...]
    e0: tuple[float, ...]
    factors: tuple[float, ...]
    bonds: Bonds
    products: tuple[list[Product], ...]


Bonds = dict[tuple[int, int], Bond]


def read_yace(path: str | Path) -> YaceFile:
    """Read the file of a linear potential.

    Parameters
    ----------
    path : str or Path
        The file, ``.yace``.

    Raises
    ------
    ModelFileError
        The file is missing, damaged, or of another kind.
    GapfitError
        The potential has a part that gapfit does not have; the message names it.
    """
    path = Path(path)
    try:
        return _yace_file(path, sections(path))
    except UnopenedError as error:
        reason = "there is no such file" if error.missing else str(error)
        raise ModelFileError(f"{path}: {reason}") from None
    except ForeignError as error:
        raise ModelFileError(f"{path}: damaged, or no file .yace: {error}") from None
    except GapfitError as error:
        raise GapfitError(f"{path}: {error}") from None


_NAMES = ("elements", "E0", "deltaSplineBins", "embeddings", "bonds", "functions")


def _yace_file(path: Path, parts: dict[str, tuple[Any, Section]]) -> YaceFile:
    if missing := [name for name in _NAMES if name not in parts]:
        raise ForeignError(f"it has no section {', '.join(missing)}")
    if extra := sorted(set(parts) - {*_NAMES, "metadata"}):
        raise GapfitError(f"the section {shortened(extra[0], 40)} is not supported")
    elements = _elements(parts["elements"][0])
    n = len(elements)
    e0 = _checked(_E0, "E0", parts["E0"][0])
    if len(e0) != n:
        raise ForeignError(f"E0 has {len(e0)} numbers for {n} elements")
    embeddings = _entries(parts["embeddings"][1], {str(k): k for k in range(n)})
    pairs = {f"[{a},{b}]": (a, b) for a in range(n) for b in range(n)}
    bonds = {
        pair: _bond(*line) for pair, line in _entries(parts["bonds"][1], pairs).items()
    }
    factors = []
    for k in range(n):
        if k not in embeddings:
            raise ForeignError(f"embeddings has no element {k}")
        line, value = embeddings[k]
        embedding = _checked(_EMBEDDING, f"line {line}", value)
        embedding.require_supported()
        factors.append(embedding.FS_parameters[0])
    products = _products(parts["functions"][1], n, bonds)
    return YaceFile(path, elements, tuple(e0), tuple(factors), bonds, products)


def _elements(value: Any) -> tuple[str, ...]:
    from ase.data import atomic_numbers

    elements = _checked(_SYMBOLS, "elements", value)
    unknown = [symbol for symbol in elements if atomic_numbers.get(symbol, 0) == 0]
    if unknown:
        raise ForeignError(f"{shortened(unknown[0], 40)!r} is not a chemical symbol")
    if len(set(elements)) < len(elements):
        raise ForeignError("an element occurs twice")
    return tuple(elements)


_Key = TypeVar("_Key")


def _entries(section: Section, keys: Mapping[str, _Key]) -> dict[_Key, tuple[int, Any]]:
    """Return lines and values of a section by their keys."""
    out: dict[_Key, tuple[int, Any]] = {}
    for line, name, value in section:
        if name not in keys or keys[name] in out:
            raise ForeignError(
                f"line {line}: {shortened(name, 40)} occurs twice, or is not among the "
                "elements"
            )
        out[keys[name]] = line, value
    return out


def _bond(line: int, value: Any) -> Bond:
    if isinstance(value, dict):
        # Other kinds have other parameters.
        name = value.get("radbasename", "SBessel")
        if name != "SBessel":
            raise _unsupported(f"radbasename: {name}", "SBessel")
    bond = _checked(_BOND, f"line {line}", value)
    bond.require_supported()
    return bond


def _products(section: Section, n: int, bonds: Bonds) -> tuple[list[Product], ...]:
    """Return the functions of each element."""
    out: list[list[Product]] = [[] for _ in range(n)]
    seen: list[int] = []
    for line, name, value in section:
        if name != "-":
            if name not in map(str, range(n)) or int(name) in seen:
                raise ForeignError(
                    f"line {line}: {shortened(name, 40)} occurs twice, or is not the "
                    "number of an element"
                )
            seen.append(int(name))
        # Elements without functions may have an empty list, here or in the next line.
        if value is None or value == []:
            continue
        if name != "-" or not seen:
            raise ForeignError(f"line {line} is not the function of an element")
        out[seen[-1]].append(_product(line, value, seen[-1], bonds))
    return tuple(out)


def _product(line: int, value: Any, centre: int, bonds: Bonds) -> Product:
    product = _checked(_PRODUCT, f"line {line}", value)
    if product.mu0 != centre:
        raise ForeignError(f"line {line}: mu0 is {product.mu0} in the list of {centre}")
    if product.rank > _MOST_FACTORS:
        raise _unsupported(
            f"line {line}: rank: {product.rank}", f"up to {_MOST_FACTORS}"
        )
    if product.ndensity != 1:
        raise _unsupported(f"line {line}: ndensity: {product.ndensity}", "1")
    for mu, n, degree in zip(product.mus, product.ns, product.ls, strict=True):
        if (centre, mu) not in bonds:
            raise ForeignError(f"line {line}: there is no bond [{centre}, {mu}]")
        bond = bonds[centre, mu]
        most = (bond.nradbasemax, 0) if product.rank == 1 else (bond.nradmax, bond.lmax)
        if n > most[0] or degree > most[1]:
            raise ForeignError(
                f"line {line}: n = {n}, l = {degree}: the bond has only n up to {most[0]} "
                f"and l up to {most[1]}"
            )
    return product


_Value = TypeVar("_Value")

_E0: TypeAdapter[list[float]] = TypeAdapter(
    list[Annotated[float, Field(ge=-_LARGEST_E0, le=_LARGEST_E0, strict=True)]]
)
_SYMBOLS: TypeAdapter[list[str]] = TypeAdapter(
    Annotated[list[str], Field(min_length=1, max_length=_MOST_ELEMENTS)]
)
_EMBEDDING, _BOND, _PRODUCT = (
    TypeAdapter(_Embedding),
    TypeAdapter(Bond),
    TypeAdapter(Product),
)


def _checked(kind: TypeAdapter[_Value], place: str, value: Any) -> _Value:
    """Return a value of the right type."""
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(map(str, first["loc"]))
        raise ForeignError(f"{place}: {shortened(name, 60)}: {first['msg']}") from None
