"""Native core of gapfit"""

from collections.abc import Sequence
from typing import Annotated, overload

import numpy
from numpy.typing import NDArray


def instruction_set() -> int:
    """Bits of the widest vectors that this machine and this code can use."""

def solid_harmonics(vectors: Annotated[NDArray[numpy.float64], dict(shape=(None, 3), order='C', device='cpu', writable=False)], l_max: int) -> tuple:
    """
    Real solid harmonics r^l Y_lm and their gradients.

    vectors: (n, 3) float64, Å. Returns ((n, (l_max+1)^2), (n, 3, (l_max+1)^2)),
    m = -l..l at index l*l + l + m, orthonormal, no Condon-Shortley phase.
    """

class SharedAce:
    pass

class Ace:
    def __init__(self, table: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None, None, None), order='C', device='cpu', writable=False)], table_of: Sequence[int], spacing: float, channel: Sequence[int], coefficients: Annotated[NDArray[numpy.int32], dict(shape=(None, None), order='C', device='cpu', writable=False)], products: Annotated[NDArray[numpy.int32], dict(shape=(None, None), order='C', device='cpu', writable=False)], summands: Annotated[NDArray[numpy.int32], dict(shape=(None, None), order='C', device='cpu', writable=False)], factors: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], n_functions: int) -> None: ...

    @property
    def n_functions(self) -> int: ...

    @property
    def n_products(self) -> int: ...

    def environments(self, pairs: PairList, n_threads: int) -> NDArray[numpy.float64]: ...

    def predict(self, pairs: PairList, coefficients: Sequence[Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)] | None], gradients: bool, atom_virials: bool, n_threads: int) -> tuple: ...

    def shared(self, coefficients: Sequence[Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)] | None], W: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None, None), order='C', device='cpu', writable=False)]) -> SharedAce: ...

    def add_rows(self, pairs: PairList, weights: Sequence[Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)] | None], energies: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], forces: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')] | None, virials: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')] | None, n_threads: int) -> None: ...

def neighbour_list(positions: Annotated[NDArray[numpy.float64], dict(shape=(None, 3), order='C', device='cpu', writable=False)], cell: Annotated[NDArray[numpy.float64], dict(shape=(3, 3), order='C', device='cpu', writable=False)], pbc: Annotated[NDArray[numpy.bool_], dict(shape=(3), order='C', device='cpu', writable=False)], cutoff: float) -> tuple:
    """
    All pairs with |R| < cutoff, periodic images included, sorted by i.

    positions (n, 3), cell (3, 3) and cutoff in Å; pbc (3,) bool. Rows of the
    cell count only where it is periodic. Returns (first, i, j, R, closest_i,
    closest_j, closest_distance): pairs first[i]..first[i + 1] - 1 belong to atom
    i, and R = r_j + S·cell - r_i. Without pairs the closest are -1, -1 and inf.
    """

def pairs_within(first: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], i: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], j: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], R: Annotated[NDArray[numpy.float64], dict(shape=(None, 3), order='C', device='cpu', writable=False)], cutoff: float) -> tuple | None:
    """The pairs of a list with |R| < cutoff, as `neighbour_list`; None: all."""

class SkinList:
    def pairs(self, positions: Annotated[NDArray[numpy.float64], dict(shape=(None, 3), order='C', device='cpu', writable=False)]) -> tuple | None:
        """
        The pairs within the cutoff, as `neighbour_list`; None if an atom has moved
        by more than half of the skin, whole periods aside.
        """

def skin_list(positions: Annotated[NDArray[numpy.float64], dict(shape=(None, 3), order='C', device='cpu', writable=False)], cell: Annotated[NDArray[numpy.float64], dict(shape=(3, 3), order='C', device='cpu', writable=False)], pbc: Annotated[NDArray[numpy.bool_], dict(shape=(3), order='C', device='cpu', writable=False)], cutoff: float, skin: float) -> SkinList:
    """A list of these positions that serves others near them (SkinList)."""

class PairList:
    def __init__(self, first: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], j: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], R: Annotated[NDArray[numpy.float64], dict(shape=(None, 3), order='C', device='cpu', writable=False)], species: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], frame: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], n_frames: int, start: int) -> None: ...

def pair_energies(pairs: PairList, values: Annotated[NDArray[numpy.float64], dict(shape=(None, None, 3), order='C', device='cpu', writable=False)], start: float, spacing: float, knots: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, potential: Annotated[NDArray[numpy.int32], dict(shape=(None, None), order='C', device='cpu', writable=False)], cosine: float, gradients: bool, atom_virials: bool, n_threads: int) -> tuple: ...

def embedding_energies(pairs: PairList, density: Annotated[NDArray[numpy.float64], dict(shape=(None, None, 3), order='C', device='cpu', writable=False)], start: float, spacing: float, cosine: float, weights: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], energy: Annotated[NDArray[numpy.float64], dict(shape=(None, None, 3), order='C', device='cpu', writable=False)], energy_spacing: float, curve: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], gradients: bool, atom_virials: bool, n_threads: int) -> tuple: ...

def pair_covariances(pairs: PairList, block: Annotated[NDArray[numpy.int32], dict(shape=(None, None), order='C', device='cpu', writable=False)], shape: tuple[float, float, bool], kernel: tuple[float, float], points: Sequence[Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)]], n_threads: int) -> tuple: ...

class Points:
    def __init__(self, points: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], projection: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None = None) -> None: ...

class Block:
    def __init__(self, points: Points, coefficients: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], zeta: float, quadratic: bool = False) -> None: ...

class VarianceBlock:
    def __init__(self, points: Points, L: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], before: int, delta: float, zeta: float) -> None: ...

class Variances:
    def __init__(self, blocks: Sequence[VarianceBlock], other: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], prior: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> None: ...

class Soap:
    def __init__(self, table: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None, None, None), order='C', device='cpu', writable=False)], table_of: Sequence[int], next: Sequence[tuple[int, float, int]], spacing: float, centre: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], weighting: tuple[str, float, float, float, float], channel: Sequence[int], species_weight: Sequence[float], mixed: Sequence[int], mixing: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None, None), order='C', device='cpu', writable=False)], central_in_all: bool, blocks: Sequence[tuple[int, int]], scale: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], products: str) -> None: ...

    @property
    def n_features(self) -> int: ...

    def environments(self, pairs: PairList, n_threads: int) -> tuple: ...

    def density_gram(self, pairs: PairList, n_threads: int) -> NDArray[numpy.float64]: ...

    def predict(self, pairs: PairList, blocks: Sequence[Block], gradients: bool, atom_virials: bool, n_threads: int, variances: Variances | None = None, ace: SharedAce | None = None) -> tuple: ...

    def add_rows(self, pairs: PairList, points: Sequence[Points], delta: float, zeta: float, energies: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], forces: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')] | None, virials: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')] | None, n_threads: int) -> None: ...

class TripletRange:
    def __init__(self, block: Annotated[NDArray[numpy.int32], dict(shape=(None, None, None), order='C', device='cpu', writable=False)], r_cut: float, width: float, cosine: bool) -> None: ...

class TripletKernel:
    def __init__(self, delta: float, theta: tuple[float, float, float], permuted: bool, polynomial: bool) -> None: ...

class TripletPotential:
    @overload
    def __init__(self, table: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None), order='C', device='cpu', writable=False)], start: tuple[float, float, float], spacing: tuple[float, float, float]) -> None: ...

    @overload
    def __init__(self, kernel: TripletKernel, points: Annotated[NDArray[numpy.float64], dict(shape=(None, 3), order='C', device='cpu', writable=False)], coefficients: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> None: ...

def triplet_energies(pairs: PairList, range: TripletRange, potentials: Sequence[TripletPotential], gradients: bool, atom_virials: bool, n_threads: int) -> tuple: ...

def triplet_list(pairs: PairList, range: TripletRange) -> tuple: ...

def add_triplet_rows(pairs: PairList, range: TripletRange, kernel: TripletKernel, points: Sequence[Annotated[NDArray[numpy.float64], dict(shape=(None, 3), order='C', device='cpu', writable=False)]], by_centre: bool, energies: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')], forces: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')] | None, virials: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')] | None, n_threads: int) -> None: ...

def triplet_priors(pairs: PairList, range: TripletRange, kernel: TripletKernel, n_threads: int) -> NDArray[numpy.float64]: ...
