"""A fit as sums over its data: filled in blocks, added to each other, then solved.

With K_mm + jitter = U^T U, whitened rows Φ = Λ^-1/2 K_nm U^-1 and ỹ = Λ^-1/2 y (Eq. 6):
minimise |Φ z - ỹ|² + |z|², then c = U^-1 z (Eq. 7). Whitening keeps the normal equations
safe (Foster et al., JMLR 10, 857 (2009)). Groups of observations are summed apart, so
another sigma of a group costs no pass over the data.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from gapfit._support.archive import Writable
from gapfit.errors import GapfitError
from gapfit.gp.accumulator import Accumulator
from gapfit.gp.normal_equations import NormalEquations, solve_normal
from gapfit.gp.observations import Group, RowBlock
from gapfit.gp.raised_jitter import RaisedJitter
from gapfit.gp.rounding import Rounding, rounding_of
from gapfit.gp.streaming_qr import StreamingQR, triangular
from gapfit.gp.whitening import Solution, Whitening

__all__ = ["TrainingSums"]


_KINDS: dict[str, type[NormalEquations] | type[StreamingQR]] = {
    "cholesky": NormalEquations,
    "qr": StreamingQR,
}
_Rows = tuple[np.ndarray, np.ndarray, np.ndarray]


class TrainingSums:
    """Sums over the rows of a data set, by group of observations.

    Rows wait here, and nowhere else, until a group has enough for a pass over its matrix.

    Parameters
    ----------
    whitening : Whitening
        Cholesky factors U of K_mm + jitter.
    method : {"cholesky", "qr"}
        Whitened normal equations, or a QR decomposition.

    Attributes
    ----------
    groups : dict of Group to NormalEquations or StreamingQR
        The sums. Any sortable key names a group; files take those of `Group`.
    """

    def __init__(self, whitening: Whitening, method: str) -> None:
        self.whitening = whitening
        self.method = method
        self.groups: dict[Any, Any] = {}
        self._waiting: dict[Hashable, list[_Rows]] = {}

    def add_block(
        self,
        block: RowBlock,
        groups: Sequence[Sequence[Any]],
        keep: np.ndarray | None = None,
    ) -> None:
        """Add the rows of some frames.

        Parameters
        ----------
        block : RowBlock
            Kernel rows, targets and sigmas.
        groups : sequence of sequence of Group
            For each frame, the group of each quantity.
        keep : (n_rows,) bool, optional
            Rows that are added; all when absent.
        """
        for name, where in block.by_group(groups, keep):
            rows = _index(where)
            self.add(name, block.K[rows], block.y[rows], block.sigma[rows])

    def add(
        self, group: Hashable, K: np.ndarray, y: np.ndarray, sigma: np.ndarray
    ) -> None:
        """Add observations: kernel rows (n, n_sparse), targets and sigmas (n,)."""
        if not len(y):
            return
        waiting = self._waiting.setdefault(group, [])
        waiting.append((K, y, sigma))
        enough = _KINDS[self.method].rows_at_once(self.whitening.n_sparse)
        if sum(len(y) for _, y, _ in waiting) >= enough:
            self._absorb(group)
        else:
            # Waiting rows must not keep their block in memory.
            waiting[-1] = (K.copy(), y.copy(), sigma.copy())

    def close(self) -> None:
        """Absorb the rows that wait for more."""
        for group in list(self._waiting):
            self._absorb(group)

    def _absorb(self, group: Hashable) -> None:
        waiting = self._waiting.pop(group)
        K, y, sigma = (
            waiting[0]
            if len(waiting) == 1
            else [np.concatenate(parts) for parts in zip(*waiting, strict=True)]
        )
        rows = K / sigma[:, None]
        if self.method == "cholesky":
            rows = self.whitening.apply(rows, overwrite=True)
        self._of(group).add(rows, y / sigma, sigma)

    def _of(self, group: Hashable) -> Any:
        if group not in self.groups:
            kind = _KINDS[self.method]
            self.groups[group] = kind(self.whitening.n_sparse)
        return self.groups[group]

    @property
    def n_rows(self) -> int:
        """Number of observations."""
        self.close()
        return sum(sums.n_rows for sums in self.groups.values())

    @staticmethod
    def nbytes(method: str, n_sparse: int, group_rows: Sequence[int]) -> int:
        """Return the memory of the sums over groups with these numbers of rows, bytes."""
        return sum(_KINDS[method].nbytes(n_sparse, n_rows) for n_rows in group_rows)

    @staticmethod
    def add_nbytes(method: str, n_sparse: int, n_rows: float, n_blocks: int) -> float:
        """Return the temporary memory while a block of rows is added, bytes.

        Scaled rows; whitening copies a block of columns unless there is but one. For QR,
        rows wait until they are as many as sparse points.
        """
        K = 8 * n_rows * n_sparse
        if method == "cholesky":
            return K if n_blocks == 1 else 2 * K
        return (2 if n_blocks == 1 else 3) * K + 4 * 8 * n_sparse**2

    @staticmethod
    def merge_nbytes(method: str, n_sparse: int) -> int:
        """Return the temporary memory of a merge, bytes."""
        return _KINDS[method].merge_nbytes(n_sparse)

    @staticmethod
    def solve_nbytes(method: str, n_sparse: int, n_groups: int) -> int:
        """Return the temporary memory of `solve` and `rewhitened`, bytes."""
        return _KINDS[method].solve_nbytes(n_sparse, n_groups)

    def merge(self, other: TrainingSums) -> None:
        """Add the sums over other data, which are used up."""
        self.close()
        other.close()
        for group, sums in other.groups.items():
            if group in self.groups:
                self.groups[group].merge(sums)
            else:
                self.groups[group] = sums

    def scaled(self, ratios: Mapping[Group, float]) -> TrainingSums:
        """Return the sums that the same data give with other sigmas.

        Parameters
        ----------
        ratios : mapping of Group to float
            Factors of the sigmas of groups; the sigmas of other groups stay.
        """
        self.close()
        out = TrainingSums(self.whitening, self.method)
        out.groups = {
            group: sums.scaled(ratios[group]) if group in ratios else sums
            for group, sums in self.groups.items()
        }
        return out

    def rewhitened(self, raised: RaisedJitter) -> TrainingSums:
        """Return the sums over the same data with a larger jitter.

        These are used up: of all matrices, one at a time exists twice.
        """
        self.close()
        out = TrainingSums(raised.whitening, self.method)
        for group in list(self.groups):
            sums = self.groups.pop(group)
            # A model that shares the group keeps it as it is.
            out.groups[group] = (
                sums.transformed(raised.apply) if self.method == "cholesky" else sums
            )
        return out

    def header(self) -> dict[str, Any]:
        """Return the description of `arrays` in a file, as plain data."""
        return {"method": self.method, "groups": [list(g) for g in sorted(self.groups)]}

    def arrays(self) -> dict[str, Writable]:
        """Return the sums as arrays for a file, ``"0/G"`` of the first group and so on."""
        self.close()
        return {
            f"{n}/{name}": array
            for n, group in enumerate(sorted(self.groups))
            for name, array in self.groups[group].arrays().items()
        }

    @classmethod
    def from_arrays(
        cls,
        whitening: Whitening,
        header: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray],
    ) -> TrainingSums:
        """Return the sums that `header` and `arrays` describe."""
        out = cls(whitening, header["method"])
        kind = _KINDS[out.method]
        for n, (quantity, class_name) in enumerate(header["groups"]):
            if not (isinstance(quantity, str) and isinstance(class_name, str)):
                raise ValueError("names of groups that are no texts")
            prefix = f"{n}/"
            group_arrays = {
                key.removeprefix(prefix): array
                for key, array in arrays.items()
                if key.startswith(prefix)
            }
            out.groups[(quantity, class_name)] = kind.from_arrays(
                whitening.n_sparse, group_arrays
            )
        return out

    def solve(self, ridge: float = 0.0) -> Solution:
        """Return coefficients, factor and evidence.

        Parameters
        ----------
        ridge : float
            Added to the identity in I + Φ^T Φ: the prior variance of every direction is
            divided by 1 + ridge. For normal equations alone.

        Raises
        ------
        LostDigitsError
            Normal equations that are not positive definite to working precision.
        GapfitError
            The solution overflows.
        """
        self.close()
        parts = [self.groups[group] for group in sorted(self.groups)]
        if self.method == "cholesky":
            solution = _solve_normal(self.whitening, parts, ridge)
        else:
            solution = _solve_triangle(self.whitening, parts)
        if not np.isfinite(solution.coefficients).all():
            raise GapfitError(
                "the coefficients are not finite: only rounding decides them; raise "
                "[sigma] or lower delta of the terms"
            )
        return solution

    def rounding(self, solution: Solution) -> Rounding:
        """Return the changes that rounding makes in the values of a solution."""
        return rounding_of(
            self.whitening, solution.R, solution.coefficients, self.groups
        )

    def misfit(
        self, solution: Solution, groups: Sequence[Any]
    ) -> tuple[float, float] | None:
        """Return the size of the errors of some groups; None without observations.

        Returns
        -------
        ratio : float
            Root mean square of the errors over their sigmas.
        sigma : float
            Geometric mean of the sigmas, in the unit of the targets.
        """
        parts = [self.groups[group] for group in groups]
        n_rows = sum(sums.n_rows for sums in parts)
        if not n_rows:
            return None
        # The triangle of a StreamingQR has rows that are not whitened.
        c = solution.coefficients
        c = self.whitening.redo(c) if self.method == "cholesky" else c
        square = sum(sums.misfit(c) for sums in parts)
        log_sigma = sum(sums.log_sigma for sums in parts) / n_rows
        return float(np.sqrt(square / n_rows)), float(np.exp(log_sigma))


def _index(where: np.ndarray) -> Any:
    """Return ascending positions; a slice, which takes no copy, where they are a run."""
    if len(where) and where[-1] - where[0] + 1 == len(where):
        return slice(int(where[0]), int(where[-1]) + 1)
    return where


def _solve_normal(
    whitening: Whitening, parts: Sequence[NormalEquations], ridge: float
) -> Solution:
    m = whitening.n_sparse
    B, b, square = np.zeros((m, m), order="F"), np.zeros(m), 0.0
    for gram in parts:
        B = gram.added_to(B)
        b += gram.b
        square += gram.square
    B[np.diag_indices(m)] += 1.0 + ridge
    solved = solve_normal(B, b)
    misfit = square - float(solved.half @ solved.half)
    return _solution(whitening.undo(solved.z), solved.R, misfit, parts)


def _solve_triangle(whitening: Whitening, parts: Sequence[StreamingQR]) -> Solution:
    m = whitening.n_sparse
    prior = np.zeros((m + 1, m + 1))
    for U, block in zip(whitening.cholesky, whitening.blocks, strict=True):
        prior[block, block] = U
    triangle = triangular([prior, *(part.R for part in parts)])
    R, d = triangle[:-1, :-1], triangle[:-1, -1]
    coefficients = solve_triangular(R, d, check_finite=False)
    # The last entry is the norm of the least-squares residual.
    return _solution(
        coefficients, whitening.apply(R), float(triangle[-1, -1] ** 2), parts
    )


def _solution(
    coefficients: np.ndarray,
    R: np.ndarray,
    misfit: float,
    parts: Sequence[Accumulator],
) -> Solution:
    """Return the solution with log p(y) from |ỹ|² - |R^-T Φ^T ỹ|² and log|I + Φ^T Φ|."""
    n_rows = sum(sums.n_rows for sums in parts)
    log_sigma = sum(sums.log_sigma for sums in parts)
    log_det = 2 * float(np.log(np.abs(np.diag(R))).sum())
    evidence = -0.5 * (misfit + log_det + n_rows * np.log(2 * np.pi)) - log_sigma
    return Solution(coefficients, R, float(evidence), n_rows)
