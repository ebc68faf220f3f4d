"""A fit as sums over its data: filled in blocks, added to each other, then solved.

With K_mm + jitter = U^T U, whitened rows Φ = Λ^-1/2 K_nm U^-1 and ỹ = Λ^-1/2 y:
minimise |Φ z - ỹ|² + |z|², then c = U^-1 z. Whitening keeps the normal equations safe
(Foster et al., JMLR 10, 857 (2009)). Groups of observations are summed apart, so another
sigma of a group costs no pass over the data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from gapfit._support.archive import Writable
from gapfit.errors import GapfitError
from gapfit.gp.accumulator import Accumulator
from gapfit.gp.normal_equations import NormalEquations
from gapfit.gp.observations import Group, RowBlock
from gapfit.gp.streaming_qr import StreamingQR, triangular
from gapfit.gp.whitening import Solution, Whitening

__all__ = ["TrainingSums"]

# Rows of a group that wait until they are worth a pass over its matrix.
_WAITING_ROWS = 128

_KINDS: dict[str, type[NormalEquations] | type[StreamingQR]] = {
    "cholesky": NormalEquations,
    "qr": StreamingQR,
}
_Rows = tuple[np.ndarray, np.ndarray, np.ndarray]


class TrainingSums:
    """Sums over the rows of a data set, by group of observations.

    Parameters
    ----------
    whitening : Whitening
        Cholesky factors U of K_mm + jitter.
    method : {"cholesky", "qr"}
        Whitened normal equations, or a QR decomposition.

    Attributes
    ----------
    groups : dict of Group to NormalEquations or StreamingQR
        What was summed up.
    """

    def __init__(self, whitening: Whitening, method: str) -> None:
        self.whitening = whitening
        self.method = method
        self.groups: dict[Group, Any] = {}
        self._waiting: dict[Group, list[_Rows]] = {}

    def add_block(self, block: RowBlock, groups: Sequence[tuple[Group, ...]]) -> None:
        """Add the rows of some frames; `groups`: of each frame's kinds."""
        names = sorted({group for own in groups for group in own})
        where = np.array([[names.index(group) for group in own] for own in groups])
        of_row = where[block.frame, block.kind]
        for n, name in enumerate(names):
            own = _index(np.flatnonzero(of_row == n))
            self.add(name, block.K[own], block.y[own], block.sigma[own])

    def add(
        self, group: Group, K: np.ndarray, y: np.ndarray, sigma: np.ndarray
    ) -> None:
        """Add observations: kernel rows (n, n_sparse), targets and sigmas (n,)."""
        if not len(y):
            return
        waiting = self._waiting.setdefault(group, [])
        waiting.append((K, y, sigma))
        if sum(len(y) for _, y, _ in waiting) >= _WAITING_ROWS:
            self._absorb(group)
        else:
            # What waits must not keep a whole block alive.
            waiting[-1] = (K.copy(), y.copy(), sigma.copy())

    def close(self) -> None:
        """Absorb the rows that wait for more."""
        for group in list(self._waiting):
            self._absorb(group)

    def _absorb(self, group: Group) -> None:
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

    def _of(self, group: Group) -> Any:
        if group not in self.groups:
            kind = _KINDS[self.method]
            self.groups[group] = kind(self.whitening.n_sparse)
        return self.groups[group]

    @property
    def n_rows(self) -> int:
        """Number of observations."""
        self.close()
        return sum(sums.n_rows for sums in self.groups.values())

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
            What to multiply the sigmas of groups with; those of others stay.
        """
        self.close()
        out = TrainingSums(self.whitening, self.method)
        out.groups = {
            group: sums.scaled(ratios[group]) if group in ratios else sums
            for group, sums in self.groups.items()
        }
        return out

    def header(self) -> dict[str, Any]:
        """Return what a file says about `arrays`, as plain data."""
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
        """Return what `header` and `arrays` gave."""
        out = cls(whitening, header["method"])
        kind = _KINDS[out.method]
        for n, (name, of) in enumerate(header["groups"]):
            first = f"{n}/"
            own = {
                key.removeprefix(first): array
                for key, array in arrays.items()
                if key.startswith(first)
            }
            out.groups[(name, of)] = kind.from_arrays(whitening.n_sparse, own)
        return out

    def solve(self) -> Solution:
        """Return coefficients, factor and evidence.

        Raises
        ------
        GapfitError
            Normal equations that are not positive definite to working precision.
        """
        self.close()
        parts = [self.groups[group] for group in sorted(self.groups)]
        solve = _solve_normal if self.method == "cholesky" else _solve_triangle
        return solve(self.whitening, parts)


def _index(where: np.ndarray) -> Any:
    """Return ascending positions; a slice, which takes no copy, where they are a run."""
    if len(where) and where[-1] - where[0] + 1 == len(where):
        return slice(int(where[0]), int(where[-1]) + 1)
    return where


def _solve_normal(whitening: Whitening, parts: Sequence[NormalEquations]) -> Solution:
    m = whitening.n_sparse
    B, b, square = np.zeros((m, m), order="F"), np.zeros(m), 0.0
    for gram in parts:
        B = gram.added_to(B)
        b += gram.b
        square += gram.square
    B[np.diag_indices(m)] += 1.0
    try:
        R = cholesky(B, overwrite_a=True, check_finite=False)
    except np.linalg.LinAlgError as error:
        raise GapfitError(
            "the sigmas are so small that the normal equations lose all digits "
            f'({error}); raise [sigma], or set solver.method = "qr"'
        ) from error
    half = solve_triangular(R, b, trans="T", check_finite=False)
    z = solve_triangular(R, half, check_finite=False)
    misfit = square - float(half @ half)
    return _solution(whitening.undo(z), R, misfit, parts)


def _solve_triangle(whitening: Whitening, parts: Sequence[StreamingQR]) -> Solution:
    m = whitening.n_sparse
    prior = np.zeros((m + 1, m + 1))
    for U, block in zip(whitening.cholesky, whitening.blocks, strict=True):
        prior[block, block] = U
    for part in parts:
        part.close()
    whole = triangular([prior, *(part.R for part in parts)])
    R, d = whole[:-1, :-1], whole[:-1, -1]
    coefficients = solve_triangular(R, d, check_finite=False)
    # The last entry holds the norm of the whole least-squares residual.
    return _solution(coefficients, whitening.apply(R), float(whole[-1, -1] ** 2), parts)


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
